//! Who hears what about an app: developers, staff and users by mail, servers by webhook.

use super::*;

/// What waits to be mailed: to whom, and what, oldest first.
async fn mails(world: &World) -> Vec<(String, &'static str)> {
    let mut queued = world.app.queued().await;
    queued.reverse();
    queued.into_iter().map(|mail| (mail.address, mail.kind.name())).collect()
}

fn mail(address: &str, kind: &'static str) -> (String, &'static str) {
    (format!("{address}@example.com"), kind)
}

#[tokio::test]
async fn a_suspension_is_told_to_developers_users_and_servers_and_nobody_has_to_do_anything() {
    let world = World::start().await;
    world.connect().await;
    world.send().await;
    let before = mails(&world).await.len();
    let staff = world.app.add_user("robin", &[Role::Reviewer]).await;
    let browser = world.app.signed_in(&staff).await;
    let path = |step: &str| format!("/staff/apps/{}/{step}", world.client.app.id);
    submit(&browser, &path("suspend"), &[("reason", "It spams.")]).await;
    assert_eq!(world.send().await[0].kind(), "app.suspended");
    assert_eq!(mails(&world).await[before..], [mail("dev", "app_suspended")]);
    let tell = async || server::app_news::tell_users_of_suspensions(&world.app.provider).await;
    tell().await.unwrap();
    tell().await.unwrap();
    let told = [mail("dev", "app_suspended"), mail("alice", "app_unavailable")];
    assert_eq!(mails(&world).await[before..], told, "once");
    submit(&browser, &path("resume"), &[("reason", "It stopped.")]).await;
    assert_eq!(world.send().await[0].kind(), "app.resumed");
    assert_eq!(mails(&world).await[before + 2..], [mail("dev", "app_resumed")]);
}

#[tokio::test]
async fn users_are_not_told_of_a_suspension_that_is_over() {
    let world = World::start().await;
    world.connect().await;
    let before = mails(&world).await.len();
    let staff = world.app.add_user("robin", &[Role::Reviewer]).await;
    let browser = world.app.signed_in(&staff).await;
    for step in ["suspend", "resume"] {
        let path = format!("/staff/apps/{}/{step}", world.client.app.id);
        submit(&browser, &path, &[("reason", "A mistake.")]).await;
    }
    server::app_news::tell_users_of_suspensions(&world.app.provider).await.unwrap();
    let told = [mail("dev", "app_suspended"), mail("dev", "app_resumed")];
    assert_eq!(mails(&world).await[before..], told);
}

#[tokio::test]
async fn the_developer_is_told_a_week_and_a_day_before_a_secret_ends() {
    let world = World::start().await;
    let (app, until) =
        (world.client.app.id, world.app.provider.now().after(Duration::from_secs(30 * 86_400)));
    let sql = "UPDATE client_secrets SET expires_at = $2 WHERE app_id = $1 AND mode = 'live'";
    world
        .app
        .write(async move |tx: &mut Tx<'_>| tx.execute(sql, store::bind![app, until]).await)
        .await;
    let remind = async || {
        server::app_news::remind_of_secrets(&world.app.provider).await.unwrap();
        server::app_news::remind_of_secrets(&world.app.provider).await.unwrap();
        world.send().await.iter().map(Received::json).collect::<Vec<_>>()
    };
    assert_eq!(remind().await.len(), 0);
    for days in [24, 5] {
        world.app.clock.advance(Duration::from_secs(days * 86_400));
        let told = remind().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["type"], "secret.expiring");
        assert_eq!(told[0]["data"]["ends_with"], "test");
        assert_eq!(told[0]["data"]["expires_at"], "2026-05-02T09:00:00.000Z");
    }
    let told = [mail("dev", "secret_expiring"), mail("dev", "secret_expiring")];
    assert_eq!(mails(&world).await, told);
    world.app.clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(remind().await.len(), 0, "it has ended");
}

#[tokio::test]
async fn staff_hear_of_questions_and_developers_of_answers() {
    let world = World::silent().await;
    let (dev, id) = (world.developer().await, world.client.app.id);
    let asked = submit(&dev, &format!("/apps/{id}/messages"), &[("message", "May I?")]).await;
    assert_eq!(asked.status, 303, "{}", asked.text());
    let staff = world.app.add_user("robin", &[Role::Reviewer]).await;
    let browser = world.app.signed_in(&staff).await;
    submit(&browser, &format!("/staff/apps/{id}/messages"), &[("message", "Yes.")]).await;
    let told = [mail("reviews", "developer_wrote"), mail("dev", "staff_wrote")];
    assert_eq!(mails(&world).await, told);
}

#[tokio::test]
async fn a_change_that_waits_is_told_to_staff_once_and_the_decision_to_the_developer() {
    let world = World::start().await;
    let (dev, id) = (world.developer().await, world.client.app.id);
    for uri in ["https://bot.example.com/a", "https://bot.example.com/b"] {
        let saved =
            submit(&dev, &format!("/apps/{id}/redirect-uris"), &[("redirect_uris", uri)]).await;
        assert_eq!(saved.status, 303, "{}", saved.text());
        world.app.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(mails(&world).await, [mail("reviews", "app_submitted")]);
    let staff = world.app.add_user("robin", &[Role::Reviewer]).await;
    let browser = world.app.signed_in(&staff).await;
    let page = browser.get(&format!("/staff/review/{id}")).await;
    let revision = page.hidden("revision");
    let decision = [("decision", "ask"), ("revision", &*revision), ("note", "Which of the two?")];
    let decided = submit(&browser, &format!("/staff/review/{id}"), &decision).await;
    assert_eq!(decided.status, 303, "{}", decided.text());
    assert_eq!(mails(&world).await[1..], [mail("dev", "app_decided")], "one message, not two");
    let heard = world.send().await.remove(0).json();
    assert_eq!(heard["type"], "review.decided");
    assert_eq!(heard["data"]["decision"], "changes_asked");
    assert_eq!(heard["data"]["note"], "Which of the two?");
}

#[tokio::test]
async fn a_secret_whose_end_is_put_off_is_told_of_again() {
    let world = World::start().await;
    let (id, now) = (world.client.app.id, world.app.provider.now());
    let day = Duration::from_secs(24 * 3600);
    let end_in = async |days: u32| {
        let at = now.after(day * days);
        let save = async move |tx: &mut Tx<'_>| {
            let secret = store::client_secrets::list_of_app(tx, id).await?.remove(0);
            store::client_secrets::save_end(tx, secret.id, Some(at)).await
        };
        assert!(world.app.write(save).await);
    };
    let remind = async || server::app_news::remind_of_secrets(&world.app.provider).await.unwrap();
    end_in(6).await;
    remind().await;
    remind().await;
    assert_eq!(mails(&world).await, [mail("dev", "secret_expiring")], "once");
    end_in(30).await;
    remind().await;
    world.app.clock.advance(day * 24);
    remind().await;
    assert_eq!(mails(&world).await.len(), 2, "of the new end");
}
