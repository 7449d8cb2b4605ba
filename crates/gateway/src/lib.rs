//! The API gateway: every call passes a named list of phases (module `pass`) and reaches the
//! upstream with a proven identity, or is refused in the API's own words. It reads grants through
//! [`domain::authority::Authority`] and the operator's declarations from one policy snapshot; it
//! knows neither SQL nor HTML.

mod api;
mod body;
mod connection;
mod cors;
mod error;
mod facts;
mod forward_auth;
mod framing;
mod headers;
mod identity;
mod pass;
mod phase;
mod target;
mod token_cache;
mod tunnel;
mod upload;
mod watch;

pub use body::{Body, BodyError};
pub use connection::{ConnectionLimits, serve_connection};
pub use facts::{ApiStats, Facts, GatewayStats, Refused, RequestId};
pub use forward_auth::ForwardAuthStyle;
pub use pass::Gateway;
pub use target::{TargetError, host_in, host_of, without_port};
