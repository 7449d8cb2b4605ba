//! What is told of a request of an app, for its developer. Every one is counted; those that are
//! refused, and a sample of the others, are remembered with their reason. Which ones is decided
//! here; kept in memory and written in coarse batches by the store.

use std::time::Duration;

use crate::grant::Mode;
use crate::id::{AppId, UserId};
use crate::time::Timestamp;

/// How long single requests are remembered.
pub const LOG_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Counts per hour: the log says how many requests there were besides those that it lists.
pub const HOURS_KEPT: Duration = Duration::from_secs(8 * 24 * 3600);
/// Counts per day: for the charts, and for quotas of a month.
pub const DAYS_KEPT: Duration = Duration::from_secs(62 * 24 * 3600);

/// Where a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// An API behind the gateway. `passed`: it reached the API, and so counts against a quota.
    Api { passed: bool },
    /// A token endpoint.
    Token,
}

/// One request, as whoever answered it tells it. Borrowed: most are only counted.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub app_id: AppId,
    /// `None`: the app acts for itself, or nobody knows for whom.
    pub user_id: Option<UserId>,
    pub mode: Option<Mode>,
    pub door: Door,
    /// False where somebody only said that they are this app.
    pub is_proven: bool,
    pub at: Timestamp,
    pub request_id: &'a str,
    pub method: &'a str,
    /// As it is declared; never a path that was sent.
    pub route: &'a str,
    pub status: u16,
    /// Empty, or one of few words: see `server`'s words for them.
    pub reason: &'a str,
    /// What is missing, e.g. scopes. Nothing that was sent.
    pub detail: &'a dyn Detail,
    /// Until the head of the answer.
    pub latency: Duration,
}

/// What a reason is about. Written out only for requests that are remembered.
pub trait Detail: std::fmt::Debug + Send + Sync {
    fn text(&self) -> String;
}

impl Detail for () {
    fn text(&self) -> String {
        String::new()
    }
}

impl Detail for protocol::scope::ScopeSet {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Detail for str {
    fn text(&self) -> String {
        self.to_owned()
    }
}

impl Detail for String {
    fn text(&self) -> String {
        self.clone()
    }
}

/// A request that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub app_id: AppId,
    pub at: Timestamp,
    pub request_id: String,
    pub method: String,
    pub route: String,
    pub status: u16,
    pub reason: String,
    pub detail: String,
    pub latency: Duration,
    pub mode: Option<Mode>,
    /// Tells users apart and says nothing of them. Empty: none.
    pub user_mark: String,
}

/// Digits of a user's id in a mark: as many as tell the users of one page apart.
const MARK_DIGITS: usize = 8;
/// What is kept of a detail, in characters.
const DETAIL_MAX: usize = 300;

impl Request<'_> {
    pub fn entry(&self) -> Entry {
        let mark = |user: UserId| user.to_string().chars().take(MARK_DIGITS).collect();
        Entry {
            app_id: self.app_id,
            at: self.at,
            request_id: self.request_id.to_owned(),
            method: self.method.to_owned(),
            route: self.route.to_owned(),
            status: self.status,
            reason: self.reason.to_owned(),
            detail: self.detail.text().chars().take(DETAIL_MAX).collect(),
            latency: self.latency,
            mode: self.mode,
            user_mark: self.user_id.map(mark).unwrap_or_default(),
        }
    }
}

/// What is counted, per hour and per day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of APIs.
    pub calls: u64,
    /// Calls among them that reached the API.
    pub passed: u64,
    /// Calls among them that were answered with status 400 or above.
    pub errors: u64,
    /// Access tokens that were issued.
    pub tokens: u64,
    /// Token requests that were refused.
    pub token_errors: u64,
}

impl Counts {
    pub fn of(request: &Request<'_>) -> Self {
        let is_error = request.status >= 400;
        match request.door {
            Door::Api { passed } => {
                Self { calls: 1, passed: passed.into(), errors: is_error.into(), ..Self::default() }
            }
            Door::Token => Self {
                tokens: (!is_error).into(),
                token_errors: is_error.into(),
                ..Self::default()
            },
        }
    }

    pub fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.passed = self.passed.saturating_add(other.passed);
        self.errors = self.errors.saturating_add(other.errors);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.token_errors = self.token_errors.saturating_add(other.token_errors);
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Requests that the log could list: tokens that were issued are only counted.
    pub const fn listable(&self) -> u64 {
        self.calls.saturating_add(self.token_errors)
    }

    /// Errors of a hundred calls; `None` without calls.
    pub const fn error_percent(&self) -> Option<u64> {
        self.errors.saturating_mul(100).checked_div(self.calls)
    }
}

/// How many requests of one app are remembered: a burst, and then so many a minute, on each node.
/// Refusals have places of their own, and so has whoever only says to be the app: neither success
/// nor strangers push a refusal out.
#[derive(Clone, Copy, Debug)]
pub struct Allowances {
    refused: Bucket,
    answered: Bucket,
    unproven: Bucket,
}

const REFUSED: (u32, u32) = (60, 10);
const ANSWERED: (u32, u32) = (30, 2);
const UNPROVEN: (u32, u32) = (10, 1);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In [`ONE`]s.
    left: i64,
    at: Timestamp,
}

/// Of a request: the milliseconds of a minute, so that what a minute brings is a whole number.
const ONE: i64 = 60_000;

impl Bucket {
    fn take(&mut self, (burst, per_minute): (u32, u32), now: Timestamp) -> bool {
        let elapsed = i64::try_from(now.since(self.at).as_millis()).unwrap_or(i64::MAX);
        let more = elapsed.saturating_mul(per_minute.into());
        self.left = self.left.saturating_add(more).min(i64::from(burst) * ONE);
        self.at = self.at.max(now);
        let takes = self.left >= ONE;
        self.left -= if takes { ONE } else { 0 };
        takes
    }
}

impl Allowances {
    pub fn new(now: Timestamp) -> Self {
        let full = |(burst, _): (u32, u32)| Bucket { left: i64::from(burst) * ONE, at: now };
        Self { refused: full(REFUSED), answered: full(ANSWERED), unproven: full(UNPROVEN) }
    }

    /// Whether `request` is remembered. Tokens that were issued never are: they are only counted.
    pub fn keeps(&mut self, request: &Request<'_>) -> bool {
        let (bucket, size) = match (request.is_proven, request.status >= 400) {
            (false, _) => (&mut self.unproven, UNPROVEN),
            (true, true) => (&mut self.refused, REFUSED),
            (true, false) if request.door == Door::Token => return false,
            (true, false) => (&mut self.answered, ANSWERED),
        };
        bucket.take(size, request.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    fn request(status: u16, is_proven: bool, seconds: i64) -> Request<'static> {
        Request {
            app_id: AppId::from_bytes([1; 16]),
            user_id: Some(UserId::from_bytes([0xab; 16])),
            mode: Some(Mode::Live),
            door: Door::Api { passed: status == 200 },
            is_proven,
            at: at(seconds),
            request_id: "0123456789abcdef",
            method: "GET",
            route: "/api/orders/{id}",
            status,
            reason: "",
            detail: &(),
            latency: Duration::from_millis(3),
        }
    }

    fn kept(of: &mut Allowances, count: u32, request: &Request<'_>) -> usize {
        (0..count).filter(|_| of.keeps(request)).count()
    }

    #[test]
    fn successes_and_strangers_push_no_refusal_out() {
        let mut of = Allowances::new(at(0));
        assert_eq!(kept(&mut of, 1_000, &request(200, true, 0)), 30);
        assert_eq!(kept(&mut of, 1_000, &request(401, false, 0)), 10);
        assert_eq!(kept(&mut of, 1_000, &request(403, true, 0)), 60);
    }

    #[test]
    fn a_minute_later_some_more_are_remembered_however_often_it_is_asked() {
        let mut of = Allowances::new(at(0));
        kept(&mut of, 1_000, &request(403, true, 0));
        let later: usize =
            (1..=60).map(|second| kept(&mut of, 5, &request(403, true, second))).sum();
        assert_eq!(later, 10);
        assert_eq!(kept(&mut of, 1_000, &request(403, true, 3_600)), 60, "never more than a burst");
    }

    #[test]
    fn an_issued_token_is_counted_and_not_listed() {
        let token = Request { door: Door::Token, ..request(200, true, 0) };
        assert!(!Allowances::new(at(0)).keeps(&token));
        assert_eq!(Counts::of(&token), Counts { tokens: 1, ..Counts::default() });
        assert_eq!(Counts::of(&token).listable(), 0);
    }

    #[test]
    fn an_entry_says_little_of_the_user() {
        assert_eq!(request(200, true, 0).entry().user_mark, "abababab");
    }

    #[test]
    fn what_is_refused_before_the_api_does_not_count_as_passed() {
        let mut counts = Counts::of(&request(200, true, 0));
        counts.add(Counts::of(&request(429, true, 0)));
        assert_eq!(counts, Counts { calls: 2, passed: 1, errors: 1, ..Counts::default() });
        assert_eq!(counts.error_percent(), Some(50));
        assert_eq!(Counts::default().error_percent(), None);
    }
}
