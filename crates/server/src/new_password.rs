//! What a new password must be, wherever one is chosen: long enough, not one that everybody tries
//! first, not the account's own name. There are no rules about signs and digits (NIST SP 800-63B
//! §5.1.1.2).

use domain::password::PasswordHash;
use domain::user::normalize_email;

use crate::passwords::PasswordError;
use crate::provider::Provider;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewPasswordError {
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("this password is on lists that attackers try first; choose another")]
    Known,
    #[error("a password is not the name or the address of its account")]
    OwnName,
}

impl NewPasswordError {
    /// Beside the field; `None`: it is not the password's fault.
    pub fn for_field(self) -> Option<String> {
        let text = match self {
            Self::Password(PasswordError::Busy | PasswordError::Failed) => return None,
            other => other.to_string(),
        };
        let mut letters = text.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string());
        Some(format!("{}{}.", first.unwrap_or_default(), letters.as_str()))
    }
}

/// The hash of a password that may be used, for an account known by `names`.
pub async fn hash(
    provider: &Provider,
    password: &str,
    names: &[&str],
) -> Result<PasswordHash, NewPasswordError> {
    let plain = normalize_email(password);
    let is_own = |name: &&str| {
        let name = normalize_email(name);
        !name.is_empty() && (plain == name || name.split('@').next() == Some(&plain))
    };
    if names.iter().any(is_own) {
        return Err(NewPasswordError::OwnName);
    }
    // Before the list is asked: what is too long is not even hashed.
    let hash = provider.passwords.hash(password).await?;
    let (known, password) = (provider.known_passwords.clone(), password.to_owned());
    let searched = tokio::task::spawn_blocking(move || known.contains(&password)).await;
    let (found, error) = searched.map_err(|_| PasswordError::Failed)?;
    if let Some(error) = error {
        // A list that cannot be read must not keep everybody from changing a password.
        tracing::error!(%error, "the list of breached passwords cannot be read");
    }
    if found { Err(NewPasswordError::Known) } else { Ok(hash) }
}
