//! Table `app_logos`: logos as we drew them again. Which one an app has is in its own row.

use domain::app::App;
use domain::id::{AppId, LogoId};

use crate::{DbError, Tx, bind};

/// Storing the same one again changes nothing.
pub async fn insert(tx: &mut Tx<'_>, id: LogoId, app: AppId, png: &[u8]) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO app_logos (id, app_id, png) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        bind![id, app, png],
    )
    .await?;
    Ok(())
}

pub async fn find(tx: &mut Tx<'_>, id: LogoId) -> Result<Option<Vec<u8>>, DbError> {
    let row = tx.query_opt("SELECT png FROM app_logos WHERE id = $1", bind![id]).await?;
    row.map(|mut row| row.take()).transpose()
}

/// Delete the logos that the app neither has nor wants.
pub async fn delete_unused(tx: &mut Tx<'_>, app: &App) -> Result<(), DbError> {
    let (holds, waits) = (app.logo, app.latest_revision().logo);
    tx.execute(
        "DELETE FROM app_logos WHERE app_id = $1 AND id <> $2 AND id <> $3",
        bind![
            app.id,
            holds.map(|id| id.to_string()).unwrap_or_default(),
            waits.map(|id| id.to_string()).unwrap_or_default(),
        ],
    )
    .await?;
    Ok(())
}
