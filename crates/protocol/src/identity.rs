//! What another system says about a user whom it has signed in: the claims that an ID token, a
//! UserInfo answer and the signed return of a login page share (OpenID Connect Core §5.1,
//! RFC 8176).

use serde_json::{Map, Value};

/// OpenID Connect Core §2: "MUST NOT exceed 255 ASCII characters".
const SUBJECT_BYTES_MAX: usize = 255;
/// RFC 5321 §4.5.3.1.
const EMAIL_BYTES_MAX: usize = 254;
const NAME_CHARS_MAX: usize = 100;
/// RFC 5646 §4.4.1.
const LOCALE_BYTES_MAX: usize = 35;
const METHODS_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Never given to anyone else by its issuer.
    pub subject: String,
    pub email: Option<String>,
    /// The issuer has seen that mail to `email` reaches the user.
    pub email_verified: bool,
    pub name: Option<String>,
    pub locale: Option<String>,
    /// When the user last proved who they are, in seconds since 1970.
    pub auth_time: Option<i64>,
    pub acr: Option<String>,
    pub amr: Vec<String>,
}

impl Identity {
    /// What is not usable is left out; `None` when even the subject is not.
    pub fn read(claims: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::trim);
        let subject = claims.get("sub")?.as_str()?;
        let is_subject = (1..=SUBJECT_BYTES_MAX).contains(&subject.len())
            && subject.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !is_subject {
            return None;
        }
        let amr = claims.get("amr").and_then(Value::as_array);
        let amr = amr.into_iter().flatten().filter_map(Value::as_str).take(METHODS_MAX);
        Some(Self {
            subject: subject.to_owned(),
            email: text("email").filter(|email| is_email_address(email)).map(str::to_owned),
            // Some providers write it as a text.
            email_verified: match claims.get("email_verified") {
                Some(Value::Bool(verified)) => *verified,
                Some(Value::String(text)) => text == "true",
                _ => false,
            },
            name: text("name").map(shorten).filter(|name| !name.is_empty()),
            locale: text("locale").filter(|locale| is_locale(locale)).map(str::to_owned),
            auth_time: claims.get("auth_time").and_then(seconds),
            acr: text("acr").map(str::to_owned),
            amr: amr.map(str::to_owned).collect(),
        })
    }

    /// With what `other` (of the same subject) adds. What is there stays.
    #[must_use]
    pub fn completed_by(self, other: Self) -> Self {
        let (email, email_verified) = match self.email {
            Some(email) => (Some(email), self.email_verified),
            // The address and whether it was verified belong together.
            None => (other.email, other.email_verified),
        };
        Self {
            email,
            email_verified,
            name: self.name.or(other.name),
            locale: self.locale.or(other.locale),
            ..self
        }
    }
}

/// A NumericDate, which may have a fraction (RFC 7519 §2).
pub(crate) fn seconds(value: &Value) -> Option<i64> {
    // Beyond 2^53 a number in JSON is not what was meant.
    const BOUND: f64 = 9_007_199_254_740_992.0;
    let in_bounds = |number: &f64| number.is_finite() && number.abs() < BOUND;
    #[expect(clippy::cast_possible_truncation, reason = "in bounds, and rounded down on purpose")]
    let whole = |number: f64| number.floor() as i64;
    value.as_i64().or_else(|| value.as_f64().filter(in_bounds).map(whole))
}

/// Just enough to be an address that people can read: what is at the other end, only a message
/// tells.
pub fn is_email_address(email: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace();
    let parts = email.split_once('@');
    email.len() <= EMAIL_BYTES_MAX
        && email.chars().all(is_plain)
        && parts.is_some_and(|(local, host)| {
            !local.is_empty() && !host.is_empty() && !host.contains('@')
        })
}

fn is_locale(text: &str) -> bool {
    (2..=LOCALE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn shorten(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: Value) -> Option<Identity> {
        Identity::read(claims.as_object().unwrap())
    }

    #[test]
    fn what_is_no_use_is_left_out_and_a_bad_subject_is_nobody() {
        let long = "a".repeat(256);
        let identity = read(json!({
            "sub": "u1", "email": "no address", "email_verified": "yes", "name": " A\u{0}da ",
            "locale": "../../etc", "auth_time": "now", "amr": ["pwd", 7, "otp"],
        }))
        .unwrap();
        assert_eq!(identity.email, None);
        assert!(!identity.email_verified);
        assert_eq!(identity.name.as_deref(), Some("Ada"));
        assert_eq!((identity.locale, identity.auth_time), (None, None));
        assert_eq!(identity.amr, ["pwd", "otp"]);
        for subject in [json!(""), json!(7), json!(null), json!("ü"), json!("a\n"), json!(long)] {
            assert_eq!(read(json!({ "sub": subject })), None);
        }
    }

    #[test]
    fn an_address_has_two_halves_without_gaps() {
        assert!(is_email_address("ada@x.example"));
        for other in ["", "@", "ada", "@x", "ada@", "a@b@c", "a b@c", "a@b\n", "a@\u{0}b"] {
            assert!(!is_email_address(other), "{other:?}");
        }
        assert!(!is_email_address(&format!("{}@x.example", "a".repeat(250))));
    }

    #[test]
    fn an_address_is_verified_only_where_that_is_said_of_this_very_address() {
        let token = read(json!({ "sub": "u1", "email": "a@x.example" })).unwrap();
        let told =
            json!({ "sub": "u1", "email": "b@x.example", "email_verified": true, "name": "B" });
        let whole = token.completed_by(read(told.clone()).unwrap());
        assert_eq!(whole.email.as_deref(), Some("a@x.example"));
        assert!(!whole.email_verified);
        assert_eq!(whole.name.as_deref(), Some("B"));
        let bare = read(json!({ "sub": "u1" })).unwrap().completed_by(read(told).unwrap());
        assert!(bare.email_verified && bare.email.as_deref() == Some("b@x.example"));
    }

    #[test]
    fn times_may_have_fractions_and_nothing_else() {
        assert_eq!(seconds(&json!(12.9)), Some(12));
        assert_eq!(seconds(&json!(-0.5)), Some(-1));
        for nothing in [json!("12"), json!(1e300), json!(true), json!(null)] {
            assert_eq!(seconds(&nothing), None, "{nothing}");
        }
    }
}
