//! Counting requests: a handful of relaxed atomic additions each, in tables that hold what was seen
//! so far. What is counted by is bounded: route patterns, families and reasons, never a path.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

/// Upper bounds in microseconds; what takes longer is in the last bucket.
pub(super) const BOUNDS_MICROS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];
/// Rows of one table. Configs have fewer; it keeps a mistake from becoming a leak.
const ROWS_MAX: usize = 5_000;

/// How long things took.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Not added up; the last one is for what is above all bounds.
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let index = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Upper bounds in seconds with the counts of each.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::MAX]);
        bounds.zip(&self.buckets).map(|(bound, n)| (bound, n.load(Ordering::Relaxed))).collect()
    }

    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6
    }
}

/// Answers of one kind: by the first digit of their status, and how long they took.
#[derive(Debug, Default)]
pub(super) struct Answers {
    classes: [AtomicU64; 6],
    pub(super) took: Histogram,
    /// Until the upstream's head; of calls that it answered.
    pub(super) upstream: Histogram,
}

pub(super) const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl Answers {
    pub(super) fn count(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100);
        if let Some(count) = self.classes.get(class).or(self.classes.first()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.took.observe(took);
    }

    /// Those that occurred.
    pub(super) fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.classes.iter().map(|count| count.load(Ordering::Relaxed));
        CLASSES.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }
}

type Rows<E> = BTreeMap<String, BTreeMap<String, Arc<E>>>;

/// Things that are counted apart by two words. Reading takes no lock.
#[derive(Debug)]
pub(super) struct Table<E>(ArcSwap<Rows<E>>);

impl<E> Default for Table<E> {
    fn default() -> Self {
        Self(ArcSwap::default())
    }
}

impl<E: Default> Table<E> {
    pub(super) fn at(&self, first: &str, second: &str, count: impl FnOnce(&E)) {
        if let Some(found) = self.0.load().get(first).and_then(|row| row.get(second)) {
            return count(found);
        }
        // Once per pair and process.
        self.0.rcu(|rows| {
            let mut rows = Rows::clone(rows);
            if rows.values().map(BTreeMap::len).sum::<usize>() < ROWS_MAX {
                rows.entry(first.to_owned()).or_default().entry(second.to_owned()).or_default();
            }
            rows
        });
        if let Some(made) = self.0.load().get(first).and_then(|row| row.get(second)) {
            count(made);
        }
    }

    pub(super) fn each(&self, mut tell: impl FnMut(&str, &str, &E)) {
        for (first, row) in self.0.load().iter() {
            for (second, entry) in row {
                tell(first, second, entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for millis in [0, 1, 2, 99_999] {
            histogram.observe(Duration::from_millis(millis));
        }
        let buckets = histogram.buckets();
        let filled: Vec<_> = buckets.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [&(0.000_25, 1), &(0.001, 1), &(0.002_5, 1), &(f64::MAX, 1)]);
        assert!((histogram.sum_seconds() - 100.002).abs() < 1e-9);
    }

    #[test]
    fn threads_that_meet_a_new_row_at_once_lose_no_count() {
        let table = Table::<Answers>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for row in 0..50 {
                        table.at("/x", &row.to_string(), |row| row.count(200, Duration::ZERO));
                    }
                });
            }
        });
        let (mut rows, mut counted) = (0, 0);
        table.each(|_, _, row| {
            rows += 1;
            counted += row.by_class().map(|(_, count)| count).sum::<u64>();
        });
        assert_eq!((rows, counted), (50, 200));
    }
}
