//! Plans and perks: asked for, decided, set, and held to.

use domain::app::AppKind;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::EndpointId;
use domain::plan::{Perk, Plan};
use domain::policy::Policy;
use domain::team::TeamRole;
use domain::user::{Role, User};
use domain::webhook::{
    Delivery, DeliveryState, Endpoint, EndpointOwner, EndpointStatus, EventKind, SealedSecret,
};
use http::{Method, StatusCode};
use protocol::secret::Secret;
use serde_json::{Value, json};
use server::plans::{self, PlanRefusal};
use server::webhooks::{OperatorWebhook, save_operators};
use store::{Tx, webhooks};

use crate::admin::{Program, problem};
use crate::forms::submit;
use crate::harness::{Client, TestApp};
use crate::teams::{add_member, add_team_app, make_team};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

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

/// An endpoint of the app and one of the operator, both for everything.
async fn listen(app: &TestApp, client: &Client) -> [Endpoint; 2] {
    let secret = || Secret::new(SECRET);
    let operator = OperatorWebhook {
        name: "billing".to_owned(),
        url: "https://billing.example.com/".to_owned(),
        secret: secret(),
        events: EventKind::offered_to_operators().collect(),
    };
    save_operators(&app.provider, vec![operator]).await.unwrap();
    let (id, provider) = (EndpointId::random(&*app.entropy), &app.provider);
    let own = Endpoint {
        id,
        owner: EndpointOwner::App(client.app.id),
        url: "https://bot.example.com/hooks".to_owned(),
        events: EventKind::offered_to_apps().collect(),
        secret: SealedSecret::seal(&provider.keyring(), id, &secret(), &*app.entropy).unwrap(),
        former: None,
        status: EndpointStatus::Active,
        failing_since: None,
        created_at: provider.now(),
    };
    let row = own.clone();
    let save = async move |tx: &mut Tx<'_>| {
        webhooks::insert(tx, &row).await?;
        Ok(webhooks::list_of_operator(tx).await?.remove(0))
    };
    let billing = app.write(save).await;
    [own, billing]
}

/// What waits for an endpoint: the kind and the data of each message.
async fn heard(app: &TestApp, endpoint: &Endpoint) -> Vec<(String, Value)> {
    let (id, now) = (endpoint.id, app.provider.now());
    let list = async move |tx: &mut Tx<'_>| webhooks::list_due(tx, id, now, 99).await;
    let bodies = app.write(list).await.into_iter().map(|due| due.body);
    let parse = |body: String| {
        let mut body: Value = serde_json::from_str(&body).unwrap();
        (body["type"].as_str().unwrap().to_owned(), body["data"].take())
    };
    bodies.map(parse).collect()
}

#[tokio::test]
async fn the_app_its_developer_and_billing_hear_of_what_was_decided() {
    let (app, client, developer) = start().await;
    let endpoints = listen(&app, &client).await;
    let browser = app.signed_in(&developer).await;
    let ask = format!("/apps/{}/plan", client.app.id);
    let rita = app.add_user("rita", &[Role::Reviewer]).await;
    let staff = app.signed_in(&rita).await;
    for (wish, decision, note) in
        [("plan grow", "grant", "Enjoy"), ("perk month", "refuse", "Not now")]
    {
        submit(&browser, &ask, &[("wish", wish), ("reason", "We grow")]).await;
        let decide = waiting(&staff.get("/staff/requests").await.text());
        let decided = submit(&staff, &decide, &[("decision", decision), ("note", note)]).await;
        assert_eq!(decided.status, StatusCode::SEE_OTHER, "{}", decided.text());
    }
    let about = json!({ "client_id": "bot", "app": client.app.name });
    let told = |name: &str, value: &str, decision: &str, note: &str| {
        let mut data = about.clone();
        data[name] = value.into();
        data["decision"] = decision.into();
        data["note"] = note.into();
        (format!("{name}.decided"), data)
    };
    let wanted =
        [told("plan", "grow", "approved", "Enjoy"), told("perk", "month", "rejected", "Not now")];
    for endpoint in &endpoints {
        assert_eq!(heard(&app, endpoint).await, wanted, "{:?}", endpoint.owner);
    }
    let mails = app.queued().await;
    let mails: Vec<_> = mails.iter().map(|mail| (&*mail.address, mail.kind.name())).collect();
    assert_eq!(mails, [("dev@example.com", "wish_decided"); 2]);
}

#[tokio::test]
async fn a_plan_that_the_operator_sets_is_told_once_and_one_that_is_not_offered_is_refused() {
    let (app, client, _) = start().await;
    let [own, billing] = listen(&app, &client).await;
    let set = async |plan: Option<&'static str>| {
        let (policy, now, id) = (app.provider.policy(), app.provider.now(), client.app.id);
        let work = async move |tx: &mut Tx<'_>| {
            let found = store::apps::find(tx, id).await?.unwrap();
            let sign = |event| AuditEvent { actor: AuditActor::System, ..event };
            Ok(plans::set(tx, &policy, found, (plan, "Paid"), now, &sign).await?.map(drop))
        };
        app.write(work).await
    };
    assert_eq!(set(Some("gold")).await, Err(PlanRefusal::NoSuchPlan));
    assert!(heard(&app, &billing).await.is_empty() && app.queued().await.is_empty());
    for _ in 0..2 {
        assert_eq!(set(Some("grow")).await, Ok(()));
    }
    assert_eq!(plan_of(&app, &client).await.as_deref(), Some("grow"));
    for endpoint in [&own, &billing] {
        let heard = heard(&app, endpoint).await;
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert_eq!((&*heard[0].0, &heard[0].1["plan"]), ("plan.decided", &json!("grow")));
    }
    assert_eq!(app.queued().await.len(), 1);
    assert_eq!(set(None).await, Ok(()));
    assert_eq!(plan_of(&app, &client).await, None);
    assert_eq!(heard(&app, &billing).await[1].1["plan"], "free", "what it has now");
}

#[tokio::test]
async fn nobody_decides_for_their_team_and_all_owners_of_it_hear_of_a_decision() {
    let (app, _, _) = start().await;
    let [ann, ben, cat] = [
        app.add_user("ann", &[Role::Developer]).await,
        app.add_user("ben", &[Role::Developer, Role::Reviewer]).await,
        app.add_user("cat", &[Role::Developer]).await,
    ];
    let team = make_team(&app, &ann, "Northwind").await;
    add_member(&app, &team, &ben, TeamRole::Owner).await;
    add_member(&app, &team, &cat, TeamRole::Member).await;
    let owned = add_team_app(&app, &team, &ann).await;
    let ask = format!("/apps/{}/plan", owned.id);
    let browser = app.signed_in(&cat).await;
    submit(&browser, &ask, &[("wish", "plan grow"), ("reason", "We grow")]).await;
    let staff = app.signed_in(&ben).await;
    let decide = waiting(&staff.get("/staff/requests").await.text());
    let granted = [("decision", "grant"), ("note", "")];
    let refused = submit(&staff, &decide, &granted).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("somebody else has to decide"), "{}", refused.text());
    let rita = app.add_user("rita", &[Role::Reviewer]).await;
    assert_eq!(submit(&app.signed_in(&rita).await, &decide, &granted).await.status, 303);
    let mut told: Vec<_> = app.queued().await.into_iter().map(|mail| mail.address).collect();
    told.sort();
    assert_eq!(told, ["ann@example.com", "ben@example.com"]);
}

#[tokio::test]
async fn a_program_of_the_operator_lists_plans_sets_one_and_decides_requests() {
    let (app, client, developer) = start().await;
    let [_, billing] = listen(&app, &client).await;
    let program = Program::mighty(&app).await;
    let listed = program.get("/plans").await.json();
    assert_eq!(listed["items"][0]["name"], "free");
    assert_eq!(
        (&listed["items"][0]["users_max"], &listed["items"][0]["is_default"]),
        (&json!(1), &json!(true))
    );
    let put = async |headers: &[(&str, &str)], plan: Value| {
        program.send(Method::PUT, "/apps/bot/plan", headers, &json!({ "plan": plan })).await
    };
    assert_eq!(problem(&put(&[], json!("grow")).await), "precondition-required");
    assert_eq!(
        problem(&put(&[("if-match", "\"old\"")], json!("grow")).await),
        "precondition-failed"
    );
    assert_eq!(problem(&put(&[("if-match", "*")], json!("gold")).await), "invalid-request");
    let etag = program.etag("/apps/bot").await;
    let set = put(&[("if-match", &etag)], json!("grow")).await;
    assert_eq!((set.status, &set.json()["plan"]), (StatusCode::OK, &json!("grow")));
    assert_eq!(app.audited().await.last(), Some(&AuditKind::PlanSet));

    let browser = app.signed_in(&developer).await;
    let ask = format!("/apps/{}/plan", client.app.id);
    submit(&browser, &ask, &[("wish", "perk month"), ("reason", "We grow")]).await;
    let waiting = program.get("/plan-requests").await.json();
    let one = &waiting["items"][0];
    assert_eq!(
        (&one["app"], &one["kind"], &one["reason"]),
        (&json!("bot"), &json!("perk"), &json!("We grow"))
    );
    let path = format!("/plan-requests/{}", one["id"].as_str().unwrap());
    let decide = format!("{path}/decision");
    let silent = program.post(&decide, &json!({ "decision": "refuse" })).await;
    assert_eq!(problem(&silent), "invalid-request");
    let granted = program.post(&decide, &json!({ "decision": "grant", "note": "Enjoy" })).await;
    assert_eq!((granted.status, &granted.json()["granted"]), (StatusCode::OK, &json!(true)));
    let twice = program.post(&decide, &json!({ "decision": "refuse", "note": "No" })).await;
    assert_eq!(problem(&twice), "conflict");
    assert_eq!(program.get(&path).await.json()["note"], "Enjoy");
    assert_eq!(program.get("/plan-requests").await.json()["items"], json!([]));
    for (query, found) in [
        ("status=decided", 1),
        ("status=all&app=bot", 1),
        ("status=waiting&app=bot", 0),
        ("status=decided&limit=1", 1),
    ] {
        let listed = program.get(&format!("/plan-requests?{query}")).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), found, "{query}: {listed}");
    }
    assert_eq!(problem(&program.get("/plan-requests?app=nobody").await), "not-found");
    assert_eq!(problem(&program.get("/plan-requests?status=maybe").await), "invalid-request");
    let perks = program.get("/perks").await.json();
    assert_eq!(perks["items"][0]["title"], "A premium month");
    assert_eq!(program.get("/plan-requests/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(heard(&app, &billing).await[1].0, "perk.decided");
}

#[tokio::test]
async fn what_billing_did_not_take_is_seen_and_sent_again_and_no_message_of_an_app_is() {
    let (app, client, _) = start().await;
    let [own, billing] = listen(&app, &client).await;
    let program = Program::mighty(&app).await;
    let any = [("if-match", "*")];
    program.send(Method::PUT, "/apps/bot/plan", &any, &json!({ "plan": "grow" })).await;
    let [dead, of_app] = [&billing, &own].map(|endpoint| endpoint.id);
    let now = app.provider.now();
    let give_up = async move |tx: &mut Tx<'_>| {
        let due = webhooks::list_due(tx, dead, now, 1).await?.remove(0);
        webhooks::save_delivery(tx, &Delivery { state: DeliveryState::Dead { at: now }, ..due })
            .await?;
        Ok(webhooks::list_due(tx, of_app, now, 1).await?.remove(0).id)
    };
    let of_app = app.write(give_up).await;
    let listed = program.get("/webhook-deliveries?dead=true").await.json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{listed}");
    assert_eq!(
        (&items[0]["webhook"], &items[0]["event"]),
        (&json!("billing"), &json!("plan.decided"))
    );
    let path = format!("/webhook-deliveries/{}/redeliver", items[0]["id"]);
    let again = program.post(&path, &Value::Null).await;
    assert_eq!((again.status, &again.json()["state"]), (StatusCode::ACCEPTED, &json!("waiting")));
    assert_eq!(app.audited().await.last(), Some(&AuditKind::WebhookRedelivered));
    assert_eq!(heard(&app, &billing).await.len(), 1);
    assert_eq!(problem(&program.post(&path, &Value::Null).await), "conflict");
    let of_app = format!("/webhook-deliveries/{of_app}/redeliver");
    assert_eq!(program.post(&of_app, &Value::Null).await.status, StatusCode::NOT_FOUND);
}
