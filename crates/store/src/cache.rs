//! A bounded cache in front of rows. A row that was read before a change must not be put in after
//! it (attack K1): each shard has an epoch, taken before the row is read; a change moves it on, and
//! what was read under an older epoch is used once and not kept.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quick_cache::Equivalent;

/// Few enough to be cheap, many enough that two cores seldom meet in one.
const SHARDS: usize = 32;

pub(crate) struct Cache<K, V> {
    shards: Vec<Mutex<Shard<K, V>>>,
    hasher: RandomState,
}

struct Shard<K, V> {
    epoch: u64,
    rows: quick_cache::unsync::Cache<K, V>,
}

/// Leave to put in what is read from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    epoch: u64,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(rows_max: usize) -> Self {
        let per_shard = rows_max.div_ceil(SHARDS);
        let shard = |_| Shard { epoch: 0, rows: quick_cache::unsync::Cache::new(per_shard) };
        Self {
            shards: (0..SHARDS).map(shard).map(Mutex::new).collect(),
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn find<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.shard(key)?.rows.get(key).cloned()
    }

    /// Call it before reading the row.
    pub(crate) fn ticket<Q: Hash + ?Sized>(&self, key: &Q) -> Option<Ticket> {
        self.shard(key).map(|shard| Ticket { epoch: shard.epoch })
    }

    /// `false`: something changed since the ticket was taken; the row may be old and is not kept.
    pub(crate) fn insert(&self, ticket: Option<Ticket>, key: K, value: V) -> bool {
        let Some(mut shard) = self.shard(&key) else { return false };
        let is_fresh = ticket.is_some_and(|ticket| ticket.epoch == shard.epoch);
        if is_fresh {
            shard.rows.insert(key, value);
        }
        is_fresh
    }

    /// The row has changed.
    pub(crate) fn forget(&self, key: &K) {
        if let Some(mut shard) = self.shard(key) {
            shard.epoch = shard.epoch.wrapping_add(1);
            shard.rows.remove(key);
        }
    }

    /// Any row may have changed.
    pub(crate) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.epoch = shard.epoch.wrapping_add(1);
            shard.rows.clear();
        }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> Option<MutexGuard<'_, Shard<K, V>>> {
        // The remainder is below the number of shards, so there always is one.
        let index = self.hasher.hash_one(key) % (SHARDS as u64);
        self.shards.get(usize::try_from(index).ok()?).map(lock)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_read_before_a_change_is_not_kept_after_it() {
        let cache = Cache::new(100);
        let ticket = cache.ticket(&1);
        cache.forget(&1);
        assert!(!cache.insert(ticket, 1, "old"));
        assert_eq!(cache.find(&1), None);
        let ticket = cache.ticket(&1);
        assert!(cache.insert(ticket, 1, "new"));
        assert_eq!(cache.find(&1), Some("new"));
    }

    #[test]
    fn forgetting_everything_also_stops_what_is_being_read() {
        let cache = Cache::new(100);
        let tickets: Vec<_> = (0..50).map(|key| (key, cache.ticket(&key))).collect();
        cache.forget_all();
        for (key, ticket) in tickets {
            assert!(!cache.insert(ticket, key, key), "{key}");
        }
    }

    #[test]
    fn it_stays_within_its_bound() {
        let cache = Cache::new(320);
        for key in 0..10_000 {
            cache.insert(cache.ticket(&key), key, ());
        }
        let kept = (0..10_000).filter(|key| cache.find(key).is_some()).count();
        assert!(kept <= 320 + SHARDS, "{kept} rows kept");
    }
}
