//! `/security`: what protects the account besides its password. Adding and removing take a proof of
//! a moment ago, so that who finds a browser open cannot lock its owner out.

use std::net::IpAddr;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::entropy::Entropy;
use domain::id::{FactorId, UserId};
use domain::keyring::Keyring;
use domain::mail::{Mail, MailKind, Seen};
use domain::second_factor::{RECOVERY_CODES, RecoveryCode};
use domain::time::Timestamp;
use http::HeaderMap;
use serde_json::{Value, json};
use store::{DbError, Tx, audit, mails, second_factors};

use super::links::seen;
use super::proof::relying_party;
use super::second_step::find_enrolled;
use super::step_up::need_fresh;
use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::display;
use crate::error::PageError;
use crate::flash::{Done, Told};
use crate::pages::views;
use crate::provider::{Provider, Shared};
use crate::view;

pub mod enrol;

/// Where one comes back to.
const PATH: &str = "/security";

/// `GET /security`
pub async fn show(
    State(provider): State<Shared>,
    user: SignedInUser,
    Told(flash): Told,
) -> Result<Response, PageError> {
    let (enrolled, now) = (find_enrolled(&provider, user.user.id).await?, provider.now());
    let factor =
        |id: FactorId, name: &str, added: Timestamp, used: Option<Timestamp>| views::Factor {
            id: id.to_string(),
            name: name.to_owned(),
            added_at: display::moment(now, added),
            last_used_at: used.map(|at| display::moment(now, at)),
        };
    let page = views::Security {
        layout: user.layout().with_flash(flash),
        apps: enrolled
            .totps
            .iter()
            .map(|app| factor(app.id, &app.name, app.created_at, app.last_used_at))
            .collect(),
        passkeys: enrolled
            .passkeys
            .iter()
            .map(|key| factor(key.id, &key.name, key.created_at, key.last_used_at))
            .collect(),
        codes_left: enrolled.recovery_codes_left,
        offers_passkeys: relying_party(&provider.issuer()).is_some(),
    };
    view::page(&provider, &page)
}

/// `POST /security/remove`
pub async fn remove(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    let factor = params.one("factor")?.unwrap_or_default();
    let id: FactorId = factor.parse().map_err(|_| PageError::NotFound)?;
    let (enrolled, now) = (find_enrolled(&provider, user.user.id).await?, provider.now());
    need_fresh(&user, &enrolled, PATH, now)?;
    let kind = match enrolled.passkeys.iter().any(|passkey| passkey.id == id) {
        true => "passkey",
        false => "totp",
    };
    let removal = Removal { user: user.user.id, id, kind, seen: seen(address, &headers), now };
    provider.store.db.write(async move |tx: &mut Tx<'_>| removal.write(tx).await).await?;
    Ok(Done::FactorRemoved.redirect(PATH).into_response())
}

#[derive(Clone)]
struct Removal {
    user: UserId,
    id: FactorId,
    /// As messages and the trail call it.
    kind: &'static str,
    seen: Seen,
    now: Timestamp,
}

impl Removal {
    async fn write(&self, tx: &mut Tx<'_>) -> Result<(), PageError> {
        let removed = second_factors::remove(tx, self.user, self.id).await?;
        let name = removed.ok_or(PageError::NotFound)?;
        if second_factors::find_enrolled(tx, self.user).await?.is_empty() {
            // They stand in for what is lost, and there is nothing left that could be.
            second_factors::replace_recovery_codes(tx, self.user, &[], self.now).await?;
        }
        let detail = json!({ "factor": self.id, "kind": self.kind, "name": name });
        let event = event(AuditKind::SecondFactorRemoved, self.user, self.seen.address, self.now);
        audit::record(tx, &event.detail(detail)).await?;
        let (factor, seen) = (self.kind.to_owned(), self.seen.clone());
        let told = MailKind::SecondFactorRemoved { factor, label: name, seen };
        mails::queue(tx, &Mail::to_user(self.user, told, self.now)).await?;
        Ok(())
    }
}

fn event(kind: AuditKind, user: UserId, address: IpAddr, now: Timestamp) -> AuditEvent {
    AuditEvent::new(now, kind, AuditActor::User(user)).address(address)
}

/// `POST /security/recovery-codes`: the old ones mean nothing any more.
pub async fn new_codes(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    SignedForm { user, .. }: SignedForm,
) -> Result<Response, PageError> {
    let (enrolled, now) = (find_enrolled(&provider, user.user.id).await?, provider.now());
    if enrolled.is_empty() {
        return Err(PageError::Conflict(
            "There is no second factor that they could replace.".into(),
        ));
    }
    need_fresh(&user, &enrolled, PATH, now)?;
    let codes = Codes::random(&*provider.entropy);
    let (macs, id) = (codes.macs(&provider.keyring(), user.user.id), user.user.id);
    let seen = seen(address, &headers);
    let write = async move |tx: &mut Tx<'_>| {
        write_codes(tx, id, &macs, address, now).await?;
        let (factor, label) = ("recovery_codes".to_owned(), String::new());
        let told = MailKind::SecondFactorAdded { factor, label, seen: seen.clone() };
        Ok::<_, PageError>(mails::queue(tx, &Mail::to_user(id, told, now)).await?)
    };
    provider.store.db.write(write).await?;
    codes.show(&provider, &user, None, PATH.to_owned())
}

/// A set of recovery codes that has just been made.
#[derive(Clone)]
struct Codes(Vec<RecoveryCode>);

impl Codes {
    fn random(entropy: &dyn Entropy) -> Self {
        Self((0..RECOVERY_CODES).map(|_| RecoveryCode::random(entropy)).collect())
    }

    fn macs(&self, keyring: &Keyring, user: UserId) -> Vec<[u8; 16]> {
        self.0.iter().map(|code| code.mac(keyring, user)).collect()
    }

    /// The only time that they can be read. `added`: what they came with.
    fn show(
        &self,
        provider: &Provider,
        user: &SignedInUser,
        added: Option<String>,
        continue_to: String,
    ) -> Result<Response, PageError> {
        let page = views::RecoveryCodes {
            layout: user.layout(),
            codes: self.0.iter().map(ToString::to_string).collect(),
            added,
            continue_to,
        };
        view::page(provider, &page)
    }
}

async fn write_codes(
    tx: &mut Tx<'_>,
    user: UserId,
    macs: &[[u8; 16]],
    address: IpAddr,
    now: Timestamp,
) -> Result<(), DbError> {
    second_factors::replace_recovery_codes(tx, user, macs, now).await?;
    let event = event(AuditKind::RecoveryCodesMade, user, address, now);
    audit::record(tx, &event.detail(Value::Null)).await?;
    Ok(())
}
