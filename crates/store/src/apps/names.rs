//! What apps are found by: in the order of their names, by a part of what they are called, by what
//! their names read like. Both forms of a name are written with the app; of rows that are older
//! than their columns, the sweep fills them in.

use domain::app::{App, AppKind};
use domain::id::{AppId, UserId};
use domain::look_alike::skeleton;

use super::columns::{KINDS, name_of, normalize_name};
use super::read;
use crate::sets::{loads, of_many};
use crate::value::Value;
use crate::{DbError, Tx, bind};

/// What staff look through, in small letters.
pub(super) fn search_text(name: &str, publisher: &str, client_id: &str) -> String {
    format!("{name}\n{publisher}\n{client_id}").to_lowercase()
}

/// In the order of names, behind the app `after` (one that is gone: from the first on), at most
/// `limit`. `text`: a part of the name, the publisher or the client id, whatever the case.
pub async fn list_by_name(
    tx: &mut Tx<'_>,
    text: &str,
    after: Option<AppId>,
    limit: i64,
) -> Result<Vec<App>, DbError> {
    let sql = "SELECT LOWER(name), id FROM apps WHERE id = $1";
    let (name, id): (String, String) = match tx.query_opt(sql, bind![after]).await? {
        Some(mut row) => (row.take()?, row.take()?),
        None => <_>::default(),
    };
    // LIKE would ignore case on SQLite, and names may hold its signs.
    let sql = select!(
        "WHERE LOWER(a.name) >= $1 AND (LOWER(a.name) > $1 OR a.id > $2) \
         AND ($3 = '' OR REPLACE(a.search_text, $3, '') <> a.search_text) \
         ORDER BY LOWER(a.name), a.id LIMIT $4"
    );
    let rows = tx.query_all(sql, bind![name, id, text.to_lowercase(), limit]).await?;
    rows.into_iter().map(read).collect()
}

/// Those of `ids` that there are, in no order.
pub async fn list_of_ids(tx: &mut Tx<'_>, ids: &[AppId]) -> Result<Vec<App>, DbError> {
    let mut found = Vec::new();
    for load in loads(ids) {
        for row in tx.query_all(select!(of_many!("WHERE a.id", "")), &load).await? {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

/// Live apps whose names read like one of `names`, for the look-alike check.
pub async fn list_live_reading_like(
    tx: &mut Tx<'_>,
    names: &[&str],
) -> Result<Vec<(AppId, String)>, DbError> {
    // SQLite would take a condition on the status for the narrower one and read all live apps.
    let sql = of_many!("SELECT id, name, status FROM apps WHERE skeleton", "");
    let skeletons: Vec<String> = names.iter().map(|name| skeleton(name)).collect();
    let skeletons: Vec<&str> = skeletons.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for load in loads(&skeletons) {
        for mut row in tx.query_all(sql, &load).await? {
            let (id, name) = (row.take()?, row.take()?);
            if row.take::<String>()? == "live" {
                found.push((id, name));
            }
        }
    }
    Ok(found)
}

/// Which apps a page shows; `None`: whatever it is.
#[derive(Clone, Debug, Default)]
pub struct AppFilter {
    /// As the column has it: `live`.
    pub status: Option<&'static str>,
    pub kind: Option<AppKind>,
    pub owner: Option<UserId>,
    pub dialect: Option<String>,
    /// What waits for staff.
    pub waits: bool,
    /// In the name, as people read it, or the client id exactly.
    pub text: Option<String>,
}

/// At most `limit` by client id, after `after`.
pub async fn list_page(
    tx: &mut Tx<'_>,
    filter: &AppFilter,
    after: &str,
    limit: i64,
) -> Result<Vec<App>, DbError> {
    // Letters and digits only, so nothing in it is a pattern.
    let pattern = filter.text.as_deref().map(|text| match normalize_name(text) {
        name if name.is_empty() => name,
        name => format!("%{name}%"),
    });
    let rows = tx
        .query_all(
            select!(
                "WHERE c.wire_id > $1 AND (CAST($2 AS TEXT) IS NULL OR a.status = $2) \
                 AND (CAST($3 AS TEXT) IS NULL OR a.kind = $3) \
                 AND (CAST($4 AS TEXT) IS NULL OR a.owner_id = $4) \
                 AND (CAST($5 AS TEXT) IS NULL OR c.dialect = $5) \
                 AND (CAST($6 AS TEXT) IS NULL OR a.awaits = $6) \
                 AND (CAST($7 AS TEXT) IS NULL OR a.name_normalized LIKE $7 OR c.wire_id = $8) \
                 ORDER BY c.wire_id LIMIT $9"
            ),
            bind![
                after,
                filter.status,
                filter.kind.map(|kind| name_of(&KINDS, kind)),
                filter.owner,
                filter.dialect.as_ref(),
                filter.waits.then_some("staff"),
                pattern,
                filter.text.as_deref().unwrap_or_default(),
                limit,
            ],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Live apps of `dialect` that are called `text` on the wire, or whose name contains it as people
/// read names; the exact one first.
pub async fn search_of_dialect(
    tx: &mut Tx<'_>,
    dialect: &str,
    text: &str,
    limit: i64,
) -> Result<Vec<App>, DbError> {
    let name = normalize_name(text);
    // Letters and digits only, so nothing in it is a pattern.
    let pattern = if name.is_empty() { String::new() } else { format!("%{name}%") };
    let rows = tx
        .query_all(
            select!(
                "WHERE a.status = 'live' AND c.dialect = $1 \
                 AND (c.wire_id = $2 OR a.name_normalized LIKE $3) \
                 ORDER BY CASE WHEN c.wire_id = $2 THEN 0 ELSE 1 END, a.name_normalized, a.id \
                 LIMIT $4"
            ),
            bind![dialect, text, pattern, limit],
        )
        .await?;
    rows.into_iter().map(read).collect()
}

/// Fill in at most `limit` rows that were written before their columns were there.
pub(crate) async fn fill_in(tx: &mut Tx<'_>, limit: i64) -> Result<u64, DbError> {
    let sql = "SELECT a.id, a.name, a.publisher, c.wire_id FROM apps a \
               JOIN client_ids c ON c.app_id = a.id AND c.mode = 'live' \
               WHERE a.skeleton IS NULL LIMIT $1";
    let rows = tx.query_all(sql, bind![limit]).await?;
    let count = rows.len() as u64;
    for mut row in rows {
        let id: AppId = row.take()?;
        let (name, publisher): (String, String) = (row.take()?, row.take()?);
        let client_id: String = row.take()?;
        let found_by = search_text(&name, &publisher, &client_id);
        let values = [Value::from(id), skeleton(&name).into(), found_by.into()];
        tx.execute("UPDATE apps SET skeleton = $2, search_text = $3 WHERE id = $1", &values)
            .await?;
    }
    Ok(count)
}
