//! What a verified client assertion must say (RFC 7523 §3, strict as FAPI 2.0): who it is from,
//! that it is for us alone, and that it is of this moment. That it comes once is the caller's to
//! see.

use serde_json::{Map, Value};

/// An assertion lives this long at most, in seconds.
pub const LIFETIME_MAX: i64 = 600;
/// Clocks differ.
const SKEW: i64 = 60;
const JTI_BYTES_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAssertion {
    /// Unique among the assertions of one client.
    pub jti: String,
    /// Seconds since the Unix epoch.
    pub exp: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    #[error("iss and sub of a client assertion must be the client_id")]
    NotFromClient,
    #[error("aud of a client assertion must be the issuer or the token endpoint, as one text")]
    WrongAudience,
    #[error("exp of a client assertion is missing, past, or more than ten minutes ahead")]
    BadTime,
    #[error("jti of a client assertion is missing or too long")]
    NoId,
}

impl ClientAssertion {
    /// `now` in seconds since the Unix epoch.
    pub fn check(
        claims: &Map<String, Value>,
        client_id: &str,
        audiences: [&str; 2],
        now: i64,
    ) -> Result<Self, AssertionError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(client_id) || text("sub") != Some(client_id) {
            return Err(AssertionError::NotFromClient);
        }
        // A list may name others, who could then show it to us (attack T5).
        if !text("aud").is_some_and(|aud| audiences.contains(&aud)) {
            return Err(AssertionError::WrongAudience);
        }
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or(AssertionError::BadTime),
        };
        let exp = time("exp")?.ok_or(AssertionError::BadTime)?;
        let begins = [time("nbf")?, time("iat")?];
        let is_early = begins.into_iter().flatten().any(|at| at > now.saturating_add(SKEW));
        if exp <= now || exp > now.saturating_add(LIFETIME_MAX + SKEW) || is_early {
            return Err(AssertionError::BadTime);
        }
        let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES_MAX);
        Ok(Self { jti: jti.ok_or(AssertionError::NoId)?.to_owned(), exp })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AUDIENCES: [&str; 2] = ["https://id.example", "https://id.example/oauth/token"];

    fn check(change: &[(&str, Value)]) -> Result<ClientAssertion, AssertionError> {
        let mut claims = json!({
            "iss": "bot", "sub": "bot", "aud": AUDIENCES[0], "exp": 1_060, "jti": "one",
        });
        let object = claims.as_object_mut().unwrap();
        for (name, value) in change {
            object.insert((*name).to_owned(), value.clone());
        }
        object.retain(|_, value| !value.is_null());
        ClientAssertion::check(object, "bot", AUDIENCES, 1_000)
    }

    #[test]
    fn t5_an_assertion_is_from_the_client_for_us_alone_and_of_this_moment() {
        assert_eq!(check(&[]), Ok(ClientAssertion { jti: "one".into(), exp: 1_060 }));
        assert!(check(&[("aud", json!(AUDIENCES[1])), ("iat", json!(1_050))]).is_ok());
        for (name, bad, error) in [
            ("iss", json!("other"), AssertionError::NotFromClient),
            ("sub", Value::Null, AssertionError::NotFromClient),
            ("aud", json!("https://other.example"), AssertionError::WrongAudience),
            ("aud", json!([AUDIENCES[0]]), AssertionError::WrongAudience),
            ("aud", Value::Null, AssertionError::WrongAudience),
            ("exp", json!(1_000), AssertionError::BadTime),
            ("exp", json!(9_999), AssertionError::BadTime),
            ("exp", json!("1060"), AssertionError::BadTime),
            ("exp", Value::Null, AssertionError::BadTime),
            ("nbf", json!(2_000), AssertionError::BadTime),
            ("iat", json!(2_000), AssertionError::BadTime),
            ("jti", Value::Null, AssertionError::NoId),
            ("jti", json!("x".repeat(257)), AssertionError::NoId),
        ] {
            assert_eq!(check(&[(name, bad.clone())]), Err(error), "{name}: {bad}");
        }
    }
}
