//! Tokens that tie a form to the browser it was made for (attack S5). Derived from the session's
//! or the visitor's secret under the server's pepper; nothing is stored.

use aws_lc_rs::constant_time;
use domain::keyring::Keyring;
use http::HeaderMap;

/// The token that belongs to `secret`, the value of one of our cookies.
pub fn token(keyring: &Keyring, secret: &str) -> String {
    keyring.derive_id("csrf", secret.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

pub fn matches(keyring: &Keyring, secret: &str, presented: &str) -> bool {
    let expected = token(keyring, secret);
    constant_time::verify_slices_are_equal(expected.as_bytes(), presented.as_bytes()).is_ok()
}

/// Browsers say where a form was sent from. One that says "another site" is refused before its
/// token is even looked at; one that says nothing (old, or a tool) is left to the token.
pub fn is_cross_site(headers: &HeaderMap, issuer: &str) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin != issuer,
        (None, None) => false,
    }
}
