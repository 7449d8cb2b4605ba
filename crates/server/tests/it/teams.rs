//! Teams: people who look after the same apps, how they join and how they go.

use std::time::Duration;

use domain::app::App;
use domain::audit::AuditKind;
use domain::id::{AppId, TeamId};
use domain::policy::Developers;
use domain::team::{Invitation, Team, TeamRole};
use domain::user::{Role, User};
use http::StatusCode;
use store::Tx;
use testkit::Mailbox;

use crate::forms::{assert_done, find_app, submit};
use crate::harness::{Browser, TestApp};

/// Make a team through its form.
pub(crate) async fn make_team(app: &TestApp, owner: &User, name: &str) -> Team {
    let browser = app.signed_in(owner).await;
    let answer = submit(&browser, "/teams/new", &[("name", name)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    let id: TeamId = answer.location()[7..39].parse().unwrap();
    app.write(async move |tx: &mut Tx<'_>| store::teams::find(tx, id).await).await.unwrap()
}

pub(crate) async fn add_member(app: &TestApp, team: &Team, user: &User, role: TeamRole) {
    let member = domain::team::Member {
        team_id: team.id,
        user_id: user.id,
        role,
        since: app.provider.now(),
    };
    let insert = async move |tx: &mut Tx<'_>| store::teams::insert_member(tx, &member).await;
    assert!(app.write(insert).await);
}

/// An app that belongs to the team, for which `owner` answers.
pub(crate) async fn add_team_app(app: &TestApp, team: &Team, owner: &User) -> App {
    let id = AppId::random(&*app.entropy);
    let made =
        crate::fixtures::app(id, &format!("of-{}", team.name), domain::app::AppKind::Web, owner);
    let made = App { team: Some(team.id), publisher: team.name.clone(), ..made };
    let stored = made.clone();
    let insert = async move |tx: &mut Tx<'_>| store::apps::insert(tx, &stored).await;
    assert!(app.write(insert).await);
    made
}

async fn invitations(app: &TestApp, team: &Team) -> Vec<Invitation> {
    let id = team.id;
    app.write(async move |tx: &mut Tx<'_>| store::teams::list_invitations(tx, id).await).await
}

async fn roles(app: &TestApp, team: &Team) -> Vec<TeamRole> {
    let id = team.id;
    let list = async move |tx: &mut Tx<'_>| store::teams::list_members(tx, id).await;
    let mut roles: Vec<_> = app.write(list).await.into_iter().map(|member| member.role).collect();
    roles.sort_unstable();
    roles
}

async fn three(app: &TestApp) -> [User; 3] {
    let dev = &[Role::Developer];
    [app.add_user("ann", dev).await, app.add_user("ben", dev).await, app.add_user("cat", dev).await]
}

async fn invite(app: &TestApp, team: &Team, by: &User, email: &str) -> Invitation {
    let browser = app.signed_in(by).await;
    let path = format!("/teams/{}", team.id);
    let answer = submit(&browser, &format!("{path}/invite"), &[("email", email)]).await;
    assert_done(&answer, &format!("{path}?done=invitation-sent"));
    invitations(app, team).await.pop().unwrap()
}

async fn answer(browser: &Browser<'_>, invitation: &Invitation, decision: &str) -> StatusCode {
    let id = invitation.id.to_string();
    let fields = [("invitation", &*id), ("decision", decision)];
    submit(browser, "/teams/invitation", &fields).await.status
}

#[tokio::test]
async fn whoever_is_invited_joins_once_and_may_change_the_teams_apps() {
    let app = TestApp::start().await;
    let [ann, ben, _] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    let shared = add_team_app(&app, &team, &ann).await;
    let browser = app.signed_in(&ben).await;
    let path = format!("/apps/{}", shared.id);
    assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
    let invitation = invite(&app, &team, &ann, " BEN@example.com").await;
    let page = browser.get("/teams").await.text();
    assert!(page.contains("Night Desk") && page.contains("ann invites you as a member"), "{page}");
    assert_eq!(answer(&browser, &invitation, "accept").await, StatusCode::SEE_OTHER);
    assert_eq!(answer(&browser, &invitation, "accept").await, StatusCode::NOT_FOUND);
    assert_eq!(roles(&app, &team).await, [TeamRole::Member, TeamRole::Owner]);
    assert_eq!(browser.get(&path).await.status, StatusCode::OK);
    let fields = [("name", "The of-Night Desk"), ("description", "Ben was here.")];
    submit(&browser, &format!("{path}/details"), &fields).await;
    assert_eq!(find_app(&app, shared.id).await.unwrap().description, "Ben was here.");
    assert!(browser.get("/apps").await.text().contains(&shared.name));
    let audited = app.audited().await;
    let expected =
        [AuditKind::TeamCreated, AuditKind::TeamMemberInvited, AuditKind::TeamMemberJoined];
    assert!(expected.iter().all(|kind| audited.contains(kind)), "{audited:?}");
}

#[tokio::test]
async fn an_invitation_by_mail_works_once_for_the_account_of_its_address() {
    let app = TestApp::start_with(|policy| policy.accounts.sends_mail = true).await;
    let [ann, ben, cat] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    let invitation = invite(&app, &team, &ann, "ben@example.com").await;
    let mailbox = Mailbox::default();
    app.deliver(&mailbox).await;
    let letter = mailbox.letters().pop().unwrap();
    assert_eq!(letter.to, "ben@example.com");
    assert_eq!(letter.subject, "ann invites you to the team Night Desk");
    let link = letter.text.lines().find(|line| line.contains("/teams/invitation")).unwrap();
    let path = link.strip_prefix(crate::harness::ISSUER).unwrap();
    // The account of the address is not confirmed: only the link proves who reads its mail.
    let browser = app.signed_in(&ben).await;
    assert!(browser.get("/teams").await.text().contains("id=\"confirm-address\""));
    assert_eq!(answer(&browser, &invitation, "accept").await, StatusCode::NOT_FOUND);
    let others = app.signed_in(&cat).await;
    assert_eq!(others.get(path).await.status, StatusCode::FORBIDDEN, "the link was passed on");
    let page = browser.get(path).await;
    assert_eq!(page.status, StatusCode::OK);
    let (link, id) = (page.hidden("link"), page.hidden("invitation"));
    let fields = [("link", &*link), ("invitation", &*id), ("decision", "accept")];
    assert_eq!(submit(&others, "/teams/invitation", &fields).await.status, StatusCode::FORBIDDEN);
    let joined = submit(&browser, "/teams/invitation", &fields).await;
    assert_done(&joined, &format!("/teams/{}?done=team-joined", team.id));
    assert_eq!(submit(&browser, "/teams/invitation", &fields).await.status, StatusCode::GONE);
    assert_eq!(browser.get(path).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn an_invitation_that_is_declined_taken_back_or_late_opens_nothing() {
    let app = TestApp::start().await;
    let [ann, ben, _] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    let browser = app.signed_in(&ben).await;
    let declined = invite(&app, &team, &ann, "ben@example.com").await;
    assert_eq!(answer(&browser, &declined, "decline").await, StatusCode::SEE_OTHER);
    assert_eq!(answer(&browser, &declined, "accept").await, StatusCode::NOT_FOUND);
    let ended = invite(&app, &team, &ann, "ben@example.com").await;
    let path = format!("/teams/{}", team.id);
    let id = ended.id.to_string();
    let back = [("invitation", &*id)];
    let owner = app.signed_in(&ann).await;
    submit(&owner, &format!("{path}/invitations/end"), &back).await;
    assert_eq!(answer(&browser, &ended, "accept").await, StatusCode::NOT_FOUND);
    let late = invite(&app, &team, &ann, "ben@example.com").await;
    app.clock.advance(Duration::from_secs(8 * 24 * 3600));
    let browser = app.signed_in(&ben).await;
    assert_eq!(answer(&browser, &late, "accept").await, StatusCode::NOT_FOUND);
    assert_eq!(roles(&app, &team).await, [TeamRole::Owner]);
}

#[tokio::test]
async fn joining_a_team_makes_nobody_a_developer_whom_the_operator_did_not_admit() {
    let app = TestApp::start().await;
    let [ann, ..] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    let alice = app.add_user("alice", &[]).await;
    let invitation = invite(&app, &team, &ann, "alice@example.com").await;
    let browser = app.signed_in(&alice).await;
    assert_eq!(answer(&browser, &invitation, "accept").await, StatusCode::FORBIDDEN);
    app.change_policy(|policy| policy.accounts.developers = Developers::Anyone);
    assert_eq!(answer(&browser, &invitation, "accept").await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a2_another_teams_apps_and_people_do_not_exist() {
    let app = TestApp::start().await;
    let [ann, _, cat] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    let shared = add_team_app(&app, &team, &ann).await;
    let browser = app.signed_in(&cat).await;
    for path in [
        format!("/teams/{}", team.id),
        format!("/apps/{}", shared.id),
        format!("/apps/{}/team", shared.id),
    ] {
        assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for (path, field) in [
        (format!("/teams/{}/rename", team.id), ("name", "Mine")),
        (format!("/teams/{}/invite", team.id), ("email", "cat@example.com")),
        (format!("/apps/{}/secrets", shared.id), ("x", "y")),
    ] {
        assert_eq!(submit(&browser, &path, &[field]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let page = browser.get(&format!("/apps?in={}", team.id)).await;
    assert!(!page.text().contains("Night Desk"), "{}", page.text());
}

#[tokio::test]
async fn a_member_neither_deletes_an_app_nor_gives_it_away_nor_sends_anybody_out() {
    let app = TestApp::start().await;
    let [ann, ben, cat] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    add_member(&app, &team, &ben, TeamRole::Member).await;
    add_member(&app, &team, &cat, TeamRole::Member).await;
    let shared = add_team_app(&app, &team, &ann).await;
    let browser = app.signed_in(&ben).await;
    let (of_app, of_team) = (format!("/apps/{}", shared.id), format!("/teams/{}", team.id));
    let cat_id = cat.id.to_string();
    for (path, fields) in [
        (format!("{of_app}/delete"), vec![("confirm", &*shared.name)]),
        (format!("{of_app}/transfer"), vec![("to", "person"), ("email", "ben@example.com")]),
        (format!("{of_team}/members/remove"), vec![("user", &*cat_id)]),
        (format!("{of_team}/members/role"), vec![("user", &*cat_id), ("role", "owner")]),
        (format!("{of_team}/invite"), vec![("email", "new@example.com")]),
        (format!("{of_team}/delete"), vec![]),
    ] {
        let answer = submit(&browser, &path, &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    let page = browser.get(&of_team).await.text();
    assert!(!page.contains("name=\"remove\"") && page.contains("name=\"leave\""), "{page}");
    let page = browser.get(&format!("{of_app}/team")).await.text();
    assert!(page.contains("id=\"only-owners\""), "{page}");
    let page = app.signed_in(&ann).await.get(&format!("{of_app}/delete")).await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_leaves_or_is_sent_out_changes_nothing_from_the_next_request_on() {
    let app = TestApp::start().await;
    let [ann, ben, cat] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    add_member(&app, &team, &ben, TeamRole::Owner).await;
    add_member(&app, &team, &cat, TeamRole::Member).await;
    let shared = add_team_app(&app, &team, &ann).await;
    let path = format!("/teams/{}", team.id);
    let (owner, member) = (app.signed_in(&ben).await, app.signed_in(&cat).await);
    let cat_id = cat.id.to_string();
    let out = submit(&owner, &format!("{path}/members/remove"), &[("user", &*cat_id)]).await;
    assert_done(&out, &format!("{path}?done=member-removed"));
    let of_app = format!("/apps/{}", shared.id);
    assert_eq!(member.get(&of_app).await.status, StatusCode::NOT_FOUND);
    assert_eq!(member.get(&path).await.status, StatusCode::NOT_FOUND);
    let first = app.signed_in(&ann).await;
    let left = submit(&first, &format!("{path}/leave"), &[]).await;
    assert_done(&left, "/teams?done=team-left");
    assert_eq!(first.get(&of_app).await.status, StatusCode::NOT_FOUND);
    assert_eq!(find_app(&app, shared.id).await.unwrap().owner, ben.id, "an owner answers for it");
    let last = submit(&owner, &format!("{path}/leave"), &[]).await;
    assert_eq!(last.status, StatusCode::CONFLICT);
    assert!(last.text().contains("keeps at least one owner"), "{}", last.text());
    let ben_id = ben.id.to_string();
    let role = [("user", &*ben_id), ("role", "member")];
    let answer = submit(&owner, &format!("{path}/members/role"), &role).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_team_is_deleted_once_it_has_no_apps() {
    let app = TestApp::start().await;
    let [ann, ..] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    let shared = add_team_app(&app, &team, &ann).await;
    let (browser, path) = (app.signed_in(&ann).await, format!("/teams/{}", team.id));
    let refused = submit(&browser, &format!("{path}/delete"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let gone =
        submit(&browser, &format!("/apps/{}/delete", shared.id), &[("confirm", &*shared.name)])
            .await;
    assert_done(&gone, "/apps?done=app-deleted");
    let deleted = submit(&browser, &format!("{path}/delete"), &[]).await;
    assert_done(&deleted, "/teams?done=team-deleted");
    assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_teams_name_is_its_apps_publisher_and_no_imitation_of_ours() {
    let app = TestApp::start().await;
    let [ann, ..] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    let shared = add_team_app(&app, &team, &ann).await;
    let (browser, path) = (app.signed_in(&ann).await, format!("/teams/{}/rename", team.id));
    for name in ["ab", "Test Exchange Support"] {
        let wrong = submit(&browser, &path, &[("name", name)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        let page = wrong.text();
        assert!(page.contains("id=\"name-error\"") && page.contains(&format!("value=\"{name}\"")));
    }
    let saved = submit(&browser, &path, &[("name", "Day Desk")]).await;
    assert_done(&saved, &format!("/teams/{}?done=team-saved", team.id));
    let published = find_app(&app, shared.id).await.unwrap();
    assert_eq!(published.publisher, "Day Desk");
    assert!(published.is_live());
}

#[tokio::test]
async fn a_wrong_address_is_shown_again_and_somebody_of_the_team_is_not_invited() {
    let app = TestApp::start().await;
    let [ann, ben, _] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    add_member(&app, &team, &ben, TeamRole::Member).await;
    let (browser, path) = (app.signed_in(&ann).await, format!("/teams/{}/invite", team.id));
    for (email, why) in [
        ("nobody", "That is not an e-mail address."),
        ("ben@example.com", "This person is in the team."),
    ] {
        let again = submit(&browser, &path, &[("email", email), ("role", "owner")]).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "{email}");
        let page = again.text();
        assert!(page.contains(why) && page.contains(&format!("value=\"{email}\"")), "{page}");
        assert!(page.contains("id=\"role-owner\" name=\"role\" value=\"owner\" checked"), "{page}");
    }
    assert!(invitations(&app, &team).await.is_empty());
}

#[tokio::test]
async fn nobody_reviews_an_app_of_their_own_team() {
    let app = TestApp::start().await;
    let [ann, ..] = three(&app).await;
    let rita = app.add_user("rita", &[Role::Developer, Role::Reviewer]).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    add_member(&app, &team, &rita, TeamRole::Member).await;
    let shared = add_team_app(&app, &team, &ann).await;
    let waiting = App { status: domain::app::AppStatus::InReview, ..shared.clone() };
    app.save_app(waiting).await;
    let browser = app.signed_in(&rita).await;
    let path = format!("/staff/review/{}", shared.id);
    let answer = submit(&browser, &path, &[("decision", "approve")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains("Somebody else has to decide"), "{}", answer.text());
}

#[tokio::test]
async fn who_is_in_a_team_is_changed_by_owners_who_have_just_proven_who_they_are() {
    let app = TestApp::start().await;
    let [ann, ben, _] = three(&app).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    add_member(&app, &team, &ben, TeamRole::Member).await;
    let browser = app.signed_in(&ann).await;
    app.clock.advance(Duration::from_secs(3600));
    let (path, ben) = (format!("/teams/{}", team.id), ben.id.to_string());
    let invited = [("email", "cat+1@example.com"), ("role", "owner")];
    let role = [("user", &*ben), ("role", "owner")];
    for (below, fields) in
        [("invite", &invited[..]), ("members/role", &role), ("members/remove", &role[..1])]
    {
        let answer = submit(&browser, &format!("{path}/{below}"), fields).await;
        assert!(answer.location().starts_with("/sign-in?again=yes&continue="), "{answer:?}");
        let back = answer.redirected("continue").unwrap();
        let page = browser.get(&back).await.text();
        let is_kept = page.contains("value=\"cat+1@example.com\"");
        assert_eq!(is_kept, below == "invite", "{page}");
    }
    assert!(invitations(&app, &team).await.is_empty());
    assert_eq!(roles(&app, &team).await, [TeamRole::Member, TeamRole::Owner]);
}
