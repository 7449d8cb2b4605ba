//! The third party of the demo: a small website that plays every seeded app, so that a person can
//! click through consent, calls, refusals and revocation. It knows what any app knows: its
//! credentials, the issuer's endpoints, the API. Tokens are in memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::task::JoinHandle;
use url::form_urlencoded;

use super::apps::Callback;
use super::cast::Seeded;
use super::mailbox::{Mailbox, Received};
use super::ports::Bound;
use super::provider::DemoProvider;

mod calls;
mod client;
mod page;

use calls::ApiCall;
use client::{Client, DeviceCodes, Outcome, Pending, Tokens};

/// One of the apps it plays.
struct Part {
    provider: &'static str,
    issuer: String,
    app: Seeded,
    calls: &'static [ApiCall],
}

impl Part {
    /// Where this app sends users back to: a native app chooses its port when it listens.
    fn redirect_uri(&self, origin: &str) -> String {
        match self.app.script.callback {
            Callback::PracticeApp => self.app.redirect_uri.clone(),
            Callback::Loopback => format!("{origin}/callback"),
        }
    }
}

/// What an app remembers between two clicks.
#[derive(Default)]
struct Memory {
    pending: Option<Pending>,
    /// Shown, and not decided yet.
    codes: Option<DeviceCodes>,
    tokens: Option<Tokens>,
    /// What the last click led to.
    last: Option<Outcome>,
}

struct Stage {
    origin: String,
    parts: Vec<Part>,
    client: Client,
    mailbox: Mailbox,
    memories: Mutex<HashMap<&'static str, Memory>>,
}

type Shared = Arc<Stage>;

pub(super) struct PracticeApp {
    tasks: Vec<JoinHandle<()>>,
}

impl PracticeApp {
    pub(super) fn start(bound: Bound, providers: &[&DemoProvider], mailbox: Mailbox) -> Self {
        let parts = providers.iter().flat_map(|provider| {
            provider.apps.iter().map(|app| Part {
                provider: provider.script.title,
                issuer: provider.issuer.clone(),
                app: app.clone(),
                calls: calls::of(provider.script.name),
            })
        });
        let stage = Arc::new(Stage {
            origin: format!("http://127.0.0.1:{}", bound.port),
            parts: parts.collect(),
            client: Client::new(),
            mailbox,
            memories: Mutex::default(),
        });
        let router = router(stage);
        let tasks = bound.listeners.into_iter().map(|listener| {
            let router = router.clone();
            tokio::spawn(async move {
                if let Err(error) = axum::serve(listener, router).await {
                    tracing::error!(%error, "the practice app ended");
                }
            })
        });
        Self { tasks: tasks.collect() }
    }

    pub(super) fn stop(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn router(stage: Shared) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/style.css", get(style))
        .route("/app/{key}", get(show))
        .route("/app/{key}/connect", post(connect))
        .route("/app/{key}/device", post(ask_for_codes))
        .route("/app/{key}/poll", post(poll))
        .route("/app/{key}/user-code", post(trade_user_code))
        .route("/app/{key}/call/{number}", post(call))
        .route("/app/{key}/refresh", post(refresh))
        .route("/app/{key}/itself", post(act_for_itself))
        .route("/app/{key}/forget", post(forget))
        .route("/mailbox", get(mailbox))
        .route("/mailbox.json", get(mailbox_json))
        .route("/callback", get(native_callback))
        .route("/callback/{key}", get(callback))
        .with_state(stage)
}

impl Stage {
    fn part(&self, key: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.app.script.key == key)
    }

    fn memory<T>(&self, part: &Part, use_it: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(memories.entry(part.app.script.key).or_default())
    }
}

fn html(text: String) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; frame-ancestors 'none'";
    let headers = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Html(text)).into_response()
}

fn back_to(part: &Part) -> Response {
    Redirect::to(&format!("/app/{}", part.app.script.key)).into_response()
}

fn nothing_here() -> Response {
    Redirect::to("/").into_response()
}

async fn home(State(stage): State<Shared>) -> Response {
    let parts = stage.parts.iter().map(|part| {
        let connected = stage.memory(part, |memory| memory.tokens.is_some());
        (part, connected)
    });
    html(page::home(&parts.collect::<Vec<_>>()))
}

/// What people would find in their mail programs.
async fn mailbox(State(stage): State<Shared>) -> Response {
    html(page::mailbox(&stage.mailbox.letters()))
}

/// The same for programs.
async fn mailbox_json(State(stage): State<Shared>) -> Response {
    let letters = stage.mailbox.letters();
    let one = |Received { provider, letter }: &Received| {
        json!({
            "provider": provider, "to": letter.to, "subject": letter.subject, "text": letter.text,
            "html": letter.html, "language": letter.language, "message_id": letter.message_id,
        })
    };
    axum::Json(letters.iter().map(one).collect::<Vec<_>>()).into_response()
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css")], include_str!("style.css")).into_response()
}

async fn show(State(stage): State<Shared>, Path(key): Path<String>) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    html(stage.memory(part, |memory| page::app(part, memory)))
}

async fn connect(State(stage): State<Shared>, Path(key): Path<String>) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    let (pending, address) = client::authorization(part, &part.redirect_uri(&stage.origin));
    stage.memory(part, |memory| memory.pending = Some(pending));
    Redirect::to(&address).into_response()
}

/// As a device without a browser does: show a code, and ask now and then.
async fn ask_for_codes(State(stage): State<Shared>, Path(key): Path<String>) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    let (outcome, codes) = stage.client.device_codes(part).await;
    stage.memory(part, |memory| memory.codes = codes);
    remember(&stage, part, outcome);
    back_to(part)
}

async fn poll(State(stage): State<Shared>, Path(key): Path<String>) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    if let Some(codes) = stage.memory(part, |memory| memory.codes.clone()) {
        let outcome = stage.client.poll(part, &codes).await;
        remember(&stage, part, outcome);
    }
    back_to(part)
}

/// As a program does whose user pasted a code of the provider's own page.
async fn trade_user_code(
    State(stage): State<Shared>,
    Path(key): Path<String>,
    form: String,
) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    let code = form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "code");
    if let (Some(ways), Some((_, code))) = (part.app.script.without_browser, code) {
        let outcome = stage.client.trade_user_code(part, ways.token_path, code.trim()).await;
        remember(&stage, part, outcome);
    }
    back_to(part)
}

async fn callback(
    State(stage): State<Shared>,
    Path(key): Path<String>,
    Query(answer): Query<HashMap<String, String>>,
) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    let pending = stage.memory(part, |memory| memory.pending.take());
    let redirect_uri = part.redirect_uri(&stage.origin);
    let outcome = match client::code_of(part, pending.as_ref(), &answer) {
        Ok((code, verifier)) => stage.client.redeem(part, code, verifier, &redirect_uri).await,
        Err(why) => Outcome::failed("Came back from the provider", why),
    };
    remember(&stage, part, outcome);
    back_to(part)
}

/// A native app has one callback, whatever it was asked for.
async fn native_callback(stage: State<Shared>, answer: Query<HashMap<String, String>>) -> Response {
    let native = stage.parts.iter().find(|part| part.app.script.callback == Callback::Loopback);
    match native.map(|part| part.app.script.key.to_owned()) {
        Some(key) => callback(stage, Path(key), answer).await,
        None => nothing_here(),
    }
}

async fn call(State(stage): State<Shared>, Path((key, number)): Path<(String, usize)>) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    let access = stage.memory(part, |memory| memory.tokens.as_ref().map(|t| t.access.clone()));
    if let (Some(access), Some(call)) = (access, part.calls.get(number)) {
        let outcome = stage.client.call(part, call, &access).await;
        remember(&stage, part, outcome);
    }
    back_to(part)
}

async fn refresh(State(stage): State<Shared>, Path(key): Path<String>) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    let token = stage.memory(part, |memory| memory.tokens.as_ref()?.refresh.clone());
    if let Some(token) = token {
        let outcome = stage.client.refresh(part, &token).await;
        remember(&stage, part, outcome);
    }
    back_to(part)
}

async fn act_for_itself(State(stage): State<Shared>, Path(key): Path<String>) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    let outcome = stage.client.client_credentials(part).await;
    remember(&stage, part, outcome);
    back_to(part)
}

/// What an app does that never calls again: the user's side is not told.
async fn forget(State(stage): State<Shared>, Path(key): Path<String>) -> Response {
    let Some(part) = stage.part(&key) else { return nothing_here() };
    stage.memory(part, |memory| *memory = Memory::default());
    back_to(part)
}

fn remember(stage: &Stage, part: &Part, outcome: Outcome) {
    stage.memory(part, |memory| {
        if let Some(tokens) = outcome.tokens.clone() {
            memory.tokens = Some(tokens);
            memory.codes = None;
        }
        memory.last = Some(outcome);
    });
}
