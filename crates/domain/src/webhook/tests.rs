//! Where events go, when they go again, and when an endpoint is switched off.

use super::*;
use crate::keyring::{MasterKey, SealingSecret};
use crate::seal::KeyClass;

const NOW: Timestamp = Timestamp::from_seconds(1_775_120_400);

fn keyring() -> Keyring {
    let key = |kid, class| SealingSecret {
        kid,
        class,
        secret: Zeroizing::new([3; 32]),
        use_at: Timestamp::default(),
        retire_at: None,
    };
    let secrets = vec![key(1, KeyClass::LongLived), key(2, KeyClass::Code)];
    Keyring::new("https://a.example", &MasterKey::new([7; 32]), secrets, Vec::new(), NOW).unwrap()
}

#[derive(Debug)]
struct Always(u8);

impl Entropy for Always {
    fn fill(&self, out: &mut [u8]) {
        out.fill(self.0);
    }
}

fn endpoint() -> Endpoint {
    let id = EndpointId::from_bytes([1; 16]);
    let secret = new_secret(&Always(1));
    Endpoint {
        id,
        owner: EndpointOwner::App(AppId::from_bytes([2; 16])),
        url: "https://bot.example/hooks".to_owned(),
        events: BTreeSet::from([EventKind::GrantRevoked]),
        secret: SealedSecret::seal(&keyring(), id, &secret, &Always(2)).unwrap(),
        former: None,
        status: EndpointStatus::Active,
        failing_since: None,
        created_at: NOW,
    }
}

fn delivery() -> Delivery {
    Delivery {
        id: 7,
        endpoint_id: EndpointId::from_bytes([1; 16]),
        event: EventKind::GrantRevoked,
        body: "{}".to_owned(),
        state: DeliveryState::Waiting { next_attempt_at: NOW },
        tries: 0,
        created_at: NOW,
    }
}

/// When a delivery that always fails is tried, until it is dead.
fn attempts(random: u8) -> (Vec<Timestamp>, Delivery) {
    let (mut at, mut delivery) = (vec![NOW], delivery());
    loop {
        let now = *at.last().unwrap();
        delivery = delivery.after(&Outcome::Failed, &Always(random), now);
        match delivery.state {
            DeliveryState::Waiting { next_attempt_at } => at.push(next_attempt_at),
            _ => return (at, delivery),
        }
    }
}

#[test]
fn a_message_is_tried_eight_times_within_two_days_and_then_dead() {
    let ((soonest, dead), (latest, _)) = (attempts(0), attempts(255));
    assert_eq!((soonest.len(), latest.len(), dead.tries), (8, 8, 8));
    assert_eq!(soonest[1], NOW.after(Duration::from_secs(5)));
    assert_eq!(latest[1], NOW.after(Duration::from_secs(6)));
    assert!(latest[7].since(NOW) < Duration::from_secs(2 * 24 * 3600));
    assert!(matches!(dead.state, DeliveryState::Dead { .. }));
}

#[test]
fn what_arrived_or_died_can_be_sent_again_from_the_beginning_and_what_waits_cannot() {
    let (_, dead) = attempts(0);
    let again = dead.redeliver(NOW).unwrap();
    assert_eq!(again.tries, 0);
    assert_eq!(again.state, DeliveryState::Waiting { next_attempt_at: NOW });
    assert_eq!(again.clone().redeliver(NOW), Err(StillWaiting));
    let arrived = again.after(&Outcome::Arrived, &Always(0), NOW);
    assert_eq!(arrived.state, DeliveryState::Delivered { at: NOW });
    assert!(arrived.redeliver(NOW).is_ok());
}

#[test]
fn the_message_id_stays_the_same_and_is_nobody_elses() {
    let (keys, first) = (keyring(), delivery());
    let later = first.clone().after(&Outcome::Failed, &Always(0), NOW);
    assert_eq!(first.message_id(&keys), later.message_id(&keys));
    let next = Delivery { id: 8, ..first.clone() };
    let restored = Delivery { created_at: NOW.after(Duration::from_millis(1)), ..first.clone() };
    for other in [next, restored] {
        assert_ne!(first.message_id(&keys), other.message_id(&keys));
    }
}

#[test]
fn an_endpoint_that_fails_for_days_is_switched_off_by_the_last_attempt_of_a_message() {
    let failed = |endpoint: Endpoint, died, after: Duration| {
        endpoint.after(&Outcome::Failed, died, NOW.after(after))
    };
    let first = failed(endpoint(), true, Duration::ZERO);
    assert_eq!((first.status, first.failing_since), (EndpointStatus::Active, Some(NOW)));
    assert_eq!(failed(first.clone(), false, FAILING_MAX).status, EndpointStatus::Active);
    let off = failed(first.clone(), true, FAILING_MAX);
    assert_eq!(off.status, EndpointStatus::Disabled { at: NOW.after(FAILING_MAX) });
    assert!(!off.hears(EventKind::GrantRevoked));
    assert_eq!(off.clone().pause().status, off.status);
    assert!(off.turn_on().hears(EventKind::GrantRevoked));
    let well = first.after(&Outcome::Arrived, false, NOW);
    assert_eq!(well.failing_since, None);
}

#[test]
fn an_endpoint_that_says_it_is_gone_is_switched_off_at_once() {
    assert_eq!(Outcome::of_status(410), Outcome::Gone);
    let gone = endpoint().after(&Outcome::Gone, true, NOW);
    assert_eq!(gone.status, EndpointStatus::Disabled { at: NOW });
    for (status, outcome) in
        [(204, Outcome::Arrived), (302, Outcome::Failed), (500, Outcome::Failed)]
    {
        assert_eq!(Outcome::of_status(status), outcome);
    }
}

#[test]
fn two_secrets_sign_for_a_day_after_a_roll_and_never_three() {
    let (keys, first) = (keyring(), endpoint());
    let next =
        |n| SealedSecret::seal(&keys, first.id, &new_secret(&Always(n)), &Always(n)).unwrap();
    let rolled = first.clone().roll(next(3), NOW);
    let twice = rolled.clone().roll(next(4), NOW);
    let live = |endpoint: &Endpoint, at| endpoint.live_secrets(at).cloned().collect::<Vec<_>>();
    assert_eq!(live(&rolled, NOW), [rolled.secret.clone(), first.secret.clone()]);
    assert_eq!(live(&twice, NOW), [twice.secret.clone(), rolled.secret.clone()]);
    assert_eq!(live(&rolled, NOW.after(FORMER_SECRET_LIFETIME)), [rolled.secret]);
}

#[test]
fn a_secret_opens_for_its_own_endpoint_alone_and_is_not_printed() {
    let (keys, endpoint) = (keyring(), endpoint());
    let key = endpoint.secret.key(&keys, endpoint.id).unwrap();
    let own = WebhookKey::parse(new_secret(&Always(1)).expose()).unwrap();
    assert_eq!(key.sign("msg_1", 1, b"{}"), own.sign("msg_1", 1, b"{}"));
    let swapped = endpoint.secret.key(&keys, EndpointId::from_bytes([9; 16]));
    assert_eq!(swapped.err(), Some(SecretLost));
    assert!(!format!("{endpoint:?}").contains(endpoint.secret.as_text()));
}

#[test]
fn a_test_comes_to_every_endpoint_that_is_on() {
    assert!(endpoint().hears(EventKind::Test));
    assert!(!endpoint().hears(EventKind::GrantCreated));
    assert!(endpoint().pause().hears(EventKind::GrantRevoked), "it waits");
}
