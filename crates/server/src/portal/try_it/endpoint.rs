//! The call that a developer puts together: an endpoint of the app's API and what it is sent. Only
//! what the operator's policy routes can be called, whatever is typed.

use domain::policy::Policy;
use domain::policy::Resource;
use http::Method;
use protocol::params::{Duplicate, Params};
use protocol::scope::ScopeSet;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::exchange::{Ask, Body};
use crate::docs::{self, Callable};
use crate::pages::views::{TryField, TryOption};

const TYPED_CHARS_MAX: usize = 8_000;

/// An endpoint with what was typed, or with its examples.
pub(super) struct Draft<'a> {
    pub(super) endpoint: &'a Callable,
    pub(super) fields: Vec<TryField>,
    pub(super) query: String,
    pub(super) query_error: Option<String>,
    /// `None`: the method takes none.
    pub(super) body: Option<String>,
    pub(super) body_error: Option<String>,
}

/// The endpoint that the form names, or the first.
pub(super) fn named<'a>(
    endpoints: &'a [Callable],
    params: &Params,
) -> Result<Option<&'a Callable>, Duplicate> {
    let id = params.one("endpoint")?;
    let named = endpoints.iter().find(|endpoint| Some(endpoint.id.as_str()) == id);
    Ok(named.or_else(|| endpoints.iter().find(|one| one.method == "GET")).or(endpoints.first()))
}

pub(super) fn options(
    endpoints: &[Callable],
    chosen: Option<&Callable>,
    held: &ScopeSet,
) -> Vec<TryOption> {
    let option = |one: &Callable| {
        let missing = one.access.missing(held);
        let needs = match missing.is_empty() {
            true => String::new(),
            false => format!(" (needs {missing})"),
        };
        TryOption {
            id: one.id.clone(),
            label: format!("{} {}{needs}", one.method, one.path),
            chosen: chosen.is_some_and(|chosen| chosen.id == one.id),
        }
    };
    endpoints.iter().map(option).collect()
}

impl<'a> Draft<'a> {
    /// With the examples of the API's document.
    pub(super) fn example(endpoint: &'a Callable) -> Self {
        let (url, query) = match endpoint.example_url.split_once('?') {
            Some((url, query)) => (url, query),
            None => (endpoint.example_url.as_str(), ""),
        };
        // The path stands at the end of the address.
        let depth = endpoint.path.matches('/').count();
        let mut examples: Vec<&str> = url.rsplitn(depth + 1, '/').take(depth).collect();
        examples.reverse();
        let segments = endpoint.path.split('/').skip(1);
        let fields = segments.zip(examples).filter_map(|(segment, example)| {
            let value = if example.starts_with('{') { String::new() } else { decoded(example) };
            Some(TryField { name: name_of(segment)?.to_owned(), value, error: None })
        });
        let example = endpoint.example_body.clone().unwrap_or_default();
        let pretty = serde_json::from_str::<Value>(&example).ok();
        let pretty = pretty.and_then(|json| serde_json::to_string_pretty(&json).ok());
        Self {
            endpoint,
            fields: fields.collect(),
            query: query.to_owned(),
            query_error: None,
            body: takes_body(&endpoint.method).then(|| pretty.unwrap_or(example)),
            body_error: None,
        }
    }

    /// With what was typed.
    pub(super) fn typed(endpoint: &'a Callable, params: &Params) -> Result<Self, Duplicate> {
        let mut draft = Self::example(endpoint);
        for field in &mut draft.fields {
            let name = format!("path.{}", field.name);
            field.value = params.one(&name)?.unwrap_or_default().trim().to_owned();
            field.error = wrong_segment(&field.value, is_rest(endpoint, &field.name));
        }
        draft.query = params.one("query")?.unwrap_or_default().trim().to_owned();
        if draft.query.chars().count() > TYPED_CHARS_MAX {
            draft.query_error = Some("It is too long.".to_owned());
        }
        if let Some(body) = &mut draft.body {
            *body = params.one("body")?.unwrap_or_default().trim().to_owned();
            if body.chars().count() > TYPED_CHARS_MAX {
                draft.body_error = Some("It is too long for the console.".to_owned());
            } else if let Err(error) = check_json(body) {
                draft.body_error = Some(format!("This is not JSON: {error}."));
            }
        }
        Ok(draft)
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.query_error.is_some()
            || self.body_error.is_some()
            || self.fields.iter().any(|field| field.error.is_some())
    }

    /// The call, with an address that cannot leave the endpoint: every typed character but the
    /// harmless ones is encoded.
    pub(super) fn ask(&self, policy: &Policy, resource: &Resource, token: &str) -> Option<Ask> {
        let value = |segment: &str| {
            let name = name_of(segment)?;
            self.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
        };
        let segments = self.endpoint.path.split('/').map(|segment| match value(segment) {
            None => segment.to_owned(),
            Some(value) if segment.starts_with("{*") => {
                value.split('/').map(encoded).collect::<Vec<_>>().join("/")
            }
            Some(value) => encoded(value),
        });
        let path = segments.collect::<Vec<_>>().join("/");
        let mut url = Url::parse(&format!("{}{path}", docs::origin(policy, resource))).ok()?;
        if !self.query.is_empty() {
            let pairs = form_urlencoded::parse(self.query.as_bytes());
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let body = match self.body.as_deref() {
            None | Some("") => Body::None,
            Some(text) => Body::Json(text.to_owned()),
        };
        let method = Method::from_bytes(self.endpoint.method.as_bytes()).ok()?;
        // RFC 3986 §6.2.2.3: an address with `.` or `..` would be another one.
        let is_same = url.path() == path;
        is_same.then(|| Ask { method, url, bearer: Some(token.to_owned()), body })
    }
}

fn takes_body(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH" | "DELETE")
}

/// `{name}` or `{*rest}`.
fn name_of(segment: &str) -> Option<&str> {
    let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(inner.strip_prefix('*').unwrap_or(inner))
}

fn is_rest(endpoint: &Callable, name: &str) -> bool {
    endpoint.path.ends_with(&format!("{{*{name}}}"))
}

fn wrong_segment(value: &str, is_rest: bool) -> Option<String> {
    let is_odd = |piece: &str| piece.is_empty() || piece == "." || piece == "..";
    let odd = match is_rest {
        true => value.split('/').any(is_odd),
        false => is_odd(value),
    };
    let is_long = value.chars().count() > TYPED_CHARS_MAX / 10;
    match (value, odd || is_long) {
        ("", _) => Some("It cannot be empty.".to_owned()),
        (_, true) => Some("This cannot stand in a path.".to_owned()),
        (_, false) => None,
    }
}

fn check_json(text: &str) -> Result<(), serde_json::Error> {
    match text {
        "" => Ok(()),
        text => serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ()),
    }
}

/// A segment of a path (RFC 3986 §2.3): only unreserved characters stay as they are.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn decoded(example: &str) -> String {
    let text = format!("x={example}");
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
