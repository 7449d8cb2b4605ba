//! Our four cookies: the session, a random value that ties the sign-in form to a browser, what
//! tells a browser that has signed in before, and what waits for a user who signs in elsewhere.
//! Names carry a hash of the issuer, because ports do not separate cookies; on https they have the
//! `__Host-` prefix (RFC 6265bis §4.1.3).

use std::time::Duration;

use aws_lc_rs::digest;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

#[derive(Clone, Debug)]
pub struct CookieNames {
    /// The secret of a signed-in session.
    pub session: String,
    /// A random value of a browser that is not signed in.
    pub visitor: String,
    /// See `account::device`; outlives the session.
    pub device: String,
    /// See `account::hand_off`.
    pub hand_off: String,
    secure: bool,
}

impl CookieNames {
    pub fn of_issuer(issuer: &str) -> Self {
        let secure = issuer.starts_with("https://");
        let prefix = if secure { "__Host-" } else { "" };
        let digest = digest::digest(&digest::SHA256, issuer.as_bytes());
        let tag: String = digest.as_ref().iter().take(4).map(|b| format!("{b:02x}")).collect();
        Self {
            session: format!("{prefix}cs-session-{tag}"),
            visitor: format!("{prefix}cs-visitor-{tag}"),
            device: format!("{prefix}cs-device-{tag}"),
            hand_off: format!("{prefix}cs-hand-off-{tag}"),
            secure,
        }
    }

    /// `Set-Cookie` for a cookie that ends with the browser. `Lax`: an app's redirect to our
    /// authorization page is a cross-site navigation and must still know who is signed in.
    pub fn set(&self, name: &str, value: &str) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).ok()
    }

    /// As [`CookieNames::set`], for a cookie that outlives the browser.
    pub fn set_for(&self, name: &str, value: &str, lifetime: Duration) -> Option<HeaderValue> {
        let mut text = self.set(name, value)?.to_str().ok()?.to_owned();
        text.push_str(&format!("; Max-Age={}", lifetime.as_secs()));
        HeaderValue::from_str(&text).ok()
    }

    pub fn clear(&self, name: &str) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}");
        HeaderValue::from_str(&text).ok()
    }
}

/// The value of the cookie `name`. When a browser sends two of one name (set for different paths
/// or by a neighbour on a parent domain) neither is trusted.
pub fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_issuers_on_one_host_have_different_cookies() {
        let one = CookieNames::of_issuer("http://localhost:8400");
        let other = CookieNames::of_issuer("http://localhost:8500");
        assert_ne!(one.session, other.session);
        assert!(CookieNames::of_issuer("https://a.example").session.starts_with("__Host-cs-"));
    }

    #[test]
    fn a_cookie_that_comes_twice_is_not_trusted() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=1; b=2; a=3"));
        assert_eq!(read(&headers, "b"), Some("2"));
        assert_eq!(read(&headers, "a"), None);
    }
}
