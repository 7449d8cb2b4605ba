//! What was decided about an app before, with what was asked then.

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::AppId;
use domain::time::Timestamp;
use serde_json::Value;
use store::{DbError, Tx, audit, users};

use crate::display;
use crate::pages::views::PastDecision;

const KINDS: [AuditKind; 11] = [
    AuditKind::AppApproved,
    AuditKind::AppChangesAsked,
    AuditKind::AppRejected,
    AuditKind::AppSuspended,
    AuditKind::AppResumed,
    AuditKind::AppApprovalEnded,
    AuditKind::AppDueAgain,
    AuditKind::AppRetired,
    AuditKind::AppWoken,
    AuditKind::AppBrandVerified,
    AuditKind::AppBrandUnverified,
];
const SHOWN_MAX: u32 = 20;

/// Newest first.
pub(super) async fn load(
    tx: &mut Tx<'_>,
    app: AppId,
    now: Timestamp,
) -> Result<Vec<PastDecision>, DbError> {
    let mut shown = Vec::new();
    for row in audit::list_of_app_and_kinds(tx, app, &KINDS, SHOWN_MAX).await? {
        let by = match row.event.actor {
            AuditActor::User(id) => users::find(tx, id).await?.map(|user| user.name),
            AuditActor::CommandLine { .. } => Some("the command line".to_owned()),
            AuditActor::AdminToken(_) => Some("the admin API".to_owned()),
            AuditActor::App(_) | AuditActor::System => None,
        };
        shown.push(PastDecision {
            position: row.position,
            at: display::moment(now, row.event.at),
            what: words(row.event.kind),
            by: by.unwrap_or_else(|| "the policy".to_owned()),
            approved: names(&row.event, "approved"),
            refused: names(&row.event, "refused"),
            note: text(&row.event),
        });
    }
    Ok(shown)
}

fn words(kind: AuditKind) -> &'static str {
    match kind {
        AuditKind::AppApproved => "Approved",
        AuditKind::AppChangesAsked => "Changes asked",
        AuditKind::AppRejected => "Rejected",
        AuditKind::AppSuspended => "Suspended",
        AuditKind::AppResumed => "Resumed",
        AuditKind::AppApprovalEnded => "An approval ended",
        AuditKind::AppDueAgain => "Due again",
        AuditKind::AppRetired => "Retired",
        AuditKind::AppWoken => "Woken up",
        AuditKind::AppBrandVerified => "Brand verified",
        _ => "Brand no longer verified",
    }
}

/// Scopes, as a text or as the keys of an object.
fn names(event: &AuditEvent, field: &str) -> String {
    match event.detail.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(object)) => object.keys().cloned().collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn text(event: &AuditEvent) -> String {
    let said = ["note", "reason", "evidence", "ended"].into_iter();
    let said = said.filter_map(|field| event.detail.get(field)?.as_str());
    said.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}
