//! Setting up a second factor. It counts from the moment that it has been used once: a code of the
//! app, a signature of the device. The first one brings the recovery codes.

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::AuditKind;
use domain::authentication::Methods;
use domain::id::FactorId;
use domain::mail::{Mail, MailKind, Seen};
use domain::second_factor::{
    Enrolled, FACTORS_MAX, NAME_MAX, Passkey, Totp, new_secret, open_secret, seal_secret,
};
use domain::session::Session;
use domain::time::Timestamp;
use http::HeaderMap;
use protocol::params::Params;
use protocol::totp;
use protocol::webauthn::{ALGORITHMS, NewPasskey, RelyingParty, check_registration};
use serde_json::json;
use store::{Tx, audit, mails, second_factors, sessions, used_once};

use super::super::held::{Challenge, HELD_FOR, NewTotp};
use super::super::links::seen;
use super::super::proof::{self, decode, relying_party};
use super::super::second_step::{continue_of, find_enrolled};
use super::super::step_up::{self, need_fresh};
use super::{Codes, PATH, event, write_codes};
use crate::actor::{SignedForm, SignedInUser};
use crate::address::ClientAddress;
use crate::error::{PageError, form_query};
use crate::flash::Done;
use crate::pages::qr::Qr;
use crate::pages::views;
use crate::provider::{Provider, Shared};
use crate::view;

const NAMELESS: &str = "Give it a name of at most 60 characters.";
const NOT_THE_CODE: &str = "That is not the code that the app shows now. Is its clock right?";
const NOT_A_PASSKEY: &str = "The passkey could not be added. Try again.";

/// What both kinds of setting up begin with.
async fn begin(
    provider: &Provider,
    user: &SignedInUser,
    query: Option<String>,
    path: &str,
) -> Result<(Enrolled, String), PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let continue_to = params.one("continue")?.map(|_| continue_of(&params)).transpose()?;
    let here = match &continue_to {
        Some(to) => format!("{path}?{}", form_query(&[("continue", to)])),
        None => path.to_owned(),
    };
    let enrolled = find_enrolled(provider, user.user.id).await?;
    need_fresh(user, &enrolled, &here, provider.now())?;
    Ok((enrolled, continue_to.unwrap_or_else(|| PATH.to_owned())))
}

/// The same when the form comes back.
async fn go_on(
    provider: &Provider,
    user: &SignedInUser,
    path: &str,
) -> Result<Enrolled, PageError> {
    let enrolled = find_enrolled(provider, user.user.id).await?;
    need_fresh(user, &enrolled, path, provider.now())?;
    if is_full(&enrolled) {
        return Err(PageError::Conflict("There are ten already. Remove one first.".into()));
    }
    Ok(enrolled)
}

fn is_full(enrolled: &Enrolled) -> bool {
    enrolled.totps.len().max(enrolled.passkeys.len()) >= FACTORS_MAX
}

/// The name as typed, if it is one.
fn name_of(params: &Params) -> Result<(String, bool), PageError> {
    let name = params.one("name")?.unwrap_or_default().trim().to_owned();
    let is_good =
        !name.is_empty() && name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    Ok((name, is_good))
}

/// `GET /security/app`
pub async fn app_form(
    State(provider): State<Shared>,
    user: SignedInUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (_, continue_to) = begin(&provider, &user, query, "/security/app").await?;
    let secret = new_secret(&*provider.entropy);
    let sealed = seal_secret(&provider.keyring(), user.user.id, &secret, &*provider.entropy)
        .ok_or_else(|| PageError::Internal("a secret could not be sealed".to_owned()))?;
    let new = NewTotp { secret: sealed, browser: user.csrf.clone(), at: provider.now() };
    let page = app_page(&provider, &user, &new, continue_to)?;
    view::page(&provider, &page)
}

fn app_page(
    provider: &Provider,
    user: &SignedInUser,
    new: &NewTotp,
    continue_to: String,
) -> Result<views::AddApp, PageError> {
    let secret = open_secret(&provider.keyring(), user.user.id, &new.secret)
        .map_err(|_| PageError::StaleForm)?;
    let text = totp::base32(&secret);
    let groups: Vec<String> =
        text.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).into_owned()).collect();
    let uri = totp::uri(provider.pages.brand_name(), &user.user.email, &secret);
    Ok(views::AddApp {
        layout: user.layout(),
        qr: Qr::of(&uri),
        secret: groups.join(" "),
        state: new.seal(provider)?,
        continue_to,
        name: "Authenticator app".to_owned(),
        name_error: None,
        code_error: None,
    })
}

/// `POST /security/app`
pub async fn add_app(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    let sealed = params.one("new")?.unwrap_or_default();
    let new = NewTotp::open(&provider, sealed, &user.csrf)?;
    let enrolled = go_on(&provider, &user, "/security/app").await?;
    let (continue_to, (name, has_name)) = (continue_of(&params)?, name_of(&params)?);
    let now = provider.now();
    let mut totp = Totp {
        id: FactorId::random(&*provider.entropy),
        user_id: user.user.id,
        name: name.clone(),
        secret: new.secret.clone(),
        last_step: 0,
        created_at: now,
        last_used_at: None,
    };
    let typed = totp::parse(params.one("code")?.unwrap_or_default()).unwrap_or_default();
    let step = totp.accept(&provider.keyring(), &typed, now).map_err(|_| PageError::StaleForm)?;
    let (true, Some(step)) = (has_name, step) else {
        let page = views::AddApp {
            name,
            name_error: (!has_name).then(|| NAMELESS.to_owned()),
            code_error: step.is_none().then(|| NOT_THE_CODE.to_owned()),
            ..app_page(&provider, &user, &new, continue_to)?
        };
        return view::page_again(&provider, &page);
    };
    totp.last_step = step;
    let method = Methods { otp: true, ..Methods::default() };
    let addition = Addition::new(
        &provider,
        &user,
        New::Totp(totp),
        method,
        seen(address, &headers),
        &enrolled,
    );
    addition.finish(&provider, &user, continue_to).await
}

/// `GET /security/passkey`
pub async fn passkey_form(
    State(provider): State<Shared>,
    user: SignedInUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (enrolled, continue_to) = begin(&provider, &user, query, "/security/passkey").await?;
    let page = passkey_page(&provider, &user, &enrolled, continue_to)?;
    view::page(&provider, &page)
}

fn passkey_page(
    provider: &Provider,
    user: &SignedInUser,
    enrolled: &Enrolled,
    continue_to: String,
) -> Result<views::AddPasskey, PageError> {
    let question = proof::ask_for_new(provider, &user.csrf, user.user.id, enrolled)?;
    Ok(views::AddPasskey {
        layout: user.layout(),
        question: question.ok_or(PageError::NotFound)?,
        user_id: URL_SAFE_NO_PAD.encode(user.user.id.as_bytes()),
        algorithms: ALGORITHMS.map(|number| number.to_string()).join(" "),
        continue_to,
        name: "Passkey".to_owned(),
        name_error: None,
        error: None,
    })
}

/// `POST /security/passkey`
pub async fn add_passkey(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    SignedForm { user, params }: SignedForm,
) -> Result<Response, PageError> {
    let sealed = params.one("passkey")?.unwrap_or_default();
    let question = Challenge::open(&provider, sealed, &user.csrf)?;
    let enrolled = go_on(&provider, &user, "/security/passkey").await?;
    let (continue_to, (name, has_name)) = (continue_of(&params)?, name_of(&params)?);
    let made = match has_name {
        true => read_passkey(&provider, &params, &question)?,
        false => None,
    };
    let Some(made) = made else {
        let page = views::AddPasskey {
            name,
            name_error: (!has_name).then(|| NAMELESS.to_owned()),
            error: has_name.then(|| NOT_A_PASSKEY.to_owned()),
            ..passkey_page(&provider, &user, &enrolled, continue_to)?
        };
        return view::page_again(&provider, &page);
    };
    let passkey = Passkey {
        id: FactorId::random(&*provider.entropy),
        user_id: user.user.id,
        name,
        credential_id: made.credential_id,
        public_key: made.public_key,
        signature_count: made.signature_count.into(),
        created_at: provider.now(),
        last_used_at: None,
    };
    let new = New::Passkey(passkey, question);
    let addition =
        Addition::new(&provider, &user, new, Methods::PASSKEY, seen(address, &headers), &enrolled);
    addition.finish(&provider, &user, continue_to).await
}

fn read_passkey(
    provider: &Provider,
    params: &Params,
    question: &Challenge,
) -> Result<Option<NewPasskey>, PageError> {
    let issuer = provider.issuer();
    let (id, origin) = relying_party(&issuer).ok_or(PageError::NotFound)?;
    let rp = RelyingParty { id: &id, origin: &origin };
    let client_data = decode(params.one("client_data")?.unwrap_or_default())?;
    let object = decode(params.one("attestation_object")?.unwrap_or_default())?;
    match check_registration(rp, &question.challenge, &client_data, &object) {
        Ok(made) => Ok(Some(made)),
        Err(error) => {
            tracing::info!(%error, "a new passkey was refused");
            Ok(None)
        }
    }
}

#[derive(Clone)]
enum New {
    Totp(Totp),
    Passkey(Passkey, Challenge),
}

/// A factor that is about to be added, and the recovery codes that come with the first one.
#[derive(Clone)]
struct Addition {
    new: New,
    method: Methods,
    codes: Option<Codes>,
    macs: Vec<[u8; 16]>,
    session: Session,
    seen: Seen,
    now: Timestamp,
}

impl Addition {
    fn new(
        provider: &Provider,
        user: &SignedInUser,
        new: New,
        method: Methods,
        seen: Seen,
        enrolled: &Enrolled,
    ) -> Self {
        let codes = enrolled.is_empty().then(|| Codes::random(&*provider.entropy));
        let macs = codes.as_ref().map(|codes| codes.macs(&provider.keyring(), user.user.id));
        Self {
            new,
            method,
            codes,
            macs: macs.unwrap_or_default(),
            session: user.session.clone(),
            seen,
            now: provider.now(),
        }
    }

    fn name(&self) -> &str {
        match &self.new {
            New::Totp(totp) => &totp.name,
            New::Passkey(passkey, _) => &passkey.name,
        }
    }

    async fn finish(
        self,
        provider: &Provider,
        user: &SignedInUser,
        continue_to: String,
    ) -> Result<Response, PageError> {
        let this = self.clone();
        let write = async move |tx: &mut Tx<'_>| this.write(tx).await;
        if !provider.store.db.write(write).await? {
            return Err(PageError::StaleForm);
        }
        match &self.codes {
            Some(codes) => codes.show(provider, user, Some(self.name().to_owned()), continue_to),
            None if continue_to == PATH => Ok(Done::FactorAdded.redirect(PATH).into_response()),
            None => Ok(Redirect::to(&continue_to).into_response()),
        }
    }

    /// `false`: the form was sent before, the device is somebody's already, or another browser
    /// was faster: two first factors at once would make two sets of codes, of which one is void.
    async fn write(&self, tx: &mut Tx<'_>) -> Result<bool, PageError> {
        let user = self.session.user_id;
        let enrolled = second_factors::find_enrolled(tx, user).await?;
        if enrolled.is_empty() != self.codes.is_some() || is_full(&enrolled) {
            return Ok(false);
        }
        let (id, kind) = match &self.new {
            New::Totp(totp) => {
                // The secret was made for one form; sent twice, it is one factor.
                let made_once = digest(&SHA256, totp.secret.as_bytes());
                let gone_at = self.now.after(HELD_FOR);
                if !used_once::take(tx, "totp", made_once.as_ref(), gone_at).await? {
                    return Ok(false);
                }
                second_factors::insert_totp(tx, totp).await?;
                (totp.id, "totp")
            }
            New::Passkey(passkey, question) => {
                let gone_at = question.at.after(HELD_FOR);
                let challenge = question.challenge.as_bytes();
                if !used_once::take(tx, "passkey", challenge, gone_at).await?
                    || !second_factors::insert_passkey(tx, passkey).await?
                {
                    return Ok(false);
                }
                (passkey.id, "passkey")
            }
        };
        if self.codes.is_some() {
            // The first factor: whoever came with the password alone has not shown it.
            sessions::delete_others(tx, user, Some(self.session.id)).await?;
        }
        let detail = json!({ "factor": id, "kind": kind, "name": self.name() });
        let event = event(AuditKind::SecondFactorAdded, user, self.seen.address, self.now);
        audit::record(tx, &event.detail(detail)).await?;
        let (factor, label, seen) = (kind.to_owned(), self.name().to_owned(), self.seen.clone());
        let told = MailKind::SecondFactorAdded { factor, label, seen };
        mails::queue(tx, &Mail::to_user(user, told, self.now)).await?;
        if self.codes.is_some() {
            write_codes(tx, user, &self.macs, self.seen.address, self.now).await?;
        }
        // It has just been used.
        let proof = (self.method, self.seen.address);
        step_up::record(tx, &self.session, proof, self.now).await?;
        Ok(true)
    }
}
