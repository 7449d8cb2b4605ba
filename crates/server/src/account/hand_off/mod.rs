//! Signing in at another system: an OpenID provider, or the operator's own login page. The browser
//! goes there with a request and comes back with an answer that is good once, for this request, in
//! this browser. Who the person is here is decided by `domain::sign_in`.

mod finish;
mod openid;
mod refused;
mod start;
mod travel;

use domain::entropy::random_bytes;
use domain::id::UserId;
use domain::sign_in::SignInProvider;
use store::{Tx, identities};

use crate::error::{PageError, form_query};
use crate::pages::views::SignInChoice;
use crate::provider::Provider;

pub use finish::finish;
pub(super) use finish::link;
pub use openid::OpenIdProviders;
pub(super) use start::leave;
pub use start::start;
pub(super) use travel::Travel;

/// Where the browser comes back to. One address for each provider, so that the answer of one is
/// never taken for another's (RFC 9700 §4.4, attack M1).
fn return_url(provider: &Provider, upstream: &SignInProvider) -> String {
    format!("{}/sign-in/return/{}", provider.issuer(), upstream.name)
}

/// The buttons of the sign-in page.
pub(super) fn choices(provider: &Provider, continue_to: &str, again: bool) -> Vec<SignInChoice> {
    let more = [("continue", continue_to), ("again", "yes")];
    let query = form_query(if again { &more } else { &more[..1] });
    let policy = provider.policy();
    let choice = |upstream: &std::sync::Arc<SignInProvider>| SignInChoice {
        title: upstream.title.clone(),
        link: format!("/sign-in/with/{}?{query}", upstream.name),
    };
    policy.sign_in.providers.iter().map(choice).collect()
}

/// The provider that has brought the user and can be asked for a second factor, and the address
/// that leads there for the session of `continue_to`.
pub(super) async fn for_second_factor(
    provider: &Provider,
    user: UserId,
    continue_to: &str,
) -> Result<Option<SignInChoice>, PageError> {
    let policy = provider.policy();
    if !policy.sign_in.providers.iter().any(|upstream| upstream.second_factor.on_request) {
        return Ok(None);
    }
    let read = async move |tx: &mut Tx<'_>| {
        Ok::<_, PageError>(identities::list_issuers_of(tx, user).await?)
    };
    let issuers = provider.store.db.read(read).await?;
    let can = |issuer: &String| {
        let mut providers = policy.sign_in.providers.iter();
        providers.find(|upstream| upstream.issuer == *issuer && upstream.second_factor.on_request)
    };
    Ok(issuers.iter().find_map(can).map(|upstream| SignInChoice {
        title: upstream.title.clone(),
        link: format!(
            "/sign-in/with/{}?{}",
            upstream.name,
            form_query(&[("continue", continue_to), ("second_factor", "yes")])
        ),
    }))
}

fn random_text(provider: &Provider) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*provider.entropy))
}
