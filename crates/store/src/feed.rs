//! Several nodes on one PostgreSQL: reading the change feed, holding a lease, and waiting until no
//! other node acts on what was before a change.
//!
//! The rule that makes it right: a node accepts tokens at a moment only if it has begun to read the
//! feed less than one lease before. So once a lease has passed since a commit, every node that
//! still accepts tokens has read it. Acknowledgements in `nodes` only make the wait shorter.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::time::Clock;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{AsyncMessage, Config, NoTls};

use crate::live::{Event, Live, Tuning};
use crate::nodes::{self, Node};
use crate::{Db, DbError, Tx, changes, postgres};

/// How far two monotonic clocks drift apart during one lease, with plenty to spare.
const MARGIN: Duration = Duration::from_millis(200);
/// Between two looks at what the others have acknowledged.
const LOOK_FIRST: Duration = Duration::from_millis(2);
const LOOK_LAST: Duration = Duration::from_millis(50);
/// Before a lost connection is made anew.
const RECONNECT_AFTER: Duration = Duration::from_millis(250);
/// How many rounds between two looks for nodes that have gone.
const LOOK_FOR_SILENT_ROUNDS: i64 = 4;

/// This node among the others.
pub(crate) struct Cluster {
    node_id: String,
    /// Connections of its own: a busy pool must not cost the lease.
    db: Db,
    tuning: Tuning,
    wake: Notify,
    /// Where this node stands, as others see it.
    standing: RwLock<Node>,
    /// As measured last, also when it is too much to go on.
    clock_skew_ms: AtomicI64,
    /// At the last look no other node was there.
    alone: AtomicBool,
    looks: Looks,
}

/// Looks at where the nodes stand. Whoever waits shares the first that begins after their commit:
/// many revocations at once would otherwise ask the same one by one.
#[derive(Default)]
struct Looks {
    begun: AtomicU64,
    last: tokio::sync::Mutex<(u64, Vec<Node>)>,
}

impl Cluster {
    pub(crate) fn new(node_id: String, db: Db, tuning: Tuning) -> Self {
        let lease_ms = i64::try_from(tuning.lease.as_millis()).unwrap_or(i64::MAX);
        let id = node_id.clone();
        let standing = Node { id, position: 0, renewals: 0, lease_ms, clock_skew_ms: 0 };
        let (standing, clock_skew_ms) = (RwLock::new(standing), AtomicI64::new(0));
        let alone = AtomicBool::new(false);
        let (wake, looks) = (Notify::new(), Looks::default());
        Self { node_id, db, tuning, wake, standing, clock_skew_ms, alone, looks }
    }

    /// Wait until every other node has acknowledged `position`, or can no longer accept tokens
    /// without having read it. Called after the commit.
    pub(crate) async fn settle(self: Arc<Self>, position: i64) {
        let began = Instant::now();
        let mut longest_lease = self.tuning.lease;
        let mut first_seen: Option<Vec<Node>> = None;
        let mut pause = LOOK_FIRST;
        loop {
            let left = (longest_lease + MARGIN).saturating_sub(began.elapsed());
            let behind = match timeout(left, self.list_behind(position)).await {
                Ok(Ok(behind)) if behind.is_empty() => return,
                Ok(Ok(behind)) => Some(behind),
                Ok(Err(_)) | Err(_) => None,
            };
            for node in behind.iter().flatten() {
                let lease = Duration::from_millis(node.lease_ms.unsigned_abs());
                longest_lease = longest_lease.max(lease);
            }
            if began.elapsed() >= longest_lease + MARGIN {
                return self.give_up(&first_seen.unwrap_or_default()).await;
            }
            if first_seen.is_none() {
                first_seen = behind;
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LOOK_LAST);
        }
    }

    async fn list_behind(&self, position: i64) -> Result<Vec<Node>, DbError> {
        let mut others = self.look().await?;
        others.retain(|node| node.id != self.node_id && node.position < position);
        Ok(others)
    }

    /// The nodes as they stand now, or stood at a moment after this was called.
    async fn look(&self) -> Result<Vec<Node>, DbError> {
        let before = self.looks.begun.load(Ordering::SeqCst);
        let mut last = self.looks.last.lock().await;
        if last.0 <= before {
            let number = self.looks.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
            let list = async move |tx: &mut Tx<'_>| nodes::list(tx).await;
            *last = (number, self.db.read(list).await?);
        }
        Ok(last.1.clone())
    }

    /// Strike off nodes that have not renewed their lease since they were seen, so that the next
    /// revocation need not wait for them. One that is not dead notices and starts over.
    async fn give_up(&self, seen: &[Node]) {
        for node in seen {
            tracing::warn!(node = node.id, "a node is silent and was given up");
            let node = node.clone();
            let delete = async move |tx: &mut Tx<'_>| nodes::delete_silent(tx, &node).await;
            if let Err(error) = self.db.write_one(delete).await {
                tracing::warn!(%error, "a silent node could not be given up");
            }
        }
    }

    /// Read the feed for as long as the process runs.
    pub(crate) async fn follow(self: Arc<Self>, live: Arc<Live>) {
        let mut follower =
            Follower { registered: false, round: 0, seen: HashMap::new(), saw_nobody: false };
        loop {
            if let Err(error) = self.round(&live, &mut follower).await {
                tracing::warn!(%error, "the change feed cannot be read");
                live.lease.set_trouble(Some(error.to_string()));
                sleep(RECONNECT_AFTER).await;
            } else if follower.registered {
                // Told, or not told for a while.
                let _ = timeout(self.tuning.poll, self.wake.notified()).await;
            }
        }
    }

    /// Read what is new, take it in, acknowledge it, and only then go on accepting tokens.
    async fn round(&self, live: &Live, follower: &mut Follower) -> Result<(), DbError> {
        if !follower.registered || !live.lease.is_valid() {
            self.register(live).await?;
            follower.registered = true;
        }
        // After the node is known to the others: what commits later is waited for by them.
        let read_at = Instant::now();
        let mut node = self.standing();
        loop {
            let position = node.position;
            let list = async move |tx: &mut Tx<'_>| changes::list_after(tx, position).await;
            let page = self.db.read(list).await?;
            let Some((last, _)) = page.last() else { break };
            node.position = *last;
            page.iter().for_each(|(_, change)| live.apply(*change));
        }
        node.renewals = node.renewals.saturating_add(1);
        node.clock_skew_ms = self.measure_skew(&*live.clock).await?;
        self.clock_skew_ms.store(node.clock_skew_ms, Ordering::Relaxed);
        self.check_skew(node.clock_skew_ms)?;
        let acknowledged = node.clone();
        let renew = async move |tx: &mut Tx<'_>| nodes::renew(tx, &acknowledged).await;
        if !self.db.write_one(renew).await? {
            follower.registered = false;
            return Ok(());
        }
        self.set_standing(node);
        live.lease.renew(read_at, self.tuning.lease);
        follower.round = follower.round.wrapping_add(1);
        if follower.round % LOOK_FOR_SILENT_ROUNDS == 0 {
            self.look_for_silent(follower).await?;
        }
        Ok(())
    }

    /// Start afresh: this node may have missed anything.
    async fn register(&self, live: &Live) -> Result<(), DbError> {
        let find = async move |tx: &mut Tx<'_>| changes::find_last_position(tx).await;
        let mut node = self.standing();
        node.position = self.db.read(find).await?;
        node.renewals = node.renewals.saturating_add(1);
        // What is read from here on is as new as that position or newer.
        live.forget_all();
        let entry = node.clone();
        self.db.write_one(async move |tx| nodes::save(tx, &entry).await).await?;
        self.set_standing(node);
        Ok(())
    }

    /// How far this node's clock is ahead of the database's, in milliseconds.
    async fn measure_skew(&self, clock: &dyn Clock) -> Result<i64, DbError> {
        if self.tuning.clock_skew_max.is_none() {
            return Ok(0);
        }
        let before = clock.now().as_millis();
        let theirs = self.db.read(async move |tx| changes::server_clock_ms(tx).await).await?;
        let after = clock.now().as_millis();
        let ours = before.saturating_add(after.saturating_sub(before) / 2);
        Ok(ours.saturating_sub(theirs))
    }

    pub(crate) fn lease(&self) -> Duration {
        self.tuning.lease
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    pub(crate) fn clock_skew_ms(&self) -> i64 {
        self.clock_skew_ms.load(Ordering::Relaxed)
    }

    /// Whether this machine's clock is close enough to the database's.
    pub(crate) fn check_clock(&self) -> Result<(), DbError> {
        self.check_skew(self.clock_skew_ms())
    }

    fn check_skew(&self, skew_ms: i64) -> Result<(), DbError> {
        let max = self.tuning.clock_skew_max.unwrap_or(Duration::MAX).as_millis();
        if u128::from(skew_ms.unsigned_abs()) <= max {
            return Ok(());
        }
        Err(DbError::Setup(format!(
            "the clock of this machine is {skew_ms} ms ahead of the database's; \
             synchronise both clocks"
        )))
    }

    /// Nodes that were killed leave their row behind.
    async fn look_for_silent(&self, follower: &mut Follower) -> Result<(), DbError> {
        let now = Instant::now();
        let others = self.list_behind(i64::MAX).await?;
        // Twice in a row: one look may be older than a node that has just come.
        let is_alone = others.is_empty() && follower.saw_nobody;
        follower.saw_nobody = others.is_empty();
        self.alone.store(is_alone, Ordering::Relaxed);
        let mut seen = HashMap::new();
        let mut silent = Vec::new();
        for node in others {
            let since = match follower.seen.get(&node.id) {
                Some((renewals, since)) if *renewals == node.renewals => *since,
                _ => now,
            };
            let lease = Duration::from_millis(node.lease_ms.unsigned_abs());
            seen.insert(node.id.clone(), (node.renewals, since));
            if now.duration_since(since) > lease + MARGIN {
                silent.push(node);
            }
        }
        follower.seen = seen;
        self.give_up(&silent).await;
        Ok(())
    }

    /// So that nobody waits for a node that has stopped in an orderly way.
    pub(crate) async fn say_goodbye(&self) -> Result<(), DbError> {
        let id = self.node_id.clone();
        self.db.write_one(async move |tx| nodes::delete(tx, &id).await).await
    }

    /// Wait for notifications, so that changes arrive at once.
    pub(crate) async fn listen(self: Arc<Self>, config: Config) {
        loop {
            if let Err(error) = self.listen_once(&config).await {
                tracing::warn!(%error, "changes arrive by polling only");
            }
            sleep(RECONNECT_AFTER).await;
        }
    }

    async fn listen_once(&self, config: &Config) -> Result<(), DbError> {
        let (client, mut connection) = config.connect(NoTls).await.map_err(postgres::map_error)?;
        let messages = async {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(_) = message.map_err(postgres::map_error)? {
                    self.wake.notify_one();
                }
            }
            Err(DbError::Unavailable("the connection was closed".to_owned()))
        };
        let subscribe = async {
            client.batch_execute("LISTEN consentry_changes").await.map_err(postgres::map_error)?;
            // What came before is found by looking once.
            self.wake.notify_one();
            std::future::pending::<Result<(), DbError>>().await
        };
        tokio::select! {
            ended = messages => ended,
            failed = subscribe => failed,
        }
    }

    fn standing(&self) -> Node {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_standing(&self, node: Node) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = node;
    }
}

/// What the loop that follows the feed remembers between rounds.
struct Follower {
    registered: bool,
    round: i64,
    /// The others' renewals, and since when they stand.
    seen: HashMap<String, (i64, Instant)>,
    saw_nobody: bool,
}

/// Cut open calls when the lease runs out, even while the database does not answer at all.
pub(crate) async fn watch_lease(live: Arc<Live>) {
    loop {
        let remaining = live.lease.remaining();
        if remaining.is_zero() {
            live.tell(Event::Doubt);
            live.lease.renewed.notified().await;
        } else {
            sleep(remaining).await;
        }
    }
}
