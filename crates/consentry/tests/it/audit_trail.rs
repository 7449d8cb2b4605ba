//! The audit trail as an auditor has it: a copy, a checkpoint that was kept elsewhere, the key that
//! signs, and no server.

use std::fs;
use std::ops::RangeBounds;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use testkit::Browser;

use crate::served::{Server, Site, run, stderr};

/// A copy with what was kept elsewhere when it was made.
struct Kept {
    folder: TempDir,
    lines: Vec<String>,
}

/// A running server whose trail has several blocks.
struct Trail {
    site: Site,
    server: Server,
    kept: Kept,
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command printed, which must have gone well.
async fn printed(site: &Site, words: &[&str]) -> String {
    let output = site.run(words).await;
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    stdout(&output)
}

/// The key that signs checkpoints, from where everybody finds it.
async fn published_key(site: &Site) -> Value {
    let url = format!("{}/.well-known/jwks.json", site.issuer);
    let keys: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let keys = keys["keys"].as_array().unwrap();
    keys.iter().find(|key| key["crv"] == "Ed25519").expect("an Ed25519 key").clone()
}

impl Trail {
    async fn start() -> Self {
        let site = Site::new("http://127.0.0.1:1");
        let server = site.serve().await;
        for name in ["dev", "alice", "bob"] {
            let role = (name == "dev").then_some("developer");
            site.add_user(&format!("{name}@example.com"), role).await;
            // Each in a block of its own.
            printed(&site, &["audit", "checkpoint"]).await;
        }
        site.add_app("Item Bot").await;
        Browser::new(&site.issuer).sign_in("alice@example.com", "a wrong password").await;
        let folder = TempDir::new().unwrap();
        let checkpoint = printed(&site, &["audit", "checkpoint"]).await;
        fs::write(folder.path().join("checkpoint.json"), checkpoint).unwrap();
        let key = published_key(&site).await;
        fs::write(folder.path().join("key.json"), key.to_string()).unwrap();
        let copy = printed(&site, &["audit", "export"]).await;
        let lines = copy.lines().map(str::to_owned).collect();
        Self { site, server, kept: Kept { folder, lines } }
    }
}

impl Kept {
    fn write(&self, name: &str, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// `audit verify` where no config and no server is.
    async fn verify(&self, more: &[&str]) -> Output {
        let words = ["audit", "verify", "--file", "trail.jsonl"];
        run(self.folder.path(), &[&words[..], more].concat()).await
    }

    async fn verify_with_all(&self, lines: &[String]) -> Output {
        self.write("trail.jsonl", lines);
        self.verify(&["--checkpoint", "checkpoint.json", "--key", "key.json"]).await
    }

    /// It ends with 1 and says this, on stderr alone.
    #[track_caller]
    fn assert_refused(output: &Output, said: &str) {
        assert_eq!(output.status.code(), Some(1), "{}", stdout(output));
        assert!(output.stdout.is_empty(), "{}", stdout(output));
        assert!(stderr(output).contains(said), "{said} is not in {}", stderr(output));
    }

    fn events(&self) -> Vec<Value> {
        let values = self.lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        values.filter(|value| value.get("checkpoint").is_none()).collect()
    }

    /// Without the checkpoints that came along, which whoever changes a copy removes: the events of
    /// these blocks.
    fn events_of(&self, blocks: impl RangeBounds<i64>) -> Vec<String> {
        let events = self.events().into_iter();
        let wanted = events.filter(|event| blocks.contains(&event["block"].as_i64().unwrap()));
        wanted.map(|event| event.to_string()).collect()
    }

    /// What was kept elsewhere.
    fn checkpoint(&self) -> Value {
        let text = fs::read_to_string(self.folder.path().join("checkpoint.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

#[tokio::test]
async fn a_whole_copy_is_proven_by_the_key_that_is_known_without_any_server() {
    let Trail { server, kept, .. } = Trail::start().await;
    drop(server);
    let output = kept.verify_with_all(&kept.lines).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    let count = kept.events().len();
    assert!(said.contains(&format!("The copy is whole: {count} events in")), "{said}");
    assert!(said.contains("it is what the key that you gave has signed"), "{said}");

    let words = ["--checkpoint", "checkpoint.json", "--key", "key.json", "--json"];
    let report: Value = serde_json::from_slice(&kept.verify(&words).await.stdout).unwrap();
    assert_eq!(report["rows"], count, "{report}");
    assert!(report["proven_to"].as_i64() >= kept.checkpoint()["number"].as_i64(), "{report}");
    assert!(report["blocks"].as_i64() >= Some(4), "each checkpoint closed one: {report}");

    let said = stdout(&kept.verify(&[]).await);
    assert!(said.contains("by the key that came along. Give the key that you know"), "{said}");
    kept.write("trail.jsonl", &kept.events_of(..));
    let said = stdout(&kept.verify(&[]).await);
    assert!(said.contains("that nothing was cut off is not proven"), "{said}");
}

#[tokio::test]
async fn an_altered_removed_or_added_event_of_a_copy_is_found() {
    let kept = Trail::start().await.kept;
    let whole = kept.events_of(..);
    let not_signed = "the trail is not what was signed: rows were changed, added or taken away";
    let mut altered = whole.clone();
    let at = altered.iter().position(|line| line.contains("user.created")).unwrap();
    altered[at] = altered[at].replace("user.created", "user.blocked");
    Kept::assert_refused(&kept.verify_with_all(&altered).await, not_signed);
    let mut detail = whole.clone();
    detail[at] = detail[at].replace("dev@example.com", "eve@example.com");
    let is_another = detail != whole;
    let mut actor = whole.clone();
    actor[at] = actor[at].replace("\"actor\":\"cli:", "\"actor\":\"cli:1");
    assert!(is_another || actor != whole, "nothing was changed: {}", whole[at]);
    for changed in [detail, actor].into_iter().filter(|changed| *changed != whole) {
        Kept::assert_refused(&kept.verify_with_all(&changed).await, not_signed);
    }

    // The first of a block of several, or else a whole block.
    let mut removed = whole.clone();
    removed.remove(at);
    let output = kept.verify_with_all(&removed).await;
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains(not_signed) || said.contains("is missing"), "{said}");
    let mut added = whole.clone();
    added.insert(at, whole[at].clone());
    Kept::assert_refused(&kept.verify_with_all(&added).await, not_signed);
    let later = kept.verify_with_all(&kept.events_of(2..)).await;
    Kept::assert_refused(&later, "block 1 is missing");

    let mut broken = whole;
    broken[1] = "{\"position\": 2".to_owned();
    Kept::assert_refused(&kept.verify_with_all(&broken).await, "line 2 of the copy cannot be read");
}

#[tokio::test]
async fn an_end_that_was_cut_off_shows_by_the_checkpoint_that_was_kept() {
    let kept = Trail::start().await.kept;
    let cut = kept.events_of(..kept.checkpoint()["number"].as_i64().unwrap());
    Kept::assert_refused(&kept.verify_with_all(&cut).await, "what came behind was cut off");
    let unnoticed = kept.verify(&[]).await;
    assert!(unnoticed.status.success(), "without a checkpoint nobody can tell");
    Kept::assert_refused(&kept.verify_with_all(&[]).await, "what came behind was cut off");
}

#[tokio::test]
async fn a_checkpoint_that_was_changed_or_is_of_another_key_is_refused() {
    let kept = Trail::start().await.kept;
    let path = kept.folder.path().join("checkpoint.json");
    let mut changed = kept.checkpoint();
    let text = changed.to_string();
    changed["rows"] = (changed["rows"].as_u64().unwrap() - 1).into();
    fs::write(&path, changed.to_string()).unwrap();
    let said = "is not signed by the key that it names";
    Kept::assert_refused(&kept.verify_with_all(&kept.lines).await, said);
    fs::write(&path, text).unwrap();

    let other = Site::new("http://127.0.0.1:1");
    let _server = other.serve().await;
    let key = published_key(&other).await;
    fs::write(kept.folder.path().join("key.json"), key.to_string()).unwrap();
    let said = "is signed by another key than the one that was given";
    Kept::assert_refused(&kept.verify_with_all(&kept.lines).await, said);
}

#[tokio::test]
async fn words_that_make_no_sense_to_verify_are_told_with_2() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("here.jsonl"), "").unwrap();
    for (words, said) in [
        (&["--checkpoint", "here.jsonl"][..], "--file"),
        (&["--key", "here.jsonl"], "--file"),
        (&["--file", "nowhere.jsonl"], "nowhere.jsonl"),
        (&["--file", "here.jsonl", "--checkpoint", "nowhere.json"], "nowhere.json"),
        (&["--file", "here.jsonl", "--key", "here.jsonl"], "here.jsonl"),
    ] {
        let output = run(folder.path(), &[&["audit", "verify"], words].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{words:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn the_trail_leaves_as_a_table_with_the_same_events() {
    let Trail { site, server: _server, kept } = Trail::start().await;
    let table = printed(&site, &["audit", "export", "--format", "csv"]).await;
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let head: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
    let events = kept.events();
    assert!(rows.len() >= events.len(), "{} of {}", rows.len(), events.len());
    for (row, event) in rows.iter().zip(&events) {
        for (name, cell) in head.iter().zip(row) {
            let expected = match &event[name] {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            assert_eq!(cell, expected, "{name} of {event}");
        }
    }
    let unknown = site.run(&["audit", "export", "--format", "xml"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("jsonl"), "{}", stderr(&unknown));
}

#[tokio::test]
async fn the_server_itself_finds_what_was_changed_in_its_database() {
    let Trail { site, mut server, .. } = Trail::start().await;
    let said = printed(&site, &["audit", "verify"]).await;
    assert!(said.contains("The audit trail is whole: ") && said.contains("checkpoints."), "{said}");
    let report = site.command(&["audit", "verify"]).await;
    assert!(report["blocks"].as_i64() >= Some(4), "{report}");
    assert!(report["checkpoints"].as_i64() >= Some(4), "{report}");
    server.signal("TERM").await;
    server.wait().await;

    let path = site.path("data").join("consentry.db");
    let tamper = |sql: &str| {
        let db = rusqlite::Connection::open(&path).unwrap();
        assert!(db.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
    };
    let refused = async || {
        let output = site.run(&["audit", "verify"]).await;
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        stderr(&output)
    };
    tamper("UPDATE audit SET kind = 'user.blocked' WHERE kind = 'user.created'");
    assert!(refused().await.contains("does not match its rows"));
    tamper("UPDATE audit SET kind = 'user.created' WHERE kind = 'user.blocked'");
    assert!(site.run(&["audit", "verify"]).await.status.success(), "it is whole again");

    tamper("DELETE FROM audit WHERE seal = (SELECT MAX(number) FROM audit_checkpoints)");
    tamper("DELETE FROM audit_seals WHERE number >= (SELECT MAX(number) FROM audit_checkpoints)");
    let said = refused().await;
    assert!(said.contains("cut off") || said.contains("is not what was signed"), "{said}");
}
