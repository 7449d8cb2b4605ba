//! `consentry import apps` as an operator runs it: files of both kinds, beside a running server and
//! without one, what it prints and how it ends.

use std::fmt::Write as _;
use std::fs;

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::TestApp;

use crate::served::{Site, run, stderr};
use crate::upstream::Upstream;

/// Of libxcrypt; cost 4, for the tests' sake.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuulGY4ptaBvIZ4CnbaE2yd2lI4fkfeAyq";
const BCRYPT_SECRET: &str = "app secret 1";
/// Of the test suite of argon2's reference implementation.
const ARGON2: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
const ARGON2_SECRET: &str = "password";

const APP: &str = r#"{ "client_id": "a", "name": "Good", "kind": "service", "client_secret": "hunter2",
        "owner": "dev@example.com" }"#;

/// A site with the developer dev@example.com.
async fn site() -> Site {
    let site = Site::new("http://127.0.0.1:1");
    site.add_user("dev@example.com", Some("developer")).await;
    site
}

/// Exit code, standard output and standard error of `consentry import apps`.
async fn import(site: &Site, file: &str, content: &str, more: &[&str]) -> (i32, String, String) {
    fs::write(site.path(file), content).unwrap();
    let output = site.run(&[&["import", "apps", file], more].concat()).await;
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code().unwrap(), stdout, stderr(&output))
}

async fn client_ids(site: &Site) -> Vec<String> {
    let list = site.command(&["app", "list"]).await;
    let apps = list["apps"].as_array().unwrap();
    apps.iter().map(|app| app["client_id"].as_str().unwrap().to_owned()).collect()
}

/// What the token endpoint says to a service that asks for itself.
async fn ask(site: &Site, client_id: &str, secret: &str) -> StatusCode {
    let app = TestApp::new(&site.issuer, client_id, Some(secret), "");
    app.token(&[("grant_type", "client_credentials")]).await.status
}

#[tokio::test]
async fn apps_of_a_csv_file_get_tokens_with_the_secrets_that_they_have() {
    let site = site().await;
    let _server = site.serve().await;
    let content = format!(
        "\u{feff}client_id,name,kind,scopes,client_secret,client_secret_hash,description\r\n\
         43764,Plain,service,items.read,k9,,\"Two\nlines, one \"\"cell\"\"\"\r\n\
         moved-1,By Bcrypt,service,items.read,,{BCRYPT},\r\n\
         moved-2,By Argon,service,\"[{{\"\"scope\"\":\"\"items.read\"\",\"\"purpose\"\":\"\"To copy.\"\"}}]\",,\"{ARGON2}\",\r\n"
    );
    let done = import(&site, "apps.csv", &content, &["--owner", "dev@example.com"]).await;
    let said = (0, "imported 3, refused 0, already there 0\n".to_owned(), String::new());
    assert_eq!(done, said);
    for (id, secret) in [("43764", "k9"), ("moved-1", BCRYPT_SECRET), ("moved-2", ARGON2_SECRET)] {
        for _ in 0..2 {
            assert_eq!(ask(&site, id, secret).await, StatusCode::OK, "{id}");
        }
        assert_eq!(ask(&site, id, "wrong").await, StatusCode::UNAUTHORIZED, "{id}");
    }
    let (code, stdout, _) =
        import(&site, "apps.csv", &content, &["--owner", "dev@example.com"]).await;
    assert_eq!((code, &*stdout), (0, "imported 0, refused 0, already there 3\n"));
}

#[tokio::test]
async fn apps_of_a_json_file_are_imported_without_a_running_server() {
    let site = site().await;
    let apps = json!([
        { "client_id": 998_344_708, "name": "Plain", "kind": "service", "scopes": ["items.read"],
          "client_secret": "k9" },
        { "client_id": "moved", "name": "By Hash", "kind": "service", "scopes": "items.read",
          "client_secret_hash": BCRYPT, "owner": "dev@example.com" },
    ]);
    let content = format!("{apps:#}");
    let more = ["--owner", "dev@example.com", "--format", "json"];
    let (code, stdout, said) = import(&site, "export.txt", &content, &more).await;
    assert_eq!((code, &*stdout), (0, "imported 2, refused 0, already there 0\n"), "{said}");
    let _server = site.serve().await;
    assert_eq!(ask(&site, "998344708", "k9").await, StatusCode::OK);
    assert_eq!(ask(&site, "moved", BCRYPT_SECRET).await, StatusCode::OK);
}

#[tokio::test]
async fn each_refused_line_is_said_with_its_place_and_reasons_and_nothing_is_imported() {
    let site = site().await;
    let content = "client_id,name,kind,scopes,client_secret,owner,redirect_uris\n\
        a,Good,service,items.read,hunter2-a,dev@example.com,\n\
        b,\"Two\nlines\",service,root,hunter2-b,dev@example.com,\n\
        \n\
        c,Web App,web,items.read,hunter2-c,dev@example.com,http://a.example/cb\n\
        a,Good,service,items.read,hunter2-a,dev@example.com,\n\
        d,Short,service\n\
        e,Nobody,service,items.read,hunter2-e,no@example.com,\n\
        f,Also Good,service,items.read,hunter2-f,dev@example.com,\n\
        g,\u{1b}[2JTrick,service,items.read,hunter2-g,dev@example.com,\n";
    let wanted = "apps.csv:3: scopes: root is not a scope of this provider\n\
        apps.csv:3: name: Leave out control characters and characters that nobody can see.\n\
        apps.csv:6: redirect_uris: http://a.example/cb: http:// is allowed only for 127.0.0.1, [::1] and localhost; use https://.\n\
        apps.csv:7: client_id: line 2 has a too\n\
        apps.csv:8: the line has 3 cells and the heading 7\n\
        apps.csv:9: owner: there is no user no@example.com; create the account first (consentry user create no@example.com --role developer)\n\
        apps.csv:11: name: Leave out control characters and characters that nobody can see.\n\
        error: 6 of 8 apps were refused, so nothing was imported\n";
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let spreadsheet = content.replace('\n', "\r\n");
    let (code, stdout, said) = import(&site, "apps.csv", &spreadsheet, &["--dry-run"]).await;
    assert_eq!((code, &*stdout), (1, "would import 0, refused 6, already there 0\n"));
    assert_eq!(sorted(&said), sorted(wanted));
    assert_eq!(client_ids(&site).await, [""; 0], "a dry run changes nothing");

    let (code, stdout, said) = import(&site, "apps.csv", content, &[]).await;
    assert_eq!((code, &*stdout), (1, "imported 0, refused 6, already there 0\n"));
    assert_eq!(sorted(&said), sorted(wanted));
    assert_eq!(client_ids(&site).await, [""; 0]);
    let trail = site.run(&["audit", "export"]).await;
    let trail = String::from_utf8(trail.stdout).unwrap();
    assert_eq!(trail.matches("app.imported").count(), 0, "{trail}");
    assert!(!trail.contains("hunter2") && !said.contains("hunter2"), "no secret anywhere");

    let output = site.run(&["import", "apps", "apps.csv", "--json"]).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["already_there"]), (Some(1), &json!(0)));
    let lines: Vec<_> = told["refused"].as_array().unwrap().iter().map(|r| &r["line"]).collect();
    assert_eq!(lines.len(), 6, "{told}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_imports_nothing() {
    let site = site().await;
    let app = APP;
    let not_csv = "client_id,name,redirect_uri\nhunter2,x,y\n";
    for (file, content, code, reason) in [
        (
            "a.json",
            format!("[{app},\n{{ \"client_id\": \"hunter2"),
            1,
            "a.json cannot be read: EOF",
        ),
        ("b.json", app.to_owned(), 1, "b.json cannot be read: it is not an array of objects"),
        ("c.json", "\"hunter2\"".to_owned(), 1, "it is not an array of objects"),
        (
            "d.csv",
            not_csv.to_owned(),
            2,
            "there is no field redirect_uri. Did you mean redirect_uris?",
        ),
        (
            "e.csv",
            "client_id,colour\n".to_owned(),
            2,
            "there is no field colour. The fields are: client_id, name",
        ),
        ("f.csv", "name,name\n".to_owned(), 2, "the heading names name twice"),
        ("g.csv", String::new(), 2, "the file is empty"),
        ("h.txt", not_csv.to_owned(), 2, "say what it is with --format"),
    ] {
        let (ended, stdout, said) = import(&site, file, &content, &[]).await;
        assert_eq!((ended, &*stdout), (code, ""), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let absent = site.run(&["import", "apps", "absent.csv"]).await;
    assert_eq!(absent.status.code(), Some(1));
    assert!(stderr(&absent).contains("absent.csv cannot be read"), "{}", stderr(&absent));
    assert_eq!(client_ids(&site).await, [""; 0]);
}

#[tokio::test]
async fn a_bad_app_in_a_json_file_keeps_the_others_out_and_its_line_is_told() {
    let site = site().await;
    let app = APP;
    let two =
        format!("[\n{app},\n{}]", app.replace("\"a\"", "\"b\"").replace("\"kind\"", "\"kin\""));
    let (code, stdout, said) = import(&site, "two.json", &two, &[]).await;
    assert_eq!((code, &*stdout), (1, "imported 0, refused 1, already there 0\n"));
    assert!(said.starts_with("two.json:4: there is no field kin. Did you mean kind?"), "{said}");
    let endless = app.replace("Good", &"x".repeat(1 << 20)).replace("\"a\"", "\"c\"");
    let (code, stdout, said) = import(&site, "c.json", &format!("[{endless},{app}]"), &[]).await;
    assert_eq!((code, &*stdout), (1, "imported 0, refused 1, already there 0\n"));
    assert!(said.starts_with("c.json:1: the app has 1048"), "{said}");
}

#[tokio::test]
async fn x1_an_app_without_an_end_is_given_up_with_its_line() {
    let site = site().await;
    let endless = "x".repeat(3 << 20);
    for (file, content) in [
        ("a.csv", format!("client_id,name\na,Good\nb,\"{endless}\n")),
        ("b.csv", format!("client_id,name\n\"a\",Good\nb,{endless}\n")),
        ("c.json", format!("[{APP},\n{{ \"client_id\": \"{endless}\" }}]")),
    ] {
        let (code, stdout, said) = import(&site, file, &content, &[]).await;
        assert_eq!((code, &*stdout), (1, ""), "{said}");
        assert!(said.contains("what begins in line 3 does not end within 2 MiB"), "{said}");
    }
    let output = site.run(&["import", "apps", "/dev/zero", "--format", "csv"]).await;
    let said = stderr(&output);
    assert!(said.contains("/dev/zero cannot be read: what begins in line 1 does not"), "{said}");
    assert_eq!(client_ids(&site).await, [""; 0]);
}

#[tokio::test]
async fn x1_a_field_that_comes_twice_is_refused_by_its_name() {
    let site = site().await;
    let doubled = APP.replace("\"a\"", "\"b\", \"client_secret\": \"another\"");
    let entries = format!("[\n{doubled},\n{APP},\n[{{}}], 1, -1, 0.5, \"a\", true, null]");
    let (code, stdout, said) = import(&site, "apps.json", &entries, &[]).await;
    assert_eq!((code, &*stdout), (1, "imported 0, refused 8, already there 0\n"), "{said}");
    assert!(said.starts_with("apps.json:2: client_secret: is there twice\n"), "{said}");
    assert_eq!(said.matches(": is not an object with fields\n").count(), 7, "{said}");
    assert!(!said.contains("hunter2") && !said.contains("another"), "{said}");
    assert_eq!(client_ids(&site).await, [""; 0]);
}

#[tokio::test]
async fn ten_thousand_apps_are_imported_beside_a_running_server() {
    let site = site().await;
    let _server = site.serve().await;
    let mut content = "client_id,name,kind,scopes,client_secret,owner\n".to_owned();
    for number in 1..=10_000 {
        let owner = if number == 7_777 { "no@example.com" } else { "dev@example.com" };
        writeln!(content, "{number},App {number},service,items.read,secret-{number},{owner}")
            .unwrap();
    }
    let (code, stdout, said) = import(&site, "apps.csv", &content, &[]).await;
    assert_eq!((code, &*stdout), (1, "imported 0, refused 1, already there 0\n"), "{said}");
    assert!(said.starts_with("apps.csv:7778: owner: there is no user no@example.com"), "{said}");
    let right = content.replace("no@example.com", "dev@example.com");
    let (code, stdout, said) = import(&site, "apps.csv", &right, &[]).await;
    assert_eq!((code, &*stdout), (0, "imported 10000, refused 0, already there 0\n"), "{said}");
    assert_eq!(client_ids(&site).await.len(), 10_000, "page by page");
    for number in [1, 200, 201, 10_000] {
        let (id, secret) = (number.to_string(), format!("secret-{number}"));
        assert_eq!(ask(&site, &id, &secret).await, StatusCode::OK, "{number}");
    }
}

#[tokio::test]
async fn the_example_of_the_documentation_works_as_it_says() {
    let upstream = Upstream::start().await;
    let site = Site::new(&upstream.url);
    site.add_user("dev@example.com", Some("developer")).await;
    site.add_user("alice@example.com", None).await;
    let page = include_str!("../../../../docs/operator/moving.md");
    let (_, from) = page.split_once("```csv\n").expect("an example");
    let (example, _) = from.split_once("```").unwrap();
    let _server = site.serve().await;
    let (code, stdout, said) = import(&site, "apps.csv", example, &[]).await;
    assert_eq!((code, &*stdout), (0, "imported 4, refused 0, already there 0\n"), "{said}");
    let alice = site.signed_in("alice@example.com").await;
    for (id, secret, callback) in [
        ("43764", "q8Zr2LmWc0XbT5uV", "https://shelf.example/cb2"),
        ("reel-player", "reel-Jk29dfQ0aLmNv8", "https://reel.example/oauth"),
    ] {
        let app = TestApp::new(&site.issuer, id, Some(secret), callback);
        let tokens = app.connect(&alice, "items.read").await;
        assert_eq!(site.status("/api/items", &tokens.access).await, StatusCode::OK, "{id}");
    }
    assert_eq!(ask(&site, "nightly-sync", "s3cr3t").await, StatusCode::OK);
    let fields = server::admin::import::FIELDS;
    for field in fields {
        assert!(page.contains(&format!("`{field}`")), "{field} is explained");
    }
    let help = run(std::path::Path::new("."), &["import", "apps", "--help"]).await;
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("Exit code 1: something was refused"), "{help}");
}
