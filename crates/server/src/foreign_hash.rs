//! Hashes of client secrets that apps bring along from another system: which are understood, what
//! they may cost, and how few of them are checked at once. They are dear to check on purpose, so
//! whoever guesses at an imported app must not be able to keep everybody else waiting.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc;
use argon2::{Argon2, Params, PasswordVerifier as _};
use domain::foreign_hash::ForeignHash;
use domain::id::AppId;
use protocol::secret::Secret;
use tokio::sync::{OwnedMutexGuard, Semaphore};

use crate::passwords::Passwords;

/// About a second of a core.
const BCRYPT_COST_MAX: u32 = 14;
/// 256 MiB, in KiB.
const ARGON2_MEMORY_MAX: u32 = 256 << 10;
/// Memory times passes, in KiB: about a second of a core.
const ARGON2_WORK_MAX: u64 = 1 << 20;
const ARGON2_LANES_MAX: u32 = 16;

/// Checked at once, of all apps: half of what passwords have, so that users can always sign in.
const PARALLEL_MAX: usize = 2;
/// Requests of one app that wait for one another. An app that was just moved may well start with a
/// dozen calls at once; the first of them replaces the hash, and the others need none any more.
const WAITING_OF_APP_MAX: usize = 16;
/// Of all apps.
const WAITING_MAX: usize = 64;

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

/// The queue in front of the checks.
pub struct ForeignHashes {
    lines: Arc<Mutex<Lines>>,
    permits: Arc<Semaphore>,
}

impl Default for ForeignHashes {
    fn default() -> Self {
        Self { lines: Arc::default(), permits: Arc::new(Semaphore::new(PARALLEL_MAX)) }
    }
}

#[derive(Default)]
struct Lines {
    of_app: HashMap<AppId, Line>,
    waiting: usize,
}

#[derive(Default)]
struct Line {
    turn: Arc<tokio::sync::Mutex<()>>,
    waiting: usize,
}

/// Too many wait already; later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// The one request of its app that may check now.
pub struct Turn {
    _turn: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in the line of an app; given up when dropped.
struct Place {
    lines: Arc<Mutex<Lines>>,
    app: AppId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.waiting = lines.waiting.saturating_sub(1);
        if let Some(line) = lines.of_app.get_mut(&self.app) {
            line.waiting = line.waiting.saturating_sub(1);
            if line.waiting == 0 {
                lines.of_app.remove(&self.app);
            }
        }
    }
}

impl ForeignHashes {
    /// Wait until no other request checks for `app`.
    pub async fn turn(&self, app: AppId) -> Result<Turn, Busy> {
        let (turn, place) = self.stand_in_line(app)?;
        Ok(Turn { _turn: turn.lock_owned().await, _place: place })
    }

    fn stand_in_line(&self, app: AppId) -> Result<(Arc<tokio::sync::Mutex<()>>, Place), Busy> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = lines.of_app.get(&app).map_or(0, |line| line.waiting);
        if waiting >= WAITING_OF_APP_MAX || lines.waiting >= WAITING_MAX {
            return Err(Busy);
        }
        lines.waiting += 1;
        let line = lines.of_app.entry(app).or_default();
        line.waiting += 1;
        Ok((Arc::clone(&line.turn), Place { lines: Arc::clone(&self.lines), app }))
    }

    /// The position of the first of `tries` that is right. `None`: the work broke off. The turn
    /// goes along until the work is done: who hangs up does not get another one meanwhile.
    pub async fn check(
        &self,
        turn: Turn,
        passwords: &Passwords,
        tries: Vec<(Secret, ForeignHash)>,
    ) -> Option<(Option<usize>, Turn)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let work = move || {
            let right = tries.iter().position(|(secret, hash)| is_right(secret, hash));
            drop(permit);
            (right, turn)
        };
        passwords.run(work).await
    }
}

#[cfg(test)]
mod tests;
