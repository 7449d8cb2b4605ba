//! Table `keys`: sealing and signing keys, wrapped under the master key, and how they follow one
//! another. Codes have keys of their own that rotate daily; signing keys are published before they
//! are used and after.

use std::time::Duration;

use domain::entropy::{Entropy, random_bytes};
use domain::keyring::{Keyring, KeyringError, MasterKey, SealingSecret, SigningEntry};
use domain::seal::KeyClass;
use domain::time::Timestamp;
use protocol::jose::SigningKey;
use protocol::jwk::Algorithm;
use zeroize::Zeroizing;

use crate::{DbError, Tx, bind};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longer than the policies' longest token, so that rotation logs nobody out.
const LONG_LIVED_OPENS_FOR: Duration = Duration::from_secs(3660 * 24 * 3600);
/// A code key opens this long after it stopped sealing: codes live a minute.
const CODE_OPENS_FOR: Duration = Duration::from_secs(600);
/// A new signing key is published this long before it signs: resource servers cache key sets.
pub const PUBLISHED_BEFORE_USE: Duration = Duration::from_secs(3600);
/// And stays published this long after the next one took over.
const SIGNING_VERIFIES_FOR: Duration = DAY;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Sealing(KeyClass),
    Signing(Algorithm),
}

const CLASSES: [(Class, &str); 5] = [
    (Class::Sealing(KeyClass::Code), "seal_code"),
    (Class::Sealing(KeyClass::LongLived), "seal_long"),
    (Class::Signing(Algorithm::Es256), "sign_es256"),
    (Class::Signing(Algorithm::EdDsa), "sign_eddsa"),
    (Class::Signing(Algorithm::Rs256), "sign_rs256"),
];

struct StoredKey {
    id: i64,
    class: Class,
    wrapped: Vec<u8>,
    use_at: Timestamp,
    retire_at: Option<Timestamp>,
}

/// Read every key and make the keyring. The first node on an empty database makes the first keys.
pub async fn load(
    tx: &mut Tx<'_>,
    issuer: &str,
    master: &MasterKey,
    now: Timestamp,
) -> Result<Keyring, DbError> {
    let (mut secrets, mut signing) = (Vec::new(), Vec::new());
    for key in list(tx).await? {
        let material = master.unwrap(&label(key.id), &key.wrapped).ok_or_else(|| {
            DbError::Setup(
                "the keys in the database were made under another master key; use the master key \
                 file that belongs to this database"
                    .to_owned(),
            )
        })?;
        let (use_at, retire_at) = (key.use_at, key.retire_at);
        match key.class {
            Class::Sealing(class) => secrets.push(SealingSecret {
                kid: u32::try_from(key.id).map_err(DbError::bug)?,
                class,
                secret: Zeroizing::new(material.as_slice().try_into().map_err(DbError::bug)?),
                use_at,
                retire_at,
            }),
            Class::Signing(algorithm) => {
                let key = SigningKey::from_pkcs8(algorithm, &material).map_err(DbError::bug)?;
                signing.push(SigningEntry { key, use_at, retire_at });
            }
        }
    }
    Keyring::new(issuer, master, secrets, signing, now).map_err(|error| match error {
        KeyringError::NoSealingKey(_) => DbError::bug("keys are loaded before the first are made"),
        KeyringError::Refused => DbError::bug(error),
    })
}

/// Whether there are keys: not on an empty database.
pub async fn any(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    Ok(tx.query_opt("SELECT id FROM keys LIMIT 1", &[]).await?.is_some())
}

/// Make the keys that are missing or due: all of them on an empty database, a code key when the
/// newest is a day old. `true`: something was made, so the feed must say so.
pub async fn ensure(
    tx: &mut Tx<'_>,
    master: &MasterKey,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<bool, DbError> {
    let keys = list(tx).await?;
    let mut made = false;
    for (class, _) in CLASSES {
        let newest = keys.iter().filter(|key| key.class == class).map(|key| key.use_at).max();
        let due = match (class, newest) {
            (_, None) => true,
            (Class::Sealing(KeyClass::Code), Some(used_at)) => now >= used_at.after(DAY),
            _ => false,
        };
        if due {
            create(tx, class, master, entropy, now, now).await?;
            made = true;
        }
    }
    delete_retired(tx, now).await?;
    Ok(made)
}

/// Make the next key of every class. Sealing keys are used at once (every node reloads on an
/// unknown key id); signing keys are published now and used after [`PUBLISHED_BEFORE_USE`].
pub async fn rotate(
    tx: &mut Tx<'_>,
    master: &MasterKey,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<(), DbError> {
    for (class, _) in CLASSES {
        let use_at = match class {
            Class::Sealing(_) => now,
            Class::Signing(_) => now.after(PUBLISHED_BEFORE_USE),
        };
        create(tx, class, master, entropy, now, use_at).await?;
    }
    Ok(())
}

async fn create(
    tx: &mut Tx<'_>,
    class: Class,
    master: &MasterKey,
    entropy: &dyn Entropy,
    now: Timestamp,
    use_at: Timestamp,
) -> Result<(), DbError> {
    let material = match class {
        Class::Sealing(_) => Zeroizing::new(random_bytes::<32>(entropy).to_vec()),
        Class::Signing(algorithm) => {
            let key = SigningKey::generate(algorithm).map_err(DbError::bug)?;
            Zeroizing::new(key.to_pkcs8().to_vec())
        }
    };
    let mut row = tx.query_one("SELECT COALESCE(MAX(id), 0) FROM keys", &[]).await?;
    let id = row.take::<i64>()?.saturating_add(1);
    let wrapped = master
        .wrap(&label(id), &material, entropy)
        .ok_or_else(|| DbError::bug("the crypto library refused to wrap a key"))?;
    let opens_for = match class {
        Class::Sealing(KeyClass::Code) => CODE_OPENS_FOR,
        Class::Sealing(KeyClass::LongLived) => LONG_LIVED_OPENS_FOR,
        Class::Signing(_) => SIGNING_VERIFIES_FOR,
    };
    tx.execute(
        "UPDATE keys SET retire_at = $2 WHERE class = $1 AND retire_at IS NULL",
        bind![class_name(class), use_at.after(opens_for)],
    )
    .await?;
    tx.execute(
        "INSERT INTO keys (id, class, wrapped, created_at, use_at, retire_at) \
         VALUES ($1, $2, $3, $4, $5, NULL)",
        bind![id, class_name(class), &wrapped, now, use_at],
    )
    .await?;
    Ok(())
}

async fn delete_retired(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), DbError> {
    tx.execute("DELETE FROM keys WHERE retire_at <= $1", bind![now]).await?;
    Ok(())
}

/// What may be told of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    pub id: i64,
    /// `seal_code`, `sign_es256` and so on.
    pub class: String,
    pub created_at: Timestamp,
    pub use_at: Timestamp,
    pub retire_at: Option<Timestamp>,
}

/// Every key that still opens or verifies anything, oldest first.
pub async fn list_records(tx: &mut Tx<'_>) -> Result<Vec<KeyRecord>, DbError> {
    let sql = "SELECT id, class, created_at, use_at, retire_at FROM keys ORDER BY id";
    let rows = tx.query_all(sql, &[]).await?;
    let read = |mut row: crate::value::Row| {
        Ok(KeyRecord {
            id: row.take()?,
            class: row.take()?,
            created_at: row.take()?,
            use_at: row.take()?,
            retire_at: row.take()?,
        })
    };
    rows.into_iter().map(read).collect()
}

async fn list(tx: &mut Tx<'_>) -> Result<Vec<StoredKey>, DbError> {
    let sql = "SELECT id, class, wrapped, use_at, retire_at FROM keys ORDER BY id";
    let rows = tx.query_all(sql, &[]).await?;
    let read = |mut row: crate::value::Row| {
        Ok(StoredKey {
            id: row.take()?,
            class: row.take_as("class of key", |name: String| {
                CLASSES.iter().find(|(_, known)| *known == name).map(|(class, _)| *class)
            })?,
            wrapped: row.take()?,
            use_at: row.take()?,
            retire_at: row.take()?,
        })
    };
    rows.into_iter().map(read).collect()
}

fn class_name(class: Class) -> &'static str {
    CLASSES.iter().find(|(known, _)| *known == class).map_or("", |(_, name)| *name)
}

/// What wrapping binds to a key, so that rows cannot be swapped.
fn label(id: i64) -> String {
    format!("key {id}")
}
