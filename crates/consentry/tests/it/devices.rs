//! The use case of a device where nobody is signed in, both ways: RFC 8628, and a code of Bitport's
//! page `/get-access`. From the first request to the files, and to the refusal.

use reqwest::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::Value;
use testkit::app::{Answer, answer};
use testkit::{Browser, Demo, TestApp};

use crate::BINARY;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The kinds of audit events of the drive that concern the app, in order.
fn audited(demo: &Demo, app: &TestApp) -> Vec<String> {
    let database = Connection::open(demo.data().join("drive/consentry.db")).unwrap();
    let sql = "SELECT a.kind FROM audit a JOIN client_ids c ON c.app_id = a.app_id \
               WHERE c.wire_id = ?1 ORDER BY a.position";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([&app.client_id], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

async fn files(app: &TestApp, token: &str) -> Answer {
    app.call(Method::GET, "/v2/cloud", token, Value::Null).await
}

/// Revoke the only app that the person has let in.
async fn revoke(person: &Browser) {
    let list = person.open("/connected").await;
    let id = list.html.split("revoke-").nth(1).unwrap().split('"').next().unwrap().to_owned();
    person.submit(&list.form(&format!("revoke-{id}"))).await;
}

#[tokio::test]
async fn a_device_without_a_browser_gets_a_token_when_its_user_types_its_code() {
    let demo = Demo::start(BINARY).await;
    let device = demo.drive.app("device");
    let told = device
        .post_form("/oauth/device_authorization", &[("scope", "files.read account.read")])
        .await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    let code = told.body["device_code"].as_str().unwrap();
    let poll = [("grant_type", DEVICE_CODE), ("device_code", code)];
    let early = device.token(&poll).await;
    assert_eq!((early.status, early.error()), (StatusCode::BAD_REQUEST, "authorization_pending"));
    let hasty = device.token(&poll).await;
    assert_eq!((hasty.status, hasty.error()), (StatusCode::BAD_REQUEST, "slow_down"));

    // The user has a phone, is not signed in there, and scans the QR code.
    let phone = Browser::new(&demo.drive.issuer);
    let link = told.body["verification_uri_complete"].as_str().unwrap();
    let sign_in = phone.open(link).await;
    let page = phone.sign_in_on(&sign_in, "bob@example.com", "demo-bob-password").await;
    let form = page.form("device");
    assert_eq!(form.values("user_code"), [told.body["user_code"].as_str().unwrap()]);
    let page = phone.submit(&form).await;
    for told in ["Living Room Player", "127.0.0.1", "Not reviewed"] {
        assert!(page.html.contains(told), "{told} is missing: {}", page.html);
    }
    let page = phone.submit(&page.form("confirm-device").set("decision", "mine")).await;
    assert!(page.html.contains("To play your files on the television."), "{}", page.html);
    let done = phone.submit(&page.form("consent").set("decision", "allow")).await;
    assert!(done.html.contains("Go back to your device"), "{}", done.html);

    let tokens = device.token(&poll).await.tokens();
    let cloud = files(&device, &tokens.access).await;
    assert_eq!(cloud.body["status"], "success", "{}", cloud.body);
    let refreshed = device.refresh(&tokens.refresh.unwrap()).await.tokens();
    revoke(&phone).await;
    let refused = files(&device, &refreshed.access).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "revoked is refused on the next request");
    let kinds = audited(&demo, &device);
    for kind in ["user_code.entered", "consent.given", "grant.created", "consent.withdrawn"] {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} among {kinds:?}");
    }
}

/// The page's code for the device's app, with everything allowed.
async fn get_access(person: &Browser, app: &TestApp) -> String {
    let page = person.open("/get-access").await;
    let found = person.open(&format!("/get-access?q={}", app.client_id)).await;
    assert!(page.form("find-app").action.ends_with("/get-access"));
    let link = format!("/get-access?client_id={}", app.client_id);
    assert!(found.html.contains(&link), "{}", found.html);
    let page = person.open(&link).await;
    let shown = person.submit(&page.form("consent").set("decision", "allow")).await;
    let after = shown.html.split("id=\"user-code\"").nth(1).expect("a code");
    after.split('>').nth(1).unwrap().split('<').next().unwrap().to_owned()
}

async fn trade(app: &TestApp, code: &str) -> Answer {
    let form = [
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.client_secret.as_deref().unwrap()),
        ("grant_type", "code"),
        ("code", code),
    ];
    let url = format!("{}/v2/oauth2/access-token", app.issuer);
    answer(app.client.post(url).form(&form)).await
}

#[tokio::test]
async fn c1_b1_a_bitport_user_code_is_traded_once_and_at_its_own_endpoint_alone() {
    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let device = demo.drive.app("device");
    let code = get_access(&bob, &device).await;
    let web = trade(&demo.drive.app("web"), &code).await;
    assert_eq!((web.status, web.error()), (StatusCode::OK, "invalid_parameter"), "another app");
    let standard = device.token(&[("grant_type", "code"), ("code", &code)]).await;
    assert_eq!(standard.error(), "unsupported_grant_type");

    let traded = trade(&device, &code).await;
    assert_eq!(traded.body["expires_in"], 315_360_000, "{}", traded.body);
    assert_eq!(traded.body["scope"], "full");
    assert_eq!(traded.body["token_type"], "bearer");
    let token = traded.body["access_token"].as_str().unwrap();
    let me = device.call(Method::GET, "/v2/me", token, Value::Null).await;
    assert_eq!(me.body["data"][0]["plan_name"], "Practice", "{}", me.body);

    let again = trade(&device, &code).await;
    assert_eq!((again.status, again.error()), (StatusCode::OK, "invalid_parameter"));
    let refused = device.call(Method::GET, "/v2/me", token, Value::Null).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "a copy of the code was about");
    let kinds = audited(&demo, &device);
    for kind in ["user_code.shown", "grant.created", "code.replayed"] {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} among {kinds:?}");
    }
    assert!(kinds.iter().any(|kind| kind == "consent.given"), "{kinds:?}");
}

/// Needs the Python that `cargo xtask test` finds.
#[cfg(feature = "full-tests")]
#[tokio::test]
async fn a_command_line_client_of_bitport_gets_in_with_a_code_and_out_when_it_is_revoked() {
    use std::path::PathBuf;
    use std::process::Stdio;

    use serde_json::json;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::process::Command;

    let demo = Demo::start(BINARY).await;
    let bob = demo.drive.signed_in("bob").await;
    let device = demo.drive.app("device");
    let config = json!({
        "base": device.issuer,
        "client_id": device.client_id,
        "client_secret": device.client_secret,
    });
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/bitport_device.py");
    let mut child = Command::new(crate::clients::variable("CONSENTRY_TEST_PYTHON"))
        .arg(script)
        .arg(config.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut input = child.stdin.take().unwrap();
    let mut says = async || -> Value {
        let line = lines.next_line().await.unwrap().expect("it says something");
        serde_json::from_str(&line).unwrap()
    };
    let link = says().await["open"].as_str().unwrap().to_owned();
    assert!(link.ends_with(&format!("/get-access?client_id={}", device.client_id)));
    let code = get_access(&bob, &device).await;
    input.write_all(format!("{}\n", code.to_lowercase()).as_bytes()).await.unwrap();
    let found = says().await;
    assert_eq!((&found["ok"], &found["plan"]), (&json!(true), &json!("Practice")), "{found}");
    assert!(found["files"].as_array().unwrap().len() > 1, "{found}");
    assert_eq!(found["downloaded"][0], 200, "{found}");
    assert_eq!(found["zipped"], json!([200, "PK"]), "{found}");
    let did = (&found["transferred_and_given_up"], &found["deleted"]);
    assert_eq!(did, (&json!(true), &json!(true)), "{found}");
    revoke(&bob).await;
    input.write_all(b"revoked\n").await.unwrap();
    assert_eq!(says().await["refused"], "Unauthorized access");
}
