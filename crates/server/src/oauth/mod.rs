//! The OAuth endpoints. Each is a decoder and an encoder of the standard around operations that
//! know no wire format: [`grants`] for tokens, [`pending`] and `domain::authorization` for the
//! way of a user. A dialect brings other decoders and encoders to the same operations.

pub mod answer;
pub(crate) mod app_keys;
pub mod authorize;
pub mod client;
pub mod consent;
pub mod device;
pub mod failures;
pub mod grants;
pub mod introspect;
pub mod jwks;
pub mod metadata;
pub mod partner_keys;
pub mod pending;
pub mod protected_resource;
pub mod revoke;
pub(crate) mod test_mode;
pub mod token;

pub(crate) mod consent_page;
mod deliver;
mod first_use;
mod key_consent;
mod mint;
mod open;
pub(crate) mod user_cap;
pub(crate) mod user_limits;
