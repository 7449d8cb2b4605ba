//! Password hashing with argon2id (19 MiB, two passes: OWASP's and RFC 9106's low-memory choice) on
//! a bounded pool, so that sign-ins cannot take all cores or all memory.

use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use domain::entropy::{Entropy, random_bytes};
use domain::password::PasswordHash;
use tokio::sync::Semaphore;

/// Longer passwords are refused before hashing.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// NIST SP 800-63B §5.1.1.2.
pub const PASSWORD_CHARACTERS_MIN: usize = 8;
/// Hashes that run at once.
const PARALLEL_MAX: usize = 4;

pub struct Passwords {
    entropy: Arc<dyn Entropy>,
    permits: Arc<Semaphore>,
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
}

impl Passwords {
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        let permits = Arc::new(Semaphore::new(PARALLEL_MAX));
        Self { entropy, permits, decoy: tokio::sync::OnceCell::new() }
    }

    pub async fn hash(&self, password: &str) -> Result<PasswordHash, PasswordError> {
        if password.chars().count() < PASSWORD_CHARACTERS_MIN {
            return Err(PasswordError::TooShort);
        }
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        let (password, salt) = (password.to_owned(), random_bytes::<16>(&*self.entropy));
        self.run(move || hash(&password, &salt)).await.ok_or(PasswordError::Failed)?
    }

    /// Is `password` right? Takes as long when there is no account (`stored` is `None`).
    pub async fn verify(&self, password: &str, stored: Option<&PasswordHash>) -> bool {
        if password.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        let known = stored.is_some();
        let hash = match stored {
            Some(hash) => hash.clone(),
            None => match self.decoy.get_or_try_init(|| self.hash("no such account")).await {
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
