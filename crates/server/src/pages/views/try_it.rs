//! The console of one application: its developer goes through the whole flow with the test
//! credentials and sees every request and every answer.

use serde::Serialize;

use super::{AppFrame, AppTab, Layout, Section, Tier, View};

/// `GET /apps/{id}/try`, and the answer to each of its forms. Every form posts to
/// `/apps/{id}/try` with `csrf`, `run` (what is known so far, sealed) and `do`.
///
/// | form `name` (`id`) | `do` | fields |
/// |---|---|---|
/// | `start` | `start` | `scope` for each, `resource`, of a service `secret` |
/// | `token` | `token` | of an app with secrets `secret` |
/// | `choose` | `choose` | `endpoint` |
/// | `call` | `call` | `endpoint`, `path.NAME` for each, `query`, `body` |
/// | `refresh`, `revoke` | `refresh`, `revoke` | hidden: those of `call` |
#[derive(Clone, Debug, Serialize)]
pub struct TryIt {
    pub layout: Layout,
    pub frame: AppFrame,
    pub id: String,
    pub client_id: String,
    pub steps: Vec<TryStep>,
    /// Sealed; empty before the first step.
    pub run: String,
    /// What was just sent, and what came back.
    pub exchange: Option<TryExchange>,
    pub next: TryNext,
    /// The app may call from listed addresses only, and the console calls from the server.
    pub limits_addresses: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TryStep {
    pub title: &'static str,
    pub text: &'static str,
    pub done: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TryExchange {
    pub title: String,
    pub http: TryText,
    pub curl: TryText,
    pub answer: Option<TryAnswer>,
    /// Why there is no answer.
    pub problem: Option<String>,
    /// Why it was refused, in plain words.
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TryText {
    /// Without secrets.
    pub masked: String,
    /// With them, where there are any.
    pub full: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TryAnswer {
    pub status: u16,
    pub status_text: String,
    pub headers: TryText,
    pub body: TryText,
}

/// What can be done now.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TryNext {
    /// The console cannot be used.
    Blocked {
        why: String,
    },
    Start {
        scopes: Vec<TryScope>,
        scopes_error: Option<String>,
        /// More than one API: one is chosen.
        apis: Vec<TryApi>,
        /// A service shows its secret at once.
        asks_secret: bool,
        secret_error: Option<String>,
    },
    /// The user is asked elsewhere: at `path` of ours.
    Visit {
        path: String,
    },
    Token {
        asks_secret: bool,
        secret_error: Option<String>,
        /// Of a device: where the user goes, and with what.
        device: Option<(String, String)>,
    },
    Call(TryCall),
}

#[derive(Clone, Debug, Serialize)]
pub struct TryScope {
    pub name: String,
    pub text: String,
    pub tier: Tier,
    pub ticked: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TryApi {
    pub identifier: String,
    pub name: String,
    pub takes_tests: bool,
    pub chosen: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TryCall {
    pub api: String,
    /// Whether calls with test tokens have anywhere to go.
    pub takes_tests: bool,
    pub endpoints: Vec<TryOption>,
    pub endpoint: String,
    pub method: String,
    pub path: String,
    pub fields: Vec<TryField>,
    pub query: String,
    pub query_error: Option<String>,
    /// `None`: the method takes none.
    pub body: Option<String>,
    pub body_error: Option<String>,
    /// Scopes that the endpoint needs and the token lacks.
    pub missing: Vec<String>,
    pub can_refresh: bool,
    /// The token was given back.
    pub is_over: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TryOption {
    pub id: String,
    pub label: String,
    pub chosen: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TryField {
    pub name: String,
    pub value: String,
    pub error: Option<String>,
}

fn sample_secret(start: &str) -> TryText {
    TryText {
        masked: format!("{start}cs_rt_AA…9f3k"),
        full: Some(format!("{start}cs_rt_AAAAAbcdefghijklmnopqrst9f3k")),
    }
}

fn sample_answer(status: u16, status_text: &str) -> TryAnswer {
    TryAnswer {
        status,
        status_text: status_text.into(),
        headers: TryText { masked: "content-type: application/json".into(), full: None },
        body: sample_secret("{\n  \"expires_in\": 600,\n  \"refresh_token\": \""),
    }
}

fn sample_exchange() -> TryExchange {
    TryExchange {
        title: "Refresh".into(),
        http: sample_secret(
            "POST /oauth/token HTTP/1.1\nHost: login.example.com\n\
             Content-Type: application/x-www-form-urlencoded\n\n\
             grant_type=refresh_token&refresh_token=",
        ),
        curl: sample_secret(
            "curl -sS https://login.example.com/oauth/token \\\n  \
             --data-urlencode 'grant_type=refresh_token' \\\n  --data-urlencode 'refresh_token=",
        ),
        answer: Some(sample_answer(200, "OK")),
        problem: None,
        reason: None,
    }
}

fn sample_call() -> TryCall {
    let option =
        |id: &str, label: &str, chosen| TryOption { id: id.into(), label: label.into(), chosen };
    TryCall {
        api: "Exchange API".into(),
        takes_tests: true,
        endpoints: vec![
            option("get-balances", "GET /api/v4/balances", false),
            option("put-order", "PUT /api/v4/orders/{id} (needs orders.create)", true),
        ],
        endpoint: "put-order".into(),
        method: "PUT".into(),
        path: "/api/v4/orders/{id}".into(),
        fields: vec![TryField { name: "id".into(), value: "17".into(), error: None }],
        query: "dry_run=true".into(),
        query_error: None,
        body: Some("{\n  \"price\": \"41000\"\n}".into()),
        body_error: None,
        missing: Vec::new(),
        can_refresh: true,
        is_over: false,
    }
}

impl View for TryIt {
    const TEMPLATE: &'static str = "try_it.html";

    fn sample() -> Vec<Self> {
        let step = |title, text, done| TryStep { title, text, done };
        let scope = |name: &str, tier, ticked| TryScope {
            name: name.into(),
            text: "See your orders".into(),
            tier,
            ticked,
        };
        let api = |name: &str, takes_tests| TryApi {
            identifier: format!("https://api.example.com/{name}"),
            name: name.into(),
            takes_tests,
            chosen: takes_tests,
        };
        let start = |error: Option<&str>, asks_secret, apis| TryNext::Start {
            scopes: vec![
                scope("orders.read", Tier::Low, true),
                scope("orders.create", Tier::High, false),
            ],
            scopes_error: error.map(str::to_owned),
            apis,
            asks_secret,
            secret_error: error.map(str::to_owned),
        };
        let page = |next, exchange, run: &str| Self {
            layout: Layout::sample().in_section(Section::Apps),
            frame: AppFrame::sample(AppTab::TryIt),
            id: "a1".into(),
            client_id: "test_a1".into(),
            steps: vec![
                step("Ask the user", "The authorization request, with PKCE.", !run.is_empty()),
                step("Trade the code", "For an access token and a refresh token.", false),
                step("Call the API", "With the access token.", false),
            ],
            run: run.into(),
            exchange,
            next,
            limits_addresses: run.is_empty(),
        };
        let refused = TryExchange {
            title: "The same call again".into(),
            answer: Some(sample_answer(401, "Unauthorized")),
            reason: Some("The access has ended or was revoked".into()),
            ..sample_exchange()
        };
        let silent = TryExchange {
            answer: None,
            problem: Some("No answer within 10 seconds.".into()),
            ..sample_exchange()
        };
        let wrong = TryCall {
            takes_tests: false,
            fields: vec![TryField {
                name: "id".into(),
                value: "..".into(),
                error: Some("It cannot be empty.".into()),
            }],
            query_error: Some("Write it as name=value.".into()),
            body: Some("{".into()),
            body_error: Some("This is not JSON.".into()),
            missing: vec!["orders.create".into()],
            ..sample_call()
        };
        let over = TryCall { can_refresh: false, is_over: true, body: None, ..sample_call() };
        let device = Some(("/device?code=WDJB-MJHT".into(), "WDJB-MJHT".into()));
        let token = |asks_secret, device| TryNext::Token {
            asks_secret,
            secret_error: asks_secret.then(|| "There is no room for another secret.".into()),
            device,
        };
        vec![
            page(start(None, false, Vec::new()), None, ""),
            page(
                start(Some("Choose one."), true, vec![api("v4", true), api("v5", false)]),
                None,
                "",
            ),
            page(TryNext::Blocked { why: "Staff suspended the app.".into() }, None, ""),
            page(
                TryNext::Visit { path: "/oauth/authorize?client_id=test_a1".into() },
                Some(TryExchange { answer: None, ..sample_exchange() }),
                "cs_co_a",
            ),
            page(token(true, None), Some(sample_exchange()), "cs_co_a"),
            page(token(false, device), Some(sample_exchange()), "cs_co_a"),
            page(TryNext::Call(sample_call()), Some(sample_exchange()), "cs_co_a"),
            page(TryNext::Call(wrong), Some(silent), "cs_co_a"),
            page(TryNext::Call(over), Some(refused), "cs_co_a"),
        ]
    }
}
