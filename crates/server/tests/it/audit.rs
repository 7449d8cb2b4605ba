//! The audit trail as staff see it.

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::user::Role;
use http::StatusCode;
use serde_json::Value;

use crate::forms::submit;
use crate::harness::TestApp;

#[tokio::test]
async fn staff_find_events_by_kind_app_user_actor_id_and_day() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let alice = app.add_user("alice", &[]).await;
    client.tokens(&app, &alice).await;
    let staff = app.add_user("review", &[Role::Reviewer]).await;
    let browser = app.signed_in(&staff).await;
    let shown = async |query: &str| {
        let answer = browser.get(&format!("/staff/audit?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        let text = answer.text();
        let mut kinds: Vec<_> = AuditKind::ALL
            .iter()
            .map(|kind| kind.as_str())
            .filter(|kind| text.contains(&format!("\">{kind}</a>")))
            .collect();
        kinds.sort_unstable();
        kinds
    };
    let all = shown("").await;
    for kind in ["consent.given", "grant.created"] {
        assert!(all.contains(&kind), "{kind} in {all:?}");
    }
    assert_eq!(shown("kind=consent.given").await, ["consent.given"]);
    let of_app = shown("app=bot").await;
    assert!(of_app.contains(&"grant.created") && !of_app.contains(&"user.signed_in"));
    let of_user = shown("user=alice%40example.com").await;
    assert!(of_user.contains(&"consent.given"));
    // The app redeemed the code, for her.
    assert_eq!(shown("actor=alice%40example.com").await, ["consent.given"]);
    let id = client.app.id;
    assert_eq!(shown(&format!("id={id}")).await, of_app);
    assert!(shown("from=2000-01-01&until=2000-01-02").await.is_empty());
    assert_eq!(shown("from=2000-01-01&kind=consent.given").await, ["consent.given"]);
    for wrong in ["kind=nothing", "app=nobody", "user=nobody", "actor=nobody", "id=0", "from=soon"]
    {
        let text = browser.get(&format!("/staff/audit?{wrong}")).await.text();
        assert!(text.contains("form-error"), "{wrong}");
    }
}

#[tokio::test]
async fn an_event_is_shown_with_everything_that_it_says() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let staff = app.add_user("review", &[Role::Reviewer]).await;
    let browser = app.signed_in(&staff).await;
    let path = format!("/staff/apps/{}/suspend", client.app.id);
    submit(&browser, &path, &[("reason", "<b>Phishing</b>")]).await;
    let list = browser.get("/staff/audit?kind=app.suspended").await.text();
    let start = list.find("/staff/audit/").unwrap();
    let link: String = list[start..].chars().take_while(|c| *c != '"').collect();
    let page = browser.get(&link).await.text();
    assert!(page.contains("Phishing") && page.contains(&client.app.id.to_string()), "{page}");
    assert!(!page.contains("<b>"), "nothing in it is markup");
    assert_eq!(browser.get("/staff/audit/999999").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/staff/audit/x").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_long_trail_has_pages_that_miss_nothing() {
    let app = TestApp::start().await;
    let staff = app.add_user("review", &[Role::Reviewer]).await;
    let browser = app.signed_in(&staff).await;
    app.write(async |tx| {
        for number in 0..120 {
            let event = domain::audit::AuditEvent::new(
                domain::time::Timestamp::from_seconds(1_000 + number),
                AuditKind::KeysRotated,
                domain::audit::AuditActor::System,
            );
            store::audit::record(tx, &event).await?;
        }
        Ok::<_, store::DbError>(())
    })
    .await;
    let (mut path, mut seen) = ("/staff/audit?kind=keys.rotated".to_owned(), 0);
    loop {
        let text = browser.get(&path).await.text().replace("&amp;", "&").replace("&#x2f;", "/");
        seen += text.matches("\">keys.rotated</a>").count();
        let Some(next) = text.split("id=\"next\" href=\"").nth(1) else { break };
        path = next.chars().take_while(|c| *c != '"').collect();
    }
    assert_eq!(seen, 120);
}

#[tokio::test]
async fn the_filtered_rows_leave_as_lines_or_as_a_table_and_that_is_an_event() {
    let app = TestApp::start().await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let staff = app.add_user("review", &[Role::Reviewer]).await;
    let browser = app.signed_in(&staff).await;
    let path = format!("/staff/apps/{}/suspend", client.app.id);
    submit(&browser, &path, &[("reason", "=1+1")]).await;
    let lines = browser.get("/staff/audit/export?app=bot&format=jsonl").await.text();
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["kind"], "app.suspended");
    assert_eq!(events[0]["detail"]["reason"], "=1+1");
    assert_eq!(app.audited().await.last(), Some(&AuditKind::AuditExported));
    let answer = browser.get("/staff/audit/export?kind=app.suspended&format=csv").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    let table = answer.text();
    assert!(table.starts_with("position,at,kind,actor,"), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
    let wrong = browser.get("/staff/audit/export?format=xml").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}
