//! The public keys with which an app proves itself instead of by a secret (`private_key_jwt`): a
//! key set that was pasted, or the address where it is.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::app::{App, AppKeys};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::Mode;
use protocol::jose::ForeignKeys;
use serde_json::{Value, json};
use store::{Tx, apps, audit, changes};

use super::app_view::Typed;
use super::apps::{owned, show_again};
use super::form::url_error;
use super::secrets::{end_service_grants, prove};
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::error::PageError;
use crate::flash::Done;
use crate::oauth::app_keys::credential_of;
use crate::pages::views::{AppTab, KeySetForm};
use crate::provider::Shared;

const JWKS_BYTES_MAX: usize = 16 * 1024;

pub async fn save(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    AppOwner { user, app }: AppOwner,
    form: SignedForm,
) -> Result<Response, PageError> {
    if !app.kind.is_confidential() {
        let text = "A public app cannot keep a private key. It proves itself with PKCE.";
        return Err(PageError::Conflict(text.into()));
    }
    let text = |name: &str| -> Result<String, PageError> {
        Ok(form.params.one(name)?.unwrap_or_default().trim().to_owned())
    };
    let typed = KeySetForm {
        keys_from: match text("keys_from")?.as_str() {
            "pasted" => "pasted",
            "uri" => "uri",
            _ => "none",
        },
        jwks: text("jwks")?,
        jwks_uri: text("jwks_uri")?,
        error: None,
    };
    let keys = match check(&typed) {
        Ok(keys) => keys,
        Err(error) => {
            let key_set = Some(KeySetForm { error: Some(error.to_owned()), ..typed });
            let typed = Typed { tab: AppTab::Credentials, key_set, ..Typed::default() };
            return show_again(&provider, AppOwner { user, app }, typed).await;
        }
    };
    prove(&provider, &user, &app, "").await?;
    let (id, owner, now) = (app.id, user.user.id, provider.now());
    let keyring = provider.keyring();
    let credentials = [Mode::Live, Mode::Test].map(|mode| credential_of(&keyring, id, mode));
    let has_keys = keys.is_some();
    let detail = match &keys {
        None => json!({ "keys": "none" }),
        Some(AppKeys::Pasted(_)) => json!({ "keys": "pasted" }),
        Some(AppKeys::At(uri)) => json!({ "keys": uri }),
    };
    let event = AuditEvent::new(now, AuditKind::AppChanged, AuditActor::User(owner))
        .app(id)
        .address(address)
        .detail(detail);
    let write = async move |tx: &mut Tx<'_>| {
        let stands = owned(tx, id, owner).await?;
        // Other keys are another credential: what the old ones brought ends.
        if stands.keys.is_some() && stands.keys != keys {
            for credential in credentials {
                end_service_grants(tx, credential, now).await?;
            }
        }
        apps::save(tx, &App { keys: keys.clone(), ..stands }).await?;
        changes::record(tx, Change::App(id)).await?;
        Ok::<_, PageError>(audit::record(tx, &event).await?)
    };
    provider.store.db.write(write).await?;
    let done = if has_keys { Done::KeysSaved } else { Done::KeysRemoved };
    Ok(done.redirect(&AppTab::Credentials.path(&id.to_string())).into_response())
}

fn check(typed: &KeySetForm) -> Result<Option<AppKeys>, &'static str> {
    match typed.keys_from {
        "pasted" => check_pasted(&typed.jwks).map(|()| Some(AppKeys::Pasted(typed.jwks.clone()))),
        "uri" => match url_error(&typed.jwks_uri) {
            Some(error) => Err(error),
            None => Ok(Some(AppKeys::At(typed.jwks_uri.clone()))),
        },
        _ => Ok(None),
    }
}

fn check_pasted(text: &str) -> Result<(), &'static str> {
    if text.len() > JWKS_BYTES_MAX {
        return Err("Use at most 16 KiB.");
    }
    let document: Value =
        serde_json::from_str(text).map_err(|_| "This is not JSON. Paste {\"keys\": [ … ]}.")?;
    let keys = document.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or("This is JSON without \"keys\". Paste {\"keys\": [ … ]}.")?;
    // Private members of EC, OKP and RSA keys, and the whole of a symmetric one.
    if keys.iter().any(|key| ["d", "p", "q", "k"].iter().any(|part| key.get(part).is_some())) {
        return Err("There is a private key in it, which is now known to others. Make a new one, \
                    and paste the public half only.");
    }
    match ForeignKeys::parse(text.as_bytes()).filter(|keys| !keys.is_empty()) {
        Some(_) => Ok(()),
        None => {
            Err("None of these keys can be used here: ES256 (P-256), EdDSA (Ed25519) or RS256 \
                     with 2048 bits or more.")
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::jose::{Algorithm, SigningKey};

    use super::*;

    #[test]
    fn a_pasted_key_set_has_public_keys_that_can_be_used() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let public = serde_json::to_value(key.public_jwk()).unwrap();
        let set = |keys: &[Value]| json!({ "keys": keys }).to_string();
        assert_eq!(check_pasted(&set(std::slice::from_ref(&public))), Ok(()));
        let mut private = public.clone();
        private.as_object_mut().unwrap().insert("d".into(), json!("secret"));
        for (text, error) in [
            (set(&[public, private]), "private key"),
            (set(&[json!({ "kty": "oct", "k": "c2VjcmV0" })]), "private key"),
            (set(&[]), "None of these"),
            ("{}".to_owned(), "without"),
            ("-----BEGIN".to_owned(), "not JSON"),
            ("[".repeat(20_000), "16 KiB"),
        ] {
            assert!(check_pasted(&text).unwrap_err().contains(error), "{error}");
        }
    }
}
