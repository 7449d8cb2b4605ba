//! The words of OAuth and of the gateway: wire messages and the rules about them.
//!
//! Pure: no I/O, no async, no clock. Decoding (parameters → request) and encoding (answer → wire)
//! are apart from deciding, so a dialect is another decoder and another encoder of the same types.

pub mod authorize;
pub mod authorize_response;
pub mod bearer;
pub mod cbor;
pub mod client_assertion;
pub mod client_auth;
pub mod device;
pub mod dialect;
pub mod envelope;
pub mod error;
pub mod hand_off;
pub mod identity;
pub mod introspection;
pub mod jose;
pub mod jwk;
pub mod jwt_access_token;
pub mod mac;
pub mod message_signature;
pub mod metadata;
pub mod openid;
pub mod params;
pub mod partner_key;
pub mod path;
pub mod pkce;
pub mod rate;
pub mod redirect_uri;
pub mod revocation;
pub mod route;
pub mod scope;
pub mod secret;
pub mod signed_request;
pub mod standard_webhook;
pub mod template;
pub mod token;
pub mod totp;
pub mod webauthn;
