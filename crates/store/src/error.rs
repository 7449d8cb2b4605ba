//! What can go wrong with the database, in the words an operator needs. Decisions (a refused token,
//! a wrong password) are never errors of this kind.

/// Why the database did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// It cannot be reached, or does not answer in time. Nothing was changed.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// More is asked than it can do. Nothing was changed.
    #[error("the database has too much to do: {0}")]
    Busy(String),
    /// The write that met it was rolled back.
    #[error("the disk of the database is full; free some space, nothing else is needed: {0}")]
    DiskFull(String),
    /// Too many transactions wanted the same rows, and the retries are used up. Nothing was
    /// changed.
    #[error("the database is too busy with the same rows: {0}")]
    Conflict(String),
    /// The connection was lost while the commit was on its way.
    #[error(
        "the database connection was lost during a commit; the change may or may not stand: {0}"
    )]
    OutcomeUnknown(String),
    #[error("the database is damaged; restore it from a backup: {0}")]
    Corrupt(String),
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}; \
         start the newer program, or restore a backup made before the upgrade"
    )]
    NewerSchema { found: i64, known: i64 },
    /// Another process holds the data.
    #[error("{0} is in use by another running Consentry; stop it first")]
    InUse(String),
    /// The address or a setting of the database server makes it unfit.
    #[error("{0}")]
    Setup(String),
    /// A mistake in this program.
    #[error("internal database error: {0}")]
    Bug(String),
}

impl DbError {
    /// Worth trying again later without anybody changing the program or the request.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_)
                | Self::Busy(_)
                | Self::DiskFull(_)
                | Self::Conflict(_)
                | Self::OutcomeUnknown(_)
        )
    }

    pub(crate) fn bug(what: impl std::fmt::Display) -> Self {
        Self::Bug(what.to_string())
    }
}
