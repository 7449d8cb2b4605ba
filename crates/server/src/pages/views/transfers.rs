//! Who can change an application, and giving it to somebody else.

use serde::Serialize;

use super::{AppFrame, AppKind, AppStatus, AppTab, Layout, Moment, Section, View};

/// `GET /apps/{id}/team`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `transfer` | POST `/apps/{id}/transfer` | `to` (`person` or a team's id), `email` |
/// | `end-transfer` | POST `/apps/{id}/transfer/end` | |
///
/// The radio buttons are `to-person` and `to-{team}`.
#[derive(Clone, Debug, Serialize)]
pub struct AppTeam {
    pub layout: Layout,
    pub frame: AppFrame,
    pub id: String,
    /// `None`: it is one person's.
    pub team: Option<TeamChoice>,
    pub people: Vec<AppPerson>,
    pub may_transfer: bool,
    pub is_suspended: bool,
    pub transfer: Option<OpenTransfer>,
    /// Teams that it can be given to.
    pub teams: Vec<TeamChoice>,
    /// Whoever gets it is a publisher whom staff have not looked at.
    pub names_are_reviewed: bool,
    pub form: TransferForm,
}

#[derive(Clone, Debug, Serialize)]
pub struct TeamChoice {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct AppPerson {
    pub name: String,
    pub email: String,
    /// `owner` or `member`.
    pub role: &'static str,
    /// Gets the messages about the app.
    pub answers: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct OpenTransfer {
    /// An address, or the name of a team.
    pub to: String,
    pub until: Moment,
}

#[derive(Clone, Debug, Serialize)]
pub struct TransferForm {
    pub to: String,
    pub email: String,
    pub error: Option<String>,
}

impl View for AppTeam {
    const TEMPLATE: &'static str = "app_team.html";

    fn sample() -> Vec<Self> {
        let person = |name: &str, email: &str, role, answers| AppPerson {
            name: name.into(),
            email: email.into(),
            role,
            answers,
        };
        let choice = |id: &str, name: &str| TeamChoice { id: id.into(), name: name.into() };
        let alone = Self {
            layout: Layout::sample().in_section(Section::Apps),
            frame: AppFrame::sample(AppTab::Team),
            id: "a1".into(),
            team: None,
            people: vec![person("Alice Moreau", "alice@example.com", "owner", true)],
            may_transfer: true,
            is_suspended: false,
            transfer: None,
            teams: vec![choice("t1", "Night Desk"), choice("t2", "Harbour Treasury")],
            names_are_reviewed: true,
            form: TransferForm { to: "person".into(), email: String::new(), error: None },
        };
        let offered = Self {
            team: Some(choice("t1", "Night Desk")),
            people: vec![
                person("Sam Rivers", "sam@example.com", "owner", true),
                person("Alice Moreau", "alice@example.com", "owner", false),
                person("Kim Okafor", "kim@example.com", "member", false),
            ],
            transfer: Some(OpenTransfer {
                to: "buyer@example.com".into(),
                until: Moment::sample("2026-04-08T09:00:00Z", "in 6 days"),
            }),
            ..alone.clone()
        };
        let wrong = Self {
            form: TransferForm {
                to: "person".into(),
                email: "sam".into(),
                error: Some("That is not an e-mail address.".into()),
            },
            teams: Vec::new(),
            names_are_reviewed: false,
            ..alone.clone()
        };
        let member = Self { may_transfer: false, transfer: None, ..offered.clone() };
        vec![alone.clone(), offered, wrong, member, Self { is_suspended: true, ..alone }]
    }
}

/// `GET /transfers/{id}`: the other side answers.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `take-app` | POST `/transfers/{id}` | `into`, `decision` |
///
/// `into` is `me` or a team's id, `decision` `accept` or `decline`.
#[derive(Clone, Debug, Serialize)]
pub struct TakeApp {
    pub layout: Layout,
    pub id: String,
    pub name: String,
    pub kind: AppKind,
    pub status: AppStatus,
    pub giver: String,
    /// Whom users read now.
    pub publisher: String,
    pub own_name: String,
    /// It was offered to this team; `None`: to the person, who may put it into one of `teams`.
    pub to_team: Option<String>,
    pub teams: Vec<TeamChoice>,
    pub user_count: u64,
    pub secret_count: u64,
    /// It proves who it is with keys, whose other halves the giver has.
    pub has_keys: bool,
    /// They are paused on the way.
    pub webhook_count: u64,
    pub until: Moment,
    /// The consent page will say that nobody has looked at it.
    pub loses_review: bool,
}

impl View for TakeApp {
    const TEMPLATE: &'static str = "take_app.html";

    fn sample() -> Vec<Self> {
        let person = Self {
            layout: Layout::sample().in_section(Section::Apps),
            id: "a1".into(),
            name: "Trading Bot".into(),
            kind: AppKind::Web,
            status: AppStatus::Live,
            giver: "Sam Rivers".into(),
            publisher: "Northwind Labs".into(),
            own_name: "Alice Moreau".into(),
            to_team: None,
            teams: vec![TeamChoice { id: "t1".into(), name: "Night Desk".into() }],
            user_count: 1284,
            secret_count: 2,
            has_keys: true,
            webhook_count: 1,
            until: Moment::sample("2026-04-08T09:00:00Z", "in 6 days"),
            loses_review: true,
        };
        let team = Self {
            to_team: Some("Night Desk".into()),
            teams: Vec::new(),
            kind: AppKind::Agent,
            status: AppStatus::InReview,
            user_count: 0,
            secret_count: 0,
            has_keys: false,
            webhook_count: 0,
            loses_review: false,
            ..person.clone()
        };
        vec![person.clone(), team, Self { teams: Vec::new(), ..person }]
    }
}
