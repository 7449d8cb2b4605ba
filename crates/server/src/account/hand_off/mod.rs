//! Signing in at another system: an OpenID provider, or the operator's own login page. The browser
//! goes there with a request and comes back with an answer that is good once, for this request, in
//! this browser. Who the person is here is decided by `domain::sign_in`.

mod finish;
mod openid;
mod refused;
mod start;
mod travel;

use domain::entropy::random_bytes;
use domain::sign_in::SignInProvider;

use crate::error::form_query;
use crate::pages::views::SignInChoice;
use crate::provider::Provider;

pub use finish::finish;
pub use openid::OpenIdProviders;
pub(super) use start::leave;
pub use start::start;

/// Where the browser comes back to. One address for each provider, so that the answer of one is
/// never taken for another's (RFC 9700 §4.4, attack M1).
fn return_url(provider: &Provider, upstream: &SignInProvider) -> String {
    format!("{}/sign-in/return/{}", provider.issuer(), upstream.name)
}

/// The buttons of the sign-in page.
pub(super) fn choices(provider: &Provider, continue_to: &str) -> Vec<SignInChoice> {
    let query = form_query(&[("continue", continue_to)]);
    let policy = provider.policy();
    let choice = |upstream: &std::sync::Arc<SignInProvider>| SignInChoice {
        title: upstream.title.clone(),
        link: format!("/sign-in/with/{}?{query}", upstream.name),
    };
    policy.sign_in.providers.iter().map(choice).collect()
}

fn random_text(provider: &Provider) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*provider.entropy))
}
