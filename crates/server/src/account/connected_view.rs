//! What the pages of connected apps say about the rows that `connected` read.

use domain::app::App;
use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::consent::Consent;
use domain::grant::{Grant, Mode};
use domain::key_terms::{Endpoint, PermissionGroup};
use domain::partner_key::{KeyStatus, PartnerKey, Permission};
use domain::policy::{Policy, ScopeKind};
use domain::time::Timestamp;
use protocol::scope::{ScopeName, ScopeSet};
use store::usage::FamilyUse;

use super::connected::{UNUSED_AFTER, ends_access};
use crate::display;
use crate::pages::views::{
    CalledFamily, ConnectedApp, ConnectedCard, ConnectedKey, ConnectedScope, HistoryEntry,
    KeyPermissions, KeyState, Layout, LiveGrant,
};

/// A consent with its app and what the app called.
pub struct Known {
    pub app: App,
    pub consent: Consent,
    pub families: Vec<FamilyUse>,
}

/// The same with everything that its own page shows.
pub struct Connected {
    pub known: Known,
    pub grants: Vec<Grant>,
    pub key: Option<PartnerKey>,
    /// Newest first.
    pub history: Vec<AuditEvent>,
}

impl Known {
    fn last_use(&self) -> Option<&FamilyUse> {
        self.families.iter().max_by_key(|family| family.last_at)
    }

    fn last_used_at(&self) -> Option<Timestamp> {
        self.last_use().map(|family| family.last_at)
    }

    /// When the app was last heard of: its last call, or the consent.
    pub fn last_seen_at(&self) -> Timestamp {
        self.last_used_at().unwrap_or(self.consent.given_at)
    }

    fn is_unused(&self, now: Timestamp) -> bool {
        now.since(self.last_seen_at()) >= UNUSED_AFTER
    }

    pub fn card(&self, policy: &Policy, key: Option<&PartnerKey>, now: Timestamp) -> ConnectedCard {
        let scopes = self.consent.live_scopes();
        let moves_money = |name: &ScopeName| {
            policy.scope(name).is_some_and(|scope| scope.kind == ScopeKind::Money)
        };
        ConnectedCard {
            id: self.consent.id.to_string(),
            name: self.app.name.clone(),
            logo_url: display::verified_logo(&self.app),
            publisher: display::publisher(&self.app),
            granted_at: display::moment(now, self.consent.given_at),
            last_used_at: self.last_used_at().map(|at| display::moment(now, at)),
            scope_count: scopes.len() as u64,
            moves_money: scopes.iter().any(moves_money),
            unused: self.is_unused(now),
            test: self.consent.mode == Mode::Test,
            key: key.map(|key| if key.is_active() { KeyState::Active } else { KeyState::Disabled }),
        }
    }
}

impl Connected {
    pub fn page(&self, layout: Layout, policy: &Policy, now: Timestamp) -> ConnectedApp {
        let Known { app, consent, families } = &self.known;
        let mut called: Vec<_> = families.iter().map(called_family).collect();
        called.sort_by_key(|family| std::cmp::Reverse(family.count));
        let mut grants: Vec<_> = self.grants.iter().collect();
        grants.sort_by_key(|grant| std::cmp::Reverse(grant.created_at));
        ConnectedApp {
            layout,
            id: consent.id.to_string(),
            name: app.name.clone(),
            logo_url: display::verified_logo(app),
            publisher: display::publisher(app),
            homepage: app.homepage.clone(),
            granted_at: display::moment(now, consent.given_at),
            last_used_at: self.known.last_used_at().map(|at| display::moment(now, at)),
            last_used_from: self.known.last_use().map(|family| family.last_address.to_string()),
            unused: self.known.is_unused(now),
            test: consent.mode == Mode::Test,
            scopes: self.scopes(policy),
            grants: grants.into_iter().map(|grant| self.live_grant(grant, now)).collect(),
            key: self.key.as_ref().map(|key| connected_key(key, policy, now)),
            called,
            called_span: format!("since {}", display::date(consent.given_at)),
            history: self.history(policy, now),
        }
    }

    fn scopes(&self, policy: &Policy) -> Vec<ConnectedScope> {
        let Known { app, consent, .. } = &self.known;
        let one = |name: &ScopeName| {
            let words = display::scope(policy, name);
            ConnectedScope {
                id: name.to_string(),
                kind: words.kind,
                tier: words.tier,
                text: words.text,
                ends_access: ends_access(app, consent, name),
            }
        };
        consent.live_scopes().iter().map(one).collect()
    }

    fn live_grant(&self, grant: &Grant, now: Timestamp) -> LiveGrant {
        // A grant is born used; only what came after the birth is worth telling.
        let used = Some(grant.last_used_at).filter(|at| *at > grant.created_at);
        LiveGrant {
            id: grant.id.to_string(),
            label: match grant.device_address {
                Some(_) => "Device that you gave a code to".to_owned(),
                None => display::app_kind_words(self.known.app.kind).to_owned(),
            },
            created_at: display::moment(now, grant.created_at),
            last_used_at: used.map(|at| display::moment(now, at)),
            address: grant.device_address.map(|address| address.to_string()),
        }
    }

    fn history(&self, policy: &Policy, now: Timestamp) -> Vec<HistoryEntry> {
        let entry = |event: &AuditEvent| {
            let text = history_text(policy, event)?;
            Some(HistoryEntry { at: display::moment(now, event.at), text })
        };
        self.history.iter().filter_map(entry).collect()
    }
}

/// A permission that the config no longer has permits nothing, and is not shown.
fn connected_key(key: &PartnerKey, policy: &Policy, now: Timestamp) -> ConnectedKey {
    let groups = policy.partner_keys.iter().flat_map(|terms| &terms.groups);
    let group = |group: &PermissionGroup| {
        let granted = |url: &&Endpoint| {
            let is_it = |one: &Permission| one.group == group.name && one.url == url.url;
            key.permissions.iter().any(is_it)
        };
        let urls: Vec<_> =
            group.endpoints.iter().filter(granted).map(|one| one.url.clone()).collect();
        let (title, moves_money) = (group.title.text.clone(), group.moves_money);
        (!urls.is_empty()).then_some(KeyPermissions { title, moves_money, urls })
    };
    ConnectedKey {
        public: key.public.clone(),
        created_at: display::moment(now, key.created_at),
        last_used_at: key.last_used_at.map(|at| display::moment(now, at)),
        disabled_at: match key.status {
            KeyStatus::Active => None,
            KeyStatus::Disabled { at, .. } => Some(display::moment(now, at)),
        },
        permissions: groups.filter_map(group).collect(),
    }
}

fn called_family(family: &FamilyUse) -> CalledFamily {
    CalledFamily { family: family.family.clone(), count: family.calls, refused: family.refused }
}

/// An audit entry as a sentence to the user; `None` for what says nothing to them.
fn history_text(policy: &Policy, event: &AuditEvent) -> Option<String> {
    let by_user = matches!(event.actor, AuditActor::User(id) if event.user_id == Some(id));
    let text = match event.kind {
        AuditKind::ConsentGiven => decision_text(policy, event),
        AuditKind::ConsentDenied => "You said no to what it asked for.".to_owned(),
        AuditKind::ConsentNarrowed => match named_scope(policy, event) {
            Some(text) => format!("You took back “{text}”."),
            None => "You took a permission back.".to_owned(),
        },
        AuditKind::ConsentWithdrawn if by_user => "You ended all its access.".to_owned(),
        AuditKind::ConsentWithdrawn => "All its access was ended.".to_owned(),
        AuditKind::UserCodeShown => "You were shown a code for it.".to_owned(),
        AuditKind::GrantCreated => match event.detail.get("device").and_then(|at| at.as_str()) {
            Some(address) => format!("It signed in on a device at {address}."),
            None => "It signed in.".to_owned(),
        },
        AuditKind::GrantRefreshed => "Its access was renewed.".to_owned(),
        AuditKind::GrantRevoked => match event.actor {
            AuditActor::User(_) if by_user => "You ended one of its sign-ins.".to_owned(),
            AuditActor::App(_) => "The app ended one of its sign-ins itself.".to_owned(),
            _ => "One of its sign-ins was ended.".to_owned(),
        },
        AuditKind::CodeReplayed => {
            "Someone used one of its sign-in codes a second time. We ended that sign-in.".to_owned()
        }
        AuditKind::RefreshTheft => {
            "Someone used a copy of one of its tokens. We ended that sign-in.".to_owned()
        }
        AuditKind::PartnerKeyIssued => "You let it have a key.".to_owned(),
        AuditKind::PartnerKeySecretRead => "It got the secret of its key.".to_owned(),
        AuditKind::PartnerKeyDisabled => {
            "Its key was disabled, because it was not used for too long.".to_owned()
        }
        AuditKind::PartnerKeyEnded => match event.detail.get("why").and_then(|why| why.as_str()) {
            Some("user") => "You removed its key.".to_owned(),
            Some("app") => "The app deleted its key.".to_owned(),
            Some("password") => "Its key ended when your password changed.".to_owned(),
            Some("blocked") => "Its key ended when your account was blocked.".to_owned(),
            // All else ended with it, which is told.
            _ => return None,
        },
        AuditKind::TokenRevoked => "The app gave a token back.".to_owned(),
        AuditKind::AppReported => "You told us about it.".to_owned(),
        _ => return None,
    };
    Some(text)
}

/// What the user allowed, and what they left out: the app is not told why something does not work,
/// so they should find it here.
fn decision_text(policy: &Policy, event: &AuditEvent) -> String {
    let scopes =
        |name: &str| -> Option<ScopeSet> { event.detail.get(name)?.as_str()?.parse().ok() };
    let Some(allowed) = scopes("allowed") else { return "You let it in.".to_owned() };
    let allowed_text = match allowed.len() {
        1 => "You allowed 1 permission".to_owned(),
        count => format!("You allowed {count} permissions"),
    };
    let left_out = scopes("asked").unwrap_or_default().difference(&allowed);
    let left_out: Vec<_> =
        left_out.iter().map(|name| format!("“{}”", display::scope(policy, name).text)).collect();
    match left_out.is_empty() {
        true => format!("{allowed_text}."),
        false => format!("{allowed_text} and left out {}.", left_out.join(", ")),
    }
}

fn named_scope(policy: &Policy, event: &AuditEvent) -> Option<String> {
    let name = ScopeName::parse(event.detail.get("scope")?.as_str()?).ok()?;
    Some(display::scope(policy, &name).text)
}
