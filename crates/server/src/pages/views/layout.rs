//! What all pages share: who is signed in, where they can go, a short message, a moment in time.

use jiff::Timestamp;
use serde::Serialize;

use crate::pages::words;

/// The frame of every page.
///
/// The sign-out form in the header: `sign-out`, POST `/sign-out`, field `csrf`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Layout {
    /// Who is signed in; `None` shows a "Sign in" link instead of the menu.
    pub account: Option<Account>,
    /// Which menu entries are shown besides *Connected apps*.
    pub roles: Roles,
    /// The menu entry to mark as the current one.
    pub section: Option<Section>,
    /// A message about what has just happened, shown once above the page's content.
    pub flash: Option<Flash>,
    /// The token that every form of the page carries as `csrf`.
    pub csrf: String,
}

impl Layout {
    /// A page for nobody in particular. `csrf` belongs to the anonymous session.
    pub fn signed_out(csrf: impl Into<String>) -> Self {
        Self { csrf: csrf.into(), ..Self::default() }
    }

    pub fn signed_in(account: Account, roles: Roles, csrf: impl Into<String>) -> Self {
        Self { account: Some(account), roles, csrf: csrf.into(), ..Self::default() }
    }

    #[must_use]
    pub fn in_section(self, section: Section) -> Self {
        Self { section: Some(section), ..self }
    }

    #[must_use]
    pub fn with_flash(self, flash: Option<Flash>) -> Self {
        Self { flash, ..self }
    }

    pub(super) fn sample() -> Self {
        let account = Account { name: "Alice Moreau".into(), email: "alice@example.com".into() };
        Self::signed_in(account, Roles { developer: true, staff: false }, "csrf-sample")
    }

    pub(super) fn staff_sample() -> Self {
        let account = Account { name: "Rita Viewer".into(), email: "review@example.com".into() };
        Self::signed_in(account, Roles { developer: false, staff: true }, "csrf-sample")
    }
}

/// The signed-in user as a person would recognise themselves.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    pub name: String,
    pub email: String,
}

/// Decides the menu: *Connected apps* for everyone, *My applications* and *Docs* for developers,
/// *Review*, *All apps* and *Plans* for staff.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Roles {
    pub developer: bool,
    pub staff: bool,
}

/// A menu entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    Account,
    Connected,
    Apps,
    Docs,
    Review,
    StaffApps,
    PlanRequests,
    Audit,
}

/// A message about what the last request did.
#[derive(Clone, Debug, Serialize)]
pub struct Flash {
    pub kind: FlashKind,
    pub text: String,
}

impl Flash {
    pub fn done(text: impl Into<String>) -> Self {
        Self { kind: FlashKind::Done, text: text.into() }
    }

    pub fn problem(text: impl Into<String>) -> Self {
        Self { kind: FlashKind::Problem, text: text.into() }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlashKind {
    Done,
    Problem,
}

/// A moment as `<time datetime="iso">text</time>`.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// RFC 3339, UTC.
    pub iso: String,
    /// For people: "3 hours ago" within a week, else "12 March 2026".
    pub text: String,
}

impl Moment {
    /// `at` in words as seen from `now`.
    pub fn seen_from(now: Timestamp, at: Timestamp) -> Self {
        Self { iso: words::iso(at), text: words::moment(now, at) }
    }

    pub(super) fn sample(iso: &str, text: &str) -> Self {
        Self { iso: iso.into(), text: text.into() }
    }
}

/// What kind of thing a scope lets an app do; the consent page groups by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    Read,
    Change,
    Money,
}

/// How much harm a scope can do. Low has no badge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Low,
    Sensitive,
    High,
}
