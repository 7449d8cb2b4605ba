//! What the gateway remembers of a call for the pages. Kept in memory and written in coarse
//! batches: a crash can lose the last batch, never a decision.

use std::net::IpAddr;

use crate::id::{AppId, GrantId, PartnerKeyId, UserId};
use crate::time::Timestamp;

/// What let a call in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsedBy {
    Grant(GrantId),
    PartnerKey(PartnerKeyId),
}

#[derive(Clone, Debug)]
pub struct Use {
    pub by: UsedBy,
    pub app_id: AppId,
    pub user_id: Option<UserId>,
    /// The endpoint family of the route, e.g. `orders`.
    pub family: String,
    pub status: u16,
    pub address: IpAddr,
    pub at: Timestamp,
}
