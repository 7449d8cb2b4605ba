//! A dialect that was written without any Rust: the file in `docs/dev/adding-a-dialect.md`, from
//! sign-in to a refreshed token.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Browser, TestApp};

use super::seen::{Seen, authorize_url, call, callback_of, code_of, seen};
use crate::served::{CALLBACK, PASSWORD, Site};
use crate::upstream::Upstream;

const PAGE: &str = include_str!("../../../../../docs/dev/adding-a-dialect.md");

/// The blocks of the page, one after another, as it says.
pub(super) fn file() -> String {
    let blocks = PAGE.split("```toml\n").skip(1);
    let file: String = blocks.map(|block| block.split("```").next().unwrap()).collect();
    assert!(file.contains("name = \"acme\"") && file.contains("[envelope]"), "{file}");
    file
}

/// An app at Acme's endpoints.
pub(super) struct Acme<'a>(pub(super) &'a TestApp);

impl Acme<'_> {
    pub(super) fn url(&self, more: &[(&str, &str)]) -> String {
        let query: Vec<_> = [("app", &*self.0.client_id)].iter().chain(more).copied().collect();
        authorize_url(self.0, "/connect/start", &query)
    }

    pub(super) async fn code(&self, user: &Browser, more: &[(&str, &str)]) -> String {
        code_of(self.0, user, &self.url(more)).await
    }

    pub(super) async fn send(&self, body: &Value) -> Seen {
        seen(self.0.client.post(format!("{}/connect/keys", self.0.issuer)).json(body)).await
    }

    /// The app's id and password, and `more`.
    pub(super) async fn post(&self, more: &[(&str, &str)]) -> Seen {
        let mut body = json!({ "app": self.0.client_id });
        if let Some(secret) = &self.0.client_secret {
            body["password"] = secret.clone().into();
        }
        for (name, value) in more {
            body[*name] = (*value).into();
        }
        self.send(&body).await
    }

    pub(super) async fn redeem(&self, code: &str) -> Seen {
        self.post(&[("want", "first_key"), ("ticket", code)]).await
    }

    pub(super) async fn renew(&self, token: &str) -> Seen {
        self.post(&[("want", "next_key"), ("renewal", token)]).await
    }

    pub(super) async fn tokens(&self, user: &Browser) -> Seen {
        let code = self.code(user, &[]).await;
        self.redeem(&code).await
    }
}

const MORE: &str = r#"dialects = ["./acme.toml"]

[[scope]]
name = "items.write"
text = "change your items"
"#;

#[tokio::test]
async fn a_dialect_that_only_a_page_of_the_docs_describes_works_from_sign_in_to_refresh() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    std::fs::write(site.path("acme.toml"), file()).unwrap();
    site.also_config(MORE);
    site.change_config("path_prefix = \"/api\"", "path_prefix = \"/api\"\nenvelope = \"acme\"");
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let words = ["--dialect", "acme", "--redirect-uri", CALLBACK];
    let words = [&words[..], &["--scope", "items.write=To add a warning"]].concat();
    let app = site.create_app("Umbrella Alarm", "web", &words).await;
    let acme = Acme(&app);

    // Sign-in on the way, then consent; the user leaves one right out.
    let browser = Browser::new(&site.issuer);
    let url = acme.url(&[("rights", "items.read;items.write"), ("echo", "abc")]);
    let page = browser.open(&url).await;
    let page = browser.sign_in_on(&page, "alice@example.com", PASSWORD).await;
    let form = page.form("consent").set("decision", "allow");
    let done = browser.submit(&form).await;
    assert_eq!(done.callback_parameter("state").as_deref(), Some("abc"));
    let code = done.callback_parameter("code").expect("a code");

    let first = acme.redeem(&code).await;
    let (head, body) = first.text.split_once("\n\n").unwrap();
    assert_eq!(head, "HTTP 201\ncache-control: no-store\ncontent-type: application/json");
    let shown = body.replace(&first.at("/key/text"), "KEY").replace(&first.at("/renewal"), "NEXT");
    insta::assert_snapshot!(shown, @r#"{"ok":true,"key":{"text":"KEY","kind":"Bearer","seconds":7200},"renewal":"NEXT","rights":"items.read;items.write"}"#);
    let bearer = format!("Bearer {}", first.at("/key/text"));
    assert_eq!(call(&app, "GET", "/api/items", &bearer).await.status, 200);

    let second = acme.renew(&first.at("/renewal")).await;
    assert_ne!(second.at("/renewal"), first.at("/renewal"));
    let bearer = format!("Bearer {}", second.at("/key/text"));
    assert_eq!(call(&app, "GET", "/api/items", &bearer).await.status, 200);
    assert_acmes_words(&app, &browser).await;
    assert_open_to_browsers(&app).await;
}

/// What a browser asks before an app of another origin may send JSON.
async fn assert_open_to_browsers(app: &TestApp) {
    let request = app.client.request(Method::OPTIONS, format!("{}/connect/keys", app.issuer));
    let request = request.header("origin", "https://umbrella.example");
    let asked = request.header("access-control-request-method", "POST").send().await.unwrap();
    assert_eq!(asked.status(), 204);
    let header = |name: &str| asked.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("access-control-allow-origin"), "*");
    assert!(header("access-control-allow-headers").contains("content-type"));
}

/// Refusals of its endpoints and of its API, and the address that developers know.
async fn assert_acmes_words(app: &TestApp, user: &Browser) {
    let acme = Acme(app);
    let body = |answer: &Seen| answer.text.split_once("\n\n").unwrap().1.to_owned();
    let missing = acme.send(&json!({ "ticket": "x" })).await;
    assert_eq!(missing.status, 400);
    let fields = r#"{"ok":false,"why":"incomplete","fields":["app","want"]}"#;
    assert_eq!(body(&missing), fields);
    let stranger = acme.send(&json!({ "app": "x", "password": "y", "want": "first_key" })).await;
    assert_eq!(
        (stranger.status.as_u16(), &*body(&stranger)),
        (403, r#"{"ok":false,"why":"stranger"}"#)
    );
    let word = acme.post(&[("want", "authorization_code"), ("ticket", "x")]).await;
    assert_eq!(word.status, 400);
    insta::assert_snapshot!(body(&word), @r#"{"ok":false,"why":"unsupported_grant_type","text":"the grant type is not one of this endpoint's"}"#);
    let bad = call(app, "GET", "/api/items", "Bearer nonsense").await;
    assert_eq!((bad.status.as_u16(), &bad.body["why"]), (401, &json!("invalid_token")));
    let url = acme.url(&[("rights", "items.read"), ("echo", "s"), ("prompt", "none")]);
    let callback = callback_of(app, user, &url).await;
    assert_eq!(callback, "REDIRECT_URI?code=CODE&state=s", "`prompt` has no name here");
    let url = acme.url(&[("rights", "items.raed"), ("echo", "s")]);
    let page = user.open(&url).await;
    assert_eq!(page.callback_parameter("error").as_deref(), Some("invalid_scope"));
    let partners = call(app, "GET", "/partners", "").await;
    assert_eq!(partners.text, "HTTP 303\ncache-control: no-store\nlocation: /apps\n\n");
}
