//! Table `nodes`: who runs on this database and how far each has read the change feed.

use crate::value::Row;
use crate::{DbError, Tx, bind};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    /// Everything up to here has been taken in.
    pub position: i64,
    /// Grows with every renewal of the lease.
    pub renewals: i64,
    pub lease_ms: i64,
    /// How far its clock is ahead of the database's.
    pub clock_skew_ms: i64,
}

/// Enter a node, or the same one again.
pub async fn save(tx: &mut Tx<'_>, node: &Node) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO nodes (id, position, renewals, lease_ms, clock_skew_ms) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET \
         position = EXCLUDED.position, renewals = EXCLUDED.renewals, \
         lease_ms = EXCLUDED.lease_ms, clock_skew_ms = EXCLUDED.clock_skew_ms",
        bind![&node.id, node.position, node.renewals, node.lease_ms, node.clock_skew_ms],
    )
    .await?;
    Ok(())
}

/// Acknowledge what was read and renew the lease. `false`: the others gave this node up.
pub async fn renew(tx: &mut Tx<'_>, node: &Node) -> Result<bool, DbError> {
    let renewed = tx
        .execute(
            "UPDATE nodes SET position = $2, renewals = $3, clock_skew_ms = $4 WHERE id = $1",
            bind![&node.id, node.position, node.renewals, node.clock_skew_ms],
        )
        .await?;
    Ok(renewed == 1)
}

pub async fn list(tx: &mut Tx<'_>) -> Result<Vec<Node>, DbError> {
    let sql = "SELECT id, position, renewals, lease_ms, clock_skew_ms FROM nodes ORDER BY id";
    let rows = tx.query_all(sql, bind![]).await?;
    rows.into_iter().map(read).collect()
}

/// Give up a node that has not renewed its lease since it was seen as `node`.
pub async fn delete_silent(tx: &mut Tx<'_>, node: &Node) -> Result<(), DbError> {
    let sql = "DELETE FROM nodes WHERE id = $1 AND renewals = $2";
    tx.execute(sql, bind![&node.id, node.renewals]).await?;
    Ok(())
}

/// A node says goodbye.
pub async fn delete(tx: &mut Tx<'_>, id: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM nodes WHERE id = $1", bind![id]).await?;
    Ok(())
}

fn read(mut row: Row) -> Result<Node, DbError> {
    Ok(Node {
        id: row.take()?,
        position: row.take()?,
        renewals: row.take()?,
        lease_ms: row.take()?,
        clock_skew_ms: row.take()?,
    })
}
