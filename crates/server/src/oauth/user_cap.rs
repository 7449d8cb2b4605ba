//! How many users an app may have by its plan. Who has let it in keeps it; a new user is told why
//! there is no place.

use domain::app::App;
use domain::consent::Consent;
use domain::id::AppId;
use store::{DbError, Tx, consents};

use crate::error::PageError;
use crate::provider::Provider;

/// Of the app's plan; `None`: there is no limit.
pub(crate) fn users_max(provider: &Provider, app: &App) -> Option<u64> {
    provider.policy().plan_of(app).and_then(|plan| plan.users_max)
}

/// Is there no place for another one? `before`: what the user has said to the app until now.
pub(crate) async fn is_full(
    tx: &mut Tx<'_>,
    app: AppId,
    users_max: Option<u64>,
    before: Option<&Consent>,
) -> Result<bool, DbError> {
    match users_max {
        Some(max) if !before.is_some_and(Consent::is_given) => {
            Ok(consents::count_given_to(tx, app).await? >= max)
        }
        _ => Ok(false),
    }
}

pub(crate) fn refusal(app: &App) -> PageError {
    PageError::Authorize {
        what_happened: format!(
            "{} has as many users as it may have, so it cannot be connected to your account now. \
             Nothing was changed.",
            app.name
        ),
        for_developers: format!(
            "{}: the plan of this app has no place for another user; ask for another plan on its \
             page “Usage”.",
            app.client_id
        ),
    }
}
