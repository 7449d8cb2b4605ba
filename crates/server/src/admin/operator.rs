//! Who gives a command: somebody at the control socket. Whoever can open it may do everything, so
//! this decides nothing; the audit trail keeps it.

use domain::audit::AuditActor;
use serde_json::Value;

/// A user of the machine. Put into a request's extensions by whoever accepted the connection, and
/// by
/// nobody else: it takes the place of a token.
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

    pub(super) fn actor(&self) -> AuditActor {
        self.actor
    }

    /// Write the name into the detail of an event.
    pub(super) fn name_in(&self, detail: &mut Value) {
        if let (Some(name), Some(object)) = (&self.name, detail.as_object_mut()) {
            object.insert("operator".to_owned(), name.as_str().into());
        }
    }
}
