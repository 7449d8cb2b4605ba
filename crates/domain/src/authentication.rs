//! How a user has proven who they are, in the words of RFC 8176, and what that is worth (`acr`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What changes how an account is protected, or gives what is marked as risky, asks for a proof
/// that is not older than this.
pub const FRESH_FOR: Duration = Duration::from_secs(15 * 60);

/// What was presented and found right in one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Methods {
    pub password: bool,
    /// A code of an authenticator app, or a recovery code.
    pub otp: bool,
    /// A passkey, which also asked for a finger, a face or a PIN.
    pub passkey: bool,
    /// A second factor that another system has seen, which signed the user in.
    pub elsewhere: bool,
}

impl Methods {
    /// Nothing that was presented here.
    pub const NONE: Self = Self { password: false, otp: false, passkey: false, elsewhere: false };
    pub const PASSWORD: Self = Self { password: true, ..Self::NONE };
    pub const PASSKEY: Self = Self { passkey: true, ..Self::NONE };
    pub const ELSEWHERE: Self = Self { elsewhere: true, ..Self::NONE };

    const WORDS: [(u8, &'static str); 4] = [(1, "pwd"), (2, "otp"), (4, "pop"), (8, "mfa")];

    pub fn acr(self) -> Acr {
        match self {
            Self { passkey: true, .. } => Acr::PhishingResistant,
            Self { otp: true, .. } | Self { elsewhere: true, .. } => Acr::TwoFactors,
            _ => Acr::OneFactor,
        }
    }

    #[must_use]
    pub fn union(self, more: Self) -> Self {
        Self::from_bits(self.bits() | more.bits()).unwrap_or_default()
    }

    /// As tokens say it (RFC 8176 §2), with what follows from the methods.
    pub fn amr(self) -> Vec<&'static str> {
        let set = Self::WORDS.iter().filter(|(bit, _)| self.bits() & bit != 0);
        let mut words: Vec<_> = set.map(|(_, word)| *word).collect();
        if self.passkey {
            words.push("user");
        }
        if self.acr() > Acr::OneFactor && !self.elsewhere {
            words.push("mfa");
        }
        words
    }

    pub(crate) fn bits(self) -> u8 {
        u8::from(self.password)
            | u8::from(self.otp) << 1
            | u8::from(self.passkey) << 2
            | u8::from(self.elsewhere) << 3
    }

    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        let set = |bit| bits & bit != 0;
        (bits < 16).then(|| Self {
            password: set(1),
            otp: set(2),
            passkey: set(4),
            elsewhere: set(8),
        })
    }
}

/// As it is stored: the words without what follows from them.
impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = Self::WORDS.iter().filter(|(bit, _)| self.bits() & bit != 0);
        f.write_str(&set.map(|(_, word)| *word).collect::<Vec<_>>().join(" "))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of methods")]
pub struct UnknownMethod;

impl FromStr for Methods {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        let bit = |word| Self::WORDS.iter().find(|(_, known)| *known == word).map(|(bit, _)| *bit);
        let mut bits = 0;
        for word in text.split_ascii_whitespace() {
            bits |= bit(word).ok_or(UnknownMethod)?;
        }
        Self::from_bits(bits).ok_or(UnknownMethod)
    }
}

/// How much a sign-in is worth (OpenID Connect Core §2, RFC 9470): each value covers those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acr {
    OneFactor,
    TwoFactors,
    /// A passkey, which answers no other site than ours. The name is that of OpenID Connect's
    /// Extended Authentication Profile.
    PhishingResistant,
}

impl Acr {
    pub const ALL: [Self; 3] = [Self::OneFactor, Self::TwoFactors, Self::PhishingResistant];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneFactor => "1fa",
            Self::TwoFactors => "2fa",
            Self::PhishingResistant => "phr",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|acr| acr.as_str() == name)
    }

    /// The least that answers `acr_values`; `None`: we have none of what was asked.
    pub fn least_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        names.into_iter().filter_map(Self::from_name).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_methods_survives_its_text_and_its_byte() {
        for bits in 0..16 {
            let methods = Methods::from_bits(bits);
            assert_eq!(methods.map(Methods::bits), Some(bits));
            assert_eq!(methods.map(|m| m.to_string().parse()), methods.map(Ok));
        }
        assert_eq!(Methods::from_bits(16), None);
        assert_eq!("pwd sms".parse::<Methods>(), Err(UnknownMethod));
    }

    #[test]
    fn tokens_say_what_follows_from_the_methods_too() {
        let both = Methods { otp: true, ..Methods::PASSWORD };
        assert_eq!(both.amr(), ["pwd", "otp", "mfa"]);
        assert_eq!(Methods::PASSKEY.amr(), ["pop", "user", "mfa"]);
        assert_eq!(Methods::PASSWORD.amr(), ["pwd"]);
        assert_eq!(Methods::ELSEWHERE.amr(), ["mfa"]);
        assert_eq!(Methods::ELSEWHERE.acr(), Acr::TwoFactors);
    }

    #[test]
    fn the_least_of_what_was_asked_is_enough_and_unknown_words_are_passed_over() {
        assert_eq!(Acr::least_of(["gold", "phr", "2fa"]), Some(Acr::TwoFactors));
        assert_eq!(Acr::least_of(["gold"]), None);
    }
}
