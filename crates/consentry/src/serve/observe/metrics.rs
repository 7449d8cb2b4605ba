//! `/metrics`: everything that is measured, in the OpenMetrics text format that Prometheus reads.
//! The crates count in plain atomics or tell plain numbers; only here do they get names.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::time::Timestamp;
use gateway::Gateway;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use server::Shared;
use store::{BATCH_BOUNDS, PoolStats, Store};

use super::counts::{Answers, Histogram};
use super::{Counts, Observer, process};
use crate::serve::connections::Connections;
use crate::serve::gate::Gate;

/// All that is looked at when somebody asks.
pub(in crate::serve) struct Watched {
    pub(in crate::serve) provider: Shared,
    pub(in crate::serve) gateway: Gateway<Store>,
    pub(in crate::serve) observer: Arc<Observer>,
    pub(in crate::serve) gates: Vec<Arc<Gate>>,
    pub(in crate::serve) connections: Vec<Arc<Connections>>,
    pub(in crate::serve) started_at: Timestamp,
}

/// The registry of one provider.
pub(in crate::serve) struct Metrics(Registry);

impl Metrics {
    pub(in crate::serve) const CONTENT_TYPE: &str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// `None`: the config switches metrics off.
    pub(in crate::serve) fn of(watched: Watched) -> Option<Self> {
        let counts = Arc::clone(watched.observer.counts.as_ref()?);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Everything { counts, watched }));
        Some(Self(registry))
    }

    pub(in crate::serve) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(32 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

struct Everything {
    counts: Arc<Counts>,
    watched: Watched,
}

impl fmt::Debug for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Everything")
    }
}

impl Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.requests(&mut page)?;
        self.calls(&mut page)?;
        self.overload(&mut page)?;
        self.gateway(&mut page)?;
        self.database(&mut page)?;
        self.cluster(&mut page)?;
        self.process(&mut page)
    }
}

impl Everything {
    fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let (mut requests, mut took) = (Vec::new(), Vec::new());
        self.counts.pages.each(|route, method, answers| {
            let labels = vec![("endpoint", route.to_owned()), ("method", method.to_owned())];
            requests.extend(by_class(&labels, answers));
            took.push((labels, measured(&answers.took)));
        });
        page.counters("consentry_http_requests", "Answers of pages and OAuth endpoints", requests)?;
        let abandoned = self.watched.observer.abandoned.load(Ordering::Relaxed);
        let help = "Requests whose client went before the answer";
        page.counter("consentry_requests_abandoned", help, abandoned)?;
        let help = "Time to the head of the answer";
        page.histograms("consentry_http_request_duration_seconds", help, took)
    }

    fn calls(&self, page: &mut Page<'_>) -> fmt::Result {
        let (mut calls, mut took, mut upstream) = (Vec::new(), Vec::new(), Vec::new());
        self.counts.calls.each(|api, family, answers| {
            let labels = vec![("api", api.to_owned()), ("family", family.to_owned())];
            calls.extend(by_class(&labels, answers));
            took.push((labels.clone(), measured(&answers.took)));
            upstream.push((labels, measured(&answers.upstream)));
        });
        page.counters("consentry_gateway_requests", "Calls of APIs", calls)?;
        let help = "Time to the head of the answer, the upstream included";
        page.histograms("consentry_gateway_request_duration_seconds", help, took)?;
        let help = "Time that the upstream took to the head of its answer";
        page.histograms("consentry_gateway_upstream_duration_seconds", help, upstream)?;
        let mut refusals = Vec::new();
        self.counts.refusals.each(|api, reason, row| {
            let phase = row.phase.get().copied().unwrap_or_default();
            let labels = vec![
                ("api", api.to_owned()),
                ("phase", phase.to_owned()),
                ("reason", reason.to_owned()),
            ];
            refusals.push((labels, row.count.load(Ordering::Relaxed)));
        });
        page.counters("consentry_gateway_refusals", "Calls that ended in a phase", refusals)
    }

    fn overload(&self, page: &mut Page<'_>) -> fmt::Result {
        let gates = self.watched.gates.iter().map(|gate| (gate.class, gate.stats()));
        let gates: Vec<_> = gates.collect();
        let each = |value: fn(&crate::serve::gate::GateStats) -> usize| {
            gates.iter().map(|(class, stats)| (class_label(class), value(stats) as f64)).collect()
        };
        let help = "Requests that are worked on";
        page.gauges("consentry_requests_in_service", help, each(|gate| gate.in_service))?;
        let help = "Requests that can be worked on at once";
        page.gauges("consentry_requests_in_service_max", help, each(|gate| gate.in_service_max))?;
        let help = "Requests that wait to be worked on";
        page.gauges("consentry_requests_waiting", help, each(|gate| gate.waiting))?;
        let shed = gates.iter().map(|(class, stats)| (class_label(class), stats.shed)).collect();
        page.counters("consentry_requests_shed", "Requests sent away with 503", shed)?;

        let connections = &self.watched.connections;
        let open = connections.iter().map(|all| all.open()).sum::<usize>();
        let max = connections.iter().map(|all| all.max).sum::<usize>();
        let refused = connections.iter().map(|all| all.refused()).sum::<u64>();
        page.gauge("consentry_connections_open", "Connections of clients", open as f64)?;
        page.gauge("consentry_connections_max", "Connections that there can be", max as f64)?;
        page.counter("consentry_connections_refused", "Connections closed at once", refused)?;

        let passwords = self.watched.provider.passwords.stats();
        let help = "Passwords that are hashed";
        page.gauge("consentry_passwords_in_use", help, passwords.in_use as f64)?;
        let help = "Passwords that can be hashed at once";
        page.gauge("consentry_passwords_max", help, passwords.parallel_max as f64)?;
        let help = "Passwords that wait to be hashed";
        page.gauge("consentry_passwords_waiting", help, passwords.waiting as f64)?;

        let mails = self.watched.provider.mail_stats.counts();
        let mails = mails.map(|(outcome, count)| (vec![("outcome", outcome.to_owned())], count));
        page.counters("consentry_mails", "What became of messages to users", mails.into())?;

        let webhooks = self.watched.provider.webhook_stats.counts();
        let webhooks = webhooks.map(|(what, count)| (vec![("outcome", what.to_owned())], count));
        page.counters("consentry_webhooks", "What became of attempts to deliver", webhooks.into())
    }

    fn gateway(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.watched.gateway.stats();
        let api = |name: &str| vec![("api", name.to_owned())];
        let in_service = stats.apis.iter().map(|at| (api(&at.name), at.in_service as f64));
        let max = stats.apis.iter().map(|at| (api(&at.name), at.in_service_max as f64));
        let help = "Calls that wait for the upstream's answer";
        page.gauges("consentry_gateway_in_service", help, in_service.collect())?;
        let help = "Calls that can wait for the upstream's answer";
        page.gauges("consentry_gateway_in_service_max", help, max.collect())?;
        page.gauge("consentry_gateway_tunnels_open", "Open WebSockets", stats.tunnels as f64)?;
        let help = "Answers that are being sent, event streams among them";
        page.gauge("consentry_gateway_streams_open", help, stats.streams as f64)
    }

    fn database(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.watched.provider.store.stats();
        page.counter("consentry_db_commits", "Transactions", stats.commits)?;
        if let Some(writer) = &stats.writer {
            let help = "Writes that wait for their turn";
            page.gauge("consentry_sqlite_queue_length", help, writer.queued as f64)?;
            let help = "Writes that can wait for their turn";
            page.gauge("consentry_sqlite_queue_max", help, writer.queue_max as f64)?;
            let help = "Writes refused because the queue was full";
            page.counter("consentry_sqlite_queue_refused", help, writer.refused)?;
            let bounds = BATCH_BOUNDS.iter().map(|bound| *bound as f64);
            let batches = Measured {
                sum: writer.closures as f64,
                buckets: bounds.zip(writer.batches).chain([(f64::MAX, 0)]).collect(),
            };
            let help = "Writes that one commit made durable";
            page.histograms("consentry_sqlite_batch_size", help, vec![(Vec::new(), batches)])?;
        }
        // Zeros on SQLite, so that one dashboard serves both.
        let none = PoolStats { max: 0, in_use: 0, waiting: 0 };
        let pool = stats.pool.unwrap_or(none);
        let help = "Connections to PostgreSQL in use";
        page.gauge("consentry_postgres_in_use", help, pool.in_use as f64)?;
        let help = "Connections to PostgreSQL that there can be";
        page.gauge("consentry_postgres_max", help, pool.max as f64)?;
        let help = "Callers that wait for a connection";
        page.gauge("consentry_postgres_waiting", help, pool.waiting as f64)?;
        let gateway = self.watched.gateway.stats();
        let caches = stats.caches.iter().map(|c| (c.name, c.rows, c.hits, c.misses));
        let mut caches: Vec<_> = caches.collect();
        caches.push((
            "opened_tokens",
            gateway.opened_tokens,
            gateway.opened_hits,
            gateway.opened_misses,
        ));
        let label = |name: &str| vec![("cache", name.to_owned())];
        let rows = caches.iter().map(|(name, rows, ..)| (label(name), *rows as f64)).collect();
        page.gauges("consentry_cache_rows", "Rows that are cached", rows)?;
        let hits = caches.iter().map(|(name, _, hits, _)| (label(name), *hits)).collect();
        page.counters("consentry_cache_hits", "Rows found in the cache", hits)?;
        let misses = caches.iter().map(|(name, .., misses)| (label(name), *misses)).collect();
        page.counters("consentry_cache_misses", "Rows that had to be read", misses)?;
        let help = "Counts of use that wait to be written";
        page.gauge("consentry_usage_batch_rows", help, stats.usage_batch as f64)
    }

    fn cluster(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.watched.provider.store.stats();
        let help = "1 while this node may accept tokens";
        page.gauge("consentry_lease_valid", help, f64::from(u8::from(stats.lease.is_valid)))?;
        let age = stats.lease.feed_age.unwrap_or_default().as_secs_f64();
        page.gauge("consentry_feed_age_seconds", "Since the change feed was read", age)?;
        let skew = stats.lease.clock_skew_ms as f64 / 1e3;
        let help = "How far this clock is ahead of the database's";
        page.gauge("consentry_clock_skew_seconds", help, skew)?;
        let help = "Open calls that a revocation would cut";
        page.gauge("consentry_watched_calls", help, stats.watched_calls as f64)
    }

    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = process::stats();
        page.gauge("process_resident_memory_bytes", "Memory", stats.resident_bytes as f64)?;
        page.counter_f64("process_cpu_seconds", "Processor time", stats.cpu_seconds)?;
        page.gauge("process_open_fds", "Open files and connections", stats.open_fds as f64)?;
        page.gauge("process_max_fds", "Files that can be open", stats.max_fds as f64)?;
        let started = self.watched.started_at.as_millis() as f64 / 1e3;
        page.gauge("process_start_time_seconds", "Start, in Unix time", started)?;
        let up = self.watched.provider.now().as_millis() as f64 / 1e3 - started;
        page.gauge("consentry_uptime_seconds", "Since the start", up)?;
        let lost = self.watched.observer.exporter.as_ref().map_or(0, super::Exporter::lost);
        page.counter("consentry_spans_lost", "Spans the collector did not take", lost)?;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        page.gauges("consentry_build_info", "1, with the version", vec![(version, 1.0)])
    }
}

type Labels = Vec<(&'static str, String)>;

/// A histogram as it is told.
struct Measured {
    sum: f64,
    buckets: Vec<(f64, u64)>,
}

fn measured(histogram: &Histogram) -> Measured {
    Measured { sum: histogram.sum_seconds(), buckets: histogram.buckets() }
}

fn class_label(class: &str) -> Labels {
    vec![("class", class.to_owned())]
}

fn by_class(labels: &Labels, answers: &Answers) -> Vec<(Labels, u64)> {
    let with = |class: &'static str| {
        let mut labels = labels.clone();
        labels.push(("status", class.to_owned()));
        labels
    };
    answers.by_class().map(|(class, count)| (with(class), count)).collect()
}

/// What is being written. Counters get `_total` behind their name.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    fn gauges(&mut self, name: &str, help: &str, rows: Vec<(Labels, f64)>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        rows.iter()
            .try_for_each(|(labels, value)| metric.encode_family(labels)?.encode_gauge(value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counter_f64(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters(&mut self, name: &str, help: &str, rows: Vec<(Labels, u64)>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        rows.iter().try_for_each(|(labels, value)| {
            metric.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(value, None)
        })
    }

    fn histograms(&mut self, name: &str, help: &str, rows: Vec<(Labels, Measured)>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        rows.iter().try_for_each(|(labels, measured)| {
            let count = measured.buckets.iter().map(|(_, count)| count).sum();
            let Measured { sum, buckets } = measured;
            let mut metric = metric.encode_family(labels)?;
            metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        })
    }
}
