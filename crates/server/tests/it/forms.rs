//! Sending the forms of our pages as a signed-in person does, and looking at what changed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::app::App;
use domain::consent::Consent;
use domain::grant::Mode;
use domain::id::AppId;
use domain::user::User;
use http::StatusCode;
use http::header::AUTHORIZATION;
use store::Tx;

use crate::harness::{API_SECRET, Answer, Browser, Client, TestApp, Tokens};

/// Send a form with this session's token.
pub async fn submit(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    let csrf = browser.csrf();
    let mut fields = fields.to_vec();
    fields.push(("csrf", &csrf));
    browser.post(path, &fields).await
}

#[track_caller]
pub fn assert_done(answer: &Answer, location: &str) {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert_eq!(answer.location(), location);
}

pub async fn find_app(app: &TestApp, id: AppId) -> Option<App> {
    app.write(async move |tx: &mut Tx<'_>| store::apps::find(tx, id).await).await
}

pub async fn consent_of(app: &TestApp, user: &User, client: &Client) -> Consent {
    let (user, client) = (user.id, client.app.id);
    let find =
        async move |tx: &mut Tx<'_>| store::consents::find_of(tx, user, client, Mode::Live).await;
    app.write(find).await.unwrap()
}

/// What the token is good for now, as the app itself learns it; `None`: for nothing.
pub async fn live_scope(app: &TestApp, client: &Client, tokens: &Tokens) -> Option<String> {
    let answer = client.post(app, "/oauth/introspect", &[("token", &tokens.access)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    json["active"].as_bool().unwrap().then(|| json["scope"].as_str().unwrap().to_owned())
}

/// Whether the API that the token is for would accept it now.
pub async fn is_accepted(app: &TestApp, tokens: &Tokens) -> bool {
    let basic = format!("Basic {}", STANDARD.encode(format!("api:{API_SECRET}")));
    let fields = [("token", tokens.access.as_str())];
    let answer = app.post("/oauth/introspect", &[(AUTHORIZATION, &*basic)], &fields).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["active"].as_bool().unwrap()
}
