//! Hashes of client secrets that apps bring along from another system: which are understood, what
//! they may cost, and how few of them are checked at once. They are dear to check on purpose, so
//! whoever guesses at an imported app must not be able to keep everybody else waiting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Argon2, Params, PasswordVerifier as _};
use domain::foreign_hash::ForeignHash;
use domain::id::AppId;
use ipnet::IpNet;
use protocol::secret::Secret;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::address::network_of;
use crate::passwords::Passwords;

/// About a second of a core.
const BCRYPT_COST_MAX: u32 = 14;
/// 256 MiB, in KiB.
const ARGON2_MEMORY_MAX: u32 = 256 << 10;
/// Memory times passes, in KiB: about a second of a core.
const ARGON2_WORK_MAX: u64 = 1 << 20;
const ARGON2_LANES_MAX: u32 = 16;

/// Checked at once, of all apps: half of what passwords have, so that users can always sign in.
const PARALLEL_MAX: u32 = 2;
/// A check that takes more, in KiB, runs alone: two dear ones would take half a gigabyte.
const BESIDE_OTHERS_MEMORY_MAX: u32 = 64 << 10;
/// Requests of one app or one network that wait for one another. An app that was just moved may
/// well start with a dozen calls at once; the first of them replaces the hash, and the others need
/// none any more.
const LINE_MAX: usize = 16;
/// Of all apps.
const WAITING_MAX: usize = 64;
/// Whoever waits longer is told to come back, while their own patience lasts.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// bcrypt reads no more of a secret.
const BCRYPT_BYTES_MAX: usize = 72;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignHashError {
    #[error(
        "it is none of the hashes that can be brought along: bcrypt ($2a$, $2b$, $2y$), \
         argon2 ($argon2id$, $argon2i$)"
    )]
    Unknown,
    #[error("it begins like a bcrypt hash and is not one (60 characters)")]
    UnreadableBcrypt,
    #[error("it begins like an argon2 hash and is not one ($argon2id$v=19$m=…,t=…,p=…$SALT$HASH)")]
    UnreadableArgon2,
    #[error("a bcrypt cost of {0} takes too long at each check; at most {BCRYPT_COST_MAX}")]
    BcryptCost(u32),
    #[error(
        "argon2 with m={memory},t={passes},p={lanes} takes too much at each check; \
         at most 256 MiB (m={ARGON2_MEMORY_MAX}), m times t at most {ARGON2_WORK_MAX}, \
         p at most {ARGON2_LANES_MAX}"
    )]
    Argon2Cost { memory: u32, passes: u32, lanes: u32 },
    #[error("it was made with a key besides the secret (keyid), which is not here")]
    Keyed,
}

/// Whether `text` can be checked, and at a bearable cost.
pub fn check(text: &str) -> Result<ForeignHash, ForeignHashError> {
    match text.split('$').nth(1) {
        Some("2a" | "2b" | "2y") => check_bcrypt(text)?,
        Some("argon2id" | "argon2i") => check_argon2(text)?,
        _ => return Err(ForeignHashError::Unknown),
    }
    Ok(ForeignHash::from_text(text.to_owned()))
}

fn check_bcrypt(text: &str) -> Result<(), ForeignHashError> {
    let parts =
        bcrypt::HashParts::from_str(text).map_err(|_| ForeignHashError::UnreadableBcrypt)?;
    match parts.get_cost() {
        0..4 => Err(ForeignHashError::UnreadableBcrypt),
        4..=BCRYPT_COST_MAX => Ok(()),
        cost => Err(ForeignHashError::BcryptCost(cost)),
    }
}

fn check_argon2(text: &str) -> Result<(), ForeignHashError> {
    let unreadable = ForeignHashError::UnreadableArgon2;
    let hash = phc::PasswordHash::new(text).map_err(|_| unreadable)?;
    let version = hash.version.is_none_or(|version| version == 0x10 || version == 0x13);
    if hash.salt.is_none() || hash.hash.is_none() || !version {
        return Err(unreadable);
    }
    let params = Params::try_from(&hash).map_err(|_| unreadable)?;
    if !params.keyid().is_empty() {
        return Err(ForeignHashError::Keyed);
    }
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let work = u64::from(memory) * u64::from(passes);
    if memory > ARGON2_MEMORY_MAX || work > ARGON2_WORK_MAX || lanes > ARGON2_LANES_MAX {
        return Err(ForeignHashError::Argon2Cost { memory, passes, lanes });
    }
    Ok(())
}

fn is_right(secret: &Secret, hash: &ForeignHash) -> bool {
    let (secret, text) = (secret.expose().as_bytes(), hash.as_text());
    if text.starts_with("$2") {
        // In the systems that these come from a secret ends at its first NUL byte; here none has
        // one. Of a long one they looked at 72 bytes, and so must this.
        let secret = secret.get(..BCRYPT_BYTES_MAX).unwrap_or(secret);
        return !secret.contains(&0) && bcrypt::verify(secret, text).unwrap_or(false);
    }
    let Ok(mut hash) = phc::PasswordHash::new(text) else { return false };
    // A hash that names no version is of the first one; the library would take it for the newest.
    hash.version.get_or_insert(0x10);
    Argon2::default().verify_password(secret, &hash).is_ok()
}

/// Does a check take so much memory that it runs alone?
pub fn runs_alone(hash: &ForeignHash) -> bool {
    let memory = |hash| Params::try_from(&hash).ok().map(|params| params.m_cost());
    let memory = phc::PasswordHash::new(hash.as_text()).ok().and_then(memory);
    memory.is_some_and(|memory| memory > BESIDE_OTHERS_MEMORY_MAX)
}

/// The queue in front of the checks. One request per app and one per client network is checked at a
/// time, so whoever floods stands behind themselves: everybody else waits for one check of each
/// flooding network at most.
pub struct ForeignHashes {
    lines: Arc<Mutex<Lines>>,
    permits: Arc<Semaphore>,
    wait_max: Duration,
}

impl Default for ForeignHashes {
    fn default() -> Self {
        let permits = Arc::new(Semaphore::new(PARALLEL_MAX as usize));
        Self { lines: Arc::default(), permits, wait_max: WAIT_MAX }
    }
}

#[derive(Default)]
struct Lines {
    of: HashMap<Whose, Line>,
    waiting: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Network(IpNet),
    App(AppId),
}

/// Held by the one whose turn it is; the others wait in the order in which they came.
type Waited = Arc<tokio::sync::Mutex<()>>;

#[derive(Default)]
struct Line {
    turn: Waited,
    waiting: usize,
}

/// Too many wait already, or it took too long; later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// The one request of its app and its network that may check now.
pub struct Turn {
    _permits: OwnedSemaphorePermit,
    _turns: [OwnedMutexGuard<()>; 2],
    _place: Place,
}

/// A place in two lines; given up when dropped.
struct Place {
    lines: Arc<Mutex<Lines>>,
    of: [Whose; 2],
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.waiting = lines.waiting.saturating_sub(1);
        for whose in &self.of {
            let Some(line) = lines.of.get_mut(whose) else { continue };
            line.waiting = line.waiting.saturating_sub(1);
            if line.waiting == 0 {
                lines.of.remove(whose);
            }
        }
    }
}

impl ForeignHashes {
    /// Wait until nobody else checks for `app` or from the network of `client`, and there is room;
    /// for all the room if the check [`runs_alone`].
    pub async fn turn(&self, app: AppId, client: IpAddr, alone: bool) -> Result<Turn, Busy> {
        let of = [Whose::Network(network_of(client, 24, 64)), Whose::App(app)];
        let ([network, app], place) = self.stand_in_line(of)?;
        let permits = if alone { PARALLEL_MAX } else { 1 };
        let waiting = async {
            // All in this order, so that no two wait for one another.
            let turns = [network.lock_owned().await, app.lock_owned().await];
            let permits = Arc::clone(&self.permits).acquire_many_owned(permits).await;
            Ok(Turn { _permits: permits.map_err(|_| Busy)?, _turns: turns, _place: place })
        };
        tokio::time::timeout(self.wait_max, waiting).await.unwrap_or(Err(Busy))
    }

    fn stand_in_line(&self, of: [Whose; 2]) -> Result<([Waited; 2], Place), Busy> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let is_long = |whose| lines.of.get(whose).is_some_and(|line| line.waiting >= LINE_MAX);
        if of.iter().any(is_long) || lines.waiting >= WAITING_MAX {
            return Err(Busy);
        }
        lines.waiting += 1;
        let turns = of.map(|whose| {
            let line = lines.of.entry(whose).or_default();
            line.waiting += 1;
            Arc::clone(&line.turn)
        });
        Ok((turns, Place { lines: Arc::clone(&self.lines), of }))
    }

    /// The position of the first of `tries` that is right. `None`: the work broke off. The turn
    /// goes along until the work is done: who hangs up does not get another one meanwhile.
    pub async fn check(
        turn: Turn,
        passwords: &Passwords,
        tries: Vec<(Secret, ForeignHash)>,
    ) -> Option<(Option<usize>, Turn)> {
        let work = move || {
            let right = tries.iter().position(|(secret, hash)| is_right(secret, hash));
            (right, turn)
        };
        passwords.run(work).await
    }
}

#[cfg(test)]
mod tests;
