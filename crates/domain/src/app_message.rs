//! What a developer and staff write to each other about an app.

use crate::id::{AppId, AppMessageId, UserId};
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppMessage {
    pub id: AppMessageId,
    pub app_id: AppId,
    pub author_id: UserId,
    /// Written for the operator, whoever owns the app.
    pub by_staff: bool,
    pub text: String,
    pub written_at: Timestamp,
}

/// Of one text, in characters.
pub const MESSAGE_MAX: usize = 2000;
/// What one developer may write about one app in a day.
pub const MESSAGES_PER_DAY_MAX: u64 = 50;

/// What is wrong with a text that somebody wants to send.
pub fn text_error(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("Write something first.");
    }
    if text.chars().count() > MESSAGE_MAX {
        return Some("Use at most 2000 characters.");
    }
    let is_bad = |c: char| c.is_control() && c != '\n';
    text.chars().any(is_bad).then_some("Leave out control characters.")
}
