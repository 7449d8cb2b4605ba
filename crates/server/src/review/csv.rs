//! The trail as a table for spreadsheets. Pure.

use domain::audit_chain::AuditRow;

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
    text.push_str(&cells.map(|cell| escaped(&cell)).join(","));
    text.push_str("\r\n");
}

/// RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe: names and
/// reasons in the trail are written by strangers.
fn escaped(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_stays_one_cell() {
        assert_eq!(escaped("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(escaped("@SUM"), "'@SUM");
        assert_eq!(escaped("a,b"), "\"a,b\"");
        assert_eq!(escaped("plain"), "plain");
    }
}
