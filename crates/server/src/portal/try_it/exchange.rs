//! One request of the console and its answer: how it is sent, and how both are shown.

use std::borrow::Cow;

use bytes::Bytes;
use domain::grant::Mode;
use domain::id::AppId;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use url::{Position, Url};

use crate::error::{PageError, form_query};
use crate::outbound::{Call, OutboundError, Reach, Reply};
use crate::pages::views::{TryAnswer, TryExchange, TryText};
use crate::portal::reasons;
use crate::provider::Provider;

const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Of an answer, in a page.
const SHOWN_CHARS_MAX: usize = 20_000;
/// Headers of answers that tell something, as far as they are there.
const HEADERS: [&str; 12] = [
    "content-type",
    "www-authenticate",
    "allow",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "cache-control",
    "consentry-error-source",
    "x-request-id",
];
/// Members of answers that hold secrets.
const SECRET_MEMBERS: [&str; 3] = ["access_token", "refresh_token", "device_code"];

pub(super) enum Body {
    None,
    Form(Vec<(&'static str, String)>),
    Json(String),
}

/// A request, as it is shown and as it is sent.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) bearer: Option<String>,
    pub(super) body: Body,
}

impl Ask {
    /// At an endpoint of this issuer.
    pub(super) fn form(
        issuer: &str,
        path: &str,
        fields: Vec<(&'static str, String)>,
    ) -> Result<Self, PageError> {
        let url = parse(&format!("{issuer}{path}"))?;
        Ok(Self { method: Method::POST, url, bearer: None, body: Body::Form(fields) })
    }

    fn headers(&self) -> Vec<(http::HeaderName, String)> {
        let mut headers = vec![(ACCEPT, "application/json".to_owned())];
        if let Some(token) = &self.bearer {
            headers.push((AUTHORIZATION, format!("Bearer {token}")));
        }
        match &self.body {
            Body::None => {}
            Body::Form(_) => {
                headers.push((CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()));
            }
            Body::Json(_) => headers.push((CONTENT_TYPE, "application/json".to_owned())),
        }
        headers
    }

    fn body_text(&self) -> Cow<'_, str> {
        match &self.body {
            Body::None => "".into(),
            Body::Form(fields) => encoded(fields).into(),
            Body::Json(text) => text.into(),
        }
    }

    pub(super) fn http(&self) -> String {
        let url = &self.url;
        let target = &url[Position::BeforePath..Position::AfterQuery];
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let mut text = format!("{} {target} HTTP/1.1\nHost: {host}\n", self.method);
        for (name, value) in self.headers() {
            text.push_str(&format!("{}: {value}\n", title_case(name.as_str())));
        }
        match self.body_text() {
            body if body.is_empty() => text,
            body => format!("{text}\n{body}\n"),
        }
    }

    pub(super) fn curl(&self) -> String {
        let mut pieces = Vec::new();
        for (name, value) in self.headers() {
            // curl says it by itself.
            if !matches!(self.body, Body::Form(_)) || name != CONTENT_TYPE {
                pieces.push(format!("-H {}", quoted(&format!("{name}: {value}"))));
            }
        }
        match &self.body {
            Body::None => {}
            Body::Form(fields) => pieces.extend(fields.iter().map(|(name, value)| {
                format!("--data-urlencode {}", quoted(&format!("{name}={value}")))
            })),
            Body::Json(text) => pieces.push(format!("--data-binary {}", quoted(text))),
        }
        let method = match (&self.method, &self.body) {
            (&Method::GET, Body::None) | (&Method::POST, Body::Form(_) | Body::Json(_)) => None,
            (&Method::HEAD, _) => Some("-I".to_owned()),
            (method, _) => Some(format!("-X {method}")),
        };
        let start = ["curl -sS".to_owned()].into_iter().chain(method);
        let first = start.chain([quoted(self.url.as_str())]).collect::<Vec<_>>().join(" ");
        [first].into_iter().chain(pieces).collect::<Vec<_>>().join(" \\\n  ")
    }

    /// The address is of the operator's config: of this issuer, or of an API that it guards.
    pub(super) async fn send(
        &self,
        provider: &Provider,
        app: AppId,
    ) -> Result<Reply, OutboundError> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers() {
            if let Ok(mut value) = HeaderValue::from_str(&value) {
                value.set_sensitive(name == AUTHORIZATION);
                headers.insert(name, value);
            }
        }
        let body = Bytes::from(self.body_text().into_owned());
        let call = Call {
            method: self.method.clone(),
            headers,
            body,
            answer_bytes_max: ANSWER_BYTES_MAX,
            ..Call::get(self.url.clone(), Reach::Configured)
        };
        let answered = provider.outbound.send(call).await;
        if let Err(error) = &answered {
            tracing::info!(%app, %error, "the console of an app got no answer");
        }
        answered
    }

    /// What is shown of the request, and of its answer if it was sent.
    pub(super) fn shown(
        &self,
        title: impl Into<String>,
        answered: Option<&Result<Reply, OutboundError>>,
        secrets: &[&str],
    ) -> TryExchange {
        let mut secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let reply = answered.and_then(|answered| answered.as_ref().ok());
        let json = reply.and_then(|reply| serde_json::from_slice::<Value>(&reply.body).ok());
        let told = SECRET_MEMBERS.iter().filter_map(|name| json.as_ref()?.get(name)?.as_str());
        secrets.extend(told.map(str::to_owned));
        let text = |text: String| masked(text, &secrets);
        TryExchange {
            title: title.into(),
            http: text(self.http()),
            curl: text(self.curl()),
            answer: reply.map(|reply| TryAnswer {
                status: reply.status.as_u16(),
                status_text: reply.status.canonical_reason().unwrap_or_default().to_owned(),
                headers: text(shown_headers(&reply.headers)),
                body: text(shown_body(json.as_ref(), &reply.body)),
            }),
            problem: answered.and_then(|answered| answered.as_ref().err()).map(why_not),
            reason: None,
        }
    }
}

pub(super) fn parse(url: &str) -> Result<Url, PageError> {
    Url::parse(url).map_err(|_| PageError::Internal("an address of ours is none".to_owned()))
}

fn encoded(fields: &[(&'static str, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    form_query(&fields)
}

fn title_case(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn shown_headers(headers: &HeaderMap) -> String {
    let lines = HEADERS.iter().flat_map(|name| {
        let values = headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
        values.map(move |value| format!("{name}: {value}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn shown_body(json: Option<&Value>, body: &[u8]) -> String {
    let pretty = json.and_then(|json| serde_json::to_string_pretty(json).ok());
    let text = pretty.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text,
        Some((at, _)) => format!("{}\n… (cut)", text.get(..at).unwrap_or_default()),
    }
}

/// Each secret shortened, wherever it stands, also as forms write it.
fn masked(text: String, secrets: &[String]) -> TryText {
    let mut hidden = text.clone();
    // The longest first: one could be a part of another.
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        let in_forms = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
        let in_shell = secret.replace('\'', r"'\''");
        for form in [secret, &in_forms, &in_shell] {
            hidden = hidden.replace(form, &short(secret));
        }
    }
    let differs = hidden != text;
    TryText { masked: hidden, full: differs.then_some(text) }
}

/// Its prefix and its end, where enough is left between.
fn short(secret: &str) -> String {
    let length = secret.chars().count();
    if length < 24 {
        return "…".to_owned();
    }
    let start: String = secret.chars().take(6).collect();
    let end: String = secret.chars().skip(length - 4).collect();
    format!("{start}…{end}")
}

fn why_not(error: &OutboundError) -> String {
    match error {
        OutboundError::Timeout => "There was no answer within 10 seconds.".to_owned(),
        OutboundError::TooLong => format!(
            "The answer is longer than {} KB, more than the console shows.",
            ANSWER_BYTES_MAX / 1024
        ),
        OutboundError::NotAllowed(_) | OutboundError::Unresolved(_) | OutboundError::Failed(_) => {
            "This server could not reach its own address. Tell the operator: the console needs it \
             to be reachable from the server itself."
                .to_owned()
        }
    }
}

/// Why an endpoint of the issuer refused.
pub(super) fn oauth_reason(reply: &Reply) -> Option<String> {
    if reply.status.is_success() {
        return None;
    }
    let json = serde_json::from_slice::<Value>(&reply.body).ok();
    let member = |name: &str| json.as_ref()?.get(name)?.as_str().map(str::to_owned);
    match member("error") {
        Some(error) => Some(reasons::words(&error).to_owned()),
        None => Some(reasons::words("server_error").to_owned()),
    }
}

/// What the console knows that an API's refusal does not say.
pub(super) struct Known {
    pub(super) mode: Mode,
    pub(super) takes_tests: bool,
    pub(super) is_over: bool,
}

/// Why a call of an API was refused. The gateway says whose refusal it is, and the challenge of
/// RFC 6750 §3 what kind; more than that it tells nobody who shows a token.
pub(super) fn api_reason(reply: &Reply, known: &Known) -> Option<String> {
    if reply.status.is_success() || reply.status.is_redirection() {
        return None;
    }
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    let challenge = header("www-authenticate").unwrap_or_default();
    let missing = challenge.split("scope=\"").nth(1).and_then(|rest| rest.split('"').next());
    let words = |reason: &str| Some(reasons::words(reason).to_owned());
    let Some(source) = header("consentry-error-source") else { return words("api") };
    match (reply.status, source) {
        (_, "client") if challenge.contains("insufficient_scope") => {
            let missing = missing.map(|scopes| format!(": {scopes}")).unwrap_or_default();
            Some(format!("{}{missing}", reasons::words("scope")))
        }
        (_, "client") if challenge.contains("invalid_token") => {
            match (known.takes_tests, known.is_over) {
                (false, false) if known.mode == Mode::Test => words("test_token"),
                (_, true) => words("grant_ended"),
                (_, false) => words("expired"),
            }
        }
        (StatusCode::TOO_MANY_REQUESTS, _) => words("rate"),
        (StatusCode::FORBIDDEN, "client") => words("address"),
        (StatusCode::PAYLOAD_TOO_LARGE, _) => words("body_too_large"),
        (StatusCode::BAD_GATEWAY, "upstream") => words("unreachable"),
        (StatusCode::GATEWAY_TIMEOUT, "upstream") => words("answer_timeout"),
        (_, "upstream") => words("bad_answer"),
        (_, "gateway") => words("unverifiable"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask() -> Ask {
        let fields = vec![("code", "cs_ac_0123456789abcdefghijklmn".to_owned())];
        Ask::form("http://localhost:8400", "/oauth/token", fields).unwrap()
    }

    #[test]
    fn secrets_are_shortened_wherever_they_stand() {
        let secret = "it's a secret + of more than twenty-four letters";
        let fields = vec![("client_secret", secret.to_owned())];
        let ask = Ask::form("http://localhost:8400", "/oauth/token", fields).unwrap();
        let shown = ask.shown("Trade", None, &[secret]);
        for text in [&shown.http, &shown.curl] {
            assert!(!text.masked.contains("secret+") && !text.masked.contains("a secret"));
            assert!(text.masked.contains('…'), "{}", text.masked);
            assert!(text.full.is_some());
        }
        let body = Bytes::from_static(br#"{"access_token":"cs_at_0123456789abcdefghijklmn"}"#);
        let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), body };
        let answer = ask.shown("Trade", Some(&Ok(reply)), &[]).answer.unwrap();
        assert_eq!(answer.body.masked, "{\n  \"access_token\": \"cs_at_…klmn\"\n}");
    }

    #[test]
    fn the_curl_of_a_request_is_one_command() {
        assert_eq!(
            ask().curl(),
            "curl -sS 'http://localhost:8400/oauth/token' \\\n  -H 'accept: application/json' \
             \\\n  --data-urlencode 'code=cs_ac_0123456789abcdefghijklmn'"
        );
        let url = parse("http://localhost:8400/api/x").unwrap();
        let body = Body::Json("{\"a\":\"it's\"}".to_owned());
        let put = Ask { method: Method::PUT, url, bearer: None, body };
        assert!(put.curl().starts_with("curl -sS -X PUT 'http"), "{}", put.curl());
        assert!(put.curl().ends_with(r#"--data-binary '{"a":"it'\''s"}'"#), "{}", put.curl());
    }
}
