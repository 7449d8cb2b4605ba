//! The APIs behind the gateway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::policy::{Resource, TokenFormat, Upstream};
use protocol::dialect::Dialect;
use protocol::envelope::{EnvelopeSpec, ErrorEnvelope};
use protocol::jose::Algorithm;
use protocol::path::NormalPath;
use serde::Deserialize as _;
use server::pages::Brand;
use toml::de::ValueDeserializer;
use url::Url;

use super::dialect::Dialects;
use super::issuer::Issuer;
use super::quantity;
use super::reader::{Section, Spot};
use super::scope::Scopes;
use super::{ClearCredentials, ReadFile, cors, route, secret};

/// First segments of the paths that the pages and the OAuth endpoints use.
pub(super) const OUR_SEGMENTS: &[&str] = &[
    "",
    ".well-known",
    "account",
    "apps",
    "assets",
    "connected",
    "device",
    "docs",
    "forgotten-password",
    "oauth",
    "reset-password",
    "security",
    "sign-in",
    "sign-out",
    "sign-up",
    "staff",
    "step-up",
];

/// What a resource is read against.
pub(super) struct Surroundings<'a> {
    pub(super) issuer: Option<&'a Issuer>,
    pub(super) scopes: &'a Scopes,
    pub(super) brand: &'a Brand,
    pub(super) dialects: &'a Dialects,
    pub(super) read: ReadFile<'a>,
}

/// A resource and where it says where it is.
struct Placed {
    resource: Resource,
    credentials: Option<ClearCredentials>,
    /// Without port: the gateway does not look at it.
    host: String,
    spot: Spot,
}

pub(super) fn read_all(
    root: &Section<'_>,
    surroundings: &Surroundings<'_>,
) -> (Vec<Resource>, BTreeMap<String, ClearCredentials>) {
    let sections = root.sections("resource");
    let placed: Vec<Placed> =
        sections.iter().filter_map(|section| read(section, surroundings)).collect();
    refuse_overlaps(root, surroundings, &placed);
    let mut credentials = BTreeMap::new();
    let mut resources = Vec::new();
    for Placed { resource, credentials: clear, .. } in placed {
        if let Some(clear) = clear {
            credentials.insert(resource.identifier.clone(), clear);
        }
        resources.push(resource);
    }
    (resources, credentials)
}

fn read(section: &Section<'_>, surroundings: &Surroundings<'_>) -> Option<Placed> {
    let host = section.parsed("host", host).map(|at| at.value);
    let prefix = section.parsed("path_prefix", path_prefix);
    if prefix.is_none() && host.is_none() && section.raw("path_prefix").is_none() {
        section.document.problem(
            &section.spot,
            "the API has neither a `path_prefix` nor a `host` of its own",
            "Write path_prefix = \"/api\", or host = \"api.example.com\".",
        );
    }
    let spot = prefix.as_ref().map_or_else(|| section.spot_of("host"), |at| at.spot.clone());
    let path_prefix = prefix.map(|at| at.value).unwrap_or_default();
    let issuer = |part: fn(&Issuer) -> &str| surroundings.issuer.map_or("", part);
    let authority = host.as_deref().unwrap_or(issuer(|issuer| &issuer.authority));
    let effective_host = host.as_deref().unwrap_or(issuer(|issuer| &issuer.host)).to_owned();
    let scheme = surroundings.issuer.map_or("https", |issuer| issuer.scheme.as_str());
    let identifier = match section.text("identifier") {
        Some(text) => section.meaning("identifier", text, identifier).map(|at| at.value),
        None => Some(format!("{scheme}://{authority}{path_prefix}")),
    };
    let name = section.text("name").map_or_else(|| surroundings.brand.name.clone(), |at| at.value);
    let token_format = match section.choice("token_format").map(|at| at.value) {
        Some("jwt-es256") => TokenFormat::Jwt(Algorithm::Es256),
        Some("jwt-eddsa") => TokenFormat::Jwt(Algorithm::EdDsa),
        Some("jwt-rs256") => TokenFormat::Jwt(Algorithm::Rs256),
        _ => TokenFormat::Opaque,
    };
    let upstream_section = section.section("upstream");
    let test_url = section.parsed("test_upstream", upstream_url).map(|at| at.value);
    let test_upstream = test_url.map(|url| terms_of(&upstream_section, url));
    let upstream = upstream_section.exists().then(|| upstream(&upstream_section));
    let rates = section.section("rate");
    let rate = |name| rates.parsed(name, quantity::rate).map(|at| at.value);
    let credentials = secret::introspection(&section.section("introspection"), surroundings.read);
    let envelope = envelope(section, surroundings.dialects);
    let cors = cors::read(&section.section("cors"));
    let drop_request_headers = drop_request_headers(section);
    let (routes, api_document) = route::read_all(section, surroundings, &path_prefix);
    let resource = Resource {
        identifier: identifier?,
        name,
        host,
        path_prefix,
        upstream: match upstream {
            None => None,
            Some(upstream) => Some(upstream?),
        },
        test_upstream,
        envelope: envelope?,
        introspection: None,
        token_format,
        routes,
        api_document,
        rate_per_app: rate("per_app"),
        rate_per_user: rate("per_user"),
        cors,
        drop_request_headers,
    };
    Some(Placed { resource, credentials, host: effective_host, spot })
}

fn upstream(section: &Section<'_>) -> Option<Upstream> {
    let url = section.required("url");
    let url = url.and_then(|text| section.meaning("url", text, upstream_url));
    let terms = terms_of(section, String::new());
    Some(Upstream { url: url?.value, ..terms })
}

/// Times and sizes, which a practice upstream has from the real one.
fn terms_of(section: &Section<'_>, url: String) -> Upstream {
    let duration = |name, seconds| {
        let set = section.parsed(name, quantity::duration).map(|at| at.value);
        set.unwrap_or(Duration::from_secs(seconds))
    };
    Upstream {
        url,
        connect_timeout: duration("connect_timeout", 5),
        answer_timeout: duration("answer_timeout", 30),
        idle_timeout: duration("idle_timeout", 60),
        body_max: section.parsed("body_max", quantity::bytes).map_or(16 << 20, |at| at.value),
        signed_body_max: section
            .parsed("signed_body_max", quantity::bytes)
            .map_or(64 << 10, |at| at.value),
        in_service_max: section
            .parsed("in_service_max", quantity::count)
            .map_or(1_000, |at| at.value as usize),
    }
}

fn upstream_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("Write http://HOST:PORT ({error})."))?;
    if url.scheme() == "https" {
        return Err("The gateway speaks plain HTTP to the API. Give it the API's address inside \
                    your network, or a local TLS client such as stunnel."
            .into());
    }
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() != "http" || !plain || url.host().is_none() {
        return Err("Write http://HOST:PORT, with a path behind it if the API needs one.".into());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn drop_request_headers(section: &Section<'_>) -> Arc<[String]> {
    let texts = section.texts("drop_request_headers").unwrap_or_default().into_iter();
    let names = texts.filter_map(|at| section.meaning("drop_request_headers", at, dropped_name));
    names.map(|at| at.value).collect()
}

/// In the form in which the gateway compares: an upstream may not tell `_` from `-`.
fn dropped_name(text: &str) -> Result<String, &'static str> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) || !text.bytes().all(is_name)
    {
        return Err("Write the name of a header, such as X-Team. X-Team- stands for every one \
                    that begins so.");
    }
    Ok(text.to_ascii_lowercase().replace('_', "-"))
}

fn host(text: &str) -> Result<String, &'static str> {
    const HINT: &str = "Write the name alone, in lower case and without port: api.example.com.";
    let url = Url::parse(&format!("http://{text}")).map_err(|_| HINT)?;
    match url.host_str() {
        Some(host) if host == text => Ok(text.to_owned()),
        _ => Err(HINT),
    }
}

fn path_prefix(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    if text.ends_with('/') {
        return Err("Leave the slash at its end out.".into());
    }
    match NormalPath::parse(text) {
        Ok(normal) if normal.as_str() == text => Ok(text.to_owned()),
        Ok(normal) => Err(format!("Write {}.", normal.as_str())),
        Err(error) => Err(format!("Write a path such as /api/v4: {error}.")),
    }
}

/// RFC 8707 §2: an absolute URI without a fragment.
fn identifier(text: &str) -> Result<String, &'static str> {
    match Url::parse(text) {
        Ok(url) if url.fragment().is_none() => Ok(text.to_owned()),
        _ => Err("Write an absolute URI without #, such as https://api.example.com."),
    }
}

/// `problem+json`, a dialect's name, or the whole envelope; `None` when a problem was reported.
fn envelope(section: &Section<'_>, dialects: &Dialects) -> Option<ErrorEnvelope> {
    let Some(value) = section.raw("envelope") else { return Some(ErrorEnvelope::problem_json()) };
    if value.get_ref().is_table() {
        return written_envelope(section);
    }
    let named = |name: &str| {
        let of_dialect = |dialect: &Arc<Dialect>| dialect.envelope.clone();
        match name {
            "problem+json" => Ok(ErrorEnvelope::problem_json()),
            _ => dialects.known.get(name).and_then(of_dialect).ok_or_else(|| {
                let names: Vec<&str> = dialects.known.keys().map(String::as_str).collect();
                format!("It is problem+json or that of a dialect: {}.", names.join(", "))
            }),
        }
    };
    section.parsed("envelope", named).map(|at| at.value)
}

/// An envelope as a table; `None` when a problem was reported.
pub(super) fn written_envelope(section: &Section<'_>) -> Option<ErrorEnvelope> {
    let value = section.raw("envelope")?;
    let spec = EnvelopeSpec::deserialize(ValueDeserializer::from(value.clone()));
    let problem = |offset, what: String| {
        let to_do = "See “Envelopes” in docs/operator/config.md.";
        section.document.problem(&Spot::Offset(offset), what, to_do);
    };
    let start = value.span().start;
    match spec {
        Err(error) => {
            problem(error.span().map_or(start, |span| span.start), error.message().to_owned());
            None
        }
        Ok(spec) => {
            ErrorEnvelope::new(spec).map_err(|error| problem(start, error.to_string())).ok()
        }
    }
}

/// Two APIs, or an API and our own pages, that would answer the same paths.
fn refuse_overlaps(root: &Section<'_>, surroundings: &Surroundings<'_>, placed: &[Placed]) {
    let document = root.document;
    for (index, later) in placed.iter().enumerate() {
        let prefix = &later.resource.path_prefix;
        let ours = surroundings.issuer.is_some_and(|issuer| issuer.host == later.host);
        let first_segment = prefix.split('/').nth(1).unwrap_or_default();
        if ours && OUR_SEGMENTS.contains(&first_segment) {
            let what = match prefix.as_str() {
                "" => "the API would hide the sign-in and consent pages on this host".to_owned(),
                _ => format!("`{prefix}` is where Consentry's own pages are on this host"),
            };
            document.problem(&later.spot, what, "Choose another path_prefix or another host.");
        }
        for earlier in placed.iter().take(index) {
            if earlier.resource.identifier == later.resource.identifier {
                document.problem(
                    &later.spot,
                    format!("two APIs have the identifier {}", later.resource.identifier),
                    "Give one of them another `identifier`.",
                );
            }
            let other = &earlier.resource.path_prefix;
            let overlap = is_under(prefix, other) || is_under(other, prefix);
            if earlier.host == later.host && overlap {
                let what = format!(
                    "the APIs `{}` and `{}` both claim paths under {}{}",
                    earlier.resource.name,
                    later.resource.name,
                    later.host,
                    if prefix.len() > other.len() { prefix } else { other },
                );
                document.problem(
                    &later.spot,
                    what,
                    "Choose prefixes of which none contains another.",
                );
            }
        }
    }
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
