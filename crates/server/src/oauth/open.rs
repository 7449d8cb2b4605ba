//! Opening what was sealed here. A text that names a key this node does not know is worth one
//! reload: another node may have rotated.

use domain::access::{AccessRefusal, open_access_token};
use domain::authority::Authority as _;
use domain::seal::{OpenError, Purpose};
use domain::token::AccessToken;
use domain::token::codec::Content;

use crate::provider::Provider;

pub(super) async fn sealed<C: Content>(
    provider: &Provider,
    purpose: Purpose,
    text: &str,
) -> Result<C, OpenError> {
    match provider.keyring().open(purpose, text) {
        Err(OpenError::UnknownKey) => {
            provider.store.reload_keys().await;
            provider.keyring().open(purpose, text)
        }
        other => other,
    }
}

pub(super) async fn access_token(
    provider: &Provider,
    text: &str,
) -> Result<AccessToken, AccessRefusal> {
    let now = provider.now();
    match open_access_token(&provider.keyring(), text, now) {
        Err(AccessRefusal::UnknownKey) => {
            provider.store.reload_keys().await;
            open_access_token(&provider.keyring(), text, now)
        }
        other => other,
    }
}
