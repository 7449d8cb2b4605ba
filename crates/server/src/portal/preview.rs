//! The consent page as users see it, or will once everything is approved: the same template, filled
//! from the app's own row, on which nothing can be pressed.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::app::App;
use protocol::params::Params;

use crate::actor::AppOwner;
use crate::error::PageError;
use crate::oauth::consent_page;
use crate::provider::Shared;
use crate::view;

/// `?as=proposed`: with all that waits for review.
pub async fn show(
    State(provider): State<Shared>,
    AppOwner { user, app }: AppOwner,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let proposed = !app.is_admitted() || params.one("as")? == Some("proposed");
    let app = match proposed {
        true => App { approved: app.requested_scopes(), ..app.as_proposed() },
        false => app,
    };
    view::page(&provider, &consent_page::preview(&provider, &user, &app, proposed))
}
