//! What a download consists of: bytes that are known and contents that lie in the database, one
//! after the other. Any stretch of it can be sent, a little at a time, without having it all.

use axum::body::{Body, Bytes};
use futures_util::stream;

use super::rows;
use crate::storage::{Database, StorageError};

/// Read from the database, and held in memory, at a time.
const CHUNK_BYTES: u64 = 256 * 1024;

#[derive(Clone, Debug)]
pub(crate) enum Part {
    Bytes(Bytes),
    /// So many bytes of the content of that name, from `first`.
    Content {
        name: String,
        first: u64,
        size: u64,
    },
}

impl Part {
    pub(crate) fn content(name: &str, size: u64) -> Self {
        Self::Content { name: name.to_owned(), first: 0, size }
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Content { size, .. } => *size,
        }
    }

    /// What is left without the first `skipped` bytes and without all after `count` more.
    fn cut(&self, skipped: u64, count: u64) -> Self {
        let skipped = skipped.min(self.size());
        let count = count.min(self.size() - skipped);
        match self {
            Self::Bytes(bytes) => {
                let (from, count) = (to_usize(skipped), to_usize(count));
                Self::Bytes(bytes.slice(from..from.saturating_add(count)))
            }
            Self::Content { name, first, .. } => {
                let first = first.saturating_add(skipped);
                Self::Content { name: name.clone(), first, size: count }
            }
        }
    }
}

pub(crate) fn total(parts: &[Part]) -> u64 {
    parts.iter().fold(0, |total, part| total.saturating_add(part.size()))
}

/// `count` bytes from `first` of all parts together.
pub(crate) fn slice(parts: &[Part], mut first: u64, mut count: u64) -> Vec<Part> {
    let mut slice = Vec::new();
    for part in parts {
        let piece = part.cut(first, count);
        first = first.saturating_sub(part.size());
        count = count.saturating_sub(piece.size());
        if piece.size() > 0 {
            slice.push(piece);
        }
    }
    slice
}

/// The parts as a body that is read while it is sent.
pub(crate) fn body(database: Database, parts: Vec<Part>) -> Body {
    let waiting = parts.into_iter().collect::<std::collections::VecDeque<_>>();
    Body::from_stream(stream::unfold(waiting, move |mut waiting| {
        let database = database.clone();
        async move {
            let part = waiting.pop_front()?;
            let rest = part.cut(CHUNK_BYTES, u64::MAX);
            if rest.size() > 0 {
                waiting.push_front(rest);
            }
            Some((read(&database, part.cut(0, CHUNK_BYTES)).await, waiting))
        }
    }))
}

async fn read(database: &Database, part: Part) -> Result<Bytes, StorageError> {
    match part {
        Part::Bytes(bytes) => Ok(bytes),
        Part::Content { name, first, size } => {
            database.run(move |tx| rows::read_bytes(tx, &name, first, size)).await
        }
    }
}

/// Of a length that was one before.
fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
