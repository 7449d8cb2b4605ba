//! Codes that a person carries between two machines: shown by a device and typed on our page
//! (RFC 8628), or shown on our page and pasted into an app (a dialect's user code). Pure.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use protocol::scope::ScopeSet;

use crate::authentication::Methods;
use crate::consent::Epoch;
use crate::grant::Mode;
use crate::id::{AppId, CodeId, ConsentId, GrantId, SessionId, UserId};
use crate::keyring::Keyring;
use crate::time::Timestamp;
use crate::token::AuthorizationCode;

/// RFC 8628 §6.1: no vowels, so that no words come out, and nothing that looks like a digit.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// 34.5 bits, which is enough for ten minutes and a limited number of attempts.
const LETTERS: usize = 8;

/// From being asked for to being traded.
pub const USER_CODE_LIFETIME: Duration = Duration::from_secs(600);
/// So long after its end a row still tells an expired code from one that never was.
pub const USER_CODES_KEPT: Duration = Duration::from_secs(3600);

/// Between two requests of a device, to begin with.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// RFC 8628 §3.5: each request that comes too early makes it so much longer.
const POLL_STEP: Duration = Duration::from_secs(5);
/// And no longer than this: from there on requests that come too early cost no write.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// A request that was delayed on its way must not make the next one look early.
const POLL_LEEWAY: Duration = Duration::from_secs(1);

/// Eight letters as people read them: `WDJB-MJHT`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCodeText([u8; LETTERS]);

impl UserCodeText {
    /// The letters of the code `id`: a form that is sent twice shows the same ones.
    pub fn of(keyring: &Keyring, id: CodeId) -> Self {
        let mut number =
            u128::from_be_bytes(keyring.derive_id("letters of user code", id.as_bytes()));
        let base = ALPHABET.len() as u128;
        Self(std::array::from_fn(|_| {
            let digit = usize::try_from(number % base).unwrap_or_default();
            number /= base;
            ALPHABET.get(digit).copied().unwrap_or_default()
        }))
    }

    /// What somebody typed: in any case, with or without hyphens and spaces (RFC 8628 §6.1).
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let letters: Vec<u8> = typed
            .chars()
            .filter(|c| !matches!(c, '-' | ' ' | '\u{2010}'..='\u{2015}'))
            .map(|c| u8::try_from(c.to_ascii_uppercase()).ok())
            .collect::<Option<_>>()?;
        let letters: [u8; LETTERS] = letters.try_into().ok()?;
        letters.iter().all(|letter| ALPHABET.contains(letter)).then_some(Self(letters))
    }

    /// What the database knows it by.
    pub fn mac(&self, keyring: &Keyring) -> [u8; 16] {
        keyring.derive_id("user code", &self.0)
    }
}

impl fmt::Display for UserCodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.0.split_at(LETTERS / 2);
        let text = |letters: &[u8]| letters.iter().copied().map(char::from).collect::<String>();
        write!(f, "{}-{}", text(first), text(last))
    }
}

/// Codes stay out of logs.
impl fmt::Debug for UserCodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCodeText(…)")
    }
}

/// What the database knows a device code by.
pub fn device_code_mac(keyring: &Keyring, device_code: &str) -> [u8; 16] {
    keyring.derive_id("device code", device_code.as_bytes())
}

/// A code and what became of it. The grant that it will become has an id that follows from `id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode {
    pub id: CodeId,
    pub app_id: AppId,
    pub mode: Mode,
    /// `None`: of the standard.
    pub dialect: Option<String>,
    pub asked: ScopeSet,
    pub resources: Vec<String>,
    /// `None`: no device asked; the user did, to give the code to the app.
    pub device: Option<AskingDevice>,
    pub status: UserCodeStatus,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What is known of a device that asked for a code, and how it polls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskingDevice {
    pub address: IpAddr,
    /// What it says about itself.
    pub user_agent: String,
    pub pace: PollPace,
}

/// How often a device may ask whether the user has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollPace {
    pub interval: Duration,
    /// The last request that did not come too early.
    pub polled_at: Option<Timestamp>,
}

impl PollPace {
    pub const FIRST: Self = Self { interval: POLL_INTERVAL, polled_at: None };
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserCodeStatus {
    Waiting,
    Denied,
    Allowed(Allowed),
}

/// The decision of a user. The consent is read again when the code is traded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub user_id: UserId,
    pub consent_id: ConsentId,
    pub consent_epoch: Epoch,
    pub scopes: ScopeSet,
    pub session_id: SessionId,
    pub auth_time: Timestamp,
    pub methods: Methods,
}

/// What a device that presents its code gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// Redeem this. Whether it is the first time, the grant's row tells.
    Redeem(Box<AuthorizationCode>),
    /// Nobody has decided. Store the pace.
    Pending(PollPace),
    /// Nobody has decided, and the device asks too often. Store the pace, if there is one.
    TooFast(Option<PollPace>),
    Denied,
    Expired,
}

impl UserCode {
    /// Somebody may still decide.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        self.status == UserCodeStatus::Waiting && now < self.expires_at
    }

    /// `grant_id`: of the grant that it becomes.
    pub fn poll(&self, grant_id: GrantId, now: Timestamp) -> PollOutcome {
        match &self.status {
            // Even when it has expired: a second redemption is a replay then too.
            UserCodeStatus::Allowed(allowed) => {
                PollOutcome::Redeem(Box::new(self.code(allowed, grant_id)))
            }
            UserCodeStatus::Denied => PollOutcome::Denied,
            UserCodeStatus::Waiting if now >= self.expires_at => PollOutcome::Expired,
            UserCodeStatus::Waiting => self.device.as_ref().map_or(
                // Of a code that no device asked for nobody waits for a decision.
                PollOutcome::Expired,
                |device| device.pace.poll(now),
            ),
        }
    }

    /// The grant that `allowed` gives, not inserted yet.
    fn code(&self, allowed: &Allowed, grant_id: GrantId) -> AuthorizationCode {
        AuthorizationCode {
            code_id: self.id,
            grant_id,
            app_id: self.app_id,
            user_id: allowed.user_id,
            consent_id: allowed.consent_id,
            consent_epoch: allowed.consent_epoch,
            scopes: allowed.scopes.clone(),
            resources: self.resources.clone(),
            mode: self.mode,
            dialect: self.dialect.clone(),
            // It travels through no browser, so there is nothing to bind it to.
            redirect_uri_hash: [0; 32],
            redirect_uri_given: false,
            challenge: None,
            session_id: allowed.session_id,
            auth_time: allowed.auth_time,
            methods: allowed.methods,
            issued_at: self.created_at,
            expires_at: self.expires_at,
        }
    }
}

impl PollPace {
    fn poll(self, now: Timestamp) -> PollOutcome {
        let due = self.polled_at.map(|at| at.after(self.interval.saturating_sub(POLL_LEEWAY)));
        if due.is_none_or(|due| now >= due) {
            return PollOutcome::Pending(Self { polled_at: Some(now), ..self });
        }
        let interval = self.interval.saturating_add(POLL_STEP);
        PollOutcome::TooFast((interval <= POLL_INTERVAL_MAX).then_some(Self { interval, ..self }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000);

    fn at(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    fn waiting() -> UserCode {
        UserCode {
            id: CodeId::from_bytes([1; 16]),
            app_id: AppId::from_bytes([2; 16]),
            mode: Mode::Live,
            dialect: None,
            asked: "a b".parse().unwrap(),
            resources: Vec::new(),
            device: Some(AskingDevice {
                address: "192.0.2.7".parse().unwrap(),
                user_agent: String::new(),
                pace: PollPace::FIRST,
            }),
            status: UserCodeStatus::Waiting,
            created_at: START,
            expires_at: START.after(USER_CODE_LIFETIME),
        }
    }

    #[test]
    fn a_code_is_read_in_any_case_and_with_or_without_the_hyphen() {
        let code = UserCodeText(*b"WDJBMJHT");
        assert_eq!(code.to_string(), "WDJB-MJHT");
        for typed in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "W-D-J-B-M-J-H-T", "WDJB–MJHT"] {
            assert_eq!(UserCodeText::parse(typed).as_ref(), Some(&code), "{typed}");
        }
        let long = "W".repeat(1_000);
        for typed in ["", "WDJB-MJH", "WDJB-MJHTT", "WDJB-MJH7", "AEIO-UYAE", "ẂDJB-MJHT", &long]
        {
            assert_eq!(UserCodeText::parse(typed), None, "{typed}");
        }
    }

    #[test]
    fn d1_a_device_that_asks_too_often_waits_longer_each_time() {
        let grant = GrantId::from_bytes([3; 16]);
        let mut code = waiting();
        let mut poll = |seconds: u64| {
            let outcome = code.poll(grant, at(seconds));
            if let PollOutcome::Pending(pace) | PollOutcome::TooFast(Some(pace)) = &outcome {
                code.device =
                    code.device.take().map(|device| AskingDevice { pace: *pace, ..device });
            }
            outcome
        };
        let pace = |interval, polled| PollPace {
            interval: Duration::from_secs(interval),
            polled_at: Some(at(polled)),
        };
        assert_eq!(poll(0), PollOutcome::Pending(pace(5, 0)));
        assert_eq!(poll(4), PollOutcome::Pending(pace(5, 4)), "a second is forgiven");
        assert_eq!(poll(5), PollOutcome::TooFast(Some(pace(10, 4))));
        assert_eq!(poll(6), PollOutcome::TooFast(Some(pace(15, 4))));
        assert_eq!(poll(17), PollOutcome::TooFast(Some(pace(20, 4))));
        assert_eq!(poll(24), PollOutcome::Pending(pace(20, 24)));
        for interval in [25, 30, 35, 40, 45, 50, 55, 60] {
            assert_eq!(poll(25), PollOutcome::TooFast(Some(pace(interval, 24))));
        }
        assert_eq!(poll(25), PollOutcome::TooFast(None), "from here on nothing is written");
        assert_eq!(poll(599), PollOutcome::Pending(pace(60, 599)));
        assert_eq!(poll(600), PollOutcome::Expired);
    }

    #[test]
    fn what_was_decided_is_told_at_any_pace_and_after_the_end_too() {
        let grant = GrantId::from_bytes([3; 16]);
        let denied = UserCode { status: UserCodeStatus::Denied, ..waiting() };
        assert_eq!(denied.poll(grant, at(9_999)), PollOutcome::Denied);
        assert!(!denied.is_waiting(START) && waiting().is_waiting(START));
        assert!(!waiting().is_waiting(at(600)));
        let allowed = Allowed {
            user_id: UserId::from_bytes([4; 16]),
            consent_id: ConsentId::from_bytes([5; 16]),
            consent_epoch: [6; 16],
            scopes: "a".parse().unwrap(),
            session_id: SessionId::from_bytes([7; 16]),
            auth_time: START,
            methods: Methods::PASSWORD,
        };
        let allowed = UserCode { status: UserCodeStatus::Allowed(allowed), ..waiting() };
        let PollOutcome::Redeem(code) = allowed.poll(grant, at(9_999)) else { panic!("not told") };
        assert_eq!((code.grant_id, code.code_id), (grant, allowed.id));
        assert_eq!((code.scopes.to_string(), code.expires_at), ("a".to_owned(), at(600)));
    }
}
