//! The consent page: who asks, as whom, for what, for how long, and where the user goes next.

use serde::Serialize;

use super::{Account, Layout, Moment, ScopeKind, Tier, View};

/// The decision of a user about an app's request.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `consent` | POST `action` | hidden `request`, hidden `csrf`, `scope` (repeated), `decision`; \
/// for a key `group` and `permission` (repeated), `confirm_money` |
///
/// Each optional scope is a checkbox `name="scope"`, `value` = `id` after `scope-` = the scope.
/// Required scopes are hidden inputs of the same name. The buttons are `name="decision"` with
/// value `allow` (id `allow`) and `deny` (id `deny`). The link to change account is
/// `#switch-account`. The page's `form-action` must include the redirect destination, because
/// browsers apply it to the redirect that follows (see [`csp`](crate::pages::csp())).
#[derive(Clone, Debug, Serialize)]
pub struct Consent {
    pub layout: Layout,
    pub action: String,
    /// The sealed authorization request; nothing of it is read back from the page.
    pub request: String,
    pub app: ConsentApp,
    pub destination: Destination,
    /// As whom.
    pub account: Account,
    pub switch_url: String,
    /// In any order; the page groups by kind.
    pub scopes: Vec<ConsentScope>,
    /// Asked for, but the app has it for so many users only, and they are there.
    pub full: Vec<FullScope>,
    /// Completes "Access lasts …": "30 days" or "until you take it back".
    pub lasts: String,
    /// A refresh token is issued, or the access token itself lasts.
    pub works_while_away: bool,
    /// The user consented before and this request differs.
    pub changes: Option<ConsentChanges>,
    /// The app asks for a key.
    pub key: Option<ConsentKey>,
    /// Its developer looks at it, and nothing can be pressed.
    pub preview: Option<Preview>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The page of the app.
    pub back: String,
    /// As it will be once everything is approved.
    pub proposed: bool,
}

/// What a key may do, for the user to pick: whole groups (`group`, value `name`) or single
/// permissions (`permission`, value `field`), all of them checkboxes.
#[derive(Clone, Debug, Serialize)]
pub struct ConsentKey {
    pub groups: Vec<KeyGroup>,
    /// Some group does: the box `confirm_money`, value `yes`, is there.
    pub moves_money: bool,
    pub is_confirmed: bool,
    /// What was sent moves money, without the box.
    pub lacks_confirmation: bool,
    /// A key that is not used for so long is disabled.
    pub unused_days: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct KeyGroup {
    pub name: String,
    /// In the user's language.
    pub title: String,
    pub moves_money: bool,
    pub ticked: bool,
    pub permissions: Vec<KeyPermission>,
}

#[derive(Clone, Debug, Serialize)]
pub struct KeyPermission {
    pub field: String,
    pub url: String,
    pub ticked: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct ConsentApp {
    pub name: String,
    /// Same-origin path or `data:` image. `None` unless the app's brand is verified.
    pub logo_url: Option<String>,
    /// Who is behind the app.
    pub publisher: Option<String>,
    /// Staff have seen that the name is theirs; apart from what the app may do.
    pub brand_verified: bool,
    pub verification: Verification,
    pub homepage: Option<String>,
    pub privacy_url: Option<String>,
    pub terms_url: Option<String>,
    /// Its developer tries it: nothing of it is approved, and no real data is reached.
    pub test: bool,
}

/// What this provider knows about the app's claims about itself.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Verification {
    Reviewed {
        on: Moment,
    },
    NotReviewed,
    /// The app describes itself in a document at this host (client-id metadata document).
    SelfDeclared {
        host: String,
    },
}

/// Where the browser goes after the decision.
#[derive(Clone, Debug, Serialize)]
pub struct Destination {
    pub kind: DestinationKind,
    /// The host (`bot.example.com`), `localhost:49152`, or the scheme (`com.example.app`).
    pub place: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationKind {
    Web,
    /// A program on the user's own computer: said loudly.
    Loopback,
    /// An app that registered a URL scheme, which any other app could too: said loudly.
    CustomScheme,
    /// A device that asked from this address, said loudly: the user stays here.
    Device,
    /// Nowhere: the user gets a code to give to the app of this name.
    Code,
}

#[derive(Clone, Debug, Serialize)]
pub struct ConsentScope {
    /// The scope as on the wire.
    pub id: String,
    pub kind: ScopeKind,
    pub tier: Tier,
    /// The operator's plain-language text.
    pub text: String,
    /// Why the developer says the app needs it.
    pub purpose: Option<String>,
    /// Cannot be unticked.
    pub required: bool,
    /// Whether an optional scope starts ticked.
    pub ticked: bool,
    /// Was not part of the last consent.
    pub new: bool,
    /// What its approval is bound to, as far as it concerns the user.
    pub condition: Option<String>,
}

/// A permission that others have every place of.
#[derive(Clone, Debug, Serialize)]
pub struct FullScope {
    pub text: String,
    pub user_max: u32,
}

/// How this request differs from what the user agreed to before.
#[derive(Clone, Debug, Serialize)]
pub struct ConsentChanges {
    pub last_consent_at: Moment,
    /// The plain-language texts of scopes asked for the first time.
    pub added: Vec<String>,
    /// The texts of scopes that are no longer asked for.
    pub removed: Vec<String>,
    /// Anything else, as a sentence: "The app was called *Bot* before."
    pub other: Vec<String>,
}

impl View for Consent {
    const TEMPLATE: &'static str = "consent.html";

    fn sample() -> Vec<Self> {
        let base = trading_bot();
        let again = Self {
            changes: Some(ConsentChanges {
                last_consent_at: Moment::sample("2026-01-09T10:00:00Z", "9 January 2026"),
                added: vec!["Withdraw funds to addresses you have saved".into()],
                removed: vec!["See your deposit history".into()],
                other: vec!["It was called “Bot One” then.".into()],
            }),
            scopes: base.scopes.iter().cloned().chain([withdraw()]).collect(),
            ..base.clone()
        };
        let to = |kind, place: &str| Self {
            destination: Destination { kind, place: place.into() },
            ..base.clone()
        };
        let device = to(DestinationKind::Device, "203.0.113.7");
        let code = to(DestinationKind::Code, "Trading Bot");
        let (local, declared) = (local_program(base.clone()), self_declared(base.clone()));
        let key = Self { key: Some(key_part(false)), works_while_away: false, ..base.clone() };
        let unconfirmed = Self { key: Some(key_part(true)), ..key.clone() };
        vec![base, again, local, declared, device, code, key, unconfirmed]
    }
}

fn trading_bot() -> Consent {
    Consent {
        layout: Layout::sample(),
        action: "/consent".into(),
        request: "sealed-request".into(),
        app: ConsentApp {
            name: "Trading Bot".into(),
            logo_url: None,
            publisher: Some("Northwind Labs".into()),
            brand_verified: true,
            verification: Verification::Reviewed {
                on: Moment::sample("2026-03-12T09:00:00Z", "12 March 2026"),
            },
            homepage: Some("https://bot.example.com/".into()),
            privacy_url: Some("https://bot.example.com/privacy".into()),
            terms_url: Some("https://bot.example.com/terms".into()),
            test: false,
        },
        destination: Destination { kind: DestinationKind::Web, place: "bot.example.com".into() },
        account: Account { name: "Alice Moreau".into(), email: "alice@example.com".into() },
        switch_url: "/sign-in?switch=1".into(),
        scopes: trading_scopes(),
        full: Vec::new(),
        lasts: "until you take it back, and ends by itself after 90 days without use".into(),
        works_while_away: true,
        changes: None,
        key: None,
        preview: None,
    }
}

fn key_part(lacks_confirmation: bool) -> ConsentKey {
    let permission = |group: &str, url: &str| KeyPermission {
        field: format!("{group} {url}"),
        url: url.into(),
        ticked: lacks_confirmation && group == "transfers",
    };
    let group = |name: &str, title: &str, urls: &[&str]| KeyGroup {
        name: name.into(),
        title: title.into(),
        moves_money: name == "transfers",
        ticked: lacks_confirmation && name == "trading",
        permissions: urls.iter().map(|url| permission(name, url)).collect(),
    };
    ConsentKey {
        groups: vec![
            group("trading", "Trading", &["/api/v4/order/new", "/api/v4/order/cancel"]),
            group("transfers", "Move money", &["/api/v4/main-account/transfer"]),
        ],
        moves_money: true,
        is_confirmed: false,
        lacks_confirmation,
        unused_days: 14,
    }
}

fn trading_scopes() -> Vec<ConsentScope> {
    let scope = |id: &str, kind, tier, text: &str, purpose: &str, required| ConsentScope {
        id: id.into(),
        kind,
        tier,
        text: text.into(),
        purpose: Some(purpose.into()),
        required,
        ticked: true,
        new: false,
        condition: None,
    };
    vec![
        scope(
            "balances.read",
            ScopeKind::Read,
            Tier::Sensitive,
            "See your balances",
            "To size orders so that they never exceed what you hold.",
            true,
        ),
        scope(
            "history.read",
            ScopeKind::Read,
            Tier::Low,
            "See your past trades",
            "To draw your profit and loss.",
            false,
        ),
        scope(
            "orders.cancel",
            ScopeKind::Change,
            Tier::Sensitive,
            "Cancel your open orders",
            "To clear old orders when the strategy changes.",
            false,
        ),
        scope(
            "orders.place",
            ScopeKind::Money,
            Tier::High,
            "Buy and sell with your funds",
            "To follow the strategy that you choose.",
            true,
        ),
    ]
}

fn withdraw() -> ConsentScope {
    ConsentScope {
        id: "withdraw".into(),
        kind: ScopeKind::Money,
        tier: Tier::High,
        text: "Withdraw funds to addresses you have saved".into(),
        purpose: None,
        required: false,
        ticked: false,
        new: true,
        condition: Some("Until 3 May 2027 only.".into()),
    }
}

fn local_program(base: Consent) -> Consent {
    Consent {
        app: ConsentApp {
            name: "Portfolio Tracker".into(),
            publisher: None,
            brand_verified: false,
            verification: Verification::NotReviewed,
            homepage: None,
            privacy_url: None,
            terms_url: None,
            ..base.app
        },
        destination: Destination {
            kind: DestinationKind::Loopback,
            place: "localhost:49152".into(),
        },
        scopes: base.scopes.into_iter().filter(|s| s.kind == ScopeKind::Read).collect(),
        full: vec![FullScope { text: "Buy and sell with your funds".into(), user_max: 100 }],
        lasts: "1 hour".into(),
        works_while_away: false,
        ..base
    }
}

fn self_declared(base: Consent) -> Consent {
    Consent {
        app: ConsentApp {
            name: "Pocket Orders".into(),
            logo_url: Some("/assets/consentry.svg".into()),
            verification: Verification::SelfDeclared { host: "pocket.example.net".into() },
            ..base.app
        },
        destination: Destination {
            kind: DestinationKind::CustomScheme,
            place: "net.example.pocket".into(),
        },
        ..base
    }
}
