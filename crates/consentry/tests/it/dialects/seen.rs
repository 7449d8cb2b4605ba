//! Answers as they came, byte for byte, but for what differs from run to run.

use std::fmt::Write as _;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use testkit::{Browser, TestApp};

/// The headers that a client may look at.
const SHOWN: [&str; 6] =
    ["allow", "cache-control", "content-type", "location", "retry-after", "www-authenticate"];

/// One answer.
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    /// Status, headers and body; tokens are replaced by their names.
    pub(crate) text: String,
    /// `null` where it is not JSON.
    pub(crate) body: Value,
}

impl Seen {
    /// A text of the body, by its JSON pointer.
    #[track_caller]
    pub(crate) fn at(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {pointer} in:\n{}", self.text)).to_owned()
    }
}

pub(crate) async fn seen(request: RequestBuilder) -> Seen {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.text().await.unwrap();
    let text = format!("{}\n{}", head(status, &headers), without_tokens(&body));
    Seen { status, text, body: serde_json::from_str(&body).unwrap_or(Value::Null) }
}

fn head(status: StatusCode, headers: &HeaderMap) -> String {
    let mut head = format!("HTTP {}\n", status.as_u16());
    for name in SHOWN {
        for value in headers.get_all(name) {
            writeln!(head, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
    }
    head
}

fn without_tokens(body: &str) -> String {
    let mut text = body.to_owned();
    for (member, name) in [("access_token", "ACCESS"), ("refresh_token", "REFRESH")] {
        // Compact JSON, in which a sample client of WhiteBIT searches for just this.
        let start = format!("\"{member}\":\"");
        if let Some(at) = text.find(&start) {
            let at = at + start.len();
            let end = at + text[at..].find('"').unwrap();
            text.replace_range(at..end, name);
        }
    }
    text
}

/// Where a dialect's app sends its user.
pub(crate) fn authorize_url(app: &TestApp, path: &str, query: &[(&str, &str)]) -> String {
    let mut url = url::Url::parse(&format!("{}{path}", app.issuer)).unwrap();
    url.query_pairs_mut().extend_pairs(query);
    url.into()
}

/// The address that a browser leaves to when its user allows everything; the code is replaced.
pub(crate) async fn callback_of(app: &TestApp, user: &Browser, url: &str) -> String {
    let page = user.open(url).await;
    readable(app, app.allow(user, page).await.callback().as_str())
}

/// The same when the user denies.
pub(crate) async fn denied_callback_of(app: &TestApp, user: &Browser, url: &str) -> String {
    let page = user.open(url).await;
    let denied = user.submit(&page.form("consent").set("decision", "deny")).await;
    readable(app, denied.callback().as_str())
}

fn readable(app: &TestApp, callback: &str) -> String {
    let text = callback.replace(&app.redirect_uri, "REDIRECT_URI");
    match text.split_once("code=") {
        None => text,
        Some((before, after)) => {
            let rest = after.find('&').map_or("", |at| &after[at..]);
            format!("{before}code=CODE{rest}")
        }
    }
}

/// The code that the app is sent when its user allows everything.
pub(crate) async fn code_of(app: &TestApp, user: &Browser, url: &str) -> String {
    let page = user.open(url).await;
    let page = app.allow(user, page).await;
    page.callback_parameter("code").unwrap_or_else(|| panic!("no code in {}", page.callback()))
}

/// A form to an endpoint, without any header of ours.
pub(crate) async fn post(app: &TestApp, path: &str, form: &[(&str, &str)]) -> Seen {
    seen(app.client.post(format!("{}{path}", app.issuer)).form(form)).await
}

/// A call of the API with this `Authorization`.
pub(crate) async fn call(app: &TestApp, method: &str, path: &str, authorization: &str) -> Seen {
    let method = method.parse().unwrap();
    let request = app.client.request(method, format!("{}{path}", app.issuer));
    let request = match authorization {
        "" => request,
        value => request.header("authorization", value),
    };
    seen(request).await
}
