//! How an app's parts are spelled in columns.

use domain::app::{App, AppKind, AppStatus, Approval};
use domain::grant::Mode;
use domain::id::{LogoId, UserId};
use domain::revision::Revision;
use domain::time::Timestamp;
use protocol::redirect_uri::RedirectUri;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::DbError;
use crate::value::unreadable;

pub(super) const KINDS: [(AppKind, &str); 6] = [
    (AppKind::Web, "web"),
    (AppKind::Native, "native"),
    (AppKind::SinglePage, "single_page"),
    (AppKind::Service, "service"),
    (AppKind::Device, "device"),
    (AppKind::Agent, "agent"),
];

pub(crate) fn of_mode_name(name: String) -> Option<Mode> {
    match name.as_str() {
        "live" => Some(Mode::Live),
        "test" => Some(Mode::Test),
        _ => None,
    }
}

pub(super) fn name_of(kinds: &[(AppKind, &'static str)], kind: AppKind) -> &'static str {
    kinds.iter().find(|(known, _)| *known == kind).map_or("web", |(_, name)| *name)
}

pub(super) fn of_name(kinds: &[(AppKind, &'static str)], name: &str) -> Option<AppKind> {
    kinds.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
}

/// The columns of an [`AppStatus`].
pub(super) struct Status<'a> {
    pub(super) name: &'static str,
    pub(super) at: Option<Timestamp>,
    pub(super) note: Option<&'a String>,
    pub(super) reviewed_at: Option<Timestamp>,
    pub(super) reviewed_by: Option<UserId>,
}

impl<'a> Status<'a> {
    pub(super) fn of(status: &'a AppStatus) -> Self {
        let (name, at, note, approval) = match status {
            AppStatus::InReview => ("in_review", None, None, None),
            AppStatus::Live { since, approval } => ("live", Some(*since), None, Some(approval)),
            AppStatus::Rejected { at, note } => ("rejected", Some(*at), Some(note), None),
            AppStatus::Suspended { at, reason, approval } => {
                ("suspended", Some(*at), Some(reason), Some(approval))
            }
            AppStatus::Retired { at, approval } => ("retired", Some(*at), None, Some(approval)),
        };
        let (reviewed_at, reviewed_by) = match approval {
            Some(Approval::Reviewed { at, by }) => (Some(*at), Some(*by)),
            _ => (None, None),
        };
        Self { name, at, note, reviewed_at, reviewed_by }
    }
}

/// Whom the app's review waits for.
pub(super) fn awaits(app: &App) -> Option<&'static str> {
    if app.awaits_review() {
        return Some("staff");
    }
    app.awaits_developer().then_some("developer")
}

/// How a revision that waits is spelled.
#[derive(Serialize, Deserialize)]
struct Proposed {
    name: String,
    description: String,
    homepage: Option<String>,
    privacy_url: Option<String>,
    terms_url: Option<String>,
    redirect_uris: Vec<String>,
    /// Missing in revisions that waited before there were logos.
    #[serde(default)]
    logo: Option<LogoId>,
}

pub(super) fn write_proposed(revision: &Revision) -> Result<String, DbError> {
    json(&Proposed {
        name: revision.name.clone(),
        description: revision.description.clone(),
        homepage: revision.homepage.clone(),
        privacy_url: revision.privacy_url.clone(),
        terms_url: revision.terms_url.clone(),
        redirect_uris: revision.redirect_uris.iter().map(ToString::to_string).collect(),
        logo: revision.logo,
    })
}

/// The outer `None`: unreadable.
pub(super) fn read_proposed(kind: AppKind, text: Option<String>) -> Option<Option<Revision>> {
    let Some(text) = text else { return Some(None) };
    let proposed: Proposed = serde_json::from_str(&text).ok()?;
    Some(Some(Revision {
        name: proposed.name,
        description: proposed.description,
        homepage: proposed.homepage,
        privacy_url: proposed.privacy_url,
        terms_url: proposed.terms_url,
        redirect_uris: registered(kind, &proposed.redirect_uris)?,
        logo: proposed.logo,
    }))
}

/// URIs that an app of this kind registered before.
pub(super) fn registered(kind: AppKind, uris: &[String]) -> Option<Vec<RedirectUri>> {
    uris.iter().map(|uri| RedirectUri::register(kind.redirect_policy(), uri).ok()).collect()
}

/// The form in which names are compared: letters and digits only, lower case, with the digits and
/// letters that people confuse folded together.
pub(super) fn normalize_name(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    kept.map(|c| match c {
        '0' => 'o',
        '1' | 'i' => 'l',
        '5' => 's',
        other => other,
    })
    .collect()
}

pub(super) fn json(value: &impl Serialize) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(DbError::bug)
}

pub(super) fn of_json<T: DeserializeOwned>(text: &str) -> Result<T, DbError> {
    serde_json::from_str(text).map_err(|_| unreadable("list"))
}
