//! The pages of codes that a person carries: `/device`, where they type what a device shows
//! (RFC 8628 §3.3), and the page of a dialect where they get a code for an app. In between is the
//! same consent page as for every app.

use axum::response::{IntoResponse, Redirect, Response};
use domain::app::App;
use domain::user_code::UserCodeText;

use crate::actor::{SignedInUser, Visitor};
use crate::error::{PageError, duration_words};
use crate::oauth::authorize::find_app;
use crate::oauth::consent::Stored;
use crate::oauth::pending::{Pending, Reply, Stage};
use crate::pages::views;
use crate::provider::Provider;
use crate::view;

pub mod device;
pub mod shown;

/// The user has signed in again, to answer as somebody else.
pub(crate) async fn proceed(
    provider: &Provider,
    visitor: &Visitor,
    pending: Pending,
) -> Result<Response, PageError> {
    let Stage::SignIn { refused_session } = pending.stage else {
        return Err(PageError::RequestOver);
    };
    let session = visitor.signed_in.as_ref();
    let Some(user) = session.filter(|user| Some(user.session.id) != refused_session) else {
        return Ok(Redirect::to(&pending.sign_in_path(provider)?).into_response());
    };
    match pending.reply {
        Reply::Redirect => Err(PageError::RequestOver),
        Reply::Device => device::ask_again(provider, user, pending).await,
        Reply::Shown => {
            let app = find_app(provider, &pending.raw, pending.dialect.as_deref()).await?;
            shown::ask(provider, user, pending, &app).await
        }
    }
}

/// What the user is told after the consent page.
pub(crate) fn decided(
    provider: &Provider,
    user: &SignedInUser,
    (pending, app): (&Pending, &App),
    stored: Stored,
) -> Result<Response, PageError> {
    let by_device = pending.reply == Reply::Device;
    match stored {
        // Such a request makes no key.
        Stored::Over | Stored::KeyRefused(_) => Err(PageError::RequestOver),
        Stored::Given { .. } if !by_device => {
            let page = views::UserCodeShown {
                layout: user.layout(),
                app_name: app.name.clone(),
                code: UserCodeText::of(&provider.keyring(), pending.code_id).to_string(),
                lasts: duration_words(domain::user_code::USER_CODE_LIFETIME),
            };
            view::page(provider, &page)
        }
        Stored::Given { .. } => done(provider, user, app, true),
        Stored::Denied => done(provider, user, app, false),
    }
}

fn done(
    provider: &Provider,
    user: &SignedInUser,
    app: &App,
    allowed: bool,
) -> Result<Response, PageError> {
    let page = views::DeviceDone { layout: user.layout(), app_name: app.name.clone(), allowed };
    view::page(provider, &page)
}
