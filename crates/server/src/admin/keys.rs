//! Which keys there are, and their rotation by hand. New sealing keys are used at once; a new
//! signing key is published first and used once everyone can know it.

use axum::Json;
use axum::extract::State;
use domain::audit::AuditKind;
use serde::Serialize;
use serde_json::json;
use store::{Tx, keys};

use super::actor::Admin;
use super::page::Page;
use super::problem::Problem;
use super::rfc3339;
use super::schema::wire;
use crate::provider::Shared;

wire! {
    /// What may be told of a key.
    #[derive(Clone, Debug, Serialize)]
    pub struct KeyRecord {
        /// Its number.
        pub id: i64,
        /// What it is for: `seal_code`, `seal_long`, `sign_es256`, `sign_eddsa`, `sign_rs256`.
        pub class: String,
        /// When it was made.
        pub created_at: String,
        /// From when on it seals or signs.
        pub use_at: String,
        /// From when on it opens and verifies nothing; absent while it is the newest.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub retire_at: Option<String>,
    }

    /// From when on new keys are used.
    #[derive(Clone, Debug, Serialize)]
    pub struct Rotated {
        /// For tokens and everything else that is sealed.
        pub sealing_keys_used_from: String,
        /// For JWTs; the keys are published already.
        pub signing_keys_used_from: String,
    }
}

pub async fn list(
    State(provider): State<Shared>,
    _: Admin,
) -> Result<Json<Page<KeyRecord>>, Problem> {
    let read = async move |tx: &mut Tx<'_>| Ok::<_, Problem>(keys::list_records(tx).await?);
    let record = |key: keys::KeyRecord| KeyRecord {
        id: key.id,
        class: key.class,
        created_at: rfc3339(key.created_at),
        use_at: rfc3339(key.use_at),
        retire_at: key.retire_at.map(rfc3339),
    };
    let items = provider.store.db.read(read).await?.into_iter().map(record).collect();
    // Retired ones are deleted.
    Ok(Json(Page { items, next_cursor: None }))
}

pub async fn rotate(
    State(provider): State<Shared>,
    admin: Admin,
) -> Result<Json<Rotated>, Problem> {
    let now = provider.now();
    provider.store.rotate_keys(admin.event(now, AuditKind::KeysRotated, json!({}))).await?;
    Ok(Json(Rotated {
        sealing_keys_used_from: rfc3339(now),
        signing_keys_used_from: rfc3339(now.after(keys::PUBLISHED_BEFORE_USE)),
    }))
}
