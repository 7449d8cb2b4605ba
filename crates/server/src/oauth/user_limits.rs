//! Scopes that an app has for so many users only: who has one keeps it, and when the places are
//! taken nobody else can allow it. Apps without such a condition pay nothing.

use domain::app::App;
use domain::grant::Mode;
use domain::id::{AppId, UserId};
use protocol::scope::{ScopeName, ScopeSet};
use store::{DbError, Tx, consents};

use crate::error::PageError;
use crate::provider::Provider;

/// What a user hears who can allow nothing of what was asked.
pub(crate) const FULL: &str = "The app has as many users as it is approved for.";

#[derive(Clone, Debug)]
pub(crate) struct UserLimits {
    app: AppId,
    user: UserId,
    limits: Vec<(ScopeName, u32)>,
}

impl UserLimits {
    pub(crate) fn of(app: &App, user: UserId) -> Self {
        let limits = app.user_limits().map(|(scope, users)| (scope.clone(), users)).collect();
        Self { app: app.id, user, limits }
    }

    /// What of `scopes` this user cannot allow, because others have every place.
    pub(crate) async fn full(
        &self,
        tx: &mut Tx<'_>,
        scopes: &ScopeSet,
    ) -> Result<ScopeSet, DbError> {
        let mut full = ScopeSet::new();
        let limited = self.limits.iter().filter(|(scope, _)| scopes.contains(scope.as_str()));
        for (scope, user_max) in limited {
            let consent = consents::find_of(tx, self.user, self.app, Mode::Live).await?;
            let has = consent.is_some_and(|one| one.live_scopes().contains(scope.as_str()));
            let others = consents::count_with_scope(tx, self.app, scope, self.user).await?;
            if !has && others >= u64::from(*user_max) {
                full.insert(scope.clone());
            }
        }
        Ok(full)
    }
}

/// What of `scopes` is full for this user. Asked before a page is shown, and again in the
/// transaction of the answer.
pub(crate) async fn find_full(
    provider: &Provider,
    app: &App,
    user: UserId,
    scopes: &ScopeSet,
) -> Result<ScopeSet, PageError> {
    let limits = UserLimits::of(app, user);
    if limits.limits.is_empty() {
        return Ok(ScopeSet::new());
    }
    let scopes = scopes.clone();
    let read = async move |tx: &mut Tx<'_>| Ok::<_, PageError>(limits.full(tx, &scopes).await?);
    provider.store.db.read(read).await
}
