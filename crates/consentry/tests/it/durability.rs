//! What was answered is true for ever: kill the process in the middle of refreshes, fill its disk,
//! look at the order of its system calls. The rule: an answer goes out only after the sync of the
//! commit that it tells of (invariant 3 of the architecture).

#[cfg(feature = "full-tests")]
use std::path::Path;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use testkit::{Demo, TestApp};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::BINARY;
use crate::served::free_port;

/// Fewer than the live grants that one app may have of one user.
const CHAINS: usize = 16;
/// Answers before the blow falls.
const ANSWERS: usize = CHAINS * 4;

/// Refresh over and over; the last token that was answered, once something else came that `stops_at` expects.
fn follow_chain(
    app: TestApp,
    mut token: String,
    answered: mpsc::UnboundedSender<()>,
    stops_at: fn(&Outcome) -> bool,
) -> JoinHandle<(String, Outcome)> {
    tokio::spawn(async move {
        loop {
            match refresh(&app, &token).await {
                Outcome::Token(next) => token = next,
                other if stops_at(&other) => return (token, other),
                Outcome::Refused(status, body) => panic!("refused: {status} {body}"),
                Outcome::Broken => panic!("the connection broke"),
            }
            // Nobody counts any more: the blow has fallen.
            let _ = answered.send(());
        }
    })
}

#[derive(Debug)]
enum Outcome {
    Token(String),
    Refused(StatusCode, Value),
    /// The connection broke before the whole answer was there.
    Broken,
}

async fn refresh(app: &TestApp, token: &str) -> Outcome {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let request = app.client.post(format!("{}/oauth/token", app.issuer)).form(&form);
    let request = request.basic_auth(&app.client_id, app.client_secret.as_ref());
    let Ok(response) = request.send().await else { return Outcome::Broken };
    let status = response.status();
    let Ok(body) = response.bytes().await else { return Outcome::Broken };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match body["refresh_token"].as_str() {
        Some(token) if status == StatusCode::OK => Outcome::Token(token.to_owned()),
        _ => Outcome::Refused(status, body),
    }
}

/// Every chain, at its first refresh token.
async fn start_chains(demo: &Demo) -> (TestApp, Vec<String>) {
    let alice = demo.exchange.signed_in("alice").await;
    let app = demo.exchange.app("trading-bot");
    let mut tokens = Vec::new();
    for _ in 0..CHAINS {
        tokens.push(app.connect(&alice, "orders.read").await.refresh.expect("a refresh token"));
    }
    (app, tokens)
}

/// Each of `last` still works: no chain lost an answer and none was taken for stolen.
async fn assert_all_go_on(app: &TestApp, last: &[String]) {
    for (number, outcome) in
        join_all(last.iter().map(|token| refresh(app, token))).await.into_iter().enumerate()
    {
        let Outcome::Token(next) = outcome else { panic!("chain {number}: {outcome:?}") };
        let next = refresh(app, &next).await;
        assert!(matches!(next, Outcome::Token(_)), "chain {number}, one further: {next:?}");
    }
}

#[tokio::test]
async fn a_kill_loses_no_answered_refresh() {
    let (folder, port) = (tempfile::TempDir::new().unwrap(), free_port().to_string());
    let mut demo = Demo::start_on(BINARY, folder.path(), &port).await;
    let (app, tokens) = start_chains(&demo).await;

    let (answered, mut answers) = mpsc::unbounded_channel();
    let is_broken = |outcome: &Outcome| matches!(outcome, Outcome::Broken);
    let chains: Vec<_> = tokens
        .into_iter()
        .map(|token| follow_chain(app.clone(), token, answered.clone(), is_broken))
        .collect();
    for _ in 0..ANSWERS {
        answers.recv().await.expect("chains run until the kill");
    }
    demo.kill().await;
    let last: Vec<String> =
        join_all(chains).await.into_iter().map(|chain| chain.unwrap().0).collect();

    let _demo = Demo::start_on(BINARY, folder.path(), &port).await;
    assert_all_go_on(&app, &last).await;
}

/// A program that does `before` and then becomes ours, keeping its process id.
#[cfg(feature = "full-tests")]
fn wrapper(folder: &Path, before: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("wrapped");
    std::fs::write(&path, format!("#!/bin/sh\n{before} {BINARY} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A limit of the size of files stands in for a full disk: the write fails in the middle, and the
/// test needs no file system of its own.
#[cfg(feature = "full-tests")]
#[tokio::test]
async fn a_disk_that_is_full_loses_no_answered_refresh_k3() {
    let (folder, port) = (tempfile::TempDir::new().unwrap(), free_port().to_string());
    // The signal would end the process where a full disk only fails the write. The log lies on the
    // same disk.
    let log = folder.path().join("log");
    let binary = wrapper(folder.path(), &format!("trap '' XFSZ; exec 2>>{}; exec", log.display()));
    let mut demo = Demo::start_on(&binary, folder.path(), &port).await;
    let (app, tokens) = start_chains(&demo).await;

    let (answered, mut answers) = mpsc::unbounded_channel();
    let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(..));
    let chains: Vec<_> = tokens
        .into_iter()
        .map(|token| follow_chain(app.clone(), token, answered.clone(), is_refused))
        .collect();
    for _ in 0..ANSWERS {
        answers.recv().await.expect("chains run until the disk is full");
    }
    limit_files(demo.pid(), "8192:unlimited").await;
    let mut last = Vec::new();
    for chain in join_all(chains).await {
        let (token, outcome) = chain.unwrap();
        let Outcome::Refused(status, body) = outcome else { panic!("{outcome:?}") };
        assert!(status.is_server_error(), "the app is told to try again: {status} {body}");
        last.push(token);
    }
    // Nobody restarts it: when there is room again, it goes on.
    assert!(std::fs::metadata(&log).unwrap().len() <= 8192, "the log met its limit too");
    limit_files(demo.pid(), "unlimited:unlimited").await;
    assert_all_go_on(&app, &last[..CHAINS / 2]).await;
    demo.kill().await;
    let _demo = Demo::start_on(BINARY, folder.path(), &port).await;
    assert_all_go_on(&app, &last[CHAINS / 2..]).await;
}

#[cfg(feature = "full-tests")]
async fn limit_files(pid: u32, limit: &str) {
    let words = ["--pid", &pid.to_string(), &format!("--fsize={limit}")];
    let done = tokio::process::Command::new("prlimit").args(words).status().await.unwrap();
    assert!(done.success(), "prlimit");
}

/// Between the arrival of a request and the first byte of its answer, the log of the database was
/// synced.
#[cfg(feature = "full-tests")]
#[tokio::test]
async fn an_answer_is_written_after_its_sync() {
    const REFRESHES: usize = 5;
    #[expect(clippy::disallowed_methods, reason = "the set-up of the tests tells its programs so")]
    let strace = std::env::var("CONSENTRY_TEST_STRACE")
        .expect("CONSENTRY_TEST_STRACE is set by `cargo xtask test`");
    let folder = tempfile::TempDir::new().unwrap();
    let trace = folder.path().join("trace");
    // -D: the traced program keeps the process id, so that the demo ends as always.
    let binary = wrapper(
        folder.path(),
        &format!(
            "exec {strace} -D -f -y -s 40 -o {} -e \
             trace=read,recvfrom,fsync,fdatasync,write,writev,sendto,sendmsg",
            trace.display()
        ),
    );
    let mut demo = Demo::start_in(&binary, folder.path()).await;
    let alice = demo.exchange.signed_in("alice").await;
    let app = demo.exchange.app("trading-bot");
    let mut token = app.connect(&alice, "orders.read").await.refresh.expect("a refresh token");
    for _ in 0..REFRESHES {
        token = app.refresh(&token).await.tokens().refresh.expect("a refresh token");
    }
    assert!(demo.interrupt().await.success());
    let text = crate::served::until("the trace is complete", async || {
        let text = std::fs::read_to_string(&trace).unwrap();
        text.contains("+++ exited with 0 +++").then_some(text)
    })
    .await;
    let synced = synced_before_answers(&text);
    // One more for the code.
    assert_eq!(synced, vec![true; REFRESHES + 1], "{text}");
}

/// For each answer to the token endpoint, in order: whether a sync ended well before it began.
fn synced_before_answers(trace: &str) -> Vec<bool> {
    let mut found = Vec::new();
    let mut syncing = std::collections::BTreeSet::new();
    let (mut is_asked, mut is_synced) = (false, false);
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let is_sync = call.contains("fsync") || call.contains("fdatasync");
        if is_sync && call.contains("-wal") && call.contains("<unfinished") {
            syncing.insert(thread);
        } else if is_sync && call.ends_with("= 0") {
            is_synced |= call.contains("-wal") || syncing.remove(thread);
        } else if call.contains("\"POST /oauth/token") {
            (is_asked, is_synced) = (true, false);
        } else if is_asked && call.contains("\"HTTP/1.1 200 OK") {
            found.push(is_synced);
            is_asked = false;
        }
    }
    found
}

#[test]
fn a_trace_without_a_sync_is_noticed() {
    let read = "7 read(9<socket:[1]>, \"POST /oauth/token HTTP/1.1\\r\\n\"..., 99) = 99\n";
    let sync = "8 fdatasync(5</d/a.db-wal> <unfinished ...>\n8 <... fdatasync resumed>) = 0\n";
    let failed = "8 fdatasync(5</d/a.db-wal>) = -1 EIO (Input/output error)\n";
    let write = "7 write(9<socket:[1]>, \"HTTP/1.1 200 OK\\r\\n\"..., 300) = 300\n";
    let of = |parts: &[&str]| synced_before_answers(&parts.concat());
    assert_eq!(of(&[read, sync, write]), [true]);
    assert_eq!(of(&[sync, read, write]), [false]);
    assert_eq!(of(&[read, failed, write]), [false]);
    assert_eq!(of(&[read, write, sync]), [false]);
}
