//! Typed ids of 128 random bits. In the database and in addresses they are 32 lower-case hex
//! digits; inside sealed tokens 16 bytes. What goes over the wire as `client_id` is not one of
//! these: see `app::App::client_id`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entropy::{Entropy, random_bytes};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 lower-case hexadecimal digits")]
pub struct InvalidId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            pub fn random(entropy: &dyn Entropy) -> Self {
                Self(random_bytes(entropy))
            }

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(str::from_utf8(&hex(&self.0)).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(str::from_utf8(&hex(&self.0)).unwrap_or_default())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An app, whatever it is called on the wire.
    AppId
    /// A user account.
    UserId
    /// A user's remembered decision for one app.
    ConsentId
    /// One live authorization. The only thing tokens point to.
    GrantId
    /// One issued access token; exists in the database only once it was revoked.
    TokenId
    /// One authorization code.
    CodeId
    /// A client secret or another credential of an app.
    CredentialId
    /// An authenticator app or a passkey of a user.
    FactorId
    /// A signed-in browser.
    SessionId
    /// A pair of public key and secret of one app for one user.
    PartnerKeyId
    /// People who look after the same apps.
    TeamId
    /// Somebody is asked to join a team.
    InvitationId
    /// An app's logo.
    LogoId
    /// What a developer or staff wrote about an app.
    AppMessageId
    /// A token for the admin API.
    AdminTokenId
    /// A link in a message, which works once.
    LinkId
    /// What a developer asks the operator for.
    PlanRequestId
    /// Where somebody wants to hear of events.
    EndpointId
    /// One attempt to write something that must happen once (see store: outcome unknown).
    AttemptId
}

/// By hand, since ids are in every answer and every line of the log.
fn hex(bytes: &[u8; 16]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    text
}

fn parse_hex(text: &str) -> Result<[u8; 16], InvalidId> {
    let digits = text.as_bytes();
    let mut bytes = [0; 16];
    if digits.len() != 32 {
        return Err(InvalidId);
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(InvalidId),
            };
            *byte = (*byte << 4) | value;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let id = GrantId::from_bytes(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn upper_case_short_and_foreign_texts_are_no_ids() {
        for text in ["", "AB", &"A".repeat(32), &"g".repeat(32), &"a".repeat(33), &"é".repeat(16)]
        {
            assert_eq!(text.parse::<AppId>(), Err(InvalidId), "{text}");
        }
    }
}
