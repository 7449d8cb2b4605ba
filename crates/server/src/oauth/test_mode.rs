//! Who may try an app with its test credentials: only people who may change it. Nothing of it is
//! approved, so nobody else is to be asked.

use domain::app::App;
use domain::grant::Mode;
use store::Tx;

use crate::actor::SignedInUser;
use crate::error::PageError;
use crate::portal::apps::may_test;
use crate::provider::Provider;

/// Live apps are for everybody.
pub(crate) async fn admit(
    provider: &Provider,
    user: &SignedInUser,
    app: &App,
) -> Result<(), PageError> {
    if app.mode == Mode::Live {
        return Ok(());
    }
    let (id, user) = (app.id, user.user.id);
    let read = async move |tx: &mut Tx<'_>| may_test(tx, id, user).await;
    if provider.store.db.read(read).await? {
        return Ok(());
    }
    Err(PageError::Authorize {
        what_happened: format!(
            "{} is being tested, and only its developers can do that.",
            app.name
        ),
        for_developers: format!(
            "access_denied: {} is a test client id. Sign in as somebody who may change the app, or \
             use its live client id.",
            app.client_id
        ),
    })
}
