//! Password hashing with argon2id (19 MiB, two passes: OWASP's and RFC 9106's low-memory choice) on
//! a bounded pool, so that sign-ins cannot take all cores or all memory.

use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use domain::entropy::{Entropy, random_bytes};
use domain::password::PasswordHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longer passwords are refused before hashing.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// NIST SP 800-63B §5.1.1.2.
pub const PASSWORD_CHARACTERS_MIN: usize = 8;
/// Passwords that wait for their turn. Whoever comes later is told to come back: at 30 ms each,
/// more would wait for longer than people do.
const WAITING_MAX: usize = 64;

pub struct Passwords {
    entropy: Arc<dyn Entropy>,
    parallel_max: usize,
    waiting_max: usize,
    /// Those that run.
    permits: Arc<Semaphore>,
    /// Those that run and those that wait.
    places: Arc<Semaphore>,
    /// Verified against when there is no such account, so that the time tells nothing (attack X2).
    decoy: tokio::sync::OnceCell<PasswordHash>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {PASSWORD_CHARACTERS_MIN} characters")]
    TooShort,
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    #[error("the password could not be hashed")]
    Failed,
    #[error("too many passwords are checked right now")]
    Busy,
}

/// A place among the passwords that are hashed or wait for it.
#[derive(Debug)]
pub struct Place {
    _held: OwnedSemaphorePermit,
}

/// How full the pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordStats {
    pub parallel_max: usize,
    pub waiting_max: usize,
    pub in_use: usize,
    pub waiting: usize,
}

impl Passwords {
    /// Half the cores hash at most; the others go on answering apps.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_bounds(entropy, (cores / 2).max(1), WAITING_MAX)
    }

    fn with_bounds(entropy: Arc<dyn Entropy>, parallel_max: usize, waiting_max: usize) -> Self {
        Self {
            entropy,
            parallel_max,
            waiting_max,
            permits: Arc::new(Semaphore::new(parallel_max)),
            places: Arc::new(Semaphore::new(parallel_max + waiting_max)),
            decoy: tokio::sync::OnceCell::new(),
        }
    }

    /// A place in the queue. Take it before an attempt is counted: who is sent away has tried
    /// nothing.
    pub fn place(&self) -> Result<Place, PasswordError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(|held| Place { _held: held }).map_err(|_| PasswordError::Busy)
    }

    pub fn stats(&self) -> PasswordStats {
        let in_use = self.parallel_max.saturating_sub(self.permits.available_permits());
        let places = self.parallel_max + self.waiting_max;
        let taken = places.saturating_sub(self.places.available_permits());
        PasswordStats {
            parallel_max: self.parallel_max,
            waiting_max: self.waiting_max,
            in_use,
            waiting: taken.saturating_sub(in_use),
        }
    }

    pub async fn hash(&self, password: &str) -> Result<PasswordHash, PasswordError> {
        if password.chars().count() < PASSWORD_CHARACTERS_MIN {
            return Err(PasswordError::TooShort);
        }
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        let _place = self.place()?;
        self.hash_in_turn(password).await
    }

    async fn hash_in_turn(&self, password: &str) -> Result<PasswordHash, PasswordError> {
        let (password, salt) = (password.to_owned(), random_bytes::<16>(&*self.entropy));
        self.run(move || hash(&password, &salt)).await.ok_or(PasswordError::Failed)?
    }

    /// Is `password` right? Takes as long when there is no account (`stored` is `None`).
    pub async fn verify(
        &self,
        _place: Place,
        password: &str,
        stored: Option<&PasswordHash>,
    ) -> bool {
        if password.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let known = stored.is_some();
        let hash = match stored {
            Some(hash) => hash.clone(),
            None => match self.decoy.get_or_try_init(|| self.hash_in_turn("no such account")).await
            {
                Ok(decoy) => decoy.clone(),
                Err(_) => return false,
            },
        };
        let password = password.to_owned();
        self.run(move || verify(&password, &hash)).await.unwrap_or(false) && known
    }

    /// Run `work` when it is its turn. `None`: it broke off.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
        .ok()
    }
}

fn hash(password: &str, salt: &[u8]) -> Result<PasswordHash, PasswordError> {
    let hash: phc::PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|_| PasswordError::Failed)?;
    Ok(PasswordHash::from_phc(hash.to_string()))
}

fn verify(password: &str, stored: &PasswordHash) -> bool {
    phc::PasswordHash::new(stored.as_phc())
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    #[tokio::test]
    async fn who_finds_the_queue_of_passwords_full_is_sent_away() {
        let passwords = Passwords::with_bounds(Arc::new(Zeros), 1, 1);
        let first = passwords.place().unwrap();
        let second = passwords.place().unwrap();
        assert_eq!(passwords.place().unwrap_err(), PasswordError::Busy);
        assert_eq!(passwords.hash("long enough").await.unwrap_err(), PasswordError::Busy);
        assert_eq!(passwords.stats().waiting, 2);
        drop(second);
        let hash = passwords.hash("long enough").await.unwrap();
        assert!(passwords.verify(first, "long enough", Some(&hash)).await);
        let place = passwords.place().unwrap();
        assert!(!passwords.verify(place, "long enough", None).await, "no such account");
        assert_eq!(passwords.stats().waiting + passwords.stats().in_use, 0);
    }

    #[tokio::test]
    async fn passwords_leave_cores_for_others() {
        let cores = std::thread::available_parallelism().unwrap().get();
        let stats = Passwords::new(Arc::new(Zeros)).stats();
        assert!(stats.parallel_max == 1 || stats.parallel_max <= cores / 2, "{stats:?}");
    }
}
