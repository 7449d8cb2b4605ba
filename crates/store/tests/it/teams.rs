//! Teams, invitations, transfers and logos come back as they were stored, on both databases.

use std::time::Duration;

use domain::app::App;
use domain::id::{AppId, InvitationId, LogoId, TeamId};
use domain::team::{INVITATION_LIFETIME, Invitation, Member, Owner, Team, TeamRole};
use domain::time::Timestamp;
use domain::transfer::{Receiver, TRANSFER_LIFETIME, Transfer};
use store::testing::TestDb;
use store::{DbError, Tx, app_logos, apps, on_both, teams, transfers, users};

use crate::support::{LATER, NOW, app, entropy, tx, user};

const TEAM: TeamId = TeamId::from_bytes([1; 16]);
const NEWEST: (Timestamp, AppId) = (Timestamp::from_millis(i64::MAX), AppId::from_bytes([0; 16]));

fn team(name: &str) -> Team {
    Team { id: TEAM, name: name.to_owned(), created_at: NOW }
}

on_both! {
    async fn a_team_comes_back_with_its_people(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(1);
        let (ann, ben) = (user(&*entropy, "ann@example.com"), user(&*entropy, "ben@example.com"));
        let member = |user_id, role, since| Member { team_id: TEAM, user_id, role, since };
        let members = vec![
            member(ann.id, TeamRole::Owner, NOW),
            member(ben.id, TeamRole::Member, LATER),
        ];
        let (people, rows) = ([ann.clone(), ben.clone()], members.clone());
        tx!(db, async move |tx| {
            for person in &people {
                users::insert(tx, person).await?;
            }
            teams::insert(tx, &team("Nacht ☾ Desk")).await?;
            for member in &rows {
                assert!(teams::insert_member(tx, member).await?);
                assert!(!teams::insert_member(tx, member).await?);
            }
        });
        assert_eq!(tx!(db, async move |tx| { teams::list_members(tx, TEAM).await? }), members);
        let of_ben = tx!(db, async move |tx| { teams::list_of_user(tx, ben.id).await? });
        assert_eq!(of_ben, [(team("Nacht ☾ Desk"), TeamRole::Member)]);
        tx!(db, async move |tx| {
            teams::save_role(tx, TEAM, ben.id, TeamRole::Owner).await?;
            teams::delete_member(tx, TEAM, ann.id).await?;
            teams::save_name(tx, TEAM, "Desk").await?;
        });
        let role = async move |tx: &mut Tx<'_>| teams::role_of(tx, TEAM, ben.id).await;
        assert_eq!(db.read(role).await.unwrap(), Some(TeamRole::Owner));
        let role = async move |tx: &mut Tx<'_>| teams::role_of(tx, TEAM, ann.id).await;
        assert_eq!(db.read(role).await.unwrap(), None);
        let found = tx!(db, async move |tx| { teams::find(tx, TEAM).await? });
        assert_eq!(found, Some(team("Desk")));
        tx!(db, async move |tx| { teams::delete(tx, TEAM).await? });
        assert_eq!(tx!(db, async move |tx| { teams::find(tx, TEAM).await? }), None);
        assert_eq!(tx!(db, async move |tx| { teams::list_members(tx, TEAM).await? }), []);
    }

    async fn an_invitation_is_there_once_for_an_address_until_it_was_answered(database: TestDb) {
        let db = database.open().await;
        let ann = user(&*entropy(1), "ann@example.com");
        let invite = |n: u8, role| Invitation::new(
            InvitationId::from_bytes([n; 16]), TEAM, ("Ben@Example.com", role), ann.id, NOW,
        );
        let (first, second) = (invite(1, TeamRole::Member), invite(2, TeamRole::Owner));
        let (rows, person) = ([first.clone(), second.clone()], ann.clone());
        tx!(db, async move |tx| {
            users::insert(tx, &person).await?;
            teams::insert(tx, &team("Desk")).await?;
            for row in &rows {
                teams::invite(tx, row).await?;
            }
        });
        let listed = tx!(db, async move |tx| { teams::list_invitations(tx, TEAM).await? });
        assert_eq!(listed, vec![second.clone()]);
        let to = |now| async move |tx: &mut Tx<'_>| {
            teams::list_invitations_to(tx, "ben@example.com", now, 9).await
        };
        let told = (second.clone(), "Desk".to_owned(), ann.name);
        assert_eq!(db.read(to(NOW)).await.unwrap(), [told]);
        let over = NOW.after(INVITATION_LIFETIME);
        assert_eq!(db.read(to(over)).await.unwrap(), []);
        let find = async move |tx: &mut Tx<'_>| teams::find_invitation(tx, first.id).await;
        assert_eq!(db.read(find).await.unwrap(), None);
        assert_eq!(tx!(db, async move |tx| { teams::sweep(tx, LATER, 9).await? }), 0);
        assert!(tx!(db, async move |tx| { teams::end_invitation(tx, second.id).await? }));
        assert!(!tx!(db, async move |tx| { teams::end_invitation(tx, second.id).await? }));
        let third = invite(3, TeamRole::Member);
        tx!(db, async move |tx| { teams::invite(tx, &third).await? });
        assert_eq!(tx!(db, async move |tx| { teams::sweep(tx, over, 9).await? }), 1);
    }

    async fn apps_are_a_persons_or_a_teams_and_are_read_by_pages(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(1);
        let (ann, ben) = (user(&*entropy, "ann@example.com"), user(&*entropy, "ben@example.com"));
        let at = |n: u64| NOW.after(Duration::from_secs(n));
        let own = |n| App { created_at: at(n), ..app(&*entropy, &ann, &format!("own-{n}")) };
        let of_team = |n| App {
            created_at: at(n), team: Some(TEAM), ..app(&*entropy, &ann, &format!("team-{n}"))
        };
        let rows = [own(1), of_team(2), own(3), of_team(4), own(5)];
        let (people, stored) = ([ann.clone(), ben.clone()], rows.clone());
        tx!(db, async move |tx| {
            for person in &people {
                users::insert(tx, person).await?;
            }
            teams::insert(tx, &team("Desk")).await?;
            for row in &stored {
                assert!(apps::insert(tx, row).await?);
            }
        });
        let names = |apps: Vec<App>| apps.into_iter().map(|app| app.client_id).collect::<Vec<_>>();
        let list = |owner, before, limit| async move |tx: &mut Tx<'_>| {
            apps::list_of(tx, owner, before, limit).await
        };
        let person = Owner::User(ann.id);
        let page = db.read(list(person, NEWEST, 2)).await.unwrap();
        assert_eq!(names(page.clone()), ["own-5", "own-3"]);
        let rest = db.read(list(person, (page[1].created_at, page[1].id), 2)).await.unwrap();
        assert_eq!(names(rest), ["own-1"]);
        let of_team = Owner::Team(TEAM);
        let found = db.read(list(of_team, NEWEST, 9)).await.unwrap();
        assert_eq!(names(found), ["team-4", "team-2"]);
        for (owner, count) in [(person, 3), (of_team, 2), (Owner::User(ben.id), 0)] {
            assert_eq!(tx!(db, async move |tx| { apps::count_of(tx, owner).await? }), count);
        }
        for (id, count) in [(ann.id, 3), (ben.id, 0)] {
            assert_eq!(tx!(db, async move |tx| { apps::count_for(tx, id).await? }), count);
        }
        let passed = tx!(db, async move |tx| {
            teams::pass_on_apps(tx, TEAM, ann.id, ben.id).await?
        });
        assert_eq!(passed.len(), 2);
        let refused = db.write(async |tx: &mut Tx<'_>| teams::delete(tx, TEAM).await).await;
        assert!(refused.is_err(), "a team that has apps stays");
        let given = App { owner: ben.id, team: None, ..rows[1].clone() };
        tx!(db, async move |tx| { apps::save_owner(tx, &given).await? });
        let of_ben = Owner::User(ben.id);
        assert_eq!(tx!(db, async move |tx| { apps::count_of(tx, of_ben).await? }), 1);
        let (mine, teams_app) = (rows[0].clone(), rows[3].clone());
        tx!(db, async move |tx| {
            let owner = Member { team_id: TEAM, user_id: ben.id, role: TeamRole::Owner, since: NOW };
            teams::insert_member(tx, &owner).await?;
            assert_eq!(apps::count_for(tx, ben.id).await?, 2, "their own and the team's");
            assert_eq!(teams::role_for(tx, &mine, ann.id).await?, Some(TeamRole::Owner));
            assert_eq!(teams::role_for(tx, &mine, ben.id).await?, None);
            assert_eq!(teams::role_for(tx, &teams_app, ben.id).await?, Some(TeamRole::Owner));
            // Answering for an app of a team without being in it gives no right.
            assert_eq!(teams::role_for(tx, &teams_app, ann.id).await?, None);
        });
    }

    async fn an_app_is_promised_to_one_receiver_at_a_time(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(1);
        let ann = user(&*entropy, "ann@example.com");
        let bot = app(&*entropy, &ann, "bot");
        let id = bot.id;
        let to_ben = Transfer::new(id, ann.id, Receiver::person(" Ben@Example.com"), NOW);
        let to_team = Transfer::new(id, ann.id, Receiver::Team(TEAM), LATER);
        let rows = [to_ben, to_team.clone()];
        tx!(db, async move |tx| {
            users::insert(tx, &ann).await?;
            teams::insert(tx, &team("Desk")).await?;
            assert!(apps::insert(tx, &bot).await?);
            transfers::ask(tx, &rows[0]).await?;
            let told = transfers::list_to_address(tx, "ben@example.com", NOW, 9).await?;
            assert_eq!(told, [(id, "Trading Bot".to_owned())]);
            assert_eq!(transfers::find(tx, id).await?, Some(rows[0].clone()));
            transfers::ask(tx, &rows[1]).await?;
            assert_eq!(transfers::list_to_address(tx, "ben@example.com", NOW, 9).await?, []);
        });
        assert_eq!(tx!(db, async move |tx| { transfers::find(tx, id).await? }), Some(to_team));
        let over = LATER.after(TRANSFER_LIFETIME);
        tx!(db, async move |tx| {
            assert_eq!(transfers::list_to_team(tx, TEAM, LATER, 9).await?.len(), 1);
            assert_eq!(transfers::list_to_team(tx, TEAM, over, 9).await?, []);
            assert_eq!(teams::sweep(tx, LATER, 9).await?, 0);
            assert_eq!(teams::sweep(tx, over, 9).await?, 1);
            assert!(!transfers::delete(tx, id).await?);
        });
    }

    async fn a_logo_stays_while_the_app_has_it_or_wants_it(database: TestDb) {
        let db = database.open().await;
        let entropy = entropy(1);
        let ann = user(&*entropy, "ann@example.com");
        let logo = |n: u8| LogoId::from_bytes([n; 16]);
        let bot = app(&*entropy, &ann, "bot");
        let bot = App { logo: Some(logo(1)), ..bot };
        let wants = domain::revision::Revision { logo: Some(logo(2)), ..bot.revision() };
        let bot = App { proposed: Some(wants), ..bot };
        let stored = bot.clone();
        tx!(db, async move |tx| {
            users::insert(tx, &ann).await?;
            assert!(apps::insert(tx, &stored).await?);
            for n in [1, 2, 3, 3] {
                app_logos::insert(tx, logo(n), stored.id, &[n, 0, 255]).await?;
            }
            app_logos::delete_unused(tx, &stored).await?;
        });
        for (n, png) in [(1, Some(vec![1, 0, 255])), (2, Some(vec![2, 0, 255])), (3, None)] {
            assert_eq!(tx!(db, async move |tx| { app_logos::find(tx, logo(n)).await? }), png);
        }
        let id = bot.id;
        let found = tx!(db, async move |tx| { apps::find(tx, id).await? });
        assert_eq!(format!("{found:?}"), format!("{:?}", Some(bot)));
        tx!(db, async move |tx| { apps::delete(tx, id).await? });
        assert_eq!(tx!(db, async move |tx| { app_logos::find(tx, logo(1)).await? }), None);
    }
}
