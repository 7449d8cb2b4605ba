//! The admin API: what staff can do, as JSON for programs of the operator. It is served by the
//! internal listener to whoever has a token, and over the Unix socket to the command line. It is
//! never on the public listener.

pub mod actor;
pub mod apps;
pub mod audit;
mod body;
pub mod care;
pub mod consents;
pub mod decisions;
mod gate;
mod idempotency;
pub mod import;
pub mod keys;
pub mod mails;
pub mod messages;
pub mod openapi;
pub mod operation;
pub mod operator;
pub mod page;
pub mod plans;
pub mod problem;
pub mod routes;
pub mod schema;
pub mod secrets;
pub mod tokens;
pub mod users;
mod version;
pub mod webhooks;

pub use actor::Admin;
pub use operator::Operator;
pub use problem::{Problem, ProblemKind};
pub use routes::{PREFIX, operations, router};

use domain::time::Timestamp;
use store::Tx;

use crate::provider::Provider;

/// `2026-04-02T09:00:00Z`
fn rfc3339(at: Timestamp) -> String {
    crate::display::iso(at)
}

/// One transaction. A refusal is a value inside it, so that it takes no neighbour back (decision
/// 51); so it comes before anything is written.
async fn write<T, F>(provider: &Provider, work: F) -> Result<T, Problem>
where
    F: AsyncFn(&mut Tx<'_>) -> Result<T, Problem> + Send + 'static,
    T: Send + 'static,
{
    let run = async move |tx: &mut Tx<'_>| match work(tx).await {
        Err(problem) if problem.is_refusal() => Ok(Err(problem)),
        Err(failure) => Err(failure),
        Ok(done) => Ok(Ok(done)),
    };
    provider.store.db.write(run).await?
}
