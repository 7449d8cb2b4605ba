//! What this node remembers of signed requests: the nonces that it may judge by itself, and the
//! refusals that are still to be written to the audit trail.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::id::PartnerKeyId;
use domain::key_access::KeyRefused;
use domain::nonce::{Increasing, KEPT, Moment, Moments, Nonce, NonceRefusal, Step};
use domain::partner_key::uuid_of;
use domain::time::Timestamp;
use protocol::signed_request::SignedRefusal;
use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use crate::live::Live;
use crate::{Db, DbError, Tx, audit, nonces, used_once};

/// A key that has signed nothing for so long is forgotten: time has got past any reserve of it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * 60);
/// The same refusal of the same key is written this often at most.
const TOLD_EVERY: Duration = Duration::from_secs(10 * 60);
/// More kinds of refusals are not told apart until the next flush.
const REFUSALS_MAX: usize = 10_000;
/// Rows of one transaction.
const ROWS_MAX: usize = 500;

/// The nonces of keys that are in use.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<HashMap<PartnerKeyId, Arc<tokio::sync::Mutex<Option<Ledger>>>>>);

struct Ledger {
    increasing: Increasing,
    moments: Moments,
    used_at: Timestamp,
}

impl Nonces {
    /// Use up a nonce. Durable when it returns.
    pub(crate) async fn take(
        &self,
        live: &Live,
        key: PartnerKeyId,
        nonce: Nonce,
    ) -> Result<Result<(), NonceRefusal>, DbError> {
        let ledger = Arc::clone(lock(&self.0).entry(key).or_default());
        let mut ledger = ledger.lock_owned().await;
        let now = live.clock.now();
        let known = match &mut *ledger {
            Some(known) => known,
            none => {
                let marks = live.db.read(async move |tx| nonces::find(tx, key).await).await?;
                none.insert(Ledger {
                    increasing: Increasing::after(marks.increasing),
                    moments: Moments::after(marks.moments),
                    used_at: now,
                })
            }
        };
        known.used_at = now;
        let step = match &nonce {
            Nonce::Increasing(nonce) => known.increasing.judge(*nonce, now, live.is_alone()),
            Nonce::Moment(moment) => known.moments.judge(moment, now),
        };
        match step {
            Step::Accept => Ok(Ok(())),
            Step::Refuse(refusal) => Ok(Err(refusal)),
            Step::Reserve { until } => {
                let (db, has_others) = (live.db.clone(), live.cluster.is_some());
                // Comes to its end even if the caller goes: what is reserved must be known here.
                let reserving = tokio::spawn(async move {
                    match nonce {
                        Nonce::Increasing(nonce) => reserve(&db, ledger, key, nonce, until).await,
                        Nonce::Moment(moment) if has_others => {
                            use_up(&db, ledger, key, moment).await
                        }
                        Nonce::Moment(moment) => {
                            reserve_moments(&db, ledger, key, moment, until).await
                        }
                    }
                });
                reserving.await.map_err(DbError::bug)?
            }
        }
    }

    /// Forget keys that are not used.
    pub(crate) fn sweep(&self, now: Timestamp) {
        lock(&self.0).retain(|_, ledger| {
            // Nobody else can get hold of it while the map is locked.
            let is_idle = Arc::strong_count(ledger) == 1
                && ledger.try_lock().is_ok_and(|ledger| {
                    ledger.as_ref().is_none_or(|known| now.since(known.used_at) > FORGOTTEN_AFTER)
                });
            !is_idle
        });
    }

    /// Write the exact marks, so that nothing is refused after an orderly restart.
    pub(crate) async fn give_back(&self, db: &Db) -> Result<(), DbError> {
        let ledgers = std::mem::take(&mut *lock(&self.0));
        let mut spare = Vec::new();
        for (key, ledger) in ledgers {
            if let Some(known) = &*ledger.lock().await {
                let both = (known.increasing.spare(), known.moments.spare());
                if both != (None, None) {
                    spare.push((key, both));
                }
            }
        }
        for some in spare.chunks(ROWS_MAX) {
            let some = some.to_vec();
            let give_back = async move |tx: &mut Tx<'_>| {
                for (key, (increasing, moments)) in &some {
                    if let Some(marks) = increasing {
                        nonces::give_back(tx, *key, *marks).await?;
                    }
                    if let Some(marks) = moments {
                        nonces::give_back_moments(tx, *key, *marks).await?;
                    }
                }
                Ok::<_, DbError>(())
            };
            db.write(give_back).await?;
        }
        Ok(())
    }
}

type Held = OwnedMutexGuard<Option<Ledger>>;
type Taken = Result<Result<(), NonceRefusal>, DbError>;

async fn reserve(db: &Db, mut held: Held, key: PartnerKeyId, nonce: i64, until: i64) -> Taken {
    let reserve = async move |tx: &mut Tx<'_>| nonces::reserve(tx, key, nonce, until).await;
    let is_ours = db.write_one(reserve).await?;
    let Some(ledger) = &mut *held else { return Err(DbError::bug("a ledger is gone")) };
    if is_ours {
        ledger.increasing.reserved(nonce, until);
        return Ok(Ok(()));
    }
    let marks = db.read(async move |tx: &mut Tx<'_>| nonces::find(tx, key).await).await?;
    ledger.increasing.lost(marks.increasing);
    Ok(Err(NonceRefusal::NotGreater))
}

/// Where there is one node, it alone knows which moments were used.
async fn reserve_moments(
    db: &Db,
    mut held: Held,
    key: PartnerKeyId,
    moment: Moment,
    until: i64,
) -> Taken {
    let reserve = async move |tx: &mut Tx<'_>| nonces::reserve_moments(tx, key, until).await;
    if !db.write_one(reserve).await? {
        // The key has ended meanwhile.
        return Ok(Err(NonceRefusal::Used));
    }
    let Some(ledger) = &mut *held else { return Err(DbError::bug("a ledger is gone")) };
    ledger.moments.reserved(&moment, until);
    Ok(Ok(()))
}

/// Where there may be several, the database knows.
async fn use_up(db: &Db, mut held: Held, key: PartnerKeyId, moment: Moment) -> Taken {
    let at = moment.at.as_millis().to_be_bytes();
    let hash = [key.as_bytes().as_slice(), &at, &moment.id].concat();
    // Clocks of nodes differ by seconds.
    let expires_at = moment.at.after(2 * KEPT);
    let take = async move |tx: &mut Tx<'_>| used_once::take(tx, "nonce", &hash, expires_at).await;
    let is_first = db.write_one(take).await?;
    let Some(ledger) = &mut *held else { return Err(DbError::bug("a ledger is gone")) };
    // Either way it is known here that it is used.
    ledger.moments.used(&moment);
    Ok(if is_first { Ok(()) } else { Err(NonceRefusal::Used) })
}

/// Refusals since they were last written.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<(PartnerKeyId, SignedRefusal), Note>>);

#[derive(Clone, Debug)]
struct Note {
    last: KeyRefused,
    first_address: IpAddr,
    count: u64,
    told_at: Option<Timestamp>,
}

impl Refusals {
    pub(crate) fn add(&self, refused: KeyRefused) {
        let mut notes = lock(&self.0);
        let is_full = notes.len() >= REFUSALS_MAX;
        match notes.entry((refused.key_id, refused.why)) {
            Entry::Occupied(mut entry) => {
                let note = entry.get_mut();
                if note.count == 0 {
                    note.first_address = refused.address;
                }
                note.count += 1;
                note.last = refused;
            }
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(entry) => {
                let first_address = refused.address;
                entry.insert(Note { last: refused, first_address, count: 1, told_at: None });
            }
        }
    }

    /// Write what is due: the first of a kind at once, then all of ten minutes as one row.
    /// `is_last`: nothing waits any longer. What could not be written waits for the next time.
    pub(crate) async fn flush(
        &self,
        db: &Db,
        now: Timestamp,
        is_last: bool,
    ) -> Result<(), DbError> {
        let due = self.take_due(now, is_last);
        let mut result = Ok(());
        for some in due.chunks(ROWS_MAX) {
            if result.is_ok() {
                result = write(db, some).await;
            }
            if result.is_err() {
                self.put_back(some);
            }
        }
        result
    }

    fn take_due(&self, now: Timestamp, is_last: bool) -> Vec<Note> {
        let mut notes = lock(&self.0);
        let is_due =
            |note: &Note| is_last || note.told_at.is_none_or(|at| now.since(at) >= TOLD_EVERY);
        let mut due = Vec::new();
        notes.retain(|_, note| {
            if !is_due(note) {
                return true;
            }
            let is_news = note.count > 0;
            if is_news {
                due.push(note.clone());
            }
            (note.count, note.told_at) = (0, Some(now));
            // Quiet for long enough: the next one is a first one again.
            is_news
        });
        due
    }

    /// They count as never told, so that the next flush writes them at once.
    fn put_back(&self, unwritten: &[Note]) {
        let mut notes = lock(&self.0);
        for note in unwritten {
            match notes.entry((note.last.key_id, note.last.why)) {
                Entry::Occupied(mut entry) => {
                    // What came meanwhile came later.
                    let kept = entry.get_mut();
                    kept.first_address = note.first_address;
                    kept.count += note.count;
                    kept.told_at = None;
                }
                Entry::Vacant(entry) => {
                    entry.insert(Note { told_at: None, ..note.clone() });
                }
            }
        }
    }
}

async fn write(db: &Db, notes: &[Note]) -> Result<(), DbError> {
    let events: Vec<AuditEvent> = notes.iter().map(Note::event).collect();
    let record = async move |tx: &mut Tx<'_>| {
        for event in &events {
            audit::record(tx, event).await?;
        }
        Ok::<_, DbError>(())
    };
    db.write(record).await
}

impl Note {
    fn event(&self) -> AuditEvent {
        let KeyRefused { key_id, app_id, user_id, why, address, at } = self.last;
        let mut detail = json!({
            "key": uuid_of(key_id),
            "why": why.as_str(),
            "count": self.count,
        });
        if self.first_address != address
            && let Some(detail) = detail.as_object_mut()
        {
            detail.insert("first_address".to_owned(), self.first_address.to_string().into());
        }
        // Whoever holds the public half can cause it: the app is concerned, not the actor.
        AuditEvent::new(at, AuditKind::PartnerKeyRefused, AuditActor::System)
            .app(app_id)
            .user(user_id)
            .address(address)
            .detail(detail)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
