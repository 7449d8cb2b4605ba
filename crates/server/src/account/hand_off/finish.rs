//! `GET /sign-in/return/{id}`: somebody comes back from the system that signs users in. The answer
//! is looked at, used up, and only then traded and believed; every refusal is counted and audited.

use std::net::IpAddr;

use aws_lc_rs::digest;
use axum::extract::{Path, RawQuery, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::authentication::Methods;
use domain::id::UserId;
use domain::second_factor::Enrolled;
use domain::sign_in::{Admission, Refusal, SignInProvider, Way, auth_time};
use domain::time::Timestamp;
use domain::user::{User, UserStatus, normalize_email};
use http::header::{HeaderMap, SET_COOKIE};
use protocol::hand_off::{ExpectedReturn, ReturnError, open_return};
use protocol::identity::Identity;
use protocol::openid::SignInAnswer;
use protocol::params::Params;
use serde_json::json;
use store::{Tx, audit, identities, second_factors, used_once, users};

use super::openid::redeem;
use super::refused::{self, Why};
use super::travel::Travel;
use crate::account::held::{Elsewhere, HalfWay};
use crate::account::limits::Limits;
use crate::account::opening::Opening;
use crate::account::second_step::{Outcome, SecondStep};
use crate::account::sign_in::Form;
use crate::account::step_up;
use crate::actor::{SignedInUser, Visitor};
use crate::address::ClientAddress;
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
    let response = match back.arrive(&provider, travel.as_ref(), &params).await? {
        Ok(vouched) => back.receive(&provider, vouched, (&visitor, &headers)).await?,
        Err(why) => Err(why),
    };
    let response = response.or_else(|why| {
        tracing::info!(provider = %name, %why, "somebody who came back is not signed in");
        let continue_to = travel.as_ref().map_or("/", |travel| &travel.continue_to);
        refused::page(&provider, &visitor, (&upstream.title, &why), continue_to)
    })?;
    // What the browser kept is over, whatever became of it.
    let cleared = provider.cookies.clear(&provider.cookies.hand_off);
    let response = (AppendHeaders(cleared.map(|value| (SET_COOKIE, value))), response);
    Ok(visitor.remember(&provider, response.into_response()))
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

/// Whom the provider vouches for.
struct Vouched<'t> {
    travel: &'t Travel,
    identity: Identity,
    auth_time: Timestamp,
}

/// What became of them.
enum Admitted {
    In(User),
    /// They have a second factor here, which the provider has not seen.
    HalfWay(User, Enrolled, Elsewhere),
    SteppedUp,
}

impl Return<'_> {
    async fn arrive<'t>(
        &self,
        provider: &Provider,
        travel: Option<&'t Travel>,
        params: &Params,
    ) -> Result<Result<Vouched<'t>, Why>, PageError> {
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
        let vouched = told.and_then(|identity| {
            let at = auth_time(&identity, travel.demand.since(now), now);
            let auth_time = at.map_err(|_| Why::NotFresh)?;
            if travel.demand.second_factor.is_some() && !self.saw_second_factor(&identity) {
                return Err(Why::NoSecondFactor);
            }
            Ok(Vouched { travel, identity, auth_time })
        });
        match vouched {
            Err(why) => self.refuse(provider, why).await.map(Err),
            vouched => Ok(vouched),
        }
    }

    fn saw_second_factor(&self, identity: &Identity) -> bool {
        self.upstream.second_factor.is_in(identity)
    }

    /// On to where they wanted to go, or to what is still missing.
    async fn receive(
        &self,
        provider: &Provider,
        vouched: Vouched<'_>,
        (visitor, headers): (&Visitor, &HeaderMap),
    ) -> Result<Result<Response, Why>, PageError> {
        let continue_to = &vouched.travel.continue_to;
        let opening = Opening::new(provider, visitor, self.address, headers)
            .with(self.limits.clone())
            .elsewhere(&self.upstream.name, vouched.auth_time);
        let admitted = match vouched.travel.demand.second_factor {
            None => self.admit(provider, &vouched, opening.clone()).await?,
            Some(session) => {
                let signed_in = visitor.signed_in.as_ref();
                let own = signed_in.filter(|user| user.session.id == session);
                self.step_up(provider, &vouched.identity, own).await?
            }
        };
        Ok(match admitted {
            Ok(Admitted::In(user)) => {
                let device = opening.device(provider, &user.email);
                Ok(opening.answer(provider, &device, continue_to))
            }
            Ok(Admitted::HalfWay(user, enrolled, elsewhere)) => {
                let form = Form::of(provider, continue_to);
                let email = normalize_email(&user.email);
                let half_way = HalfWay::new(provider, &user, &email, visitor.csrf(), Methods::NONE)
                    .vouched_for(elsewhere);
                let step = SecondStep { form: &form, half_way: &half_way, enrolled: &enrolled };
                Ok(step.render(provider, visitor, Outcome::Asked)?)
            }
            Ok(Admitted::SteppedUp) => Ok(Redirect::to(continue_to).into_response()),
            Err(why) => Err(why),
        })
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
    /// parallel returns one is taken (attack S9).
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

    /// Who is it here? All that it takes, in one write.
    async fn admit(
        &self,
        provider: &Provider,
        vouched: &Vouched<'_>,
        opening: Opening,
    ) -> Result<Result<Admitted, Why>, PageError> {
        let (upstream, limits, now) = (self.upstream.clone(), self.limits.clone(), provider.now());
        let (new_id, refusal) = (UserId::random(&*provider.entropy), self.refusal(now));
        let (identity, auth_time) = (vouched.identity.clone(), vouched.auth_time);
        let saw_one = self.saw_second_factor(&identity);
        let write = async move |tx: &mut Tx<'_>| {
            let (user, is_new) = match find_or_make(tx, &upstream, &identity, new_id, now).await? {
                Ok(found) => found,
                Err(why) => {
                    audit::record(tx, &refusal(&why.into())).await?;
                    return Ok::<_, PageError>(Err(why.into()));
                }
            };
            let enrolled = second_factors::find_enrolled(tx, user.id).await?;
            let elsewhere = Elsewhere {
                provider: upstream.name.clone(),
                issuer: upstream.issuer.clone(),
                subject: identity.subject.clone(),
                auth_time,
                is_new,
            };
            if !saw_one && !enrolled.is_empty() {
                limits.give_back(tx).await?;
                return Ok(Ok(Admitted::HalfWay(user, enrolled, elsewhere)));
            }
            if !link(tx, &elsewhere, user.id, now).await? {
                return Ok(Err(Why::SomebodyElse));
            }
            let methods = if saw_one { Methods::ELSEWHERE } else { Methods::NONE };
            if user.id == new_id {
                opening.write_first(tx, user.id, methods).await?;
            } else {
                opening.write(tx, user.id, methods).await?;
            }
            Ok(Ok(Admitted::In(user)))
        };
        provider.store.db.write(write).await
    }

    /// The session stays, and has seen a second factor: of its own user (attack S9).
    async fn step_up(
        &self,
        provider: &Provider,
        identity: &Identity,
        own: Option<&SignedInUser>,
    ) -> Result<Result<Admitted, Why>, PageError> {
        let Some(own) = own else { return self.refuse(provider, Why::NotOurs).await.map(Err) };
        let (issuer, subject) = (self.upstream.issuer.clone(), identity.subject.clone());
        let (session, limits, now) = (own.session.clone(), self.limits.clone(), provider.now());
        let (refusal, address) = (self.refusal(now), self.address);
        let write = async move |tx: &mut Tx<'_>| {
            if identities::find(tx, &issuer, &subject).await? != Some(session.user_id) {
                audit::record(tx, &refusal(&Why::SomebodyElse)).await?;
                return Ok::<_, PageError>(Err(Why::SomebodyElse));
            }
            step_up::record(tx, &session, (Methods::ELSEWHERE, address), now).await?;
            limits.give_back(tx).await?;
            Ok(Ok(Admitted::SteppedUp))
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

/// From now on the two are one. `false`: that person has become another user meanwhile.
pub(in crate::account) async fn link(
    tx: &mut Tx<'_>,
    elsewhere: &Elsewhere,
    user: UserId,
    now: Timestamp,
) -> Result<bool, PageError> {
    let Elsewhere { provider, issuer, subject, is_new, .. } = elsewhere;
    if !is_new {
        identities::touch(tx, issuer, subject, now).await?;
        return Ok(true);
    }
    if !identities::insert(tx, issuer, subject, user, now).await? {
        return Ok(identities::find(tx, issuer, subject).await? == Some(user));
    }
    let event = AuditEvent::new(now, AuditKind::IdentityLinked, AuditActor::User(user))
        .detail(json!({ "provider": provider, "subject": subject }));
    audit::record(tx, &event).await?;
    Ok(true)
}

/// The user whom `identity` is here, made if that may be, and whether it is new to them.
async fn find_or_make(
    tx: &mut Tx<'_>,
    upstream: &SignInProvider,
    identity: &Identity,
    new_id: UserId,
    now: Timestamp,
) -> Result<Result<(User, bool), Refusal>, PageError> {
    let known = match identities::find(tx, &upstream.issuer, &identity.subject).await? {
        Some(id) => users::find(tx, id).await?,
        None => None,
    };
    let same_email = match &identity.email {
        Some(email) => users::find_by_email(tx, email).await?,
        None => None,
    };
    let user = match (upstream.admit(identity, known.as_ref(), same_email.as_ref()), known) {
        (Admission::Refuse(why), _) => return Ok(Err(why)),
        (Admission::Known, Some(user)) => return Ok(Ok((user, false))),
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
    Ok(user.map(|user| (user, true)).ok_or(Refusal::NoNewAccounts))
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
