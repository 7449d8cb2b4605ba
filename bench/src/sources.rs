//! What is sent: the same requests over and over, each request once, refresh tokens that each
//! answer replaces, and requests whose answers are kept to prepare others.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::load::Source;
use crate::wire::Answer;

/// Requests in turn, again and again.
pub struct Cycle {
    requests: Arc<Vec<Vec<u8>>>,
    status: u16,
    at: usize,
}

impl Cycle {
    pub fn new(requests: Arc<Vec<Vec<u8>>>, status: u16) -> Self {
        Self { requests, status, at: 0 }
    }
}

impl Source for Cycle {
    fn next(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        self.at = (self.at + 1) % self.requests.len().max(1);
        let Some(request) = self.requests.get(self.at) else { return false };
        out.extend_from_slice(request);
        true
    }

    fn answered(&mut self, _: usize, answer: &Answer<'_>) -> bool {
        answer.status == self.status
    }
}

/// Each request once.
pub struct Once {
    pub requests: VecDeque<Vec<u8>>,
    pub status: u16,
}

impl Source for Once {
    fn next(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        let Some(request) = self.requests.pop_front() else { return false };
        out.extend_from_slice(&request);
        true
    }

    fn answered(&mut self, _: usize, answer: &Answer<'_>) -> bool {
        answer.status == self.status
    }
}

/// Each request once, and what is read from its answer.
pub struct Collect<F> {
    requests: VecDeque<Vec<u8>>,
    read: F,
    pub found: Vec<String>,
}

impl<F: Fn(&Answer<'_>) -> Option<String>> Collect<F> {
    pub fn new(requests: impl IntoIterator<Item = Vec<u8>>, read: F) -> Self {
        Self { requests: requests.into_iter().collect(), read, found: Vec::new() }
    }
}

impl<F: Fn(&Answer<'_>) -> Option<String>> Source for Collect<F> {
    fn next(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        let Some(request) = self.requests.pop_front() else { return false };
        out.extend_from_slice(&request);
        true
    }

    fn answered(&mut self, _: usize, answer: &Answer<'_>) -> bool {
        let found = (self.read)(answer);
        let is_right = found.is_some();
        self.found.extend(found);
        is_right
    }
}

/// Of a client's credentials and a refresh token.
type MakeRequest = Box<dyn Fn(&str, &str) -> Vec<u8>>;

/// Refresh tokens of many grants. Each is used once; its successor queues up behind the others, so
/// that no grant is refreshed twice at a time.
pub struct Refresh {
    /// The client's credentials and a refresh token.
    idle: VecDeque<(Arc<str>, String)>,
    /// By connection: whose answer is awaited.
    asked: Vec<Option<Arc<str>>>,
    request: MakeRequest,
}

impl Refresh {
    pub fn new(
        tokens: Vec<(Arc<str>, String)>,
        request: impl Fn(&str, &str) -> Vec<u8> + 'static,
    ) -> Self {
        Self { idle: tokens.into(), asked: Vec::new(), request: Box::new(request) }
    }
}

impl Source for Refresh {
    fn next(&mut self, connection: usize, out: &mut Vec<u8>) -> bool {
        let Some((client, token)) = self.idle.pop_front() else { return false };
        out.extend_from_slice(&(self.request)(&client, &token));
        if self.asked.len() <= connection {
            self.asked.resize(connection + 1, None);
        }
        if let Some(asked) = self.asked.get_mut(connection) {
            *asked = Some(client);
        }
        true
    }

    fn answered(&mut self, connection: usize, answer: &Answer<'_>) -> bool {
        let client = self.asked.get_mut(connection).and_then(Option::take);
        let next = answer.json_token("refresh_token").filter(|_| answer.status == 200);
        let (Some(client), Some(token)) = (client, next) else { return false };
        self.idle.push_back((client, token));
        true
    }
}
