//! The database of a provider that has been at it for years, for `pages`: 10,000 apps in several
//! states, 100,000 users who have let them in, 1,000,000 rows of the audit trail. Half of the users
//! use the same app; its developer owns a hundred, the others belong to a thousand people.

use crate::Outcome;
use crate::browser::Browser;
use crate::filling::{Database, NUMBERED};
use crate::people::{People, sign_in};
use crate::site::{OPAQUE, Site};
use crate::wire;

/// At scale 1.
const APPS: f64 = 10_000.0;
const USERS: f64 = 100_000.0;
const EVENTS: f64 = 1_000_000.0;
const DEVELOPERS: u64 = 1_000;
const APPS_OF_ONE: u64 = 98;
/// Apps that one user has let in.
const CONNECTED: u64 = 30;
const MESSAGES_PER_APP: u64 = 3;
const TABLES: [&str; 9] = [
    "users",
    "apps",
    "client_ids",
    "client_secrets",
    "app_messages",
    "consents",
    "grants",
    "usage_of_grants",
    "audit",
];

const DEVELOPER: &str = "dev@example.com";
const STAFF: &str = "staff@example.com";
/// All but two apps are copies of this one.
const PLAIN: &str = "Plain";

/// Who looks at the pages: `Cookie` headers.
pub struct Crowd {
    pub developer: String,
    pub staff: String,
    pub user: String,
}

impl Crowd {
    /// Everything through the pages: what there is one of at least is copied later.
    pub fn gather(site: &Site) -> Outcome<Self> {
        let mut people = People::gather(site, 1)?;
        let grants = people.grants(site, 1)?;
        site.add_app(PLAIN, DEVELOPER)?;
        site.add_user(STAFF, Some("admin"))?;
        let token = grants.first().and_then(|(_, text)| wire::json_text(text, "access_token"));
        call(site, &token.ok_or("there is no token")?)?;
        let mut developer = sign_in(site, DEVELOPER)?;
        let app = first_app(&mut developer)?;
        write(&mut developer, &app, "send-message", &[("message", "When will you look at it?")])?;
        write(&mut developer, &app, "details", &[("name", "A new name")])?;
        let staff = sign_in(site, STAFF)?.cookies();
        let user = people.cookies.first().cloned().ok_or("there is no user")?;
        Ok(Self { developer: developer.cookies(), staff, user })
    }
}

/// One call, so that there is a row about the use of a grant.
fn call(site: &Site, token: &str) -> Outcome<()> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let path = format!("{OPAQUE}/items/17");
    let request = wire::request("GET", &path, &site.host, &headers, None);
    wire::ask(site.address, &request, |answer| match answer.status {
        200 => Ok(()),
        _ => Err(answer.describe()),
    })?
}

/// Where the app is that everybody has let in.
fn first_app(browser: &mut Browser<'_>) -> Outcome<String> {
    let page = browser.open("/apps")?;
    let links = page.html.split("href=\"/apps/").skip(1).filter_map(|rest| rest.split('"').next());
    let ids = links.filter(|link| link.len() == 32);
    for id in ids {
        let path = format!("/apps/{id}");
        if !browser.open(&path)?.html.contains(&format!("<h1>{PLAIN}")) {
            return Ok(path);
        }
    }
    Err("the developer has no app".into())
}

/// A form about an app is on its page or on one of the pages behind that.
fn write(browser: &mut Browser<'_>, app: &str, form: &str, fields: &[(&str, &str)]) -> Outcome<()> {
    for path in [app.to_owned(), format!("{app}/messages"), format!("{app}/settings")] {
        let page = browser.open(&path)?;
        if page.status == 200 && page.html.contains(&format!("id=\"{form}\"")) {
            return match browser.submit(&page, form, fields)? {
                page if page.status == 200 => Ok(()),
                page => Err(format!("the form {form} is refused:\n{}", page.html)),
            };
        }
    }
    Err(format!("there is no form {form} on the pages of an app"))
}

/// Names of rows that the addresses of pages hold.
pub struct Places {
    /// The app that half of the users use. A change of it waits for staff.
    pub popular: String,
    /// One that nobody has looked at yet.
    pub waiting: String,
    pub user: String,
    /// A consent of the user with many.
    pub consent: String,
    pub size: String,
}

/// While the server is stopped.
pub fn fill(db: Database, scale: f64) -> Outcome<Places> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let count = |full: f64| (full * scale).max(1_000.0) as u64;
    let size = Size { apps: count(APPS), users: count(USERS), events: count(EVENTS) };
    let id_of = |table: &str, column: &str, value: &str| {
        db.text(&format!("SELECT id FROM {table} WHERE {column} = '{value}'"))
    };
    let developer = id_of("users", "email", DEVELOPER)?;
    let user = id_of("users", "email", "user0@example.com")?;
    let indexes = db.drop_indexes(&TABLES)?;
    size.copy_users(&db)?;
    size.copy_apps(&db, &developer)?;
    size.copy_consents(&db, &user)?;
    size.copy_events(&db)?;
    size.copy_requests(&db)?;
    let app = |n: u64| db.text(&format!("SELECT {}", size.app(&db, &n.to_string())));
    let consent = db.text(&format!("SELECT {}", db.id("08", "0", CONNECTED)))?;
    let (popular, waiting) = (app(0)?, app(IN_REVIEW)?);
    db.close(indexes)?;
    let Size { apps, users, events } = size;
    let size = format!("{apps} apps, {users} users, {events} rows of the audit trail");
    Ok(Places { popular, waiting, user, consent, size })
}

/// What an app is by the last two digits of its number.
const CHANGED: u64 = 0;
const IN_REVIEW: u64 = 1;

struct Size {
    apps: u64,
    users: u64,
    events: u64,
}

impl Size {
    fn app(&self, db: &Database, n: &str) -> String {
        db.id("02", n, self.apps)
    }

    fn user(&self, db: &Database, n: &str) -> String {
        db.id("01", n, self.users)
    }

    /// Half of them are the first.
    fn app_of_row(&self, db: &Database) -> String {
        let n = format!("CASE WHEN n.i % 2 = 0 THEN 0 ELSE n.i * 7919 % {} END", self.apps);
        self.app(db, &n)
    }

    fn copy_users(&self, db: &Database) -> Outcome<()> {
        let email = "'copy' || n.i || '@example.com'";
        db.copy(
            "users",
            "WHERE email = 'user0@example.com'",
            self.users,
            &[
                ("id", &self.user(db, "n.i")),
                ("email", email),
                ("email_normalized", email),
                ("name", "'Copy ' || n.i"),
            ],
        )
    }

    fn copy_apps(&self, db: &Database, developer: &str) -> Outcome<()> {
        let id = self.app(db, "n.i");
        let others = self.user(db, &format!("n.i % {DEVELOPERS}"));
        let owner = format!("CASE WHEN n.i < {APPS_OF_ONE} THEN '{developer}' ELSE {others} END");
        let proposed = "(SELECT proposed FROM apps WHERE proposed IS NOT NULL LIMIT 1)";
        let by_state = |texts: [&str; 6]| {
            let [in_review, rejected, suspended, changed, asking, live] = texts;
            format!(
                "CASE WHEN n.i % 100 BETWEEN {IN_REVIEW} AND 3 THEN {in_review} \
                 WHEN n.i % 100 = {CHANGED} THEN {changed} \
                 WHEN n.i % 100 IN (5, 6) THEN {rejected} WHEN n.i % 100 = 7 THEN {suspended} \
                 WHEN n.i % 100 = 8 THEN {asking} ELSE {live} END"
            )
        };
        let live = "'live'";
        let status = by_state(["'in_review'", "'rejected'", "'suspended'", live, live, live]);
        let note = by_state(["NULL", "'Not yet.'", "'A complaint.'", "NULL", "NULL", "NULL"]);
        let approved =
            by_state(["''", "''", "t.approved", "t.approved", "t.approved", "t.approved"]);
        let awaits = by_state(["'staff'", "NULL", "NULL", "'staff'", "NULL", "NULL"]);
        let proposed = by_state(["NULL", "NULL", "NULL", proposed, "NULL", "NULL"]);
        let asked_at = by_state(["NULL", "NULL", "NULL", "NULL", "t.created_at - n.i", "NULL"]);
        let of = format!("WHERE name = '{PLAIN}'");
        let of_plain = format!("WHERE app_id = (SELECT id FROM apps WHERE name = '{PLAIN}')");
        db.copy(
            "apps",
            &of,
            self.apps,
            &[
                ("id", &id),
                ("name", "'Copy ' || n.i"),
                ("name_normalized", "'copy' || n.i"),
                ("skeleton", "'copy' || n.i"),
                ("search_text", "'copy ' || n.i || ' bench copy-' || n.i"),
                ("owner_id", &owner),
                ("status", &status),
                ("status_note", &note),
                ("approved", &approved),
                ("awaits", &awaits),
                ("proposed", &proposed),
                ("question_at", &asked_at),
                ("created_at", "t.created_at - n.i * 60000"),
                ("changed_at", "t.changed_at - n.i * 60000"),
            ],
        )?;
        // An app may be known by more than one.
        let wire_id = [("wire_id", "t.mode || '-' || n.i"), ("app_id", &*id)];
        db.copy("client_ids", &of_plain, self.apps, &wire_id)?;
        let secret = [("id", &*db.id("04", "n.i", self.apps)), ("app_id", &id)];
        db.copy("client_secrets", &format!("{of_plain} LIMIT 1"), self.apps, &secret)?;
        let messages = self.apps * MESSAGES_PER_APP;
        let of_app = self.app(db, &format!("n.i % {}", self.apps));
        db.copy(
            "app_messages",
            "LIMIT 1",
            messages,
            &[
                ("id", &db.id("09", "n.i", messages)),
                ("app_id", &of_app),
                ("by_staff", "n.i % 2"),
                ("written_at", "t.written_at - n.i * 1000"),
            ],
        )
    }

    /// Each user has let one app in, and one user many.
    fn copy_consents(&self, db: &Database, user: &str) -> Outcome<()> {
        let one_user = format!("'{user}'");
        let own = [self.user(db, "n.i"), self.app_of_row(db)];
        let many = [one_user, self.app(db, &format!("n.i * 331 % {}", self.apps))];
        for ((count, kinds), [user, app]) in
            [(self.users, ["03", "05"]), (CONNECTED, ["08", "0a"])].into_iter().zip([own, many])
        {
            let [consent, grant] = kinds.map(|kind| db.id(kind, "n.i", count));
            let whose = [("user_id", &*user), ("app_id", &*app)];
            db.copy("consents", "LIMIT 1", count, &[&whose[..], &[("id", &*consent)]].concat())?;
            let [code, attempt] = ["06", "07"].map(|kind| db.id(kind, "n.i", count));
            let of_grant = [
                ("id", &*grant),
                ("consent_id", &consent),
                ("code_id", &code),
                ("attempt_id", &attempt),
            ];
            db.copy("grants", "LIMIT 1", count, &[&whose[..], &of_grant].concat())?;
            let of_use = [("grant_id", &*grant)];
            db.copy("usage_of_grants", "LIMIT 1", count, &[&whose[..], &of_use].concat())?;
        }
        Ok(())
    }

    /// In about the shares that traffic leaves behind.
    fn copy_events(&self, db: &Database) -> Outcome<()> {
        let (app, user) =
            (self.app_of_row(db), self.user(db, &format!("n.i * 7 % {}", self.users)));
        let by_share = |of: &dyn Fn(&Event) -> String| {
            let case =
                |event: &Event| format!("WHEN n.i % 1000 < {} THEN {}", event.below, of(event));
            let cases: Vec<String> = EVENTS_BY_SHARE.iter().map(case).collect();
            format!("CASE {} END", cases.join(" "))
        };
        let if_about = |what: &str, id: &str| {
            by_share(&|event| if event.about.contains(what) { id } else { "NULL" }.to_owned())
        };
        let actor = by_share(&|event| match event.actor {
            "user" => user.clone(),
            "app" => app.clone(),
            _ => "NULL".to_owned(),
        });
        db.copy(
            "audit",
            "LIMIT 1",
            self.events,
            &[
                ("position", NUMBERED),
                ("at", &format!("t.at - ({} - n.i) * 1000", self.events)),
                ("kind", &by_share(&|event| format!("'{}'", event.kind))),
                ("actor_kind", &by_share(&|event| format!("'{}'", event.actor))),
                ("actor_id", &actor),
                ("app_id", &if_about("app", &app)),
                ("user_id", &if_about("user", &user)),
                ("address", "'192.0.2.' || (n.i % 250)"),
                ("detail", &by_share(&|event| format!("'{}'", event.detail()))),
                // Blocks that nobody verifies.
                ("seal", "1000000 + n.i / 1000"),
            ],
        )
    }

    /// Of versions that keep a log of requests.
    fn copy_requests(&self, db: &Database) -> Outcome<()> {
        if !db.has_rows("request_log") {
            return Ok(());
        }
        let request = db.id("0b", "n.i", self.users);
        let app = self.app_of_row(db);
        let fields = [("app_id", &*app), ("at", "t.at - n.i * 1000"), ("request_id", &*request)];
        db.copy("request_log", "LIMIT 1", self.users, &fields)
    }
}

/// A kind of event, for the rows whose number modulo 1,000 is below a bound.
struct Event {
    below: u64,
    kind: &'static str,
    actor: &'static str,
    about: &'static str,
}

const fn event(below: u64, kind: &'static str, actor: &'static str, about: &'static str) -> Event {
    Event { below, kind, actor, about }
}

const EVENTS_BY_SHARE: [Event; 13] = [
    event(300, "user.signed_in", "user", "user"),
    event(450, "grant.created", "app", "app and user"),
    event(750, "grant.refreshed", "app", "app and user"),
    event(800, "consent.given", "user", "app and user"),
    event(850, "user.signed_out", "user", "user"),
    event(900, "token.revoked", "app", "app and user"),
    event(940, "service_token.issued", "app", "app"),
    event(960, "grant.revoked", "user", "app and user"),
    event(980, "app.changed", "user", "app and user"),
    event(990, "user.sign_in_failed", "system", "user"),
    event(995, "partner_key.refused", "app", "app and user"),
    event(999, "app.approved", "user", "app and user"),
    event(1000, "app.reported", "user", "app and user"),
];

impl Event {
    fn detail(&self) -> &'static str {
        match self.kind {
            "app.reported" => r#"{"text":"It asks for more than it needs."}"#,
            _ => "{}",
        }
    }
}
