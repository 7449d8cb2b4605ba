//! An app goes to another person or a team, once both sides have said so.

use std::time::Duration;

use domain::app::{App, AppKind, AppStatus, Approval};
use domain::audit::AuditKind;
use domain::policy::Registration;
use domain::revision::RevisionField;
use domain::team::TeamRole;
use domain::user::{Role, User};
use http::StatusCode;
use testkit::Mailbox;

use crate::forms::{assert_done, find_app, submit};
use crate::harness::{Answer, Browser, Client, TestApp};
use crate::teams::{add_member, add_team_app, make_team};

/// The developer of `bot`, who is signed in a moment ago, and somebody who may have it.
async fn start(app: &TestApp) -> (User, User, Client) {
    let client = app.add_app("bot", AppKind::Web, |_| {}).await;
    let dev = app.write(async |tx| store::users::find_by_email(tx, "dev@example.com").await).await;
    (dev.unwrap(), app.add_user("eve", &[Role::Developer]).await, client)
}

async fn ask(browser: &Browser<'_>, app: &App, fields: &[(&str, &str)]) -> Answer {
    submit(browser, &format!("/apps/{}/transfer", app.id), fields).await
}

const TO_EVE: [(&str, &str); 2] = [("to", "person"), ("email", "Eve@Example.com ")];

async fn take(browser: &Browser<'_>, app: &App, fields: &[(&str, &str)]) -> Answer {
    submit(browser, &format!("/transfers/{}", app.id), fields).await
}

#[tokio::test]
async fn an_app_is_another_persons_once_they_accept_and_users_read_who_has_it() {
    let app = TestApp::start().await;
    let (dev, eve, client) = start(&app).await;
    let tab = format!("/apps/{}/team", client.app.id);
    let (giver, taker) = (app.signed_in(&dev).await, app.signed_in(&eve).await);
    let offer = format!("/transfers/{}", client.app.id);
    assert_eq!(taker.get(&offer).await.status, StatusCode::NOT_FOUND);
    assert_done(&ask(&giver, &client.app, &TO_EVE).await, &format!("{tab}?done=transfer-asked"));
    assert!(giver.get(&tab).await.text().contains("Waits for <strong>eve@example.com</strong>"));
    assert_eq!(find_app(&app, client.app.id).await.unwrap().owner, dev.id, "nothing changed yet");
    assert!(taker.get("/teams").await.text().contains(&offer), "it waits on her page");
    let page = taker.get(&offer).await.text();
    assert!(page.contains("Users will read “eve” as its publisher instead of"), "{page}");
    assert!(!page.contains("webhook"), "it has none: {page}");
    let taken = take(&taker, &client.app, &[("decision", "accept")]).await;
    assert_done(&taken, &format!("/apps/{}?done=app-taken", client.app.id));
    let given = find_app(&app, client.app.id).await.unwrap();
    assert_eq!((given.owner, given.publisher.as_str()), (eve.id, "eve"));
    assert_eq!(giver.get(&tab).await.status, StatusCode::NOT_FOUND);
    assert_eq!(taker.get(&tab).await.status, StatusCode::OK);
    let again = take(&taker, &client.app, &[("decision", "accept")]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let audited = app.audited().await;
    assert!(audited.ends_with(&[AuditKind::AppTransferAsked, AuditKind::AppTransferred]));
    let alice = app.add_user("alice", &[]).await;
    let consent = app.signed_in(&alice).await.get(&client.authorize_path(&[])).await.text();
    assert!(consent.contains("by eve"), "{consent}");
}

#[tokio::test]
async fn a_reviewed_app_was_not_reviewed_with_its_new_publisher() {
    let app = TestApp::start().await;
    let (dev, eve, client) = start(&app).await;
    let staff = app.add_user("review", &[Role::Reviewer]).await;
    let since = app.provider.now();
    let approval = Approval::Reviewed { at: since, by: staff.id };
    let status = AppStatus::Live { since, approval };
    let reviewed = App { status, ..client.app.clone() };
    app.save_app(reviewed.verify_brand(staff.id, since)).await;
    ask(&app.signed_in(&dev).await, &client.app, &TO_EVE).await;
    let taker = app.signed_in(&eve).await;
    take(&taker, &client.app, &[("decision", "accept")]).await;
    let given = find_app(&app, client.app.id).await.unwrap();
    assert_eq!(given.status, AppStatus::Live { since, approval: Approval::Unreviewed });
    assert!(!given.brand_is_verified());
    app.change_policy(|policy| {
        policy.registration = Registration::Review;
        policy.reviewed = vec![RevisionField::RedirectUris];
    });
    let page = taker.get(&format!("/apps/{}/team", client.app.id)).await.text();
    assert!(!page.contains("id=\"loses-review\""), "{page}");
}

#[tokio::test]
async fn the_giver_proves_who_they_are_and_nothing_that_was_typed_is_lost() {
    let app = TestApp::start().await;
    let (dev, _, client) = start(&app).await;
    let giver = app.signed_in(&dev).await;
    app.clock.advance(Duration::from_secs(3600));
    let sent = ask(&giver, &client.app, &TO_EVE).await;
    let to = sent.location().to_owned();
    assert!(to.starts_with("/sign-in?again=yes&continue="), "{to}");
    let back = sent.redirected("continue").unwrap();
    let page = giver.get(&back).await.text();
    assert!(page.contains("value=\"Eve@Example.com\""), "{page}");
    assert!(!page.contains("id=\"waiting\""), "nothing was asked yet");
}

#[tokio::test]
async fn a_transfer_is_declined_taken_back_or_over_after_a_week() {
    let app = TestApp::start().await;
    let (dev, eve, client) = start(&app).await;
    let (giver, taker) = (app.signed_in(&dev).await, app.signed_in(&eve).await);
    ask(&giver, &client.app, &TO_EVE).await;
    let declined = take(&taker, &client.app, &[("decision", "decline")]).await;
    assert_done(&declined, "/teams?done=transfer-declined");
    ask(&giver, &client.app, &TO_EVE).await;
    submit(&giver, &format!("/apps/{}/transfer/end", client.app.id), &[]).await;
    let accept = [("decision", "accept")];
    assert_eq!(take(&taker, &client.app, &accept).await.status, StatusCode::NOT_FOUND);
    ask(&giver, &client.app, &TO_EVE).await;
    app.clock.advance(Duration::from_secs(7 * 24 * 3600));
    let taker = app.signed_in(&eve).await;
    assert_eq!(take(&taker, &client.app, &accept).await.status, StatusCode::NOT_FOUND);
    assert_eq!(find_app(&app, client.app.id).await.unwrap().owner, dev.id);
}

#[tokio::test]
async fn a2_only_the_receiver_takes_an_app_and_nobody_learns_which_addresses_have_accounts() {
    let app = TestApp::start().await;
    let (dev, _, client) = start(&app).await;
    let giver = app.signed_in(&dev).await;
    let to_nobody = [("to", "person"), ("email", "nobody@example.com")];
    let of_nobody = ask(&giver, &client.app, &to_nobody).await;
    let of_eve = ask(&giver, &client.app, &TO_EVE).await;
    assert_eq!(of_nobody.location(), of_eve.location());
    let mallory = app.add_user("mallory", &[Role::Developer]).await;
    let other = app.signed_in(&mallory).await;
    for decision in ["accept", "decline"] {
        let answer = take(&other, &client.app, &[("decision", decision)]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let own = take(&giver, &client.app, &[("decision", decision)]).await;
        assert_eq!(own.status, StatusCode::NOT_FOUND, "the giver does not accept for others");
    }
    // An address that anybody could have typed takes nothing where mail could have proven it.
    app.change_policy(|policy| policy.accounts.sends_mail = true);
    let eve = app.write(async |tx| store::users::find_by_email(tx, "eve@example.com").await).await;
    let taker = app.signed_in(&eve.unwrap()).await;
    let answer = take(&taker, &client.app, &[("decision", "accept")]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_receiver_is_told_by_mail_if_there_is_one() {
    let app = TestApp::start_with(|policy| policy.accounts.sends_mail = true).await;
    let (dev, _, client) = start(&app).await;
    let giver = app.signed_in(&dev).await;
    ask(&giver, &client.app, &[("to", "person"), ("email", "nobody@example.com")]).await;
    ask(&giver, &client.app, &TO_EVE).await;
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let letters = mailbox.letters();
    let to: Vec<_> = letters.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!(to, ["eve@example.com"]);
    assert!(letters[0].text.contains(&format!("/transfers/{}", client.app.id)));
}

#[tokio::test]
async fn an_app_goes_to_a_team_when_an_owner_of_it_accepts() {
    let app = TestApp::start().await;
    let (dev, eve, client) = start(&app).await;
    let team = make_team(&app, &eve, "Night Desk").await;
    add_member(&app, &team, &dev, TeamRole::Member).await;
    let (giver, taker) = (app.signed_in(&dev).await, app.signed_in(&eve).await);
    let id = team.id.to_string();
    ask(&giver, &client.app, &[("to", &id)]).await;
    let accept = [("decision", "accept")];
    assert_eq!(take(&giver, &client.app, &accept).await.status, StatusCode::NOT_FOUND);
    take(&taker, &client.app, &accept).await;
    let given = find_app(&app, client.app.id).await.unwrap();
    assert_eq!((given.team, given.publisher.as_str()), (Some(team.id), "Night Desk"));
    let page = giver.get(&format!("/apps/{}", client.app.id)).await;
    assert_eq!(page.status, StatusCode::OK, "the giver is a member of that team");
    let foreign = make_team(&app, &eve, "Other Desk").await.id.to_string();
    let (own, _) = (app.add_app("own", AppKind::Web, |_| {}).await, ());
    let wrong = ask(&giver, &own.app, &[("to", &foreign)]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("Choose a team that you are in."), "{}", wrong.text());
}

#[tokio::test]
async fn a_person_takes_an_app_into_their_team() {
    let app = TestApp::start().await;
    let (dev, eve, client) = start(&app).await;
    let team = make_team(&app, &eve, "Night Desk").await;
    ask(&app.signed_in(&dev).await, &client.app, &TO_EVE).await;
    let id = team.id.to_string();
    let taker = app.signed_in(&eve).await;
    take(&taker, &client.app, &[("decision", "accept"), ("into", &id)]).await;
    let given = find_app(&app, client.app.id).await.unwrap();
    assert_eq!((given.team, given.owner), (Some(team.id), eve.id));
}

#[tokio::test]
async fn an_offer_of_somebody_who_may_not_give_the_app_away_any_more_is_over() {
    let app = TestApp::start().await;
    let (dev, eve, _) = start(&app).await;
    let cat = app.add_user("cat", &[Role::Developer]).await;
    let team = make_team(&app, &cat, "Night Desk").await;
    add_member(&app, &team, &dev, TeamRole::Owner).await;
    let shared = add_team_app(&app, &team, &cat).await;
    let giver = app.signed_in(&dev).await;
    ask(&giver, &shared, &TO_EVE).await;
    submit(&giver, &format!("/teams/{}/leave", team.id), &[]).await;
    let taker = app.signed_in(&eve).await;
    let answer = take(&taker, &shared, &[("decision", "accept")]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_suspended_app_stays_where_it_is() {
    let app = TestApp::start().await;
    let (dev, eve, client) = start(&app).await;
    let giver = app.signed_in(&dev).await;
    ask(&giver, &client.app, &TO_EVE).await;
    let now = app.provider.now();
    app.save_app(client.app.clone().suspend("Phishing".to_owned(), now).unwrap()).await;
    let taker = app.signed_in(&eve).await;
    let accepted = take(&taker, &client.app, &[("decision", "accept")]).await;
    assert_eq!(accepted.status, StatusCode::CONFLICT);
    assert_eq!(ask(&giver, &client.app, &TO_EVE).await.status, StatusCode::CONFLICT);
    assert_eq!(find_app(&app, client.app.id).await.unwrap().owner, dev.id);
}

#[tokio::test]
async fn webhooks_of_the_giver_are_paused_and_whoever_takes_the_app_reads_so_before() {
    let app = TestApp::start().await;
    let (dev, eve, client) = start(&app).await;
    let (giver, taker) = (app.signed_in(&dev).await, app.signed_in(&eve).await);
    let path = format!("/apps/{}/webhooks", client.app.id);
    let hook = [("url", "https://giver.example.com/hooks"), ("event", "grant.revoked")];
    assert_eq!(submit(&giver, &path, &hook).await.status, StatusCode::OK);
    ask(&giver, &client.app, &TO_EVE).await;
    let page = taker.get(&format!("/transfers/{}", client.app.id)).await.text();
    assert!(page.contains("1 webhook leads to servers of"), "{page}");
    take(&taker, &client.app, &[("decision", "accept")]).await;
    let id = client.app.id;
    let found = async move |tx: &mut store::Tx<'_>| store::webhooks::list_of_app(tx, id).await;
    let endpoints = app.write(found).await;
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoints[0].status, domain::webhook::EndpointStatus::Paused);
}
