//! Who gives a command: the actor of the control socket. Whoever can open it may do everything, so
//! this decides nothing; the audit trail keeps it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::time::Timestamp;
use http::request::Parts;
use serde_json::Value;

/// A user of the machine. Put into a request's extensions by whoever accepted the connection.
#[derive(Clone, Debug)]
pub struct Operator {
    actor: AuditActor,
    /// What the machine calls the user; ids are given to other people in time.
    name: Option<String>,
}

impl Operator {
    /// `None`: the kernel did not tell.
    pub fn of_uid(uid: Option<u32>, name: Option<String>) -> Self {
        Self { actor: AuditActor::CommandLine { uid }, name }
    }

    /// The program itself.
    pub fn program() -> Self {
        Self { actor: AuditActor::System, name: None }
    }

    /// `detail` is an object.
    pub(super) fn event(&self, at: Timestamp, kind: AuditKind, mut detail: Value) -> AuditEvent {
        if let (Some(name), Some(object)) = (&self.name, detail.as_object_mut()) {
            object.insert("operator".to_owned(), name.as_str().into());
        }
        AuditEvent::new(at, kind, self.actor).detail(detail)
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let told = parts.extensions.get::<Self>().cloned();
        Ok(told.unwrap_or_else(|| Self::of_uid(None, None)))
    }
}
