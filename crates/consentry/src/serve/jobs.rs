//! What goes on beside the requests, as tasks with one owner. Each job is small and repeated; none
//! is a batch that a crash could leave half done.

use std::sync::Arc;
use std::time::Duration;

use server::app_news;
use server::review::jobs as review_jobs;
use server::webhooks::Sender;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::instance::Instance;

pub(super) struct JobSet {
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
    webhooks: Arc<Sender>,
}

impl JobSet {
    pub(super) fn start(instance: &Instance) -> Self {
        let webhooks = Arc::new(Sender::new(instance.provider.clone()));
        let (tasks, shutdown) = (JoinSet::new(), CancellationToken::new());
        let mut jobs = Self { tasks, shutdown, webhooks: Arc::clone(&webhooks) };
        let store = &instance.provider.store;
        let sweeper = store.clone();
        jobs.every(Duration::from_secs(30), "sweep", move || {
            let store = sweeper.clone();
            async move { store.sweep().await }
        });
        let flusher = store.clone();
        jobs.every(Duration::from_secs(5), "flush usage", move || {
            let store = flusher.clone();
            async move { store.flush_usage().await }
        });
        let rotator = store.clone();
        jobs.every(Duration::from_secs(600), "rotate keys", move || {
            let store = rotator.clone();
            async move { store.rotate_due_keys().await }
        });
        let disabler = store.clone();
        jobs.every(Duration::from_secs(60), "disable unused keys", move || {
            let store = disabler.clone();
            async move { store.disable_unused_keys().await }
        });
        let (provider, unused) =
            (instance.provider.clone(), Arc::new(review_jobs::Unused::default()));
        jobs.every(Duration::from_secs(60), "review what is due", move || {
            let (provider, unused) = (provider.clone(), Arc::clone(&unused));
            async move { review_jobs::run(&provider, &unused).await }
        });
        if let Some(post) = &instance.post {
            let (provider, post) = (instance.provider.clone(), Arc::clone(post));
            jobs.every(Duration::from_secs(1), "deliver mail", move || {
                let (provider, post) = (provider.clone(), Arc::clone(&post));
                async move { server::mail::deliver_due(&provider, &*post).await.map(drop) }
            });
        }
        jobs.every(Duration::from_secs(1), "send webhooks", move || {
            let webhooks = Arc::clone(&webhooks);
            async move { webhooks.send_due().await.map(drop) }
        });
        let provider = instance.provider.clone();
        jobs.every(Duration::from_secs(5), "tell users of suspensions", move || {
            let provider = provider.clone();
            async move { app_news::tell_users_of_suspensions(&provider).await }
        });
        let provider = instance.provider.clone();
        jobs.every(Duration::from_secs(600), "remind of secrets", move || {
            let provider = provider.clone();
            async move { app_news::remind_of_secrets(&provider).await }
        });
        let gateway = instance.gateway.clone();
        jobs.every(Duration::from_secs(60), "sweep rate limits", move || {
            gateway.sweep();
            async { Ok::<_, store::DbError>(()) }
        });
        jobs
    }

    /// Run `job` now and then until the end. A failure is logged and the next run tries again.
    fn every<F, E>(
        &mut self,
        period: Duration,
        name: &'static str,
        job: impl Fn() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send,
    {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                if let Err(error) = job().await {
                    tracing::warn!(job = name, %error, "a job failed and will be tried again");
                }
            }
        });
    }

    /// A run that has begun comes to its end.
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.webhooks.finish().await;
    }
}
