//! What a request turned out to be about, for whoever logs and counts it: the listener. Handlers
//! note it where they learn it; nothing here is a secret.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, MatchedPath};
use domain::id::{AppId, GrantId};
use http::request::Parts;

/// Travels in the extensions of a request; its copies share what was noted.
#[derive(Clone, Debug, Default)]
pub struct Noted(Arc<(OnceLock<AppId>, OnceLock<GrantId>, OnceLock<AppId>)>);

impl Noted {
    /// The app proved who it is (or said so, if it is public).
    pub fn set_app(&self, app: AppId) {
        // The first one counts.
        let _ = self.0.0.set(app);
    }

    pub fn set_grant(&self, grant: GrantId) {
        let _ = self.0.1.set(grant);
    }

    /// Somebody only said to be this app.
    pub(crate) fn set_named(&self, app: AppId) {
        let _ = self.0.2.set(app);
    }

    pub(crate) fn named(&self) -> Option<AppId> {
        self.0.2.get().copied()
    }

    pub(crate) fn app(&self) -> Option<AppId> {
        self.0.0.get().copied()
    }

    pub(crate) fn grant(&self) -> Option<GrantId> {
        self.0.1.get().copied()
    }
}

impl<S: Sync> FromRequestParts<S> for Noted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Why a request was refused, in the extensions of its answer on the way out.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) String);

/// In the extensions of every answer of the router.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The pattern that matched; `None`: no route did.
    pub route: Option<MatchedPath>,
    pub app: Option<AppId>,
    pub grant: Option<GrantId>,
    /// Why it was refused. In words of the log, not of the answer.
    pub cause: Option<String>,
}
