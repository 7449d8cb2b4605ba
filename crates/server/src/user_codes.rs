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
use crate::oauth::user_cap;
use crate::pages::views;
use crate::provider::Provider;
use crate::view;

pub mod device;
pub mod shown;

/// The user has signed in again, to answer as somebody else, or has given a second factor.
pub(crate) async fn proceed(
    provider: &Provider,
    visitor: &Visitor,
    pending: Pending,
) -> Result<Response, PageError> {
    let session = visitor.signed_in.as_ref();
    let sign_in = || Ok(Redirect::to(&pending.sign_in_path(provider)?).into_response());
    let user = match pending.stage {
        Stage::SignIn { refused_session } => {
            session.filter(|user| Some(user.session.id) != refused_session)
        }
        Stage::StepUp { user: id } => session.filter(|user| user.user.id == id),
        _ => return Err(PageError::RequestOver),
    };
    let Some(user) = user else { return sign_in() };
    match pending.reply {
        Reply::Redirect => Err(PageError::RequestOver),
        // They have said that they started it.
        Reply::Device if matches!(pending.stage, Stage::StepUp { .. }) => {
            device::ask_consent(provider, user, pending).await
        }
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
        Stored::Full => Err(user_cap::refusal(app)),
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
