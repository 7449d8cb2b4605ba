//! Plans and perks: asked for, decided, set, and held to.

use domain::app::AppKind;
use domain::audit::AuditKind;
use domain::plan::{Perk, Plan};
use domain::policy::Policy;
use domain::user::{Role, User};
use http::StatusCode;

use crate::forms::submit;
use crate::harness::{Client, TestApp};

fn plans(policy: &mut Policy) {
    let plan = |name: &str, is_default, users_max| Plan {
        name: name.to_owned(),
        title: format!("The {name} plan"),
        text: "Words.".to_owned(),
        calls_per_day: Some(1000),
        users_max,
        is_default,
        ..Plan::default()
    };
    policy.plans = vec![plan("free", true, Some(1)), plan("grow", false, None)];
    let (name, title) = ("month".to_owned(), "A premium month".to_owned());
    policy.perks = vec![Perk { name, title, text: "Words.".to_owned() }];
}

async fn start() -> (TestApp, Client, User) {
    let app = TestApp::start_with(plans).await;
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let find =
        async |tx: &mut store::Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
    let developer = app.write(find).await.unwrap();
    (app, client, developer)
}

async fn plan_of(app: &TestApp, client: &Client) -> Option<String> {
    let id = client.app.id;
    app.write(async move |tx: &mut store::Tx<'_>| store::apps::find(tx, id).await)
        .await
        .unwrap()
        .plan
}

/// The address of the only form that waits for staff.
fn waiting(page: &str) -> String {
    let at = page.split("action=\"/staff/requests/").nth(1).unwrap();
    format!("/staff/requests/{}", at.split('"').next().unwrap())
}

#[tokio::test]
async fn a_developer_asks_staff_decide_and_both_see_it() {
    let (app, client, developer) = start().await;
    let (usage, ask) =
        (format!("/apps/{}/usage", client.app.id), format!("/apps/{}/plan", client.app.id));
    let browser = app.signed_in(&developer).await;
    let page = browser.get(&usage).await.text().to_owned();
    assert!(page.contains("The free plan") && page.contains("0 of 1,000"), "{page}");
    let empty = submit(&browser, &ask, &[("wish", "plan grow"), ("reason", " ")]).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(empty.text().contains("Say what you need it for"));
    let unknown = submit(&browser, &ask, &[("wish", "plan gold"), ("reason", "Kept words")]).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        unknown.text().contains("Choose one of these.") && unknown.text().contains("Kept words")
    );
    let asked = submit(&browser, &ask, &[("wish", "plan grow"), ("reason", "We grow")]).await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    let again = submit(&browser, &ask, &[("wish", "plan grow"), ("reason", "We grow")]).await;
    assert!(again.text().contains("You have asked for this"));

    let rita = app.add_user("rita", &[Role::Reviewer]).await;
    let staff = app.signed_in(&rita).await;
    let queue = staff.get("/staff/requests").await.text().to_owned();
    assert!(queue.contains("We grow") && queue.contains("The grow plan"), "{queue}");
    let decide = waiting(&queue);
    let silent = submit(&staff, &decide, &[("decision", "refuse"), ("note", "")]).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(plan_of(&app, &client).await, None);
    let granted = submit(&staff, &decide, &[("decision", "grant"), ("note", "Enjoy")]).await;
    assert_eq!(granted.location(), "/staff/requests?done=plan-decided");
    assert_eq!(plan_of(&app, &client).await.as_deref(), Some("grow"));
    let twice = submit(&staff, &decide, &[("decision", "refuse"), ("note", "No")]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let page = browser.get(&usage).await.text().to_owned();
    assert!(page.contains("Granted") && page.contains("Enjoy") && page.contains("The grow plan"));
    let audited = app.audited().await;
    assert!(audited.contains(&AuditKind::PlanAsked) && audited.contains(&AuditKind::PlanDecided));
}

#[tokio::test]
async fn nobody_grants_themselves_a_perk() {
    let (app, client, developer) = start().await;
    app.save_user(User { roles: vec![Role::Developer, Role::Reviewer], ..developer.clone() }).await;
    let browser = app.signed_in(&developer).await;
    let ask = format!("/apps/{}/plan", client.app.id);
    submit(&browser, &ask, &[("wish", "perk month"), ("reason", "For me")]).await;
    let decide = waiting(&browser.get("/staff/requests").await.text().to_owned());
    let answer = submit(&browser, &decide, &[("decision", "grant"), ("note", "")]).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text().contains("somebody else has to decide"), "{}", answer.text());
}

#[tokio::test]
async fn an_app_that_is_full_takes_no_new_user_and_keeps_those_it_has() {
    let (app, client, _) = start().await;
    let (alice, bob) = (app.add_user("alice", &[]).await, app.add_user("bob", &[]).await);
    client.tokens(&app, &alice).await;
    let page = app.signed_in(&bob).await.get(&client.authorize_path(&[])).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.text().contains("has as many users as it may have"), "{}", page.text());
    client.tokens(&app, &alice).await;
    app.change_policy(|policy| policy.plans[0].users_max = Some(2));
    client.tokens(&app, &bob).await;
}
