//! What webhooks tell, and to whom. An event holds no secret, and of a user only what the app
//! knows already.

use protocol::scope::ScopeSet;
use serde::Serialize;
use serde_json::{Value, json};

use crate::grant::{Grant, RevokeReason};
use crate::id::{CredentialId, GrantId};
use crate::time::Timestamp;

/// One thing that happened. `data` on the wire are the fields of its variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// A user let the app in.
    #[serde(rename = "grant.created")]
    GrantCreated(ToldGrant),
    /// It may do less than before.
    #[serde(rename = "grant.changed")]
    GrantChanged(ToldGrant),
    #[serde(rename = "grant.revoked")]
    GrantRevoked {
        #[serde(flatten)]
        grant: ToldGrant,
        reason: &'static str,
    },
    #[serde(rename = "secret.expiring")]
    SecretExpiring { secret: CredentialId, ends_with: String, expires_at: String },
    /// `decision`: `approved`, `changes_asked` or `rejected`. `scopes`: what the app is approved
    /// for now.
    #[serde(rename = "review.decided")]
    ReviewDecided { decision: &'static str, scopes: ScopeSet, note: String },
    #[serde(rename = "app.suspended")]
    AppSuspended { reason: String },
    #[serde(rename = "app.resumed")]
    AppResumed { reason: String },
    /// `decision`: `approved` or `rejected`.
    #[serde(rename = "plan.decided")]
    PlanDecided { plan: String, decision: &'static str, note: String },
    #[serde(rename = "perk.decided")]
    PerkDecided { perk: String, decision: &'static str, note: String },
    /// An app, or a change of one, waits for staff.
    #[serde(rename = "app.submitted")]
    AppSubmitted {},
    /// A user told staff about an app.
    #[serde(rename = "app.reported")]
    AppReported {},
    /// Its developer tries the endpoint.
    #[serde(rename = "test")]
    Test {},
}

/// A grant as its app knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldGrant {
    pub grant_id: GrantId,
    /// As in tokens and introspection.
    pub sub: String,
    pub scope: ScopeSet,
}

impl ToldGrant {
    /// `None`: the app acts for itself, and knows what it did.
    pub fn of(grant: &Grant) -> Option<Self> {
        let sub = grant.user_id()?.to_string();
        Some(Self { grant_id: grant.id, sub, scope: grant.scopes.clone() })
    }
}

impl Event {
    pub fn grant_revoked(grant: ToldGrant, reason: RevokeReason) -> Self {
        let reason = match reason {
            RevokeReason::User => "user",
            RevokeReason::App => "app",
            RevokeReason::Staff => "staff",
            RevokeReason::CodeReplayed => "code_replayed",
            RevokeReason::RefreshTheft => "refresh_theft",
            RevokeReason::Evicted => "too_many",
        };
        Self::GrantRevoked { grant, reason }
    }

    pub const fn kind(&self) -> EventKind {
        match self {
            Self::GrantCreated(_) => EventKind::GrantCreated,
            Self::GrantChanged(_) => EventKind::GrantChanged,
            Self::GrantRevoked { .. } => EventKind::GrantRevoked,
            Self::SecretExpiring { .. } => EventKind::SecretExpiring,
            Self::ReviewDecided { .. } => EventKind::ReviewDecided,
            Self::AppSuspended { .. } => EventKind::AppSuspended,
            Self::AppResumed { .. } => EventKind::AppResumed,
            Self::PlanDecided { .. } => EventKind::PlanDecided,
            Self::PerkDecided { .. } => EventKind::PerkDecided,
            Self::AppSubmitted {} => EventKind::AppSubmitted,
            Self::AppReported {} => EventKind::AppReported,
            Self::Test {} => EventKind::Test,
        }
    }

    /// The body of the message, which stays the same however often it is sent.
    pub fn body(&self, app: &AboutApp<'_>, now: Timestamp) -> String {
        let mut body = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(body) = &mut body {
            body.insert("timestamp".to_owned(), now.to_rfc3339().into());
            let data = body.entry("data").or_insert_with(|| json!({}));
            if let Value::Object(data) = data {
                data.insert("client_id".to_owned(), app.client_id.into());
                data.insert("app".to_owned(), app.name.into());
            }
        }
        body.to_string()
    }
}

/// Which app an event is about, in every message.
#[derive(Clone, Copy, Debug)]
pub struct AboutApp<'a> {
    pub client_id: &'a str,
    pub name: &'a str,
}

/// Who can ask to hear of a kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    App,
    Operator,
    Both,
}

macro_rules! kinds {
    ($($name:ident = $text:literal, $audience:ident, $about:literal;)*) => {
        /// By which endpoints choose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $($name,)* }

        impl EventKind {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As the wire, the config and the database call it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// For whoever chooses.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }

            const fn audience(self) -> Audience {
                match self { $(Self::$name => Audience::$audience,)* }
            }
        }
    };
}

kinds! {
    GrantCreated = "grant.created", App, "A user let the app in.";
    GrantChanged = "grant.changed", App, "A user took a permission back.";
    GrantRevoked = "grant.revoked", App, "A grant ended before its time, by whoever ended it.";
    SecretExpiring = "secret.expiring", App, "A secret ends in a week, and again in a day.";
    ReviewDecided = "review.decided", App, "Staff approved, rejected or asked for changes.";
    AppSuspended = "app.suspended", Both, "Staff suspended the app.";
    AppResumed = "app.resumed", Both, "Staff let the app go on.";
    PlanDecided = "plan.decided", Both, "Staff decided about another plan.";
    PerkDecided = "perk.decided", Both, "Staff decided about a perk.";
    AppSubmitted = "app.submitted", Operator, "An app, or a change of one, waits for review.";
    AppReported = "app.reported", Operator, "A user reported an app.";
    Test = "test", App, "You sent it yourself.";
}

impl EventKind {
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|kind| kind.name() == name).copied()
    }

    pub fn is_for_apps(self) -> bool {
        self.audience() != Audience::Operator
    }

    pub fn is_for_operators(self) -> bool {
        self.audience() != Audience::App
    }

    /// What an app's endpoint can be asked to hear; a test comes to every one.
    pub fn offered_to_apps() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|kind| kind.is_for_apps() && *kind != Self::Test)
    }

    pub fn offered_to_operators() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|kind| kind.is_for_operators())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AboutApp<'_> = AboutApp { client_id: "bot", name: "Trading \"Bot\"" };
    const NOW: Timestamp = Timestamp::from_millis(1_775_120_400_123);

    #[test]
    fn a_body_says_what_happened_when_and_to_which_app() {
        let grant = ToldGrant {
            grant_id: GrantId::from_bytes([1; 16]),
            sub: "u".to_owned(),
            scope: "orders.read balances.read".parse().unwrap(),
        };
        let event = Event::grant_revoked(grant, RevokeReason::User);
        let body: Value = serde_json::from_str(&event.body(&APP, NOW)).unwrap();
        let expected = json!({
            "type": "grant.revoked",
            "timestamp": "2026-04-02T09:00:00.123Z",
            "data": {
                "client_id": "bot",
                "app": "Trading \"Bot\"",
                "grant_id": "01010101010101010101010101010101",
                "sub": "u",
                "scope": "balances.read orders.read",
                "reason": "user",
            },
        });
        assert_eq!(body, expected);
        assert_eq!(body["type"], event.kind().name());
    }

    #[test]
    fn an_event_without_data_of_its_own_is_about_an_app_too() {
        let body: Value = serde_json::from_str(&Event::Test {}.body(&APP, NOW)).unwrap();
        assert_eq!((&body["type"], &body["data"]["client_id"]), (&"test".into(), &"bot".into()));
    }

    #[test]
    fn a_kind_is_known_by_its_name_and_somebody_can_hear_of_it() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.name()), Some(*kind));
            assert!(kind.is_for_apps() || kind.is_for_operators());
        }
        assert!(!EventKind::offered_to_apps().any(|kind| kind == EventKind::AppReported));
        assert!(!EventKind::offered_to_operators().any(|kind| kind == EventKind::GrantCreated));
    }
}
