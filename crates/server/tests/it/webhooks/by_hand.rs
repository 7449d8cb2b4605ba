//! What people of an app ask for by hand, and what they read when a message did not get through.

use domain::audit::AuditKind;
use server::outbound::OutboundError;

use super::{World, submit};

#[tokio::test]
async fn f1_an_unknown_name_and_one_of_the_network_inside_read_alike() {
    let world = World::start().await;
    let mut told = Vec::new();
    for error in [
        OutboundError::NotAllowed("10.0.0.7".to_owned()),
        OutboundError::Unresolved("no such host".to_owned()),
    ] {
        world.servers.fail_with(error);
        world.connect().await;
        world.send().await;
        let dev = world.developer().await;
        let last = world.deliveries().await.pop().unwrap();
        let page = dev.get(&world.path(&format!("/deliveries/{}", last.id))).await.text();
        assert!(page.contains("no https address on the public internet has this name"), "{page}");
        told.push(page.contains("10.0.0.7") || page.contains("no such host"));
    }
    assert_eq!(told, [false, false]);
}

#[tokio::test]
async fn messages_that_are_asked_for_by_hand_are_few_and_audited() {
    let world = World::start().await;
    world.connect().await;
    world.send().await;
    let dev = world.developer().await;
    let (endpoint, number) =
        (world.endpoint().await.id.to_string(), world.deliveries().await[0].id.to_string());
    let again = [("delivery", &*number)];
    assert_eq!(submit(&dev, &world.path("/redeliver"), &again).await.status, 303);
    assert_eq!(world.app.audited().await.last(), Some(&AuditKind::WebhookRedelivered));
    for _ in 0..9 {
        let test = submit(&dev, &world.path("/test"), &[("endpoint", &endpoint)]).await;
        assert_eq!(test.status, 303);
    }
    world.send().await;
    for (path, fields) in [("/test", [("endpoint", &*endpoint)]), ("/redeliver", again)] {
        let answer = submit(&dev, &world.path(path), &fields).await;
        assert_eq!(answer.status, 409);
        assert!(answer.text().contains("That is enough for now. Wait 6 seconds."), "{answer:?}");
    }
    world.app.clock.advance(std::time::Duration::from_secs(6));
    let test = submit(&dev, &world.path("/test"), &[("endpoint", &endpoint)]).await;
    assert_eq!(test.status, 303);
}
