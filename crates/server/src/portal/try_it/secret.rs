//! A test secret of the console's own, for developers who do not paste one. It ends within the
//! hour, and the next one takes its place.

use std::net::IpAddr;

use domain::app::ClientSecret;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::Mode;
use serde_json::json;
use store::{Tx, audit, changes, client_secrets};

use super::run::LIFETIME;
use crate::actor::AppOwner;
use crate::error::PageError;
use crate::portal::apps::owned;
use crate::portal::{registration, secrets};
use crate::provider::Provider;

const NAME: &str = "Console";

/// What is pasted may be no longer.
const BYTES_MAX: usize = 512;

/// What was pasted, or a new one; else what to say beside the field.
pub(super) async fn find(
    provider: &Provider,
    owner: &AppOwner,
    pasted: &str,
    address: IpAddr,
) -> Result<Result<String, String>, PageError> {
    match pasted {
        "" => make(provider, owner, address).await,
        text if text.len() > BYTES_MAX => Ok(Err("This is no secret of ours.".to_owned())),
        text => Ok(Ok(text.to_owned())),
    }
}

async fn make(
    provider: &Provider,
    owner: &AppOwner,
    address: IpAddr,
) -> Result<Result<String, String>, PageError> {
    let (app, user, now) = (owner.app.id, owner.user.user.id, provider.now());
    let secret = registration::new_secret(app, &provider.keyring(), &*provider.entropy, now);
    let row = ClientSecret {
        mode: Mode::Test,
        name: NAME.to_owned(),
        expires_at: Some(now.after(LIFETIME)),
        ..secret.row
    };
    let event = AuditEvent::new(now, AuditKind::SecretCreated, AuditActor::User(user))
        .app(app)
        .address(address)
        .detail(json!({ "secret": row.id, "ends_with": row.hint, "mode": Mode::Test.as_str() }));
    let write = async move |tx: &mut Tx<'_>| {
        owned(tx, app, user).await?;
        let stands = client_secrets::list_of_app(tx, app).await?;
        // A developer who calls one of theirs the same gave it no end within the hour.
        let is_ours = |secret: &ClientSecret| {
            let ends = secret.expires_at == Some(secret.created_at.after(LIFETIME));
            secret.mode == Mode::Test && secret.name == NAME && ends
        };
        let (ours, theirs): (Vec<_>, Vec<_>) = stands.into_iter().partition(is_ours);
        if !registration::has_room_for_secret(&theirs, Mode::Test) {
            return Ok::<_, PageError>(false);
        }
        for old in ours {
            secrets::end(tx, old.id, now).await?;
        }
        client_secrets::insert(tx, &row).await?;
        // Nobody needs to hear that it ends.
        client_secrets::save_told(tx, row.id, i64::MAX).await?;
        changes::record(tx, Change::App(app)).await?;
        audit::record(tx, &event).await?;
        Ok(true)
    };
    Ok(match provider.store.db.write(write).await? {
        true => Ok(secret.text),
        false => Err("The app has two test secrets, so that there is no room for one of the \
                      console: paste one of them, or remove one under Credentials."
            .to_owned()),
    })
}
