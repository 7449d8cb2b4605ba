//! Teams of developers: which there are, who is in one, and being asked to join.

use serde::Serialize;

use super::{Flash, Layout, Moment, Section, View};

/// `GET /teams`. Each links to `/teams/{id}`; *New team* to `/teams/new`.
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `answer` (`answer-{invitation}`) | POST `/teams/invitation` | `invitation`, `decision` |
///
/// `decision` is `accept` or `decline`.
#[derive(Clone, Debug, Serialize)]
pub struct Teams {
    pub layout: Layout,
    pub teams: Vec<TeamCard>,
    pub may_make_more: bool,
    /// What waits for an answer.
    pub invitations: Vec<OpenInvitation>,
    /// Apps that somebody wants this person to have; each links to `/transfers/{id}`.
    pub offered: Vec<OfferedApp>,
    /// Invitations are shown once the account's address is confirmed.
    pub must_confirm_address: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TeamCard {
    pub id: String,
    pub name: String,
    /// `owner` or `member`.
    pub role: &'static str,
    pub people: u64,
    pub apps: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct OpenInvitation {
    pub id: String,
    pub team: String,
    pub inviter: String,
    pub role: &'static str,
    pub until: Moment,
}

#[derive(Clone, Debug, Serialize)]
pub struct OfferedApp {
    pub id: String,
    pub name: String,
}

impl View for Teams {
    const TEMPLATE: &'static str = "teams.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::sample().in_section(Section::Apps);
        let card = |id: &str, name: &str, role, people, apps| TeamCard {
            id: id.into(),
            name: name.into(),
            role,
            people,
            apps,
        };
        let full = Self {
            layout: layout.clone(),
            teams: vec![
                card("t1", "Night Desk", "owner", 4, 12),
                card("t2", "Harbour Treasury", "member", 1, 1),
            ],
            may_make_more: true,
            invitations: vec![OpenInvitation {
                id: "i1".into(),
                team: "Signal Desk".into(),
                inviter: "Sam Rivers".into(),
                role: "member",
                until: Moment::sample("2026-04-08T09:00:00Z", "in 6 days"),
            }],
            offered: vec![OfferedApp { id: "a9".into(), name: "Chart Wall".into() }],
            must_confirm_address: false,
        };
        let empty = Self {
            layout: layout.with_flash(Some(Flash::done("The team is deleted."))),
            teams: Vec::new(),
            invitations: Vec::new(),
            offered: Vec::new(),
            must_confirm_address: true,
            ..full.clone()
        };
        vec![full.clone(), empty, Self { may_make_more: false, ..full }]
    }
}

/// A text that is being typed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TeamField {
    pub value: String,
    pub error: Option<String>,
}

/// `GET /teams/new`: form `new-team`, POST `/teams/new`, field `name`.
#[derive(Clone, Debug, Serialize)]
pub struct NewTeam {
    pub layout: Layout,
    pub name: TeamField,
}

impl View for NewTeam {
    const TEMPLATE: &'static str = "new_team.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::sample().in_section(Section::Apps);
        let error = Some("Use at least 3 characters.".to_owned());
        vec![
            Self { layout: layout.clone(), name: TeamField::default() },
            Self { layout, name: TeamField { value: "ND".into(), error } },
        ]
    }
}

/// `GET /teams/{id}`. Forms of owners:
///
/// | form `name` (`id`) | method, action | fields |
/// |---|---|---|
/// | `invite` | POST `/teams/{id}/invite` | `email`, `role` |
/// | `end-invitation` (`end-{invitation}`) | POST `/teams/{id}/invitations/end` | `invitation` |
/// | `change-role` (`role-{user}`) | POST `/teams/{id}/members/role` | `user`, `role` |
/// | `remove` (`remove-{user}`) | POST `/teams/{id}/members/remove` | `user` |
/// | `rename` | POST `/teams/{id}/rename` | `name` |
/// | `delete-team` | POST `/teams/{id}/delete` | |
///
/// Everybody has `leave`, POST `/teams/{id}/leave`.
#[derive(Clone, Debug, Serialize)]
pub struct TeamPage {
    pub layout: Layout,
    pub id: String,
    pub name: String,
    pub is_owner: bool,
    pub people: Vec<TeamPerson>,
    pub invitations: Vec<TeamInvitation>,
    pub app_count: u64,
    pub invite: InviteForm,
    pub rename: TeamField,
    /// Otherwise whoever is invited finds it on their page of teams.
    pub sends_mail: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TeamPerson {
    pub id: String,
    pub name: String,
    pub email: String,
    pub role: &'static str,
    pub since: Moment,
    pub is_me: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct TeamInvitation {
    pub id: String,
    pub email: String,
    pub role: &'static str,
    pub is_open: bool,
    pub until: Moment,
}

#[derive(Clone, Debug, Serialize)]
pub struct InviteForm {
    pub email: String,
    pub role: &'static str,
    pub error: Option<String>,
}

impl Default for InviteForm {
    fn default() -> Self {
        Self { email: String::new(), role: "member", error: None }
    }
}

impl View for TeamPage {
    const TEMPLATE: &'static str = "team.html";

    fn sample() -> Vec<Self> {
        let since = Moment::sample("2026-01-09T10:00:00Z", "9 January 2026");
        let person = |id: &str, name: &str, role, is_me| TeamPerson {
            id: id.into(),
            name: name.into(),
            email: format!("{id}@example.com"),
            role,
            since: since.clone(),
            is_me,
        };
        let invitation = |id: &str, email: &str, is_open| TeamInvitation {
            id: id.into(),
            email: email.into(),
            role: "member",
            is_open,
            until: Moment::sample("2026-04-08T09:00:00Z", "in 6 days"),
        };
        let owner = Self {
            layout: Layout::sample().in_section(Section::Apps),
            id: "t1".into(),
            name: "Night Desk".into(),
            is_owner: true,
            people: vec![
                person("alice", "Alice Moreau", "owner", true),
                person("sam", "Sam Rivers", "member", false),
            ],
            invitations: vec![
                invitation("i1", "new@example.com", true),
                invitation("i2", "late@example.com", false),
            ],
            app_count: 12,
            invite: InviteForm::default(),
            rename: TeamField { value: "Night Desk".into(), error: None },
            sends_mail: true,
        };
        let wrong = Self {
            invite: InviteForm {
                email: "sam".into(),
                role: "owner",
                error: Some("That is not an e-mail address.".into()),
            },
            rename: TeamField {
                value: "ND".into(),
                error: Some("Use at least 3 characters.".into()),
            },
            sends_mail: false,
            app_count: 0,
            ..owner.clone()
        };
        let member = Self {
            is_owner: false,
            invitations: Vec::new(),
            people: vec![
                person("sam", "Sam Rivers", "owner", false),
                person("alice", "Alice Moreau", "member", true),
            ],
            ..owner.clone()
        };
        vec![owner, wrong, member]
    }
}

/// The page behind the link of an invitation.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `join-team` | POST `/teams/invitation` | `link`, `invitation`, `decision` |
#[derive(Clone, Debug, Serialize)]
pub struct JoinTeam {
    pub layout: Layout,
    pub link: String,
    pub invitation: String,
    pub team: String,
    pub inviter: String,
    pub role: &'static str,
    pub until: Moment,
}

impl View for JoinTeam {
    const TEMPLATE: &'static str = "join_team.html";

    fn sample() -> Vec<Self> {
        let member = Self {
            layout: Layout::sample().in_section(Section::Apps),
            link: "cs_ml_sample".into(),
            invitation: "i1".into(),
            team: "Night Desk".into(),
            inviter: "Sam Rivers".into(),
            role: "member",
            until: Moment::sample("2026-04-08T09:00:00Z", "in 6 days"),
        };
        vec![member.clone(), Self { role: "owner", ..member }]
    }
}
