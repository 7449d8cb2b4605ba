//! How an app's parts are spelled in columns.

use domain::app::{AppKind, AppStatus, Approval};
use domain::id::UserId;
use domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::DbError;
use crate::value::unreadable;

pub(super) const KINDS: [(AppKind, &str); 4] = [
    (AppKind::Web, "web"),
    (AppKind::Native, "native"),
    (AppKind::SinglePage, "single_page"),
    (AppKind::Service, "service"),
];

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
        };
        let (reviewed_at, reviewed_by) = match approval {
            Some(Approval::Reviewed { at, by }) => (Some(*at), Some(*by)),
            _ => (None, None),
        };
        Self { name, at, note, reviewed_at, reviewed_by }
    }
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
