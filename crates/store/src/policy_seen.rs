//! Table `policy_seen`: what the config said when a server last looked at it. A change of it is an
//! event of the audit trail, written with the row.

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::policy_summary::PolicySummary;
use domain::time::Timestamp;
use serde_json::json;

use crate::{DbError, Tx, audit, bind};

/// `true`: it says something else than before, or was never looked at.
pub async fn look(
    tx: &mut Tx<'_>,
    summary: &PolicySummary,
    now: Timestamp,
) -> Result<bool, DbError> {
    let hash = summary.hash();
    let sql = "SELECT hash, summary FROM policy_seen WHERE id = 1";
    let before: Option<(String, String)> = match tx.query_opt(sql, bind![]).await? {
        Some(mut row) => Some((row.take()?, row.take()?)),
        None => None,
    };
    if before.as_ref().is_some_and(|(known, _)| *known == hash) {
        return Ok(false);
    }
    let text = serde_json::to_string(summary).map_err(DbError::bug)?;
    tx.execute(
        "INSERT INTO policy_seen (id, hash, summary, seen_at) VALUES (1, $1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET hash = EXCLUDED.hash, summary = EXCLUDED.summary, \
         seen_at = EXCLUDED.seen_at",
        bind![&hash, text, now],
    )
    .await?;
    // One that an older program wrote in another form is told as if there had been none.
    let known = before.as_ref().and_then(|(_, text)| serde_json::from_str(text).ok());
    let known: PolicySummary = known.unwrap_or_default();
    let detail = json!({
        "hash": hash,
        "before": before.map(|(hash, _)| hash),
        "difference": summary.difference(&known),
    });
    let event = AuditEvent::new(now, AuditKind::PolicyChanged, AuditActor::System).detail(detail);
    audit::record(tx, &event).await?;
    Ok(true)
}
