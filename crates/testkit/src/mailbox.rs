//! A mailbox in memory: what was sent is there to be read, and the next letters can be made to fail.

use std::sync::{Mutex, MutexGuard};

use domain::mail::{Letter, NotSent, Post, Sending};

#[derive(Debug, Default)]
pub struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    /// What the next letters meet, in this order.
    failures: Mutex<Vec<NotSent>>,
}

impl Mailbox {
    pub fn letters(&self) -> Vec<Letter> {
        lock(&self.letters).clone()
    }

    /// The newest letter, which must be for `to`.
    pub fn last(&self, to: &str) -> Letter {
        let letter = self.letters().pop().expect("a letter was sent");
        assert_eq!(letter.to, to, "{}", letter.subject);
        letter
    }

    pub fn fail_next(&self, failure: NotSent) {
        lock(&self.failures).push(failure);
    }
}

impl Post for Mailbox {
    fn send(&self, letter: Letter) -> Sending<'_> {
        let mut failures = lock(&self.failures);
        let outcome = if failures.is_empty() { Ok(()) } else { Err(failures.remove(0)) };
        if outcome.is_ok() {
            lock(&self.letters).push(letter);
        }
        Box::pin(async move { outcome })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds this")
}

/// The path and query of the link in a letter.
pub fn link_in(letter: &Letter, issuer: &str) -> String {
    let lines = letter.text.lines();
    let mut links =
        lines.filter(|line| line.contains("?link=")).filter_map(|line| line.strip_prefix(issuer));
    links.next().unwrap_or_else(|| panic!("no link in: {}", letter.text)).to_owned()
}
