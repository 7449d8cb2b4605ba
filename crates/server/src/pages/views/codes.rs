//! Codes that a person carries between two machines: typed here, or shown here.

use serde::Serialize;

use super::{Account, ConsentApp, Layout, Moment, Verification, View};

/// `GET /device`: type the code that a device shows.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `device` | POST `/device` | `user_code`, hidden `csrf` |
///
/// An error is `#user-code-error`, a waiting time `#user-code-wait`.
#[derive(Clone, Debug, Serialize)]
pub struct EnterCode {
    pub layout: Layout,
    /// From a link, or what was typed before an error.
    pub code: String,
    pub error: Option<String>,
    /// Too many attempts: how long to wait, in words.
    pub wait: Option<String>,
}

impl View for EnterCode {
    const TEMPLATE: &'static str = "enter_code.html";

    fn sample() -> Vec<Self> {
        let empty = Self { layout: Layout::sample(), code: String::new(), error: None, wait: None };
        let wrong = Self {
            code: "WDJB-MJHT".into(),
            error: Some("That is not a code that a device shows right now.".into()),
            ..empty.clone()
        };
        let waiting = Self { error: None, wait: Some("1 minute".into()), ..wrong.clone() };
        let from_link = Self { code: "WDJB-MJHT".into(), ..empty.clone() };
        vec![empty, from_link, wrong, waiting]
    }
}

/// The answer to a good code: did the user start this?
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `confirm-device` | POST `/device/confirm` | hidden `request`, hidden `csrf`, `decision` |
///
/// The buttons are `name="decision"` with value `mine` (id `mine`) and `not-mine` (id `not-mine`).
#[derive(Clone, Debug, Serialize)]
pub struct ConfirmDevice {
    pub layout: Layout,
    /// The sealed request.
    pub request: String,
    pub app: ConsentApp,
    /// As the device shows it.
    pub code: String,
    /// Where the device is, as far as we know.
    pub address: String,
    /// What it says about itself.
    pub user_agent: Option<String>,
    pub asked_at: Moment,
    pub account: Account,
    pub switch_url: String,
}

impl View for ConfirmDevice {
    const TEMPLATE: &'static str = "confirm_device.html";

    fn sample() -> Vec<Self> {
        let reviewed = Self {
            layout: Layout::sample(),
            request: "sealed-request".into(),
            app: player(Verification::Reviewed {
                on: Moment::sample("2026-03-12T09:00:00Z", "12 March 2026"),
            }),
            code: "WDJB-MJHT".into(),
            address: "203.0.113.7".into(),
            user_agent: Some("LivingRoomPlayer/2.1 (Linux; TV)".into()),
            asked_at: Moment::sample("2026-04-02T09:00:00Z", "2 minutes ago"),
            account: Account { name: "Alice Moreau".into(), email: "alice@example.com".into() },
            switch_url: "/sign-in?switch=1".into(),
        };
        let unknown =
            Self { app: player(Verification::NotReviewed), user_agent: None, ..reviewed.clone() };
        let declared = Self {
            app: player(Verification::SelfDeclared { host: "player.example.net".into() }),
            ..reviewed.clone()
        };
        vec![reviewed, unknown, declared]
    }
}

fn player(verification: Verification) -> ConsentApp {
    ConsentApp {
        name: "Living Room Player".into(),
        logo_url: None,
        publisher: Some("Couch Devices".into()),
        brand_verified: false,
        verification,
        homepage: None,
        privacy_url: None,
        terms_url: None,
        test: false,
    }
}

/// After the decision: go back to the device.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceDone {
    pub layout: Layout,
    pub app_name: String,
    pub allowed: bool,
}

impl View for DeviceDone {
    const TEMPLATE: &'static str = "device_done.html";

    fn sample() -> Vec<Self> {
        let of = |allowed| Self {
            layout: Layout::sample(),
            app_name: "Living Room Player".into(),
            allowed,
        };
        vec![of(true), of(false)]
    }
}

/// The page of a dialect where a user says for which app they want a code.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `find-app` | GET `action` | `q` |
#[derive(Clone, Debug, Serialize)]
pub struct GetAccess {
    pub layout: Layout,
    pub action: String,
    /// What was searched.
    pub query: String,
    /// `None`: nothing was searched yet.
    pub found: Option<Vec<FoundApp>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FoundApp {
    pub name: String,
    pub publisher: Option<String>,
    pub client_id: String,
    pub reviewed: bool,
    /// Where the user is asked.
    pub link: String,
}

impl View for GetAccess {
    const TEMPLATE: &'static str = "get_access.html";

    fn sample() -> Vec<Self> {
        let start = Self {
            layout: Layout::sample(),
            action: "/get-access".into(),
            query: String::new(),
            found: None,
        };
        let app = |name: &str, publisher: Option<&str>, id: &str, reviewed| FoundApp {
            name: name.into(),
            publisher: publisher.map(Into::into),
            client_id: id.into(),
            reviewed,
            link: format!("/get-access?client_id={id}"),
        };
        let two = vec![
            app("Living Room Player", Some("Couch Devices"), "998344708", true),
            app("Player", None, "43764", false),
        ];
        let found = Self { query: "player".into(), found: Some(two), ..start.clone() };
        let nothing = Self { found: Some(Vec::new()), ..found.clone() };
        vec![start, found, nothing]
    }
}

/// The code, once. It is kept nowhere, so this page is the only place to read it.
#[derive(Clone, Debug, Serialize)]
pub struct UserCodeShown {
    pub layout: Layout,
    pub app_name: String,
    pub code: String,
    /// "10 minutes"
    pub lasts: String,
}

impl View for UserCodeShown {
    const TEMPLATE: &'static str = "user_code.html";

    fn sample() -> Vec<Self> {
        vec![Self {
            layout: Layout::sample(),
            app_name: "Living Room Player".into(),
            code: "WDJB-MJHT".into(),
            lasts: "10 minutes".into(),
        }]
    }
}
