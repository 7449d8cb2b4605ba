//! What the change feed carries: which row is no longer what a cache may hold. Events name rows,
//! never contents: a listener reads the row again or drops it.

use crate::id::{AppId, ConsentId, GrantId, PartnerKeyId, TokenId, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    App(AppId),
    User(UserId),
    Consent(ConsentId),
    Grant(GrantId),
    /// An access token was put on the revoked list.
    Token(TokenId),
    PartnerKey(PartnerKeyId),
    /// Keys were rotated.
    Keys,
}
