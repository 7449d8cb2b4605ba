//! The claims of a JWT access token (RFC 9068).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::scope::ScopeSet;

/// The token's `typ` (RFC 9068 §2.1).
pub const TYP: &str = "at+jwt";

/// Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    pub iss: String,
    /// The user, or the app itself for client credentials.
    pub sub: String,
    #[serde(with = "audience")]
    pub aud: Vec<String>,
    pub exp: i64,
    pub iat: i64,
    pub jti: String,
    pub client_id: String,
    pub scope: ScopeSet,
    /// Ours: the grant that the token points to, so a holder of the grant table can refuse it.
    pub grant_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// RFC 9068 §2.2.1, in the words of RFC 8176.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    #[error("a claim is missing or has another form than RFC 9068 says")]
    Malformed,
    #[error("the token is of another issuer")]
    WrongIssuer,
    #[error("the token is for another API")]
    WrongAudience,
    #[error("the token has expired")]
    Expired,
    #[error("the token was issued in the future")]
    NotYetValid,
}

impl AccessTokenClaims {
    /// Reads the claims that [`crate::jose::verify`] gave.
    pub fn from_verified(claims: Map<String, Value>) -> Result<Self, ClaimsError> {
        serde_json::from_value(Value::Object(claims)).map_err(|_| ClaimsError::Malformed)
    }

    /// RFC 9068 §4: issuer and audience compared exactly, `exp` in the future. `skew_seconds` is
    /// how far ahead the issuing node's clock may be.
    pub fn check(
        &self,
        issuer: &str,
        audience: &str,
        now_seconds: i64,
        skew_seconds: i64,
    ) -> Result<(), ClaimsError> {
        if self.iss != issuer {
            return Err(ClaimsError::WrongIssuer);
        }
        if !self.aud.iter().any(|entry| entry == audience) {
            return Err(ClaimsError::WrongAudience);
        }
        if self.exp <= now_seconds {
            return Err(ClaimsError::Expired);
        }
        if self.iat > now_seconds.saturating_add(skew_seconds) {
            return Err(ClaimsError::NotYetValid);
        }
        Ok(())
    }
}

/// RFC 7519 §4.1.3: one audience is a string, several are an array.
mod audience {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(aud: &[String], to: S) -> Result<S::Ok, S::Error> {
        match aud {
            [one] => one.serialize(to),
            many => many.serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(from)? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    }
}

#[cfg(test)]
mod tests;
