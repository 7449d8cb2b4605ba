//! The endpoints of dialects. A request becomes the standard's, is decided by the code that decides
//! the standard's, and the answer becomes the dialect's again. No provider's name is in here: all
//! of it is data (`protocol::dialect`).

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use domain::policy::Policy;

use crate::actor::{SignedInUser, Visitor};
use crate::address::ClientAddress;
use crate::oauth::token::preflight;
use crate::provider::Shared;
use crate::user_codes::shown;

mod authorize;
mod paces;
mod partner_keys;
mod token;

pub use paces::Paces;

/// Every address of every dialect of the policy. They are fixed when the server starts.
pub fn routes(policy: &Policy) -> Router<Shared> {
    let mut router = Router::new();
    for dialect in &policy.dialects {
        let of_authorize = Arc::clone(dialect);
        let start = async move |State(provider): State<Shared>,
                                visitor: Visitor,
                                RawQuery(query): RawQuery| {
            authorize::start(&provider, &visitor, query.as_deref(), &of_authorize).await
        };
        router = router.route(&dialect.authorize.path, get(start));
        for (index, endpoint) in dialect.tokens.iter().enumerate() {
            let of_token = Arc::clone(dialect);
            let issue = async move |State(provider): State<Shared>,
                                    ClientAddress(address): ClientAddress,
                                    request: Request| {
                let dialect = &*of_token;
                match dialect.tokens.get(index) {
                    Some(endpoint) => {
                        token::answer(&provider, (dialect, endpoint), address, request).await
                    }
                    None => http::StatusCode::NOT_FOUND.into_response(),
                }
            };
            router = router.route(&endpoint.path, post(issue).options(preflight));
        }
        if let Some(page) = &dialect.user_code {
            let (of_page, path) = (Arc::clone(dialect), page.path.clone());
            let show = async move |State(provider): State<Shared>,
                                   user: SignedInUser,
                                   RawQuery(query): RawQuery| {
                shown::show(&provider, &user, query.as_deref(), (&of_page, &path)).await
            };
            router = router.route(&page.path, get(show));
        }
        router = partner_keys::routes(router, dialect);
        for page in &dialect.pages {
            let to = page.to.clone();
            router = router.route(&page.from, get(async move || Redirect::to(&to)));
        }
    }
    router
}
