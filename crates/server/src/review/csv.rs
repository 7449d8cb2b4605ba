//! The trail as a table for spreadsheets. Pure.

use domain::audit_chain::AuditRow;

use crate::csv::line;

/// The first line.
pub const HEAD: &str = "position,at,kind,actor,app_id,user_id,consent_id,grant_id,address,detail,\
                        block\r\n";

pub fn push_row(text: &mut String, row: &AuditRow, at: &str) {
    let event = &row.event;
    let (kind, id) = event.actor.texts();
    let cells = [
        row.position.to_string(),
        at.to_owned(),
        event.kind.as_str().to_owned(),
        id.map_or_else(|| kind.to_owned(), |id| format!("{kind}:{id}")),
        event.app_id.map(|id| id.to_string()).unwrap_or_default(),
        event.user_id.map(|id| id.to_string()).unwrap_or_default(),
        event.consent_id.map(|id| id.to_string()).unwrap_or_default(),
        event.grant_id.map(|id| id.to_string()).unwrap_or_default(),
        event.address.map(|address| address.to_string()).unwrap_or_default(),
        event.detail.to_string(),
        row.seal.map(|block| block.to_string()).unwrap_or_default(),
    ];
    text.push_str(&line(&cells.each_ref().map(String::as_str)));
}
