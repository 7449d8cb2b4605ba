//! The part of a consent that is about a key: the user picks its permissions, which the app cannot
//! influence, proves to be the user once more, and only then the key is made.

use std::collections::BTreeSet;

use axum::response::{IntoResponse, Redirect, Response};
use domain::app::App;
use domain::authorization::{Question, Visit};
use domain::key_terms::{KeyTerms, Offered};
use domain::mail::Seen;
use domain::partner_key::{IssueRefusal, PartnerKey, Permission, may_issue};
use domain::policy::Policy;
use domain::session::Session;
use domain::time::Timestamp;
use protocol::authorize::AuthorizeErrorCode;
use protocol::params::Params;
use protocol::redirect_uri::RedirectUri;
use protocol::scope::ScopeSet;
use serde::{Deserialize, Serialize};
use store::{Tx, partner_keys};

use crate::actor::{SignedInUser, Visitor};
use crate::error::PageError;
use crate::oauth::authorize::{find_app, understand};
use crate::oauth::consent::{Answer, go_back};
use crate::oauth::pending::{Pending, Stage};
use crate::oauth::user_limits::find_full;
use crate::provider::Provider;

/// What the user said yes to, on its way through the second factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picked {
    pub allowed: ScopeSet,
    pub permissions: BTreeSet<Permission>,
}

/// What the form says about the key.
#[derive(Debug, Default)]
pub(super) struct KeyForm {
    groups: BTreeSet<String>,
    /// As `GROUP URL`.
    single: BTreeSet<String>,
    is_confirmed: bool,
}

impl KeyForm {
    pub(super) fn read(params: &Params) -> Result<Self, PageError> {
        Ok(Self {
            groups: params.all("group").map(str::to_owned).collect(),
            single: params.all("permission").map(str::to_owned).collect(),
            is_confirmed: params.one("confirm_money")? == Some("yes"),
        })
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        self.groups.contains(name)
    }

    pub(super) fn has(&self, permission: &Permission) -> bool {
        self.single.contains(&field_of(permission))
    }

    /// What was ticked of what was offered: a group with all that is in it, or one by one. A name
    /// that was not offered permits nothing.
    pub(super) fn permissions(&self, offered: &[Offered<'_>]) -> BTreeSet<Permission> {
        let of_group = |offered: &Offered<'_>| {
            let whole = self.has_group(&offered.group.name);
            let ticked = offered.permissions().filter(|one| whole || self.has(one));
            ticked.collect::<Vec<_>>()
        };
        offered.iter().flat_map(of_group).collect()
    }

    /// Something that moves money is ticked, and the second yes is not.
    pub(super) fn lacks_confirmation(&self, offered: &[Offered<'_>]) -> bool {
        let money: Vec<_> = offered.iter().filter(|one| one.group.moves_money).cloned().collect();
        !self.is_confirmed && !self.permissions(&money).is_empty()
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }
}

/// The value of a permission's box. Names of groups have no spaces.
pub(super) fn field_of(permission: &Permission) -> String {
    format!("{} {}", permission.group, permission.url)
}

/// The operator's terms, if these scopes are about a new key.
pub(super) fn terms_for<'p>(policy: &'p Policy, scopes: &ScopeSet) -> Option<&'p KeyTerms> {
    policy.partner_keys.as_ref().filter(|terms| terms.makes_key(scopes))
}

/// Why no key can be made, before the user is asked for nothing; in words for the app.
pub(super) async fn find_obstacle(
    provider: &Provider,
    user: &SignedInUser,
    visit: &Visit<'_>,
    parameter: &str,
) -> Result<Option<(AuthorizeErrorCode, &'static str)>, PageError> {
    if terms_for(&provider.policy(), &visit.request.scopes).is_none() {
        return Ok(None);
    }
    if has_parameter(&visit.request.redirect_uri, parameter) {
        let description = "the redirect URI has a parameter that the key would be in";
        return Ok(Some((AuthorizeErrorCode::InvalidRequest, description)));
    }
    let (id, app) = (user.user.id, visit.app.id);
    let read =
        async move |tx: &mut Tx<'_>| Ok::<_, PageError>(partner_keys::list_of_user(tx, id).await?);
    let existing = provider.store.db.read(read).await?;
    Ok(may_issue(&existing, app).err().map(refusal_words))
}

/// A dialect's name for the key may be one that an app has in its address; clients refuse doubled
/// parameters (attack R7).
fn has_parameter(redirect_uri: &RedirectUri, name: &str) -> bool {
    let query = redirect_uri.as_str().split_once('?').map_or("", |(_, query)| query);
    Params::parse(query.as_bytes()).is_ok_and(|params| params.contains(name))
}

/// As the app hears it on the redirect.
pub(super) fn refusal_words(refusal: IssueRefusal) -> (AuthorizeErrorCode, &'static str) {
    match refusal {
        IssueRefusal::ActiveExists => {
            (AuthorizeErrorCode::PartnerKeyActiveExists, "the user has an active key for this app")
        }
        IssueRefusal::DisabledExists => (
            AuthorizeErrorCode::PartnerKeyExpiredExists,
            "the user has a disabled key for this app and must remove it first",
        ),
        IssueRefusal::TooMany => (
            AuthorizeErrorCode::PartnerKeyLimitReached,
            "the user has as many keys as an account may have",
        ),
    }
}

/// The user said yes: now they prove that it is them. The answer waits sealed in the address, so
/// that nothing is made of it unless they do.
pub(super) fn ask_second_factor(
    provider: &Provider,
    user: &SignedInUser,
    pending: &Pending,
    picked: Picked,
) -> Result<Response, PageError> {
    let stage = Stage::SecondFactor { user: user.user.id, answered_at: provider.now() };
    let pending = Pending { picked: Some(picked), ..pending.clone().at(stage) };
    Ok(Redirect::to(&pending.step_up_path(provider)?).into_response())
}

/// Back from the second factor: the consent, the key and the code are made.
pub(super) async fn finish(
    provider: &Provider,
    visitor: &Visitor,
    seen: Seen,
    pending: &Pending,
) -> Result<Response, PageError> {
    let (Stage::SecondFactor { user: answered_by, answered_at }, Some(picked)) =
        (pending.stage, pending.picked.as_ref())
    else {
        return Err(PageError::RequestOver);
    };
    let continue_to = pending.continue_path(provider)?;
    let user = visitor.signed_in.as_ref().ok_or(PageError::SignInNeeded { continue_to })?;
    if user.user.id != answered_by {
        return Err(PageError::StaleForm);
    }
    if !has_proved_since(&user.session, answered_at) {
        return Ok(Redirect::to(&pending.step_up_path(provider)?).into_response());
    }
    let app = find_app(provider, &pending.raw, pending.dialect.as_deref()).await?;
    let policy = provider.policy();
    // It was good when the user answered; the app may have lost a scope or an address since.
    let request = understand(pending, &app, &policy, provider.now());
    let mut request = request.map_err(|_| PageError::RequestOver)?;
    let full = find_full(provider, &app, user.user.id, &request.scopes).await?;
    request.scopes = request.scopes.difference(&full);
    let question =
        Question { app: &app, scopes: &request.scopes, dialect: pending.dialect.as_deref() };
    let allowed = question.allowed(&picked.allowed);
    let address = seen.address;
    // Whoever left the key out proves only what else they allow.
    let key = match terms_for(&policy, &allowed) {
        Some(terms) => {
            let offered = terms.offered_to(&app, provider.now());
            Some(NewKey::make(provider, user, pending, (&app, picked), &offered, seen)?)
        }
        None => None,
    };
    let answer =
        Answer::new(provider, (pending, &app, request.scopes.clone()), user, address, allowed);
    let answer = match key {
        Some(key) => answer.with_key(key),
        None => answer,
    };
    let stored = answer.store(provider).await?;
    go_back(provider, (pending, &app, &request), user, &answer, stored)
}

/// Whether the user has shown a second factor since then, in this session.
fn has_proved_since(session: &Session, then: Timestamp) -> bool {
    session.second_factor_at.is_some_and(|at| at >= then)
}

/// A key that is not inserted yet, and what the user is told of it.
#[derive(Clone, Debug)]
pub(super) struct NewKey {
    pub key: PartnerKey,
    pub app_name: String,
    /// In the user's language.
    pub titles: Vec<String>,
    pub seen: Seen,
}

impl NewKey {
    fn make(
        provider: &Provider,
        user: &SignedInUser,
        pending: &Pending,
        (app, picked): (&App, &Picked),
        offered: &[Offered<'_>],
        seen: Seen,
    ) -> Result<Self, PageError> {
        let locale = user.user.locale.as_deref().unwrap_or_default();
        let mut titles = Vec::new();
        let mut permissions = BTreeSet::new();
        for group in offered {
            let count = permissions.len();
            permissions.extend(group.permissions().filter(|one| picked.permissions.contains(one)));
            if permissions.len() > count {
                titles.push(group.group.title.in_locale(locale).to_owned());
            }
        }
        let key = PartnerKey::issue(
            &provider.keyring(),
            &*provider.entropy,
            (user.user.id, app.id),
            permissions,
            pending.dialect.clone(),
            provider.now(),
        );
        let key =
            key.ok_or_else(|| PageError::Internal("a secret could not be sealed".to_owned()))?;
        Ok(Self { key, app_name: app.name.clone(), titles, seen })
    }
}
