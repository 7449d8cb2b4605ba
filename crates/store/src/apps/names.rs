//! What apps are found by: in the order of their names, by a part of what they are called, by what
//! their names read like. Both forms of a name are written with the app; of rows that are older than
//! their columns, the sweep fills them in.

use domain::app::App;
use domain::id::AppId;
use domain::look_alike::skeleton;

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
    let sql = "SELECT name_normalized, id FROM apps WHERE id = $1";
    let (name, id): (String, String) = match tx.query_opt(sql, bind![after]).await? {
        Some(mut row) => (row.take()?, row.take()?),
        None => <_>::default(),
    };
    // LIKE would ignore case on SQLite, and names may hold its signs.
    let sql = select!(
        "WHERE a.name_normalized >= $1 AND (a.name_normalized > $1 OR a.id > $2) \
         AND ($3 = '' OR REPLACE(a.search_text, $3, '') <> a.search_text) \
         ORDER BY a.name_normalized, a.id LIMIT $4"
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
