//! How far a transfer is at a moment. Pure: what is asked for, when it began and the clock decide.

use super::catalogue::Torrent;

const QUEUE_MS: i64 = 2_000;
/// A finished download is still offered to others for a while.
const SEEDING_MS: i64 = 30_000;
const NO_NETWORK: &str =
    "This practice drive has no network: only the magnet links of its catalogue can be fetched.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    Downloading { permille: i64 },
    Seeding,
    Finished,
    Failed,
}

impl Phase {
    pub(crate) fn at(torrent: Option<&Torrent>, started_at: i64, now: i64) -> Self {
        let elapsed = now.saturating_sub(started_at).saturating_sub(QUEUE_MS);
        if elapsed < 0 {
            return Self::Queued;
        }
        let Some(torrent) = torrent else { return Self::Failed };
        let length = torrent.seconds.saturating_mul(1_000).max(1);
        match elapsed.saturating_sub(length) {
            ..0 => Self::Downloading { permille: elapsed.saturating_mul(1_000) / length },
            0..SEEDING_MS => Self::Seeding,
            _ => Self::Finished,
        }
    }

    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Downloading { .. } => "downloading",
            Self::Seeding => "seeding",
            Self::Finished => "finished",
            Self::Failed => "error",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        if self == Self::Failed { NO_NETWORK } else { "" }
    }

    /// Per cent with one place, as Bitport's text; empty when there is nothing more to come.
    pub(crate) fn progress(self) -> String {
        match self {
            Self::Queued | Self::Failed => "0.0".to_owned(),
            Self::Downloading { permille } => format!("{}.{}", permille / 10, permille % 10),
            Self::Seeding => "100.0".to_owned(),
            Self::Finished => String::new(),
        }
    }
}

/// When the bytes of a torrent are there.
pub(crate) fn stored_at(torrent: &Torrent, started_at: i64) -> i64 {
    started_at.saturating_add(QUEUE_MS).saturating_add(torrent.seconds.saturating_mul(1_000))
}
