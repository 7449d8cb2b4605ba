//! The issuer: one exact text that clients compare as a string (RFC 8414 §3.3), so no spelling of
//! it but one is accepted.

use std::net::IpAddr;

use url::{Host, Url};

use super::reader::Section;

/// A checked issuer.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    pub(super) text: String,
    pub(super) scheme: String,
    /// Host, and port unless it is the scheme's own: what a `Host` header says.
    pub(super) authority: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_loopback: bool,
}

pub(super) fn read(root: &Section<'_>) -> Option<Issuer> {
    let text = root.required("issuer")?;
    root.meaning("issuer", text, parse).map(|at| at.value)
}

fn parse(text: &str) -> Result<Issuer, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("Write an address such as https://auth.example.com ({error})."))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        "http" => {
            return Err("Passwords and tokens would travel in the clear. Use https://, or for a \
                        trial on one machine http://localhost."
                .into());
        }
        _ => return Err("Use https://.".into()),
    }
    let origin = url.origin().ascii_serialization();
    if text != origin {
        // RFC 8414 allows a path; one issuer per host keeps every page and cookie on its root.
        return Err(format!(
            "Write {origin}: scheme, host and port in lower case, and nothing behind, not even a \
             slash."
        ));
    }
    let authority = origin.split_once("://").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    Ok(Issuer {
        text: origin,
        scheme: url.scheme().to_owned(),
        authority,
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or(443),
        is_loopback,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_one_spelling() {
        for right in ["https://auth.example.com", "http://localhost:8400", "http://127.0.0.1:1"] {
            assert_eq!(parse(right).map(|issuer| issuer.text).as_deref(), Ok(right));
        }
        for wrong in [
            "https://auth.example.com/",
            "https://auth.example.com/path",
            "https://auth.example.com?a=b",
            "https://auth.example.com#f",
            "https://user@auth.example.com",
            "https://auth.example.com:443",
            "https://AUTH.example.com",
            "http://auth.example.com",
            "http://localhost.evil.com",
            "ftp://auth.example.com",
            "auth.example.com",
            "",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
