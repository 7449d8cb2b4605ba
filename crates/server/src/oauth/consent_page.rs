//! What the consent page tells: who asks, as whom, for what and why, what is new, where the user
//! goes next, and for how long (screens, "Consent").

use std::time::Duration;

use axum::response::Response;
use domain::app::{App, AppStatus, Approval};
use domain::authorization::Question;
use domain::consent::Consent;
use domain::grant::Mode;
use domain::key_terms::{KeyTerms, Offered};
use domain::partner_key::{Permission, UNUSED_MAX};
use domain::policy::{EffectiveLifetimes, Policy, ScopeDefinition};
use domain::time::Timestamp;
use http::StatusCode;
use protocol::redirect_uri as wire;
use protocol::scope::{ScopeName, ScopeSet};

use crate::actor::SignedInUser;
use crate::error::{PageError, duration_words};
use crate::oauth::authorize::find_consent;
use crate::oauth::key_consent::{self, KeyForm};
use crate::oauth::pending::{Pending, Stage};
use crate::pages::views;
use crate::provider::Provider;
use crate::review::terms::until_words;
use crate::view;

/// What the page asks, and where the answer goes.
pub(crate) struct Asked<'a> {
    pub question: Question<'a>,
    /// Asked for, but other users have every place that the app is approved for.
    pub full: &'a ScopeSet,
    pub destination: views::Destination,
}

pub(crate) fn show(
    provider: &Provider,
    user: &SignedInUser,
    pending: Pending,
    asked: Asked<'_>,
    remembered: Option<&Consent>,
) -> Result<Response, PageError> {
    let page = page(provider, user, pending.clone(), asked, remembered)?;
    view::page_with_form_action(provider, &page, pending.form_target.as_deref())
}

/// What was ticked on a page that has to be answered again.
pub(super) struct Typed {
    pub allowed: ScopeSet,
    pub form: KeyForm,
}

/// The page once more: a key may move money, and the second yes is missing.
pub(super) async fn show_again(
    provider: &Provider,
    user: &SignedInUser,
    pending: Pending,
    asked: Asked<'_>,
    Typed { allowed, form }: Typed,
) -> Result<Response, PageError> {
    let question = asked.question;
    let remembered = find_consent(provider, Some(&user.session), question.app).await?;
    let target = pending.form_target.clone();
    let mut page = page(provider, user, pending, asked, remembered.as_ref())?;
    for scope in &mut page.scopes {
        scope.ticked = allowed.contains(&scope.id);
    }
    let policy = provider.policy();
    page.key = key_consent::terms_for(&policy, question.scopes)
        .map(|terms| key_part(terms, question.app, user, &form, (true, provider.now())));
    let mut response = view::page_with_form_action(provider, &page, target.as_deref())?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

fn page(
    provider: &Provider,
    user: &SignedInUser,
    pending: Pending,
    asked: Asked<'_>,
    remembered: Option<&Consent>,
) -> Result<views::Consent, PageError> {
    let Asked { question, full, destination } = asked;
    let question = &question;
    let remembered = remembered.filter(|consent| consent.is_given());
    let (policy, now) = (provider.policy(), provider.now());
    let (app, session) = (question.app, user.session.id);
    let lifetimes = policy.lifetimes_of_grant(app, question.dialect, question.scopes);
    let key = key_consent::terms_for(&policy, question.scopes)
        .map(|terms| key_part(terms, app, user, &KeyForm::default(), (false, now)));
    let switch = pending.clone().at(Stage::SignIn { refused_session: Some(session) });
    Ok(views::Consent {
        layout: user.layout(),
        action: "/oauth/consent".to_owned(),
        request: pending.at(Stage::Consent { session }).seal(provider)?,
        app: describe(app, now),
        destination,
        account: user.account(),
        switch_url: switch.sign_in_path(provider)?,
        scopes: scopes(question, &policy, remembered),
        full: full_scopes(app, full, &policy),
        lasts: lasts(&lifetimes),
        works_while_away: works_while_away(&lifetimes),
        changes: remembered.and_then(|consent| changes(question, &policy, consent, now)),
        key,
        preview: None,
    })
}

/// The page as users of `app` see it, of which nothing can be pressed.
pub(crate) fn preview(
    provider: &Provider,
    user: &SignedInUser,
    app: &App,
    proposed: bool,
) -> views::Consent {
    let (policy, now) = (provider.policy(), provider.now());
    let asked = app.default_scopes(now);
    let dialect = app.main_dialect();
    let question = Question { app, scopes: &asked, dialect };
    let lifetimes = policy.lifetimes_of_grant(app, dialect, &asked);
    let device =
        || views::Destination { kind: views::DestinationKind::Device, place: "192.0.2.7".into() };
    views::Consent {
        layout: user.layout(),
        action: String::new(),
        request: String::new(),
        app: describe(app, now),
        destination: app.redirect_uris.first().map_or_else(device, destination),
        account: user.account(),
        switch_url: String::new(),
        scopes: scopes(&question, &policy, None),
        full: Vec::new(),
        lasts: lasts(&lifetimes),
        works_while_away: works_while_away(&lifetimes),
        changes: None,
        key: None,
        preview: Some(views::Preview { back: format!("/apps/{}", app.id), proposed }),
    }
}

/// The permissions among which the user picks. Nothing is ticked for them.
fn key_part(
    terms: &KeyTerms,
    app: &App,
    user: &SignedInUser,
    form: &KeyForm,
    (lacks_confirmation, now): (bool, Timestamp),
) -> views::ConsentKey {
    let locale = user.user.locale.as_deref().unwrap_or_default();
    let permission = |one: Permission| views::KeyPermission {
        field: key_consent::field_of(&one),
        ticked: form.has(&one),
        url: one.url,
    };
    let group = |offered: &Offered<'_>| views::KeyGroup {
        name: offered.group.name.clone(),
        title: offered.group.title.in_locale(locale).to_owned(),
        moves_money: offered.group.moves_money,
        ticked: form.has_group(&offered.group.name),
        permissions: offered.permissions().map(permission).collect(),
    };
    let offered = terms.offered_to(app, now);
    views::ConsentKey {
        moves_money: offered.iter().any(|offered| offered.group.moves_money),
        groups: offered.iter().map(group).collect(),
        is_confirmed: form.is_confirmed(),
        lacks_confirmation,
        unused_days: UNUSED_MAX.as_secs() / (24 * 3600),
    }
}

pub(crate) fn describe(app: &App, now: Timestamp) -> views::ConsentApp {
    let reviewed = match app.status {
        AppStatus::Live { approval: Approval::Reviewed { at, .. }, .. } => Some(at),
        _ => None,
    };
    views::ConsentApp {
        name: app.name.clone(),
        logo_url: crate::display::verified_logo(app),
        publisher: Some(app.publisher.clone()).filter(|publisher| !publisher.is_empty()),
        brand_verified: app.brand_is_verified(),
        verification: match reviewed {
            Some(at) => views::Verification::Reviewed { on: moment(now, at) },
            None => views::Verification::NotReviewed,
        },
        homepage: app.homepage.clone(),
        privacy_url: app.privacy_url.clone(),
        terms_url: app.terms_url.clone(),
        test: app.mode == Mode::Test,
    }
}

pub(super) fn destination(redirect_uri: &wire::RedirectUri) -> views::Destination {
    let wire::Destination { host, kind } = redirect_uri.destination();
    views::Destination {
        kind: match kind {
            wire::DestinationKind::Https => views::DestinationKind::Web,
            wire::DestinationKind::Loopback => views::DestinationKind::Loopback,
            wire::DestinationKind::CustomScheme => views::DestinationKind::CustomScheme,
        },
        place: host.clone(),
    }
}

/// Optional scopes start as the user last decided, else as the app's switch says.
fn scopes(
    question: &Question<'_>,
    policy: &Policy,
    remembered: Option<&Consent>,
) -> Vec<views::ConsentScope> {
    let required = question.required_scopes();
    let defined = question.scopes.iter().filter_map(|name| policy.scope(name));
    let entry = |scope: &ScopeDefinition| {
        let id = scope.name.as_str();
        let decided = remembered.filter(|consent| consent.asked.contains(id));
        let ticked = decided.map(|consent| consent.scopes.contains(id));
        let asked = question.app.requested.iter().find(|request| request.scope == scope.name);
        views::ConsentScope {
            id: id.to_owned(),
            kind: kind(scope),
            tier: tier(scope),
            text: scope.text.clone(),
            purpose: asked.map(|r| r.purpose.clone()).filter(|purpose| !purpose.is_empty()),
            required: required.contains(id),
            ticked: ticked.unwrap_or(question.app.optional_ticked),
            new: remembered.is_some() && decided.is_none(),
            condition: condition(question.app, id),
        }
    };
    defined.map(entry).collect()
}

/// What the user could not allow if they wanted to, with the number of places.
fn full_scopes(app: &App, full: &ScopeSet, policy: &Policy) -> Vec<views::FullScope> {
    let one = |(name, user_max): (&ScopeName, u32)| {
        let text = policy.scope(name)?.text.clone();
        Some(views::FullScope { text, user_max }).filter(|_| full.contains(name.as_str()))
    };
    app.user_limits().filter_map(one).collect()
}

/// What an approval of one scope is bound to, as far as it concerns its user.
fn condition(app: &App, scope: &str) -> Option<String> {
    let condition = app.condition_of(scope)?;
    let until = condition.until.map(|at| format!("Until {} only.", until_words(at)));
    let unseen = condition.by_policy.then(|| "Nobody at staff looked at this one.".to_owned());
    let lines: Vec<_> = until.into_iter().chain(unseen).collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

fn kind(scope: &ScopeDefinition) -> views::ScopeKind {
    match scope.kind {
        domain::policy::ScopeKind::Read => views::ScopeKind::Read,
        domain::policy::ScopeKind::Change => views::ScopeKind::Change,
        domain::policy::ScopeKind::Money => views::ScopeKind::Money,
    }
}

fn tier(scope: &ScopeDefinition) -> views::Tier {
    match scope.tier {
        domain::policy::ScopeTier::Low => views::Tier::Low,
        domain::policy::ScopeTier::Sensitive => views::Tier::Sensitive,
        domain::policy::ScopeTier::High => views::Tier::High,
    }
}

/// Completes "Access lasts …". Where a dialect has no refresh tokens, it ends with the token.
fn lasts(lifetimes: &EffectiveLifetimes) -> String {
    let EffectiveLifetimes { access_token, refresh_idle: idle, grant, has_refresh_tokens } =
        *lifetimes;
    let longest = if has_refresh_tokens { grant } else { access_token.min(grant) };
    if idle >= longest {
        return format!("until you take it back, {} at most", duration_words(longest));
    }
    format!(
        "until you take it back, {} at most, and ends by itself after {} without use",
        duration_words(longest),
        duration_words(idle)
    )
}

/// Goes on after the user has left, because it is renewed or because it lasts.
fn works_while_away(lifetimes: &EffectiveLifetimes) -> bool {
    const WHILE_PRESENT: Duration = Duration::from_secs(3600);
    lifetimes.has_refresh_tokens || lifetimes.access_token > WHILE_PRESENT
}

/// The difference against what the user decided last, when there is one.
fn changes(
    question: &Question<'_>,
    policy: &Policy,
    consent: &Consent,
    now: Timestamp,
) -> Option<views::ConsentChanges> {
    let texts = |scopes: ScopeSet| -> Vec<String> {
        scopes.iter().filter_map(|name| policy.scope(name)).map(|s| s.text.clone()).collect()
    };
    let added = texts(question.scopes.difference(&consent.asked));
    let removed = texts(consent.scopes.difference(question.scopes));
    if added.is_empty() && removed.is_empty() {
        return None;
    }
    let last_consent_at = moment(now, consent.changed_at);
    Some(views::ConsentChanges { last_consent_at, added, removed, other: Vec::new() })
}

fn moment(now: Timestamp, at: Timestamp) -> views::Moment {
    let point =
        |at: Timestamp| jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    views::Moment::seen_from(point(now), point(at))
}
