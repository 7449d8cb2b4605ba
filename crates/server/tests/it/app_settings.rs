//! What a developer sets for an app besides what users read: addresses and wire formats.

use domain::app::App;
use http::StatusCode;

use crate::forms::{assert_done, find_app, submit};
use crate::harness::TestApp;
use crate::my_apps::{apps_of, developer, live_app, register, with};

#[tokio::test]
async fn a_list_of_addresses_holds_from_the_next_request_and_needs_no_review() {
    let app = TestApp::start().await;
    let (browser, client, tokens) = live_app(&app).await;
    let path = format!("/apps/{}", client.app.id);
    let bad = submit(&browser, &format!("{path}/addresses"), &[("addresses", "office")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.text().contains("Line 1, office: write an address"), "{}", bad.text());
    let lines = "\n198.51.100.9/24 \n203.0.113.7\n203.0.113.7\n";
    let saved = submit(&browser, &format!("{path}/addresses"), &[("addresses", lines)]).await;
    assert_done(&saved, &format!("{path}/settings?done=app-saved"));
    let page = browser.get(&format!("{path}/settings")).await.text();
    assert!(page.contains("198.51.100.0/24\n203.0.113.7</textarea>"), "{page}");
    assert!(find_app(&app, client.app.id).await.unwrap().is_live());
    let refused = client.refresh(&app, &tokens.refresh, &[]).await;
    assert_eq!(refused.error(), "unauthorized_client");
    submit(&browser, &format!("{path}/addresses"), &[("addresses", "")]).await;
    assert_eq!(client.refresh(&app, &tokens.refresh, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn b1_an_app_speaks_a_dialect_only_if_its_developer_chose_one_that_there_is() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let page = browser.get("/apps/new?wire=bitport&view=all").await.text();
    assert!(page.contains(r#"value="bitport" checked"#), "{page}");
    for (wire, kind) in [("bitprot", "web"), ("bitport", "native")] {
        let refused = submit(&browser, "/apps/new", &with(&[("wire", wire), ("kind", kind)])).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wire} {kind}");
        assert!(refused.text().contains(r#"id="wire-error""#));
    }
    register(&app, &browser, &dev).await;
    let answer = submit(&browser, "/apps/new", &with(&[("wire", "bitport")])).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let made = apps_of(&app, &dev).await;
    let speaks = |app: &App| (app.speaks(None), app.speaks(Some("bitport")));
    let mut spoken: Vec<_> = made.iter().map(speaks).collect();
    spoken.sort_unstable();
    assert_eq!(spoken, [(true, false), (true, true)]);
    let of_dialect = made.iter().find(|app| app.dialect.is_some()).unwrap();
    let page = browser.get(&format!("/apps/{}", of_dialect.id)).await.text();
    assert!(page.contains("/oauth/authorize") && page.contains("/bitport/authorize"), "{page}");
}
