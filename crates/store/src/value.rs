//! Values on their way into a statement and columns on their way out: the three types that both
//! databases have in common. Everything else is built from them.

use std::borrow::Cow;
use std::fmt;

use domain::id;
use domain::time::Timestamp;
use protocol::scope::ScopeSet;

use crate::DbError;

/// One parameter of a statement.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    Null,
    Int(i64),
    Text(Cow<'v, str>),
    Bytes(Cow<'v, [u8]>),
}

/// The parameters of a statement, in the order of their numbers: `bind![id, now]`.
#[macro_export]
macro_rules! bind {
    ($($value:expr),* $(,)?) => { &[$($crate::Value::from($value)),*] };
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.as_millis())
    }
}

/// PostgreSQL cannot store NUL in a text, and no text of ours means anything by it: it becomes the
/// replacement character in both databases, so that it neither fails in one of them nor matches.
fn storable(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(value: &'v str) -> Self {
        Self::Text(storable(value.into()))
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(value: &'v String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(storable(value.into()))
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(value: &'v [u8]) -> Self {
        Self::Bytes(value.into())
    }
}

impl<'v> From<&'v Vec<u8>> for Value<'v> {
    fn from(value: &'v Vec<u8>) -> Self {
        Self::from(value.as_slice())
    }
}

impl<'v, const N: usize> From<&'v [u8; N]> for Value<'v> {
    fn from(value: &'v [u8; N]) -> Self {
        Self::from(value.as_slice())
    }
}

impl From<&ScopeSet> for Value<'_> {
    fn from(value: &ScopeSet) -> Self {
        Self::from(value.to_string())
    }
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row, read column by column in the order of the statement.
#[derive(Debug)]
pub struct Row {
    columns: std::vec::IntoIter<Column>,
}

impl Row {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns: columns.into_iter() }
    }

    /// The next column. A wrong type or a value that does not parse is a bug or a damaged database.
    pub fn take<T: FromColumn>(&mut self) -> Result<T, DbError> {
        let column = self.columns.next().ok_or_else(|| DbError::bug("a row is too short"))?;
        T::from_column(column)
    }

    /// The next column, converted by a function that can fail.
    pub fn take_as<T: FromColumn, U>(
        &mut self,
        what: &str,
        convert: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, DbError> {
        convert(self.take()?).ok_or_else(|| unreadable(what))
    }
}

pub(crate) fn unreadable(what: &str) -> DbError {
    DbError::Corrupt(format!("a stored {what} cannot be read"))
}

pub trait FromColumn: Sized {
    fn from_column(column: Column) -> Result<Self, DbError>;
}

impl FromColumn for Column {
    fn from_column(column: Column) -> Result<Self, DbError> {
        Ok(column)
    }
}

impl FromColumn for i64 {
    fn from_column(column: Column) -> Result<Self, DbError> {
        match column {
            Column::Int(value) => Ok(value),
            other => Err(wrong_type("an integer", &other)),
        }
    }
}

/// A count: never negative.
impl FromColumn for u64 {
    fn from_column(column: Column) -> Result<Self, DbError> {
        i64::from_column(column)?.try_into().map_err(|_| unreadable("count"))
    }
}

impl FromColumn for bool {
    fn from_column(column: Column) -> Result<Self, DbError> {
        Ok(i64::from_column(column)? != 0)
    }
}

impl FromColumn for Timestamp {
    fn from_column(column: Column) -> Result<Self, DbError> {
        i64::from_column(column).map(Timestamp::from_millis)
    }
}

impl FromColumn for String {
    fn from_column(column: Column) -> Result<Self, DbError> {
        match column {
            Column::Text(value) => Ok(value),
            other => Err(wrong_type("a text", &other)),
        }
    }
}

impl FromColumn for Vec<u8> {
    fn from_column(column: Column) -> Result<Self, DbError> {
        match column {
            Column::Bytes(value) => Ok(value),
            other => Err(wrong_type("bytes", &other)),
        }
    }
}

impl<const N: usize> FromColumn for [u8; N] {
    fn from_column(column: Column) -> Result<Self, DbError> {
        Vec::from_column(column)?.try_into().map_err(|_| unreadable("byte string"))
    }
}

impl FromColumn for ScopeSet {
    fn from_column(column: Column) -> Result<Self, DbError> {
        Self::parse(&String::from_column(column)?).map_err(|_| unreadable("set of scopes"))
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(column: Column) -> Result<Self, DbError> {
        match column {
            Column::Null => Ok(None),
            column => T::from_column(column).map(Some),
        }
    }
}

fn wrong_type(expected: &str, found: &impl fmt::Debug) -> DbError {
    DbError::Bug(format!("expected {expected}, found {found:?}"))
}

macro_rules! ids {
    ($($name:ident)*) => {$(
        impl From<id::$name> for Value<'_> {
            fn from(id: id::$name) -> Self {
                Self::Text(id.to_string().into())
            }
        }

        impl FromColumn for id::$name {
            fn from_column(column: Column) -> Result<Self, DbError> {
                String::from_column(column)?.parse().map_err(|_| unreadable(stringify!($name)))
            }
        }
    )*};
}

ids! {
    AppId
    UserId
    ConsentId
    GrantId
    TokenId
    CodeId
    CredentialId
    SessionId
    PartnerKeyId
    EndpointId
    AppMessageId
    AdminTokenId
    LinkId
    FactorId
    TeamId
    InvitationId
    LogoId
    PlanRequestId
    AttemptId
}
