//! The rule of refresh tokens against a model of the world: an app that loses answers and refreshes
//! twelve times at once, a thief, and any amount of time between (attack T1). Harmless things are
//! never punished; two holders never last.

use std::time::Duration;

use domain::grant::{REFRESH_WINDOW, RefreshOutcome, RefreshState};
use domain::time::Timestamp;
use proptest::prelude::*;

/// The grant's row, and time.
#[derive(Clone, Debug)]
struct Server {
    state: RefreshState,
    now: Timestamp,
    revoked: bool,
}

impl Server {
    fn new() -> Self {
        let now = Timestamp::from_seconds(1_000_000);
        Self { state: RefreshState::first(now), now, revoked: false }
    }

    fn wait(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }

    fn wait_out_the_window(&mut self) {
        self.wait(REFRESH_WINDOW + Duration::from_millis(1));
    }

    /// The generation that the answer carries; `None` is a refusal.
    fn present(&mut self, generation: i64) -> Option<i64> {
        if self.revoked {
            return None;
        }
        match self.state.present(generation, true, self.now) {
            RefreshOutcome::Rotate(state) => {
                self.state = state;
                Some(state.generation)
            }
            RefreshOutcome::Repeat { generation } => Some(generation),
            RefreshOutcome::Theft => {
                self.revoked = true;
                None
            }
            RefreshOutcome::FromTheFuture | RefreshOutcome::NotRefreshable => None,
        }
    }
}

/// Somebody with a refresh token.
#[derive(Clone, Copy, Debug)]
struct Holder {
    generation: i64,
}

impl Holder {
    /// Refresh once per entry of `lost`, at the same moment; `true` loses that answer.
    fn refresh(&mut self, server: &mut Server, lost: &[bool]) -> Vec<Option<i64>> {
        let answers: Vec<_> = lost.iter().map(|_| server.present(self.generation)).collect();
        let heard = answers.iter().zip(lost).filter(|(_, lost)| !**lost).filter_map(|(a, _)| *a);
        self.generation = heard.max().unwrap_or(self.generation);
        answers
    }
}

fn gap() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0..60_000_u64).prop_map(Duration::from_millis),
        (0..90_u64).prop_map(|days| Duration::from_secs(days * 86_400)),
        Just(REFRESH_WINDOW),
    ]
}

fn calls() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), 1..=12)
}

proptest! {
    #[test]
    fn lost_answers_and_parallel_calls_are_harmless(
        steps in prop::collection::vec((gap(), calls()), 1..60)
    ) {
        let mut server = Server::new();
        let mut app = Holder { generation: 1 };
        for (gap, lost) in steps {
            server.wait(gap);
            let answers = app.refresh(&mut server, &lost);
            prop_assert!(!server.revoked);
            // However many at once: they all get the same generation.
            prop_assert!(answers.iter().all(|answer| *answer == Some(server.state.generation)));
        }
    }

    #[test]
    fn a_thief_is_found_at_the_second_partys_next_use(
        before in prop::collection::vec((gap(), calls()), 0..10),
        mixed in prop::collection::vec((gap(), any::<bool>(), calls()), 0..20),
        victim_first in any::<bool>(),
    ) {
        let mut server = Server::new();
        let mut victim = Holder { generation: 1 };
        for (gap, lost) in before {
            server.wait(gap);
            victim.refresh(&mut server, &lost);
        }
        let mut thief = victim;
        // Whatever they did in whatever order, also inside the window …
        for (gap, by_thief, lost) in mixed {
            server.wait(gap);
            let holder = if by_thief { &mut thief } else { &mut victim };
            holder.refresh(&mut server, &lost);
        }
        // … once both use what they hold, apart from each other, the second use of either party
        // finds the other one out.
        let mut turn_of_victim = victim_first;
        for _ in 0..3 {
            server.wait_out_the_window();
            let holder = if turn_of_victim { &mut victim } else { &mut thief };
            holder.refresh(&mut server, &[false]);
            turn_of_victim = !turn_of_victim;
        }
        prop_assert!(server.revoked);
        prop_assert_eq!(victim.refresh(&mut server, &[false]), [None]);
        prop_assert_eq!(thief.refresh(&mut server, &[false]), [None]);
    }

    #[test]
    fn of_two_different_tokens_using_one_makes_the_other_theft(
        history in prop::collection::vec((gap(), calls()), 2..20),
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let mut server = Server::new();
        let mut app = Holder { generation: 1 };
        for (gap, lost) in history {
            server.wait(gap);
            app.refresh(&mut server, &lost);
        }
        let issued: Vec<i64> = (1..=server.state.generation).collect();
        let (one, other) = (*one.get(&issued), *other.get(&issued));
        prop_assume!(one != other);
        server.wait_out_the_window();
        server.present(one);
        server.wait_out_the_window();
        prop_assert_eq!(server.present(other), None);
        prop_assert!(server.revoked);
    }

    #[test]
    fn a_generation_from_the_future_is_refused_and_revokes_nothing(ahead in 1..1_000_i64) {
        let mut server = Server::new();
        prop_assert_eq!(server.present(1 + ahead), None);
        prop_assert!(!server.revoked);
        prop_assert_eq!(server.present(1), Some(2));
    }
}

#[test]
fn the_window_is_anchored_at_the_rotation_and_never_extended() {
    let mut server = Server::new();
    assert_eq!(server.present(1), Some(2));
    // Repeating every ten seconds does not keep the parent usable for ever.
    for _ in 0..3 {
        server.wait(Duration::from_secs(10));
        assert_eq!(server.present(1), Some(2));
    }
    server.wait(Duration::from_secs(1));
    assert_eq!(server.present(1), Some(3), "late: a new generation, and 2 is an orphan");
    assert_eq!(server.present(2), None);
    assert!(server.revoked);
}

#[test]
fn without_rotation_the_same_token_stays() {
    let now = Timestamp::from_seconds(1_000_000);
    let state = RefreshState::first(now);
    let later = now.after(Duration::from_secs(3600));
    for at in [now, later] {
        assert_eq!(state.present(1, false, at), RefreshOutcome::Repeat { generation: 1 });
    }
}
