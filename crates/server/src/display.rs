//! From domain values to what the pages show. Words only; nothing is decided here.

use domain::app::{App, AppKind, AppStatus, Turn};
use domain::id::LogoId;
use domain::policy::{Policy, ScopeDefinition, ScopeKind, ScopeTier};
use domain::revision::{FieldChange, Revision, RevisionField};
use domain::time::Timestamp;
use protocol::scope::ScopeName;

use crate::pages::{views, words};

/// `at` in words, as seen from `now`.
pub fn moment(now: Timestamp, at: Timestamp) -> views::Moment {
    views::Moment::seen_from(calendar(now), calendar(at))
}

/// Times beyond the calendar's years can only be a mistake; they show as its first day.
fn calendar(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default()
}

/// A scope in the operator's words. One that the config no longer has is shown by its name.
pub struct ScopeWords {
    pub kind: views::ScopeKind,
    pub tier: views::Tier,
    pub text: String,
}

pub fn scope(policy: &Policy, name: &ScopeName) -> ScopeWords {
    match policy.scope(name) {
        Some(definition) => scope_words(definition),
        None => ScopeWords {
            kind: views::ScopeKind::Read,
            tier: views::Tier::Low,
            text: format!("{name} (no longer offered)"),
        },
    }
}

pub fn scope_words(definition: &ScopeDefinition) -> ScopeWords {
    ScopeWords {
        kind: match definition.kind {
            ScopeKind::Read => views::ScopeKind::Read,
            ScopeKind::Change => views::ScopeKind::Change,
            ScopeKind::Money => views::ScopeKind::Money,
        },
        tier: match definition.tier {
            ScopeTier::Low => views::Tier::Low,
            ScopeTier::Sensitive => views::Tier::Sensitive,
            ScopeTier::High => views::Tier::High,
        },
        text: definition.text.clone(),
    }
}

pub fn app_kind(kind: AppKind) -> views::AppKind {
    match kind {
        AppKind::Web => views::AppKind::Web,
        AppKind::Native => views::AppKind::Native,
        AppKind::SinglePage => views::AppKind::SinglePage,
        AppKind::Service => views::AppKind::Service,
        AppKind::Device => views::AppKind::Device,
        AppKind::Agent => views::AppKind::Agent,
    }
}

/// "Web app": what a live grant is called when nothing better is known.
pub fn app_kind_words(kind: AppKind) -> &'static str {
    match kind {
        AppKind::Web => "Web app",
        AppKind::Native => "Phone or desktop app",
        AppKind::SinglePage => "App in the browser",
        AppKind::Service => "Service",
        AppKind::Device => "Device",
        AppKind::Agent => "AI agent",
    }
}

pub fn app_status(app: &App) -> views::AppStatus {
    match app.status {
        AppStatus::InReview => views::AppStatus::InReview,
        AppStatus::Live { .. } if app.paused_at.is_some() => views::AppStatus::Paused,
        AppStatus::Live { .. } => views::AppStatus::Live,
        AppStatus::Rejected { .. } => views::AppStatus::Rejected,
        AppStatus::Suspended { .. } => views::AppStatus::Suspended,
        AppStatus::Retired { .. } => views::AppStatus::Retired,
    }
}

/// Why staff stopped the app, in their words.
pub fn status_note(app: &App) -> Option<String> {
    match &app.status {
        AppStatus::Rejected { note, .. } => Some(note.clone()),
        AppStatus::Suspended { reason, .. } => Some(reason.clone()),
        AppStatus::InReview | AppStatus::Live { .. } | AppStatus::Retired { .. } => None,
    }
}

/// What staff ask the developer to change.
pub fn asked(app: &App, now: Timestamp) -> Option<views::Asked> {
    match &app.turn {
        Turn::Developer { asked_at, note } if app.awaits_developer() => {
            Some(views::Asked { at: moment(now, *asked_at), note: note.clone() })
        }
        _ => None,
    }
}

/// How two revisions differ.
pub fn changes(before: &Revision, after: &Revision) -> Vec<views::FieldChange> {
    let change = |change: FieldChange| {
        let is_picture = change.field == RevisionField::Logo;
        let shown = |value: String| match is_picture && !value.is_empty() {
            true => format!("/logos/{value}"),
            false => value,
        };
        views::FieldChange {
            field: change.field.title().to_owned(),
            before: shown(change.before),
            after: shown(change.after),
            is_picture,
        }
    };
    before.changes(after).into_iter().map(change).collect()
}

/// Where a logo is served.
pub fn logo_path(logo: LogoId) -> String {
    format!("/logos/{logo}")
}

/// The logo as users may see it: once the brand is verified.
pub fn verified_logo(app: &App) -> Option<String> {
    app.logo.filter(|_| app.brand_is_verified()).map(logo_path)
}

/// `publisher` where there is one.
pub fn publisher(app: &App) -> Option<String> {
    Some(app.publisher.clone()).filter(|text| !text.is_empty())
}

/// `2 April 2026`, in UTC.
pub fn date(at: Timestamp) -> String {
    calendar(at).strftime("%-d %B %Y").to_string()
}

/// The moments at which a day like `2026-04-02` begins and ends, in UTC.
pub fn day(text: &str) -> Option<(Timestamp, Timestamp)> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let start = |date: jiff::civil::Date| {
        let start = jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        Some(Timestamp::from_millis(start.as_millisecond()))
    };
    Some((start(date)?, start(date.tomorrow().ok()?)?))
}

/// `2026-04-02`, as a field for a date holds it, in UTC.
pub fn iso_date(at: Timestamp) -> String {
    calendar(at).strftime("%Y-%m-%d").to_string()
}

/// `2 April, 09:00`, in UTC.
pub fn hour(at: Timestamp) -> String {
    calendar(at).strftime("%-d %B, %H:%M").to_string()
}

/// `2026-04-02T09:00:00Z`
pub fn iso(at: Timestamp) -> String {
    words::iso(calendar(at))
}
