//! Who may try an app with its test credentials: only people who may change it. Nothing of it is
//! approved, so nobody else is to be asked.

use domain::app::App;
use domain::grant::Mode;
use domain::id::AppId;
use protocol::authorize::RawAuthorizeRequest;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use store::Tx;

use crate::actor::SignedInUser;
use crate::error::PageError;
use crate::portal::apps::may_test;
use crate::provider::Provider;

/// Where the console of an app gets its users back: a page of ours, for its developers alone.
pub(crate) fn console_return(issuer: &str, app: AppId) -> String {
    format!("{issuer}/apps/{app}/try/return")
}

/// The redirect URI of the console, if the request names it for the app's tests. Nobody registers
/// it, and it is none that a request without a redirect URI could mean; for live apps there is
/// none.
pub(crate) fn console_uri(
    raw: &RawAuthorizeRequest,
    app: &App,
    issuer: &str,
) -> Option<RedirectUri> {
    let named = raw.redirect_uri.as_deref().filter(|_| app.mode == Mode::Test)?;
    (named == console_return(issuer, app.id))
        .then(|| RedirectUri::register(RedirectPolicy::Web, named).ok())
        .flatten()
}

/// Whether an answer may go to the app's redirect URI: nobody has approved those of tests, so they
/// are for people who may test alone (RFC 9700 §4.11).
pub(crate) async fn may_answer(
    provider: &Provider,
    user: Option<&SignedInUser>,
    app: &App,
) -> Result<bool, PageError> {
    match (app.mode, user) {
        (Mode::Live, _) => Ok(true),
        (Mode::Test, None) => Ok(false),
        (Mode::Test, Some(user)) => is_tester(provider, user, app).await,
    }
}

async fn is_tester(provider: &Provider, user: &SignedInUser, app: &App) -> Result<bool, PageError> {
    let (id, user) = (app.id, user.user.id);
    let read = async move |tx: &mut Tx<'_>| may_test(tx, id, user).await;
    provider.store.db.read(read).await
}

/// Live apps are for everybody.
pub(crate) async fn admit(
    provider: &Provider,
    user: &SignedInUser,
    app: &App,
) -> Result<(), PageError> {
    match app.mode == Mode::Live || is_tester(provider, user, app).await? {
        true => Ok(()),
        false => Err(only_developers(app)),
    }
}

pub(crate) fn only_developers(app: &App) -> PageError {
    PageError::Authorize {
        what_happened: format!(
            "{} is being tested, and only its developers can do that.",
            app.name
        ),
        for_developers: format!(
            "access_denied: {} is a test client id. Sign in as somebody who may change the app, or \
             use its live client id.",
            app.client_id
        ),
    }
}
