//! The console, clicked through at the demo: real requests of the server to itself and to the
//! practice API for tests.

use reqwest::StatusCode;
use testkit::browser::Page;
use testkit::html::{Form, decode};
use testkit::{Browser, Demo};

use crate::BINARY;

/// Where the link `#visit` of a page leads.
fn visit(page: &Page) -> String {
    let tag = page.html.split('<').find(|tag| tag.contains("id=\"visit\"")).unwrap();
    decode(tag.split("href=\"").nth(1).unwrap().split('"').next().unwrap())
}

/// The id of the endpoint whose option begins with `label`.
fn endpoint(page: &Page, label: &str) -> String {
    let options = page.html.split("<option ").skip(1);
    let mut named = options.filter(|option| option.contains(&format!(">{label}")));
    let option = named.next().unwrap_or_else(|| panic!("no {label} in {}", page.html));
    option.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[track_caller]
fn says(page: &Page, words: &str) {
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    assert!(page.html.contains(words), "no “{words}” in {}", page.html);
}

/// The page of the first app of the developer that is called `name`.
async fn console(dev: &Browser, name: &str) -> Page {
    let apps = dev.open("/apps").await.html;
    let ids = apps.split("href=\"/apps/").skip(1).filter_map(|part| part.split('"').next());
    for id in ids.filter(|id| id.len() == 32) {
        let page = dev.open(&format!("/apps/{id}/try")).await;
        if page.html.contains(&format!("<h1>{name}</h1>")) {
            return page;
        }
    }
    panic!("the developer has no app {name}: {apps}");
}

fn only(form: Form, scopes: &[&str]) -> Form {
    let mut form = form;
    form.fields.retain(|(name, value)| name != "scope" || scopes.contains(&value.as_str()));
    form
}

#[tokio::test]
async fn a_developer_tries_the_whole_flow_and_sees_the_call_refused_after_it() {
    let demo = Demo::start(BINARY).await;
    let dev = demo.exchange.signed_in("dev").await;
    let start = console(&dev, "Pocket Exchange").await;
    let form = only(start.form("start"), &["balances.read", "orders.read"]);
    let asked = dev.submit(&form).await;
    says(&asked, "GET /oauth/authorize?");
    let consent = dev.open(&visit(&asked)).await;
    says(&consent, "Test mode");
    let back = dev.submit(&consent.form("consent").set("decision", "allow")).await;
    says(&back, "The user comes back with a code");
    let tokens = dev.submit(&back.form("token")).await;
    says(&tokens, "200 OK");
    let choose = tokens
        .form("choose")
        .set("endpoint", &endpoint(&tokens, "POST /api/v4/trade-account/balance<"));
    let chosen = dev.submit(&choose).await;
    let answered = dev.submit(&chosen.form("call")).await;
    says(&answered, "200 OK");
    says(&answered, "ratelimit-policy");
    let refreshed = dev.submit(&answered.form("refresh")).await;
    says(&refreshed, "grant_type=refresh_token");
    says(&refreshed, "200 OK");
    let revoked = dev.submit(&refreshed.form("revoke")).await;
    says(&revoked, "POST /oauth/revoke HTTP/1.1");
    let again = dev.submit(&revoked.form("call")).await;
    says(&again, "401 Unauthorized");
    says(&again, "The access has ended or was revoked");
}
