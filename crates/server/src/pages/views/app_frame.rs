//! What stands above every page about one application: its name, its state and the way to the
//! other pages about it.

use serde::Serialize;

use super::{AppKind, AppStatus};

/// `frame` of a page whose template extends `app_frame.html` and fills its block `app`.
#[derive(Clone, Debug, Serialize)]
pub struct AppFrame {
    pub id: String,
    pub name: String,
    pub kind: AppKind,
    pub status: AppStatus,
    pub tabs: Vec<AppTabLink>,
}

#[derive(Clone, Debug, Serialize)]
pub struct AppTabLink {
    pub path: String,
    pub title: &'static str,
    pub is_current: bool,
}

/// The pages about one application, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppTab {
    Overview,
    Webhooks,
}

impl AppTab {
    pub const ALL: &[Self] = &[Self::Overview, Self::Webhooks];

    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Webhooks => "Webhooks",
        }
    }

    /// Of the app `id`.
    pub fn path(self, id: &str) -> String {
        match self {
            Self::Overview => format!("/apps/{id}"),
            Self::Webhooks => format!("/apps/{id}/webhooks"),
        }
    }
}

impl AppFrame {
    /// `shown`: the pages that this app has.
    pub fn new(
        (id, name): (&str, &str),
        (kind, status): (AppKind, AppStatus),
        shown: &[AppTab],
        current: AppTab,
    ) -> Self {
        let link = |tab: &AppTab| AppTabLink {
            path: tab.path(id),
            title: tab.title(),
            is_current: *tab == current,
        };
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            kind,
            status,
            tabs: shown.iter().map(link).collect(),
        }
    }

    /// For samples of views.
    pub(super) fn sample(current: AppTab) -> Self {
        let what = (AppKind::Web, AppStatus::Live);
        Self::new(("a1", "Trading Bot"), what, AppTab::ALL, current)
    }
}
