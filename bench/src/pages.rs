//! `cargo xtask bench pages`: how long pages and lists take with 10,000 apps, 100,000 users and
//! 1,000,000 rows of the audit trail, on SQLite and on PostgreSQL. One connection asks again and
//! again, so what is measured is the server's time and that of its database.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;
use crate::bare::Bare;
use crate::crowd::{self, Crowd, Places};
use crate::filling::Database;
use crate::load::{self, Pace};
use crate::process::{Server, Used};
use crate::report::{Machine, commit};
use crate::site::{Settings, Site};
use crate::sources::Once;
use crate::tools::Tools;
use crate::wire;

/// Of the slowest of a hundred requests.
const TARGET_MS: f64 = 50.0;
/// A page that is far too slow has shown it after so many requests.
const FEW: usize = 20;

/// To the control socket, of a server that has just started.
const CONNECT_TRIES_MAX: u32 = 50;
const CONNECT_AGAIN: Duration = Duration::from_millis(100);

/// What is asked for. Names in braces are filled in.
const PAGES: &[Page] = &[
    page("review queue", Who::Staff, "/staff/review"),
    page("review queue", Who::Staff, "/staff/review").behind(3),
    page("live, never looked at", Who::Staff, "/staff/review?whom=nobody"),
    page("review, new app", Who::Staff, "/staff/review/{waiting}"),
    page("review, changed app", Who::Staff, "/staff/review/{popular}"),
    page("apps, staff", Who::Staff, "/staff/apps"),
    page("apps, staff", Who::Staff, "/staff/apps").behind(3),
    page("apps, staff, search", Who::Staff, "/staff/apps?q=copy+77"),
    page("messages, staff", Who::Staff, "/staff/apps/{popular}/messages"),
    page("requests, staff", Who::Staff, "/staff/requests"),
    page("audit trail", Who::Staff, "/staff/audit"),
    page("audit trail", Who::Staff, "/staff/audit").behind(3),
    page("audit trail, of a kind", Who::Staff, "/staff/audit?kind=grant.revoked"),
    page("audit trail, of a rare kind", Who::Staff, "/staff/audit?kind=keys.rotated"),
    page("audit trail, of an app", Who::Staff, "/staff/audit?app={popular}"),
    page("audit trail, of a user", Who::Staff, "/staff/audit?user={user}"),
    page("own apps", Who::Developer, "/apps"),
    page("own app", Who::Developer, "/apps/{popular}"),
    page("own app, credentials", Who::Developer, "/apps/{popular}/credentials"),
    page("own app, requests", Who::Developer, "/apps/{popular}/requests"),
    page("own app, refused requests", Who::Developer, "/apps/{popular}/requests?status=4xx"),
    page("own app, usage", Who::Developer, "/apps/{popular}/usage"),
    page("own app, webhooks", Who::Developer, "/apps/{popular}/webhooks"),
    page("own app, messages", Who::Developer, "/apps/{popular}/messages"),
    page("connected apps", Who::User, "/connected"),
    page("connected app", Who::User, "/connected/{consent}"),
    page("apps, admin API", Who::Admin, "/admin/v1/apps"),
    page("apps, admin API", Who::Admin, "/admin/v1/apps").behind(3),
    page("users, admin API", Who::Admin, "/admin/v1/users"),
    page("audit trail, admin API", Who::Admin, "/admin/v1/audit"),
    page("audit trail, admin API", Who::Admin, "/admin/v1/audit").behind(3),
    page("audit of a kind, admin API", Who::Admin, "/admin/v1/audit?kind=grant.revoked"),
];
/// What the token of the admin API is for.
const ADMIN_SCOPES: [&str; 3] = ["apps:read", "users:read", "audit:read"];

#[derive(Clone, Copy)]
enum Who {
    Staff,
    Developer,
    User,
    /// A program with a token, on the internal listener.
    Admin,
}

#[derive(Clone, Copy)]
struct Page {
    name: &'static str,
    who: Who,
    path: &'static str,
    /// So many pages of a list behind the first one.
    behind: usize,
}

const fn page(name: &'static str, who: Who, path: &'static str) -> Page {
    Page { name, who, path, behind: 0 }
}

impl Page {
    const fn behind(mut self, pages: usize) -> Self {
        self.behind = pages;
        self
    }
}

#[derive(Clone, Debug, clap::Args)]
pub struct Pages {
    /// Part of the full size
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Of each page
    #[arg(long, value_name = "N", default_value_t = 200)]
    requests: usize,
    /// Only pages whose name or path contains this. Repeat for more
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Write what was found as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    tools: Tools,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    commit: String,
    target_ms: f64,
    databases: Vec<OnDatabase>,
}

#[derive(Serialize)]
struct OnDatabase {
    database: &'static str,
    size: String,
    pages: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    name: &'static str,
    path: String,
    #[serde(flatten)]
    outcome: Seen,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
enum Seen {
    Timed {
        p50_ms: f64,
        p99_ms: f64,
        /// Processor time of the server for one, without PostgreSQL's.
        cpu_ms: f64,
        requests: u64,
        bytes: usize,
        met: bool,
    },
    /// This version has no such page.
    NotThere,
    /// The page is no answer.
    Wrong { answer: String },
}

impl Found {
    fn is_missed(&self) -> bool {
        matches!(self.outcome, Seen::Wrong { .. } | Seen::Timed { met: false, .. })
    }
}

pub fn run(pages: &Pages) -> Outcome<()> {
    let (_upstream, upstream) = Server::bare(&Bare::Upstream)?;
    let mut databases = vec![("sqlite", "sqlite:data/bench.db")];
    databases.extend(pages.tools.postgres().map(|(url, _)| ("postgres", url)));
    let mut report = Report {
        machine: Machine::this(),
        commit: commit(),
        target_ms: TARGET_MS,
        databases: Vec::new(),
    };
    for (name, url) in databases {
        let found = on_database(pages, upstream, name, url)?;
        print_table(&found);
        report.databases.push(found);
    }
    if let Some(file) = &pages.json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let all = report.databases.iter().flat_map(|database| &database.pages);
    match all.filter(|page| page.is_missed()).count() {
        0 => Ok(()),
        missed => Err(format!("{missed} missed the target of {TARGET_MS:.0} ms")),
    }
}

fn on_database(
    pages: &Pages,
    upstream: SocketAddr,
    name: &'static str,
    url: &str,
) -> Outcome<OnDatabase> {
    eprintln!("preparing {name}");
    let (binary, work) = (pages.tools.binary()?, pages.tools.work()?);
    let folder = if name == "sqlite" { "pages-sqlite" } else { "pages-postgres" };
    let mut site = Site::new(folder, &binary, &work, url, upstream, Settings::default())?;
    site.start()?;
    let crowd = Crowd::gather(&site)?;
    site.stop()?;
    let database = match pages.tools.postgres() {
        Some((url, pgbench)) if name == "postgres" => Database::postgres(url, pgbench),
        _ => Database::sqlite(&site.database())?,
    };
    let began = std::time::Instant::now();
    let places = crowd::fill(database, pages.scale)?;
    eprintln!("filled in {:.0} s", began.elapsed().as_secs_f64());
    site.start()?;
    let token = admin_token(&site)?;
    let asking = Asking { site: &site, crowd, places, token, requests: pages.requests };
    let is_wanted = |page: &&Page| {
        let named = |part: &String| page.name.contains(&**part) || page.path.contains(&**part);
        pages.only.is_empty() || pages.only.iter().any(named)
    };
    let mut found = Vec::new();
    for page in PAGES.iter().filter(is_wanted) {
        eprintln!("{}", page.path);
        found.push(asking.about(page)?);
    }
    Ok(OnDatabase { database: name, size: asking.places.size, pages: found })
}

fn print_table(found: &OnDatabase) {
    println!("{}: {}; wanted: p99 within {TARGET_MS:.0} ms", found.database, found.size);
    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>7} {:>5}",
        "page", "p50 ms", "p99 ms", "cpu ms", "KiB", "n"
    );
    for Found { name, path, outcome } in &found.pages {
        match outcome {
            Seen::Timed { p50_ms, p99_ms, cpu_ms, requests, bytes, met } => {
                let verdict = if *met { "met   " } else { "MISSED" };
                let kib = bytes / 1024;
                println!(
                    "{name:<28} {p50_ms:>8.2} {p99_ms:>8.2} {cpu_ms:>8.2} {kib:>7} {requests:>5} \
                     {verdict} {path}"
                );
            }
            Seen::NotThere => println!("{name:<28} {:>41}        {path}", "not there"),
            Seen::Wrong { answer } => println!("{name:<28} WRONG {path}: {answer}"),
        }
    }
    println!();
}

/// Everything it takes to look at a page.
struct Asking<'s> {
    site: &'s Site,
    crowd: Crowd,
    places: Places,
    /// `None`: there is no admin API.
    token: Option<String>,
    requests: usize,
}

impl Asking<'_> {
    fn about(&self, page: &Page) -> Outcome<Found> {
        let mut path = self.fill_in(page.path);
        let found = |path: String, outcome| Ok(Found { name: page.name, path, outcome });
        for left in (0..=page.behind).rev() {
            let Some(request) = self.request(page.who, &path) else {
                return found(path, Seen::NotThere);
            };
            let address = self.address(page.who);
            let (status, text) = wire::ask(address, &request, |a| (a.status, a.text()))?;
            match (status, left, next(&path, &text)) {
                // Some addresses only take forms.
                (404 | 405, ..) => return found(path, Seen::NotThere),
                (200, 0, _) => {
                    let outcome = self.time(address, &request, text.len())?;
                    return found(path, outcome);
                }
                (200, _, Some(next)) => path = next,
                // Everything is on one page.
                (200, _, None) => {
                    return found(format!("{path} (a later page)"), Seen::NotThere);
                }
                _ => {
                    let line = text.lines().next().unwrap_or_default();
                    let answer = format!("{status} {}", line.chars().take(100).collect::<String>());
                    return found(path, Seen::Wrong { answer });
                }
            }
        }
        found(path, Seen::NotThere)
    }

    fn fill_in(&self, path: &str) -> String {
        let Places { popular, waiting, user, consent, .. } = &self.places;
        let names = [
            ("{popular}", popular),
            ("{waiting}", waiting),
            ("{user}", user),
            ("{consent}", consent),
        ];
        names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
    }

    fn address(&self, who: Who) -> SocketAddr {
        match who {
            Who::Admin => self.site.internal,
            _ => self.site.address,
        }
    }

    fn request(&self, who: Who, path: &str) -> Option<Vec<u8>> {
        let Crowd { developer, staff, user } = &self.crowd;
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let header = match who {
            Who::Staff => ("cookie", staff),
            Who::Developer => ("cookie", developer),
            Who::User => ("cookie", user),
            Who::Admin => ("authorization", bearer.as_ref()?),
        };
        let header = (header.0, header.1.as_str());
        Some(wire::request("GET", path, &self.site.host, &[header], None))
    }

    fn time(&self, address: SocketAddr, request: &[u8], bytes: usize) -> Outcome<Seen> {
        let mut before = Used::by(self.site.pid());
        let run = |count: usize| {
            let requests: VecDeque<_> = std::iter::repeat_n(request.to_vec(), count).collect();
            load::run(address, 1, Pace::ToTheEnd, &mut Once { requests, status: 200 })
        };
        #[expect(clippy::cast_precision_loss, reason = "microseconds, far below 2^52")]
        let ms = |micros: u64| micros as f64 / 1000.0;
        let mut measured = run(FEW)?;
        if ms(measured.latency.value_at_quantile(0.5)) < 4.0 * TARGET_MS {
            before = Used::by(self.site.pid());
            measured = run(self.requests)?;
        }
        if measured.wrong > 0 {
            return Ok(Seen::Wrong { answer: measured.first_wrong.unwrap_or_default() });
        }
        let quantile = |q: f64| ms(measured.latency.value_at_quantile(q));
        let (p50_ms, p99_ms) = (quantile(0.5), quantile(0.99));
        let cpu_seconds = Used::by(self.site.pid()).cpu_seconds - before.cpu_seconds;
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let cpu_ms = cpu_seconds * 1000.0 / measured.answers.max(1) as f64;
        let (requests, met) = (measured.answers, p99_ms <= TARGET_MS);
        Ok(Seen::Timed { p50_ms, p99_ms, cpu_ms, requests, bytes, met })
    }
}

/// Where the next page of a list is: the link of a page, or the cursor of JSON.
fn next(path: &str, text: &str) -> Option<String> {
    if let Some(cursor) = wire::json_text(text, "next_cursor") {
        let path = path.split("cursor=").next()?.trim_end_matches(['?', '&']);
        let sign = if path.contains('?') { '&' } else { '?' };
        return Some(format!("{path}{sign}{}", wire::form(&[("cursor", &cursor)])));
    }
    let link = crate::browser::link(text, "next")?;
    match link.starts_with('?') {
        true => Some(format!("{}{link}", path.split('?').next()?)),
        false => Some(link),
    }
}

/// Made by the operator, over the control socket. `None`: this version has no admin API.
fn admin_token(site: &Site) -> Outcome<Option<String>> {
    let failed = |error: std::io::Error| format!("the control socket does not answer: {error}");
    // The listener for people may answer a moment before this one is there.
    let connect = || UnixStream::connect(site.control_socket());
    let mut stream = connect();
    for _ in 0..CONNECT_TRIES_MAX {
        if stream.is_err() {
            std::thread::sleep(CONNECT_AGAIN);
            stream = connect();
        }
    }
    let mut stream = stream.map_err(failed)?;
    let body = serde_json::json!({ "name": "bench", "scopes": ADMIN_SCOPES }).to_string();
    let request = format!(
        "POST /admin/v1/tokens HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if head.contains(" 404 ") {
        return Ok(None);
    }
    // In chunks or whole, the object is all there is between braces.
    let object = body.find('{').zip(body.rfind('}')).and_then(|(from, to)| body.get(from..=to));
    let token = object.and_then(|object| wire::json_text(object, "token"));
    token.map(Some).ok_or_else(|| format!("no token of the admin API is made:\n{answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_a_page_and_in_json() {
        let html = r#"<a id="next" href="/staff/review?after=1-a&amp;x=2">Next page</a>"#;
        assert_eq!(next("/staff/review", html).unwrap(), "/staff/review?after=1-a&x=2");
        assert_eq!(next("/a?kind=b", r#"<a id="next" href="?at=1">"#).unwrap(), "/a?at=1");
        let json = r#"{"items": [], "next_cursor": "a+b"}"#;
        assert_eq!(next("/a", json).unwrap(), "/a?cursor=a%2Bb");
        assert_eq!(next("/a?kind=b&cursor=c", json).unwrap(), "/a?kind=b&cursor=a%2Bb");
        assert_eq!(next("/a", "<p>all</p>"), None);
    }
}
