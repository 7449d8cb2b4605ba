//! `GET /sign-in/return/{id}`: somebody comes back from the system that signs users in. The answer
//! is looked at, used up, and only then traded and believed; every refusal is counted and audited.

use std::net::IpAddr;

use aws_lc_rs::digest;
use axum::extract::{Path, RawQuery, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::{SessionId, UserId};
use domain::session::{SESSION_LIFETIME_MAX, Session, session_id_of};
use domain::sign_in::{Admission, Refusal, SignInProvider, Way, auth_time};
use domain::time::Timestamp;
use domain::user::{User, UserStatus};
use http::header::{HeaderMap, SET_COOKIE};
use protocol::hand_off::{ExpectedReturn, ReturnError, open_return};
use protocol::identity::Identity;
use protocol::openid::SignInAnswer;
use protocol::params::Params;
use serde_json::json;
use store::{Tx, audit, identities, sessions, used_once, users};

use super::openid::redeem;
use super::random_text;
use super::refused::{self, Why};
use super::travel::Travel;
use crate::account::device::{Device, REMEMBERED_FOR};
use crate::account::limits::Limits;
use crate::actor::Visitor;
use crate::address::{ClientAddress, user_agent};
use crate::cookie;
use crate::error::PageError;
use crate::provider::{Provider, Shared};

/// Of [`used_once`].
const KIND: &str = "sign-in return";

pub async fn finish(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    visitor: Visitor,
    (Path(name), RawQuery(query)): (Path<String>, RawQuery),
) -> Result<Response, PageError> {
    let policy = provider.policy();
    let upstream = policy.sign_in.provider(&name).ok_or(PageError::NotFound)?;
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let travel = Travel::of(&provider, &headers);
    let back = Return { upstream, address, limits: Limits::of_returns(address) };
    match back.arrive(&provider, travel.as_ref(), &params, (&visitor, &headers)).await? {
        Ok(arrived) => arrived.answer(&provider, &headers),
        Err(why) => {
            tracing::info!(provider = %name, %why, "somebody who came back is not signed in");
            let continue_to = travel.as_ref().map_or("/", |travel| &travel.continue_to);
            refused::page(&provider, &visitor, (&upstream.title, &why), continue_to)
        }
    }
}

/// Somebody who comes back from `upstream`.
struct Return<'a> {
    upstream: &'a SignInProvider,
    address: IpAddr,
    limits: Limits,
}

/// What they brought with them.
enum Brought {
    Code(String),
    Identity(Identity),
}

/// Somebody who is signed in.
struct Arrived {
    secret: String,
    email: String,
    continue_to: String,
}

impl Return<'_> {
    async fn arrive(
        &self,
        provider: &Provider,
        travel: Option<&Travel>,
        params: &Params,
        (visitor, headers): (&Visitor, &HeaderMap),
    ) -> Result<Result<Arrived, Why>, PageError> {
        let travel = travel.filter(|travel| travel.to == self.upstream.name).ok_or(Why::NotOurs);
        let brought = match travel {
            Ok(travel) => {
                self.look(provider, travel, params).await.map(|brought| (travel, brought))
            }
            Err(why) => Err(why),
        };
        let (travel, brought) = match self.take(provider, brought).await? {
            Ok(taken) => taken,
            Err(why) => return Ok(Err(why)),
        };
        let told = match brought {
            Brought::Identity(identity) => Ok(identity),
            Brought::Code(code) => redeem(provider, self.upstream, travel, &code).await,
        };
        let now = provider.now();
        let told = told.and_then(|identity| {
            let at = auth_time(&identity, travel.demand.since(now), now);
            Ok((identity, at.map_err(|_| Why::NotFresh)?))
        });
        let (identity, auth_time) = match told {
            Ok(told) => told,
            Err(why) => return self.refuse(provider, why).await.map(Err),
        };
        let secret = random_text(provider);
        let session = Session {
            id: session_id_of(secret.as_bytes()),
            // Not known before the rows are read.
            user_id: UserId::random(&*provider.entropy),
            auth_time,
            created_at: now,
            last_seen_at: now,
            expires_at: now.after(SESSION_LIFETIME_MAX),
            address: self.address,
            user_agent: user_agent(headers),
        };
        let old = visitor.signed_in.as_ref().map(|signed_in| signed_in.session.id);
        let admitted = self.admit(provider, identity, session, old).await?;
        Ok(admitted.map(|user| Arrived {
            secret,
            email: user.email,
            continue_to: travel.continue_to.clone(),
        }))
    }

    /// Is it an answer to what this browser left with? Nothing is written, and nobody is asked but
    /// for the provider's own document.
    async fn look(
        &self,
        provider: &Provider,
        travel: &Travel,
        params: &Params,
    ) -> Result<Brought, Why> {
        let not_good = |error: &dyn std::fmt::Display| Why::NotGood(error.to_string());
        match &self.upstream.way {
            Way::OpenId { .. } => {
                let state = params.one("state").map_err(|error| not_good(&error))?;
                if state != Some(&travel.id) {
                    return Err(Why::NotOurs);
                }
                let providers = &provider.openid_providers;
                let document = providers.document(provider, &self.upstream.issuer).await?;
                let always = document.always_sends_iss;
                match SignInAnswer::read(params, &self.upstream.issuer, always) {
                    Ok(SignInAnswer::Code(code)) => Ok(Brought::Code(code)),
                    Ok(SignInAnswer::Refused(word)) => Err(Why::Denied(word)),
                    Err(error) => Err(not_good(&error)),
                }
            }
            Way::SignedRedirect { key, .. } => {
                let response = params.one("response").map_err(|error| not_good(&error))?;
                let expected = ExpectedReturn {
                    issuer: &self.upstream.issuer,
                    audience: &provider.issuer(),
                    request: &travel.id,
                    now_seconds: provider.now().as_seconds(),
                };
                match open_return(key, response.unwrap_or_default(), &expected) {
                    Ok(identity) => Ok(Brought::Identity(identity)),
                    Err(ReturnError::OtherRequest) => Err(Why::NotOurs),
                    Err(ReturnError::Refused(word)) => Err(Why::Denied(word)),
                    Err(error) => Err(not_good(&error)),
                }
            }
        }
    }

    /// Count the attempt, use the answer up, and note a refusal: one write, so that of twelve
    /// parallel returns one is taken (attack S6).
    async fn take<'t>(
        &self,
        provider: &Provider,
        brought: Result<(&'t Travel, Brought), Why>,
    ) -> Result<Result<(&'t Travel, Brought), Why>, PageError> {
        let (limits, now) = (self.limits.clone(), provider.now());
        let ticket = brought.as_ref().map_err(Clone::clone).map(|(travel, _)| {
            let id = format!("{} {}", travel.to, travel.id);
            let hash = digest::digest(&digest::SHA256, id.as_bytes()).as_ref().to_vec();
            (hash, travel.ends_at())
        });
        let event = self.refusal(now);
        let write = async move |tx: &mut Tx<'_>| {
            if let Some(wait) = limits.count(tx, now).await? {
                return Ok::<_, PageError>(Err(PageError::Throttled { wait }));
            }
            let why = match &ticket {
                Ok((hash, ends_at)) if used_once::take(tx, KIND, hash, *ends_at).await? => None,
                Ok(_) => Some(Why::Used),
                Err(why) => Some(why.clone()),
            };
            if let Some(why) = why.as_ref().filter(|why| why.is_refusal()) {
                audit::record(tx, &event(why)).await?;
            }
            Ok(Ok(why))
        };
        match provider.store.db.write(write).await?? {
            None => Ok(brought),
            Some(why) => Ok(Err(why)),
        }
    }

    /// Who is it here? The new session and all that it takes, in one write.
    async fn admit(
        &self,
        provider: &Provider,
        identity: Identity,
        session: Session,
        old: Option<SessionId>,
    ) -> Result<Result<User, Why>, PageError> {
        let (upstream, limits, now) = (self.upstream.clone(), self.limits.clone(), provider.now());
        let (address, refusal) = (self.address, self.refusal(now));
        let new_id = UserId::random(&*provider.entropy);
        let write = async move |tx: &mut Tx<'_>| {
            let user = match find_or_make(tx, &upstream, &identity, new_id, now).await? {
                Ok(user) => user,
                Err(why) => {
                    audit::record(tx, &refusal(&why.into())).await?;
                    return Ok::<_, PageError>(Err(why.into()));
                }
            };
            // Always a new one, and never two (attack S1).
            if let Some(old) = old {
                sessions::delete(tx, old).await?;
            }
            sessions::insert(tx, &Session { user_id: user.id, ..session.clone() }).await?;
            limits.give_back(tx).await?;
            let event = AuditEvent::new(now, AuditKind::SignedIn, AuditActor::User(user.id))
                .address(address)
                .detail(json!({ "provider": upstream.name }));
            audit::record(tx, &event).await?;
            Ok(Ok(user))
        };
        provider.store.db.write(write).await
    }

    async fn refuse(&self, provider: &Provider, why: Why) -> Result<Why, PageError> {
        let event = self.refusal(provider.now())(&why);
        if why.is_refusal() {
            let write = async move |tx: &mut Tx<'_>| {
                audit::record(tx, &event).await?;
                Ok::<_, PageError>(())
            };
            provider.store.db.write(write).await?;
        }
        Ok(why)
    }

    fn refusal(&self, now: Timestamp) -> impl Fn(&Why) -> AuditEvent + Clone + Send + 'static {
        let (name, address) = (self.upstream.name.clone(), self.address);
        move |why| {
            AuditEvent::new(now, AuditKind::HandOffRefused, AuditActor::System)
                .address(address)
                .detail(json!({ "provider": name, "why": why.to_string() }))
        }
    }
}

/// The user whom `identity` is here, linked or made if that may be.
async fn find_or_make(
    tx: &mut Tx<'_>,
    upstream: &SignInProvider,
    identity: &Identity,
    new_id: UserId,
    now: Timestamp,
) -> Result<Result<User, Refusal>, PageError> {
    let (issuer, subject) = (&upstream.issuer, &identity.subject);
    let known = match identities::find(tx, issuer, subject).await? {
        Some(id) => users::find(tx, id).await?,
        None => None,
    };
    let same_email = match &identity.email {
        Some(email) => users::find_by_email(tx, email).await?,
        None => None,
    };
    let user = match (upstream.admit(identity, known.as_ref(), same_email.as_ref()), known) {
        (Admission::Refuse(why), _) => return Ok(Err(why)),
        (Admission::Known, Some(user)) => {
            identities::touch(tx, issuer, subject, now).await?;
            return Ok(Ok(user));
        }
        (Admission::Create { email }, _) => {
            let user = newcomer(identity, email, new_id, now);
            if !users::insert(tx, &user).await? {
                return Ok(Err(Refusal::AccountExists));
            }
            let event = AuditEvent::new(now, AuditKind::UserCreated, AuditActor::System)
                .user(user.id)
                .detail(json!({ "email": user.email, "provider": upstream.name }));
            audit::record(tx, &event).await?;
            Some(user)
        }
        _ => same_email,
    };
    let Some(user) = user else { return Ok(Err(Refusal::NoNewAccounts)) };
    identities::insert(tx, issuer, subject, user.id, now).await?;
    let event = AuditEvent::new(now, AuditKind::IdentityLinked, AuditActor::User(user.id))
        .detail(json!({ "provider": upstream.name, "subject": subject }));
    audit::record(tx, &event).await?;
    Ok(Ok(user))
}

/// Without a password and without a role: those are given here.
fn newcomer(identity: &Identity, email: String, id: UserId, now: Timestamp) -> User {
    let local_part = email.split('@').next().unwrap_or_default().to_owned();
    User {
        id,
        name: identity.name.clone().unwrap_or(local_part),
        email,
        password: None,
        roles: Vec::new(),
        status: UserStatus::Active,
        created_at: now,
        locale: identity.locale.clone(),
        email_verified_at: Some(now),
    }
}

impl Arrived {
    fn answer(self, provider: &Provider, headers: &HeaderMap) -> Result<Response, PageError> {
        let names = &provider.cookies;
        let (keyring, now) = (provider.keyring(), provider.now());
        let claimed = cookie::read(headers, &names.device).and_then(Device::parse);
        let device = claimed.unwrap_or_else(|| Device::random(&*provider.entropy));
        let email = domain::user::normalize_email(&self.email);
        let device = device.remember(&keyring, &email, now).to_cookie();
        let cookies = [
            names.set(&names.session, &self.secret),
            names.set_for(&names.device, &device, REMEMBERED_FOR),
            names.clear(&names.hand_off),
        ];
        let cookies = cookies.into_iter().flatten().map(|value| (SET_COOKIE, value));
        Ok((AppendHeaders(cookies), Redirect::to(&self.continue_to)).into_response())
    }
}
