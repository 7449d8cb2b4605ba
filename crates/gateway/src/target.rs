//! Which host a request is for, read one way only.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Uri, Version};

/// Why a request is for no host that could be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the request names no host")]
    NoHost,
    #[error("the request names its host twice, differently or unreadably")]
    UnclearHost,
    /// A request for a forward proxy, which this is not (attack G12).
    #[error("this server does not fetch from other hosts")]
    OtherHost,
}

/// The host and port that a request is for: `:authority` of HTTP/2, `Host` of HTTP/1. An
/// absolute-form target must name the same host as `Host` (RFC 9112 §3.2.2 lets the target win;
/// whoever sends both differently wants two programs to disagree).
pub fn host_of(parts: &Parts) -> Result<&str, TargetError> {
    host_in(parts.version, &parts.uri, &parts.headers)
}

/// [`host_of`] of a request that is still whole.
pub fn host_in<'a>(
    version: Version,
    uri: &'a Uri,
    headers: &'a HeaderMap,
) -> Result<&'a str, TargetError> {
    let mut values = headers.get_all(HOST).iter();
    let header = values.next().map(|value| value.to_str()).transpose();
    let header = header.map_err(|_| TargetError::UnclearHost)?;
    if values.next().is_some() {
        return Err(TargetError::UnclearHost);
    }
    let authority = uri.authority().map(|authority| authority.as_str());
    let host = match (authority, header) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => {
            return Err(TargetError::OtherHost);
        }
        (Some(target), _) => target,
        (None, Some(host)) => host,
        (None, None) => return Err(TargetError::NoHost),
    };
    // HTTP/2 always has a scheme; in HTTP/1 only the absolute form has one.
    let foreign = |scheme: &str| !matches!(scheme, "http" | "https");
    if version < Version::HTTP_2 && uri.scheme_str().is_some_and(foreign) {
        return Err(TargetError::OtherHost);
    }
    if host.is_empty() || host.contains(['@', '/', ',', ' ']) {
        return Err(TargetError::UnclearHost);
    }
    Ok(host)
}

/// The host without its port. `[::1]:80` gives `[::1]`.
pub fn without_port(host: &str) -> &str {
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    host.get(..end).unwrap_or(host)
}

/// RFC 9421 §2.2.3: a port that is the scheme's own is not part of `@authority`.
pub(crate) fn without_default_port<'a>(host: &'a str, scheme: &str) -> &'a str {
    let port = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(port).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn host(uri: &str, headers: &[&str]) -> Result<String, TargetError> {
        let mut request = Request::builder().uri(uri);
        for value in headers {
            request = request.header(HOST, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        host_of(&parts).map(str::to_owned)
    }

    #[test]
    fn the_host_header_names_the_host() {
        assert_eq!(host("/a", &["api.example:8400"]), Ok("api.example:8400".to_owned()));
        assert_eq!(host("/a", &[]), Err(TargetError::NoHost));
        assert_eq!(host("/a", &["a", "a"]), Err(TargetError::UnclearHost));
        assert_eq!(host("/a", &["user@a"]), Err(TargetError::UnclearHost));
    }

    #[test]
    fn an_absolute_form_for_another_host_is_refused() {
        assert_eq!(host("http://a/x", &["a"]), Ok("a".to_owned()));
        assert_eq!(host("http://b/x", &["a"]), Err(TargetError::OtherHost));
        assert_eq!(host("gopher://a/x", &["a"]), Err(TargetError::OtherHost));
    }

    #[test]
    fn a_port_does_not_belong_to_the_name() {
        assert_eq!(without_port("a.example:80"), "a.example");
        assert_eq!(without_port("a.example"), "a.example");
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
    }
}
