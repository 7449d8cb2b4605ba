//! What stands above every page about one application: its name, its state and the way to the
//! other pages about it.

use serde::Serialize;

use super::{AppKind, AppStatus};

/// `frame` of a page whose template extends `app_frame.html` and fills its block `app`.
#[derive(Clone, Debug, Serialize)]
pub struct AppFrame {
    pub id: String,
    pub name: String,
    /// As the developer last chose it, approved or not.
    pub logo_url: Option<String>,
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

/// Declares the pages about one application: name, title, and what follows `/apps/{id}`.
macro_rules! tabs {
    ($first:ident $first_title:literal $first_path:literal
     $($name:ident $title:literal $path:literal)*) => {
        /// The pages about one application, in the order in which they are shown.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum AppTab {
            #[default]
            $first,
            $($name,)*
        }

        impl AppTab {
            pub const ALL: &[Self] = &[Self::$first, $(Self::$name,)*];

            pub const fn title(self) -> &'static str {
                match self { Self::$first => $first_title, $(Self::$name => $title,)* }
            }

            /// Of the app `id`.
            pub fn path(self, id: &str) -> String {
                let pattern = match self { Self::$first => $first_path, $(Self::$name => $path,)* };
                pattern.replace("{id}", id)
            }
        }
    };
}

tabs! {
    Overview "Overview" "/apps/{id}"
    Credentials "Credentials" "/apps/{id}/credentials"
    Settings "Settings" "/apps/{id}/settings"
    Scopes "Scopes" "/apps/{id}/scopes"
    Team "Team" "/apps/{id}/team"
    Requests "Requests" "/apps/{id}/requests"
    Usage "Usage" "/apps/{id}/usage"
    Webhooks "Webhooks" "/apps/{id}/webhooks"
    Docs "Docs" "/docs?app={id}"
    TryIt "Try it" "/apps/{id}/try"
    Messages "Messages" "/apps/{id}/messages"
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
            logo_url: None,
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
