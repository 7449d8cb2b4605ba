//! The app and the policy that tests start from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::app::{App, AppKind, AppLifetimes, AppStatus, Approval, ScopeRequest, Turn};
use domain::condition::ReviewState;
use domain::grant::Mode;
use domain::id::AppId;
use domain::policy::{
    AccountPolicy, HighTierRule, IntrospectionCredentials, Lifetimes, Policy, Registration,
    Resource, ReviewPolicy, ScopeDefinition, ScopeKind, ScopeTier, TokenFormat,
};
use domain::revision::RevisionField;
use domain::sign_in::SignInPolicy;
use domain::user::User;
use protocol::dialect::{AuthorizeEndpoint, Dialect, DialectLifetimes, Relaxed};
use protocol::envelope::ErrorEnvelope;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::route::RouteTable;
use protocol::scope::ScopeName;

use crate::harness::{API, CALLBACK, ISSUER, JWT_API, OTHER_API};

/// See [`crate::harness::TestApp::add_app`].
pub fn app(id: AppId, client_id: &str, kind: AppKind, owner: &User) -> App {
    let request = |scope: &str, required| ScopeRequest {
        scope: scope.parse().unwrap(),
        purpose: format!("To use {scope}."),
        required,
    };
    let policy = if kind == AppKind::Native { RedirectPolicy::Native } else { RedirectPolicy::Web };
    App {
        id,
        mode: Mode::Live,
        client_id: client_id.to_owned(),
        kind,
        name: format!("The {client_id}"),
        description: "Trades while you sleep.".to_owned(),
        homepage: Some("https://bot.example.com/".to_owned()),
        privacy_url: None,
        terms_url: None,
        owner: owner.id,
        team: None,
        publisher: "Northwind Labs".to_owned(),
        logo: None,
        status: AppStatus::Live { since: owner.created_at, approval: Approval::Unreviewed },
        paused_at: None,
        redirect_uris: vec![RedirectUri::register(policy, CALLBACK).unwrap()],
        requested: vec![
            request("balances.read", true),
            request("orders.read", false),
            request("orders.create", false),
        ],
        approved: "balances.read orders.read orders.create".parse().unwrap(),
        service_scopes: "balances.read".parse().unwrap(),
        addresses: Vec::new(),
        lifetimes: AppLifetimes::default(),
        rotates_refresh_tokens: true,
        optional_ticked: true,
        dialect: None,
        also_standard: false,
        keys: None,
        created_at: owner.created_at,
        plan: None,
        proposed: None,
        turn: Turn::Staff,
        changed_at: owner.created_at,
        has_webhooks: false,
        review: ReviewState::default(),
    }
}

/// Four scopes and three APIs.
pub fn policy(api_secret_mac: [u8; 32]) -> Policy {
    let scope = |name: &str, text: &str, kind, tier| {
        let name = ScopeName::parse(name).unwrap();
        (name.clone(), ScopeDefinition { name, text: text.to_owned(), kind, tier })
    };
    let resource = |identifier: &str, id: &str, token_format| Resource {
        identifier: identifier.to_owned(),
        name: format!("The {id}"),
        host: None,
        path_prefix: "/api".to_owned(),
        upstream: None,
        test_upstream: None,
        envelope: ErrorEnvelope::problem_json(),
        introspection: Some(IntrospectionCredentials {
            id: id.to_owned(),
            secret_mac: api_secret_mac,
        }),
        token_format,
        routes: RouteTable::new(),
        api_document: None,
        rate_per_app: None,
        rate_per_user: None,
        cors: None,
        drop_request_headers: [].into(),
    };
    Policy {
        issuer: ISSUER.to_owned(),
        scopes: BTreeMap::from([
            scope("balances.read", "See your balances", ScopeKind::Read, ScopeTier::Sensitive),
            scope("orders.read", "See your orders", ScopeKind::Read, ScopeTier::Low),
            scope("orders.create", "Buy and sell", ScopeKind::Money, ScopeTier::High),
            scope("withdraw", "Move money out", ScopeKind::Money, ScopeTier::High),
        ]),
        resources: vec![
            resource(API, "api", TokenFormat::Opaque),
            resource(OTHER_API, "other-api", TokenFormat::Opaque),
            resource(JWT_API, "jwt-api", TokenFormat::Jwt(protocol::jose::Algorithm::Es256)),
        ],
        lifetimes: Lifetimes::default(),
        registration: Registration::Review,
        sign_in: SignInPolicy::default(),
        accounts: AccountPolicy::default(),
        high_tier: HighTierRule::IfEnrolled,
        reviewed: RevisionField::REVIEWED_BY_DEFAULT.to_vec(),
        review_mail: Vec::new(),
        review: ReviewPolicy::default(),
        dialects: vec![Arc::new(dialect("bitport"))],
        partner_keys: None,
        docs: domain::policy::DocsReaders::default(),
        plans: Vec::new(),
        perks: Vec::new(),
    }
}

/// One that only has a name and an address for users.
fn dialect(name: &str) -> Dialect {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    Dialect {
        name: name.to_owned(),
        title: name.to_owned(),
        relaxed: Relaxed::default(),
        lifetimes: DialectLifetimes {
            access_token: DAY,
            refresh_token: None,
            idle: DAY,
            grant: DAY,
        },
        authorize: AuthorizeEndpoint {
            path: format!("/{name}/authorize"),
            parameters: Vec::new(),
            scope_separator: ' ',
        },
        tokens: Vec::new(),
        user_code: None,
        partner_keys: None,
        pages: Vec::new(),
        signed: None,
        envelope: None,
    }
}
