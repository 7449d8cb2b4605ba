//! Requests of apps since the last flush: counted all, remembered some. In memory, in shards that
//! only calls of the same few apps share; nothing here writes per request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::active_users::ActiveUsers;
use domain::calendar::{day_after, day_of, hour_of, month_of};
use domain::id::AppId;
use domain::plan::CallsSoFar;
use domain::request_log::{Allowances, Counts, Entry, Request};
use domain::time::Timestamp;

use crate::{Db, DbError, Tx, app_counts, request_log};

const SHARDS: usize = 16;
/// More are not remembered until the next flush, in one shard.
const ENTRIES_MAX: usize = 2_000;
/// Rows of one transaction: others wait for it.
const ROWS_MAX: usize = 250;
/// An app that asked for nothing for so long is forgotten here.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * 3600);
/// After which other nodes' calls are read again, where this one has none to write.
const KNOWN_FOR: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Requests([Mutex<Shard>; SHARDS]);

#[derive(Default)]
struct Shard {
    apps: HashMap<AppId, Line>,
    entries: Vec<Entry>,
}

/// What is known of one app.
struct Line {
    hour: Timestamp,
    counts: Counts,
    /// Of the hour, also those that are stored: who comes again is no news.
    users: ActiveUsers,
    has_new_users: bool,
    /// Of hours before, while they could not be written.
    earlier: Vec<Hour>,
    allowances: Allowances,
    spent: Option<Spent>,
    last_at: Timestamp,
}

/// Of one hour, to be written.
#[derive(Clone)]
struct Hour {
    from: Timestamp,
    counts: Counts,
    users: Option<Box<ActiveUsers>>,
}

/// What an app with a quota has used.
#[derive(Clone, Copy)]
struct Spent {
    day: Timestamp,
    /// In the database: of this month before that day, and of that day.
    before: u64,
    stored: u64,
    /// On this node since that was read.
    since: u64,
    read_at: Timestamp,
}

impl Spent {
    /// As it is at `now`.
    fn roll(&mut self, now: Timestamp) {
        let today = day_of(now);
        if today > self.day {
            let is_same_month = month_of(today) == month_of(self.day);
            self.before = if is_same_month { self.before + self.stored + self.since } else { 0 };
            (self.day, self.stored, self.since) = (today, 0, 0);
        }
    }

    fn so_far(&self) -> CallsSoFar {
        let today = self.stored.saturating_add(self.since);
        CallsSoFar { today, this_month: self.before.saturating_add(today) }
    }
}

impl Line {
    fn new(at: Timestamp) -> Self {
        Self {
            hour: hour_of(at),
            counts: Counts::default(),
            users: ActiveUsers::default(),
            has_new_users: false,
            earlier: Vec::new(),
            allowances: Allowances::new(at),
            spent: None,
            last_at: at,
        }
    }

    fn add(&mut self, request: &Request<'_>) {
        let hour = hour_of(request.at);
        if hour > self.hour {
            if let Some(before) = self.take_hour() {
                self.earlier.push(before);
            }
            (self.hour, self.users) = (hour, ActiveUsers::default());
        }
        let counts = Counts::of(request);
        self.counts.add(counts);
        self.last_at = self.last_at.max(request.at);
        if let Some(user) = request.user_id.filter(|_| request.is_proven) {
            self.has_new_users |= self.users.note(user);
        }
        if let Some(spent) = &mut self.spent {
            spent.roll(request.at);
            spent.since += counts.passed;
        }
    }

    /// What there is of this hour to write.
    fn take_hour(&mut self) -> Option<Hour> {
        if self.counts.is_empty() && !self.has_new_users {
            return None;
        }
        let users = self.has_new_users.then(|| Box::new(self.users.clone()));
        self.has_new_users = false;
        Some(Hour { from: self.hour, counts: std::mem::take(&mut self.counts), users })
    }

    /// Calls from one time to another that are still to be written.
    fn unwritten(&self, from: Timestamp, until: Timestamp) -> u64 {
        let earlier = self.earlier.iter().map(|hour| (hour.from, hour.counts.passed));
        let hours = earlier.chain([(self.hour, self.counts.passed)]);
        hours.filter(|(hour, _)| (from..until).contains(hour)).map(|(_, passed)| passed).sum()
    }
}

impl Requests {
    fn of(&self, app: AppId) -> MutexGuard<'_, Shard> {
        // Ids are random.
        let [byte, ..] = app.as_bytes();
        let [first, ..] = &self.0;
        lock(self.0.get(usize::from(*byte) % SHARDS).unwrap_or(first))
    }

    pub(crate) fn note(&self, request: &Request<'_>) {
        let shard = &mut *self.of(request.app_id);
        let line = shard.apps.entry(request.app_id).or_insert_with(|| Line::new(request.at));
        line.add(request);
        if shard.entries.len() < ENTRIES_MAX && line.allowances.keeps(request) {
            shard.entries.push(request.entry());
        }
    }

    /// `None`: it has to be read.
    pub(crate) fn so_far(&self, app: AppId, now: Timestamp) -> Option<CallsSoFar> {
        let mut shard = self.of(app);
        let spent = shard.apps.get_mut(&app)?.spent.as_mut()?;
        spent.roll(now);
        (now.since(spent.read_at) < KNOWN_FOR).then(|| spent.so_far())
    }

    /// What the database says, `None` if it does not answer: then what is known here has to do
    /// for a while.
    pub(crate) fn learn(
        &self,
        app: AppId,
        stored: Option<(u64, u64)>,
        now: Timestamp,
    ) -> CallsSoFar {
        let mut shard = self.of(app);
        let line = shard.apps.entry(app).or_insert_with(|| Line::new(now));
        let today = day_of(now);
        let spent = match (stored, line.spent) {
            (None, Some(mut known)) => {
                known.roll(now);
                Spent { read_at: now, ..known }
            }
            (stored, _) => {
                let (before, stored) = stored.unwrap_or_default();
                let before = before + line.unwritten(month_of(now), today);
                let since = line.unwritten(today, day_after(now));
                Spent { day: today, before, stored, since, read_at: now }
            }
        };
        line.spent = Some(spent);
        spent.so_far()
    }

    /// Write what came since the last time.
    pub(crate) async fn flush(&self, db: &Db, now: Timestamp) -> Result<(), DbError> {
        for shard in &self.0 {
            let (hours, entries) = take(shard, now);
            let mut result = Ok(());
            for some in hours.chunks(ROWS_MAX) {
                result = match result {
                    Ok(()) => self.write_hours(db, some, now).await,
                    failed => failed,
                };
                if result.is_err() {
                    put_back(shard, some);
                }
            }
            for some in entries.chunks(ROWS_MAX) {
                result = match result {
                    Ok(()) => write_entries(db, some).await,
                    failed => failed,
                };
                if result.is_err() {
                    let mut shard = lock(shard);
                    let free = ENTRIES_MAX.saturating_sub(shard.entries.len());
                    shard.entries.extend(some.iter().take(free).cloned());
                }
            }
            result?;
        }
        Ok(())
    }

    async fn write_hours(
        &self,
        db: &Db,
        hours: &[(AppId, Hour)],
        now: Timestamp,
    ) -> Result<(), DbError> {
        let some = hours.to_vec();
        let write = async move |tx: &mut Tx<'_>| {
            let mut days = Vec::with_capacity(some.len());
            for (app, hour) in &some {
                let users = hour.users.as_deref();
                let passed = app_counts::add(tx, *app, hour.from, hour.counts, users).await?;
                days.push((*app, day_of(hour.from), passed));
            }
            Ok::<_, DbError>(days)
        };
        for (app, day, passed) in db.write(write).await? {
            let mut shard = self.of(app);
            let Some(line) = shard.apps.get_mut(&app) else { continue };
            let since = line.unwritten(day, day_after(day));
            if let Some(spent) = line.spent.as_mut().filter(|spent| spent.day == day) {
                // With what other nodes have written.
                (spent.stored, spent.since, spent.read_at) = (passed, since, now);
            }
        }
        Ok(())
    }
}

async fn write_entries(db: &Db, entries: &[Entry]) -> Result<(), DbError> {
    let some = entries.to_vec();
    let write = async move |tx: &mut Tx<'_>| {
        for entry in &some {
            request_log::insert(tx, entry).await?;
        }
        Ok(())
    };
    db.write(write).await
}

fn take(shard: &Mutex<Shard>, now: Timestamp) -> (Vec<(AppId, Hour)>, Vec<Entry>) {
    let mut shard = lock(shard);
    let mut hours = Vec::new();
    for (app, line) in &mut shard.apps {
        let earlier = std::mem::take(&mut line.earlier);
        hours.extend(earlier.into_iter().chain(line.take_hour()).map(|hour| (*app, hour)));
    }
    shard.apps.retain(|_, line| now.since(line.last_at) < FORGOTTEN_AFTER);
    // In one order, so that two nodes do not wait for one another.
    hours.sort_by_key(|(app, hour)| (*app, hour.from));
    (hours, std::mem::take(&mut shard.entries))
}

fn put_back(shard: &Mutex<Shard>, hours: &[(AppId, Hour)]) {
    let mut shard = lock(shard);
    for (app, hour) in hours {
        let line = shard.apps.entry(*app).or_insert_with(|| Line::new(hour.from));
        match line.earlier.iter_mut().find(|known| known.from == hour.from) {
            Some(known) => {
                known.counts.add(hour.counts);
                if let Some(users) = &hour.users {
                    known.users.get_or_insert_default().merge(users);
                }
            }
            None => line.earlier.push(hour.clone()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
