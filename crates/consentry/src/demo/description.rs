//! What the demo says about itself: `demo.json` for programs, the same in words for people.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use domain::user::Role;
use serde_json::{Map, Value, json};

use super::cast::{PEOPLE, Person, Seeded};
use super::provider::DemoProvider;
use crate::cli::Failure;
use crate::cli::init::write_new;

/// Call it when connections are accepted: whoever waits for the file goes on at once.
pub(super) fn publish(
    folder: &Path,
    app_origin: &str,
    exchange: &DemoProvider,
    drive: &DemoProvider,
) -> Result<(), Failure> {
    let path = folder.join("demo.json");
    let text = format!(
        "{:#}\n",
        json!({
            "exchange": describe(exchange),
            "drive": describe(drive),
            "mailbox": format!("{app_origin}/mailbox.json"),
        })
    );
    // Never half a file under its final name, and passwords and secrets for nobody else's eyes.
    let unfinished = folder.join("demo.json.part");
    if unfinished.exists() {
        std::fs::remove_file(&unfinished)?;
    }
    write_new(&unfinished, text.as_bytes(), 0o600)?;
    std::fs::rename(&unfinished, &path)?;
    let words = in_words(&path, app_origin, &[exchange, drive]);
    Ok(std::io::stdout().lock().write_all(words.as_bytes())?)
}

fn describe(provider: &DemoProvider) -> Value {
    let users: Vec<Value> = PEOPLE
        .iter()
        .map(|person| {
            json!({
                "email": person.email(),
                "password": person.password(),
                "roles": roles(person),
                "totp_secret": person.totp_secret(),
            })
        })
        .collect();
    let apps: Map<String, Value> =
        provider.apps.iter().map(|app| (app.script.key.to_owned(), describe_app(app))).collect();
    json!({ "issuer": provider.issuer, "users": users, "apps": apps })
}

fn describe_app(app: &Seeded) -> Value {
    let scopes: Vec<&str> = app.script.scopes.iter().map(|scope| scope.name).collect();
    let mut described = json!({
        "client_id": app.script.client_id,
        "redirect_uri": app.redirect_uri,
        "scopes": scopes,
    });
    let Some(object) = described.as_object_mut() else { return described };
    let secret = app.client_secret.as_deref();
    for (name, value) in [("client_secret", secret), ("dialect", app.script.wire.dialect())] {
        object.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    described
}

fn in_words(path: &Path, app_origin: &str, providers: &[&DemoProvider]) -> String {
    let mut out = String::from("\nConsentry demo is ready.\n\n");
    let _ = writeln!(
        out,
        "  Start here: {app_origin}/ (the practice app: let it in, then revoke it)\n"
    );
    let _ = writeln!(out, "  Their mail: {app_origin}/mailbox (it goes nowhere else)\n");
    for provider in providers {
        let _ = writeln!(out, "{}  {}", provider.script.name, provider.issuer);
        let _ = writeln!(out, "  sign in          {}/sign-in", provider.issuer);
        let _ = writeln!(out, "  sign up          {}/sign-up", provider.issuer);
        let _ = writeln!(out, "  connected apps   {}/connected", provider.issuer);
        let _ = writeln!(out, "  my applications  {}/apps (dev)", provider.issuer);
        let _ = writeln!(out, "  review           {}/staff/review (review)", provider.issuer);
        for app in &provider.apps {
            let secret = app.client_secret.as_deref().unwrap_or("– (public, PKCE)");
            let (key, id) = (app.script.key, app.script.client_id);
            let _ = writeln!(out, "  app {key:<17}  client_id {id:<18}  secret {secret}");
        }
        out.push('\n');
    }
    out.push_str("people, on both\n");
    for person in &PEOPLE {
        let role = roles(person).join(", ");
        let _ = writeln!(out, "  {:<20}  {:<22}  {role}", person.email(), person.password());
        if let Some(secret) = person.totp_secret() {
            let _ =
                writeln!(out, "  {:<20}  second factor: an authenticator app with {secret}", "");
        }
    }
    let _ = writeln!(out, "\nThe same for programs: {}\nCtrl-C stops it.\n", path.display());
    out
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Developer => "developer",
        Role::Reviewer => "reviewer",
        Role::Admin => "admin",
    }
}

/// Everyone is a user; the names say what else somebody is.
fn roles(person: &Person) -> Vec<&'static str> {
    match person.roles {
        [] => vec!["user"],
        roles => roles.iter().map(|role| role_name(*role)).collect(),
    }
}
