//! Nonces, one by one, and a model of two nodes that crash at will.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_775_120_400);

fn later(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + millis)
}

/// As a store does it that never fails.
fn present(nonces: &mut Increasing, nonce: i64, now: Timestamp) -> Step {
    let step = nonces.judge(nonce, now, true);
    if let Step::Reserve { until } = step {
        nonces.reserved(nonce, until);
    }
    step
}

fn moment(at: Timestamp, id: u8) -> Moment {
    Moment { at, id: [id; 16], window: Duration::from_secs(5) }
}

#[test]
fn a_counter_reserves_nothing_ahead() {
    let mut nonces = Increasing::after(-1);
    for nonce in [0, 1, 2, 7, 8] {
        assert_eq!(present(&mut nonces, nonce, NOW), Step::Reserve { until: nonce });
    }
    assert_eq!(present(&mut nonces, 8, NOW), Step::Refuse(NonceRefusal::NotGreater));
    assert_eq!(nonces.spare(), None);
}

#[test]
fn times_of_day_are_judged_in_memory_after_a_second() {
    for unit in [1, 1000, 1_000_000] {
        let mut nonces = Increasing::after(-1);
        let nonce = |millis| later(millis).as_millis() * unit;
        let writes = (0..1000).filter(|call| {
            let millis = call * 20;
            matches!(present(&mut nonces, nonce(millis), later(millis)), Step::Reserve { .. })
        });
        // 20 s: a second of exact ones, 50 of them, then one for every five seconds.
        assert!(writes.count() < 60, "{unit}");
        assert_eq!(nonces.judge(nonce(0), later(20_000), true), refused());
    }
}

fn refused() -> Step {
    Step::Refuse(NonceRefusal::NotGreater)
}

#[test]
fn a_counter_that_began_at_the_time_of_day_is_one() {
    let mut nonces = Increasing::after(-1);
    for call in 0..100 {
        // Ten calls a second, each one higher.
        let nonce = NOW.as_millis() + call;
        assert_eq!(
            present(&mut nonces, nonce, later(call * 100)),
            Step::Reserve { until: nonce },
            "{call}"
        );
    }
}

#[test]
fn where_others_are_asked_too_nothing_is_reserved_ahead() {
    let mut nonces = Increasing::after(-1);
    for call in 0..100 {
        let now = later(call * 100);
        let step = nonces.judge(now.as_millis(), now, false);
        assert_eq!(step, Step::Reserve { until: now.as_millis() });
        nonces.reserved(now.as_millis(), now.as_millis());
    }
}

#[test]
fn what_another_node_has_got_to_is_refused_here() {
    let mut nonces = Increasing::after(10);
    assert_eq!(nonces.judge(11, NOW, true), Step::Reserve { until: 11 });
    nonces.lost(20);
    assert_eq!(nonces.judge(20, NOW, true), refused());
    assert_eq!(nonces.judge(21, NOW, true), Step::Reserve { until: 21 });
}

#[test]
fn a_moment_is_good_once_and_only_near_now() {
    let mut moments = Moments::after(i64::MIN);
    let first = moment(NOW, 1);
    let Step::Reserve { until } = moments.judge(&first, NOW) else { panic!("a reserve") };
    assert_eq!(until, later(5000).as_millis());
    moments.reserved(&first, until);
    assert_eq!(moments.judge(&first, NOW), Step::Refuse(NonceRefusal::Used));
    assert_eq!(moments.judge(&moment(NOW, 2), NOW), Step::Accept);
    assert_eq!(moments.judge(&moment(later(-5000), 1), NOW), Step::Accept);
    let early = moments.judge(&moment(later(-5001), 1), NOW);
    assert_eq!(early, Step::Refuse(NonceRefusal::TooEarly));
    let late = moments.judge(&moment(later(5001), 1), NOW);
    assert_eq!(late, Step::Refuse(NonceRefusal::TooLate));
}

#[test]
fn a_clock_that_is_set_back_revives_no_moment() {
    let mut moments = Moments::after(i64::MIN);
    let old = moment(NOW, 1);
    moments.reserved(&old, later(5000).as_millis());
    let much_later = later(120_000);
    moments.judge(&moment(much_later, 1), much_later);
    assert_eq!(moments.judge(&old, NOW), Step::Refuse(NonceRefusal::Used));
}

#[test]
fn moments_of_one_window_are_bounded() {
    let mut moments = Moments::after(i64::MIN);
    moments.reserved(&moment(NOW, 0), later(5000).as_millis());
    for number in 1..SEEN_MAX {
        let id = [&(number as u64).to_be_bytes()[..], &[0; 8]].concat().try_into().unwrap();
        let other = Moment { id, ..moment(NOW, 0) };
        assert_eq!(moments.judge(&other, NOW), Step::Accept);
    }
    let step = moments.judge(&moment(NOW, 1), NOW);
    assert_eq!(step, Step::Refuse(NonceRefusal::TooMany));
}

/// What happens to a key: a request, a crash, an orderly restart, time, on one of two nodes.
#[derive(Clone, Debug)]
enum Event {
    Increasing { node: usize, nonce: i64 },
    Moment { offset_ms: i64, id: u8 },
    Crash,
    Restart,
    Wait(u16),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => (0..2_usize, -3000..6000_i64).prop_map(|(node, nonce)| Event::Increasing { node, nonce }),
        6 => (-6..6_i64, 0..2_u8)
            .prop_map(|(seconds, id)| Event::Moment { offset_ms: seconds * 1000, id }),
        1 => Just(Event::Crash),
        1 => Just(Event::Restart),
        4 => (0..4000_u16).prop_map(Event::Wait),
    ];
    prop::collection::vec(event, 1..200)
}

proptest! {
    /// The database is two marks; nodes come and go in the worst ways.
    #[test]
    fn no_nonce_is_ever_accepted_twice(events in events(), may_reserve: bool) {
        let (mut mark, mut moments_mark) = (-1, i64::MIN);
        let mut nodes = [Increasing::after(mark), Increasing::after(mark)];
        let mut moments = Moments::after(moments_mark);
        let mut now = NOW;
        let mut used = std::collections::HashSet::new();
        for event in events {
            match event {
                Event::Increasing { node, nonce } => {
                    let nonce = now.as_millis() + nonce;
                    let accepted = match nodes[node].judge(nonce, now, may_reserve) {
                        Step::Accept => true,
                        Step::Refuse(_) => false,
                        // UPDATE … SET mark = until WHERE mark < nonce
                        Step::Reserve { until } if mark < nonce => {
                            mark = until;
                            nodes[node].reserved(nonce, until);
                            true
                        }
                        Step::Reserve { .. } => {
                            nodes[node].lost(mark);
                            false
                        }
                    };
                    prop_assert!(!accepted || used.insert((nonce, [0; 16])));
                }
                Event::Moment { offset_ms, id } => {
                    let at = Timestamp::from_millis(now.as_millis() + offset_ms);
                    let moment = moment(at, id + 1);
                    let accepted = match moments.judge(&moment, now) {
                        Step::Accept => true,
                        Step::Refuse(_) => false,
                        Step::Reserve { until } => {
                            moments_mark = moments_mark.max(until);
                            moments.reserved(&moment, until);
                            true
                        }
                    };
                    prop_assert!(!accepted || used.insert((at.as_millis(), moment.id)));
                }
                Event::Crash => {
                    nodes = [Increasing::after(mark), Increasing::after(mark)];
                    moments = Moments::after(moments_mark);
                }
                Event::Restart => {
                    for node in &nodes {
                        // UPDATE … SET mark = last WHERE mark = until
                        if let Some((until, last)) = node.spare() && mark == until {
                            mark = last;
                        }
                    }
                    if let Some((until, last)) = moments.spare() && moments_mark == until {
                        moments_mark = last;
                    }
                    nodes = [Increasing::after(mark), Increasing::after(mark)];
                    moments = Moments::after(moments_mark);
                }
                Event::Wait(millis) => now = now.after(Duration::from_millis(millis.into())),
            }
        }
    }
}
