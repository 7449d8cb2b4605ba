//! Apps as they cross the wire.

use std::collections::BTreeMap;

use domain::app::AppKind;
use domain::id::{AppId, TeamId};
use ipnet::IpNet;
use protocol::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};

use crate::admin::schema::{choices, wire};

choices! {
    /// What an app may do as a whole.
    pub enum Status {
        InReview = "in_review",
        Live = "live",
        Rejected = "rejected",
        Suspended = "suspended",
        Retired = "retired",
    }
}

wire! {
    /// What the operator says about a new app.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewApp {
        /// What users read on the consent page. It may be the provider's own name.
        pub name: String,
        /// Where it runs, and so whether it can keep a secret. It cannot be changed later.
        pub kind: AppKind,
        /// The e-mail address of its developer, who has an account.
        pub owner: String,
        /// What it does, for users and reviewers.
        #[serde(default)]
        pub description: String,
        /// A page that says who is behind it, `https://…`.
        pub homepage: Option<String>,
        /// Who stands behind it; its developer's name otherwise.
        pub publisher: Option<String>,
        /// Where users are sent back to.
        #[serde(default)]
        pub redirect_uris: Vec<String>,
        /// Each scope with what the app needs it for: `{"orders.read": "Show your orders"}`.
        #[serde(default)]
        pub scopes: BTreeMap<ScopeName, String>,
        /// Those of `scopes` that the app cannot work without, separated by spaces.
        #[serde(default)]
        pub required: ScopeSet,
        /// What it may do for itself, by client credentials, separated by spaces.
        #[serde(default)]
        pub service_scopes: ScopeSet,
        /// Networks that it may call from; without any, from anywhere.
        #[serde(default)]
        pub addresses: Vec<IpNet>,
        /// The dialect whose endpoints it uses.
        pub dialect: Option<String>,
        /// With a dialect: it is known at the standard endpoints too.
        #[serde(default)]
        pub also_standard: bool,
        /// Chosen instead of made up, for an app that moves here from elsewhere.
        pub client_id: Option<String>,
        /// Chosen instead of made up, as `client_id`.
        pub client_secret: Option<String>,
    }

    /// A team of developers.
    #[derive(Clone, Debug, Serialize)]
    pub struct TeamRecord {
        /// As the audit trail names it.
        pub id: TeamId,
        /// What people call it.
        pub name: String,
    }

    /// An app. Never a secret, but in the answer that made it.
    #[derive(Clone, Debug, Serialize)]
    pub struct AppRecord {
        /// As the audit trail names it.
        pub id: AppId,
        /// What it is called on the wire, and here.
        pub client_id: String,
        /// What users read.
        pub name: String,
        /// Where it runs.
        pub kind: AppKind,
        /// Whether it works.
        pub status: Status,
        /// Why it was rejected or suspended.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// Something of it waits for staff.
        pub awaits_review: bool,
        /// Its developer has stopped it; its tests go on.
        pub paused: bool,
        /// The e-mail address of its developer; of a team's app, of who answers for it there.
        pub owner: String,
        /// The team that it belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub team: Option<TeamRecord>,
        /// The member of staff who takes care of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub assigned_to: Option<String>,
        /// Staff have seen that name, logo and publisher belong together.
        pub brand_verified: bool,
        /// Since when the policy wants staff to look at it once more.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub due_again_at: Option<String>,
        /// When its developers were told that nobody uses it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub reminded_at: Option<String>,
        /// When it was retired; its developers can wake it up.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub retired_at: Option<String>,
        /// The plan that it was given; absent: the one that apps have.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub plan: Option<String>,
        /// What it is called on the wire when its developers try it.
        pub test_client_id: String,
        /// Who stands behind it, as the consent page says it.
        pub publisher: String,
        /// What it does.
        pub description: String,
        /// A page that says who is behind it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub homepage: Option<String>,
        /// Its privacy policy.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub privacy_url: Option<String>,
        /// Its terms.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub terms_url: Option<String>,
        /// Where users are sent back to.
        pub redirect_uris: Vec<String>,
        /// What it asks for, separated by spaces.
        pub scopes_requested: ScopeSet,
        /// What it may do at most, separated by spaces.
        pub scopes_approved: ScopeSet,
        /// What it may do for itself, separated by spaces.
        pub service_scopes: ScopeSet,
        /// Where it may call from; without any, from anywhere.
        pub addresses: Vec<IpNet>,
        /// The dialect whose endpoints it uses.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub dialect: Option<String>,
        /// When it was registered.
        pub created_at: String,
        /// When anything changed that staff look at or decide.
        pub changed_at: String,
        /// Another number with each such change.
        pub revision: i64,
        /// Its secret, in the answer that made it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub client_secret: Option<String>,
    }

    /// What of an app can be changed. Its scopes are approved by decisions.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct AppSettings {
        /// What users read on the consent page.
        #[serde(default)]
        pub name: String,
        /// What it does.
        #[serde(default)]
        pub description: String,
        /// Who stands behind it.
        #[serde(default)]
        pub publisher: String,
        /// A page that says who is behind it; `null`: none.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub homepage: Option<String>,
        /// Its privacy policy; `null`: none.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub privacy_url: Option<String>,
        /// Its terms; `null`: none.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub terms_url: Option<String>,
        /// Where users are sent back to: all of them.
        #[serde(default)]
        pub redirect_uris: Vec<String>,
        /// Where it may call from: all networks; `null`: from anywhere.
        #[serde(default)]
        pub addresses: Vec<IpNet>,
    }

    /// Why something is done.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Reason {
        /// Kept in the audit trail; of a suspension, told to the developer.
        #[serde(default)]
        pub reason: String,
    }

    /// Which apps.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct AppQuery {
        /// Only with this status.
        pub status: Option<Status>,
        /// Only of this kind.
        pub kind: Option<AppKind>,
        /// Only of this developer: an id or an e-mail address.
        pub owner: Option<String>,
        /// Only of this dialect.
        pub dialect: Option<String>,
        /// `true`: only what waits for staff.
        pub awaits_review: Option<bool>,
        /// In the name, as people read it, or the client id exactly.
        pub q: Option<String>,
        /// Apps on a page, 1 to 1000; 100 unless you say.
        #[serde(skip_serializing)]
        pub limit: Option<u32>,
        /// `next_cursor` of the page before.
        #[serde(skip_serializing)]
        pub cursor: Option<String>,
    }
}
