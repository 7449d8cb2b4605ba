//! The operator keeps its own login: an OpenID provider with a real key, and the login page of the
//! documentation, both on ports of their own.

use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::json;
use testkit::identity_provider::{CLIENT_ID, CLIENT_SECRET};
use testkit::{Browser, IdentityProvider};
use url::Url;

use crate::served::{PASSWORD, Site, stderr};
use crate::upstream::Upstream;

fn company(issuer: &str) -> String {
    format!(
        "[[sign_in.provider]]\nname = \"company\"\ntitle = \"Company login\"\nissuer = \"{issuer}\"\n\
         client_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\n"
    )
}

/// A browser at another system, which sends it on: where to.
async fn redirect(url: &Url) -> Url {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let response = client.get(url.clone()).send().await.unwrap();
    let location = response.headers().get("location").unwrap_or_else(|| panic!("{response:?}"));
    Url::parse(location.to_str().unwrap()).unwrap()
}

/// Go away to the provider and come back.
async fn there_and_back(browser: &Browser, path: &str) -> testkit::browser::Page {
    let away = browser.open(path).await.callback();
    browser.open(redirect(&away).await.as_str()).await
}

#[tokio::test]
async fn an_app_gets_a_token_for_a_user_whom_an_openid_provider_signs_in() {
    let (upstream, provider) = (Upstream::start().await, IdentityProvider::listen().await);
    let site = Site::new(&upstream.url);
    site.also_config(&company(&provider.issuer));
    let _server = site.serve().await;
    site.add_user("dev@example.com", Some("developer")).await;
    let app = site.add_app("Bot").await;
    let ada = Browser::new(&site.issuer);
    let sign_in = ada.open(app.authorize_url("items.read", "test-state").as_str()).await;
    let link = sign_in.html.split("href=\"").find(|part| part.starts_with("/sign-in/with/"));
    let link = testkit::html::decode(link.unwrap().split('"').next().unwrap());
    let consent = there_and_back(&ada, &link).await;
    let code = app.allow(&ada, consent).await.callback_parameter("code").unwrap();
    let tokens = app.redeem(&code).await.tokens();
    assert_eq!(site.status("/api/items", &tokens.access).await, 200);
    // A blocked user is out, at the gateway and at the door, whoever vouches.
    site.command(&["user", "block", "ada@example.com", "--reason", "a test"]).await;
    assert_eq!(site.status("/api/items", &tokens.access).await, 401);
    let page = there_and_back(&Browser::new(&site.issuer), "/sign-in/with/company").await;
    assert!(page.html.contains("This account is blocked"), "{}", page.html);
}

#[tokio::test]
async fn s8_an_account_with_a_password_is_not_taken_over_through_a_provider() {
    let (upstream, provider) = (Upstream::start().await, IdentityProvider::listen().await);
    let site = Site::new(&upstream.url);
    site.also_config(&format!("{}link_accounts = true\n", company(&provider.issuer)));
    let _server = site.serve().await;
    site.add_user("ada@example.com", None).await;
    for verified in [false, true] {
        provider.state().user["email_verified"] = json!(verified);
        let thief = Browser::new(&site.issuer);
        let page = there_and_back(&thief, "/sign-in/with/company").await;
        assert_eq!(page.status, 403, "{}", page.html);
        let home = thief.open("/connected").await;
        assert!(!home.html.contains("ada@example.com"), "{}", home.html);
    }
    // Its owner still gets in.
    let page = Browser::new(&site.issuer).sign_in("ada@example.com", PASSWORD).await;
    assert!(page.html.contains("ada@example.com"));
}

#[tokio::test]
async fn s9_an_openid_answer_is_worth_nothing_twice_or_in_another_browser() {
    let (upstream, provider) = (Upstream::start().await, IdentityProvider::listen().await);
    let site = Site::new(&upstream.url);
    site.also_config(&company(&provider.issuer));
    let _server = site.serve().await;
    let (ada, thief) = (Browser::new(&site.issuer), Browser::new(&site.issuer));
    let away = ada.open("/sign-in/with/company").await.callback();
    let back = redirect(&away).await;
    assert_eq!(thief.open(back.as_str()).await.status, 400);
    assert_eq!(ada.open(back.as_str()).await.status, 200);
    assert_eq!(ada.open(back.as_str()).await.status, 400);
    let audit = site.run(&["audit", "export"]).await;
    let audit = String::from_utf8_lossy(&audit.stdout);
    assert_eq!(audit.matches("user.hand_off_refused").count(), 2, "{audit}");
}

#[tokio::test]
async fn a_provider_that_cannot_be_is_told_before_anything_starts() {
    let site = Site::new("http://127.0.0.1:9");
    site.also_config(&company("http://login.example.com"));
    let checked = site.run(&["check"]).await;
    assert!(!checked.status.success());
    let told = format!("{}{}", String::from_utf8_lossy(&checked.stdout), stderr(&checked));
    assert!(told.contains("Who signs in there would be seen on the way"), "{told}");
}

/// The example of the documentation, as it stands there.
#[cfg(feature = "full-tests")]
mod example {
    use std::path::PathBuf;
    use std::process::Stdio;

    use tokio::process::{Child, Command};

    use super::*;
    use crate::clients::variable;
    use crate::served::{free_port, until};

    const KEY: &str = "a key that only the two of them know";

    async fn login_page(port: u16) -> Child {
        let script =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/sign_in_page.py");
        let child = Command::new(variable("CONSENTRY_TEST_PYTHON"))
            .arg(script)
            .arg(port.to_string())
            .env("SIGN_IN_KEY", KEY)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}/");
        until("the login page listens", async || Client::new().get(&url).send().await.ok()).await;
        child
    }

    /// The login page's form, filled in: where the browser is sent.
    async fn sign_in_there(url: &Url, password: &str) -> Result<Url, String> {
        let page = Client::new().get(url.clone()).send().await.unwrap().text().await.unwrap();
        let form = testkit::html::Form::find(&page.replace("<form ", "<form id=\"f\" "), "f");
        let form = form.ok_or(page)?.set("email", "ada@example.com").set("password", password);
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let answer = client.post(url.clone()).form(&form.fields).send().await.unwrap();
        match answer.headers().get("location") {
            Some(location) => Ok(Url::parse(location.to_str().unwrap()).unwrap()),
            None => Err(answer.text().await.unwrap()),
        }
    }

    #[tokio::test]
    async fn the_login_page_of_the_documentation_signs_users_in() {
        let (upstream, port) = (Upstream::start().await, free_port());
        let _page = login_page(port).await;
        let site = Site::new(&upstream.url);
        site.also_config(&format!(
            "[sign_in]\npassword = false\n[[sign_in.provider]]\nname = \"desk\"\n\
             kind = \"signed-redirect\"\nissuer = \"login-page\"\n\
             login_url = \"http://localhost:{port}/\"\nkey = \"{KEY}\"\n"
        ));
        let _server = site.serve().await;
        let ada = Browser::new(&site.issuer);
        // One provider and no password: straight there.
        let away = ada.open("/connected").await.callback();
        let wrong = sign_in_there(&away, "wrong").await.unwrap_err();
        assert!(wrong.contains("That is not right."), "{wrong}");
        let back = sign_in_there(&away, "swordfish").await.unwrap();
        let page = ada.open(back.as_str()).await;
        assert_eq!((page.status.as_u16(), page.url.path()), (200, "/connected"), "{}", page.html);
        assert!(page.html.contains("ada@example.com"));
        // Used up, and of no use to others.
        assert_eq!(Browser::new(&site.issuer).open(back.as_str()).await.status, 400);
        assert_eq!(ada.open(back.as_str()).await.status, 400);
        // The page signs nothing for a request that was touched.
        let mut touched = away.clone();
        touched.set_query(Some(&away.query().unwrap().replace("request=e", "request=f")));
        let refused = sign_in_there(&touched, "swordfish").await.unwrap_err();
        assert!(refused.contains("This link is over"), "{refused}");
    }
}
