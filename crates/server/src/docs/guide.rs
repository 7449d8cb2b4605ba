//! The guides: one for each kind of app, step by step, with the reader's own values.

use domain::app::AppKind;
use domain::policy::{Policy, RouteAccess, ScopeKind};
use minijinja::{Value, context};
use protocol::scope::ScopeSet;

use super::Shelf;
use super::api::{self, Endpoint};
use super::reader::DocsReader;
use super::wire::{Call, Party, Values};
use crate::error::duration_words;

/// A guide that there is.
pub(super) struct Guide {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// For whom, in one sentence.
    pub(super) text: &'static str,
    /// What its app is registered as.
    kind: AppKind,
    /// What its programs begin with.
    first: &'static str,
    /// What its example call does.
    wants: ScopeKind,
}

pub(super) const GUIDES: [Guide; 6] = [
    Guide {
        name: "trading-bot",
        title: "Trading bot",
        text: "Acts for its users while they sleep, and only as far as they let it.",
        kind: AppKind::Web,
        first: "authorize",
        wants: ScopeKind::Money,
    },
    Guide {
        name: "portfolio-tracker",
        title: "Portfolio tracker",
        text: "Reads what its users have. Every attempt to change something is refused.",
        kind: AppKind::Web,
        first: "authorize",
        wants: ScopeKind::Read,
    },
    Guide {
        name: "mobile-app",
        title: "Mobile app",
        text: "On the user’s own phone or computer, where no secret can be kept.",
        kind: AppKind::Native,
        first: "authorize",
        wants: ScopeKind::Read,
    },
    Guide {
        name: "enterprise",
        title: "Enterprise integration",
        text: "A server that acts for itself, from known addresses, with a trail to show.",
        kind: AppKind::Service,
        first: "client_credentials",
        wants: ScopeKind::Read,
    },
    Guide {
        name: "web-app",
        title: "Web app",
        text: "A site whose users connect their account here with one click.",
        kind: AppKind::Web,
        first: "authorize",
        wants: ScopeKind::Read,
    },
    Guide {
        name: "device",
        title: "Device without a browser",
        text: "A television or a command line: the user decides on another screen.",
        kind: AppKind::Web,
        first: "device",
        wants: ScopeKind::Read,
    },
];

pub(super) fn find(name: &str) -> Option<&'static Guide> {
    GUIDES.iter().find(|guide| guide.name == name)
}

impl Guide {
    /// What its text and its programs are filled in with.
    pub(super) fn fill(&self, reader: &DocsReader, shelf: &Shelf) -> (Value, Values) {
        let endpoint = self.example(reader, shelf);
        let needs = endpoint.map(needed).unwrap_or_default();
        let call = endpoint.map_or_else(|| any_call(&reader.policy), |one| one.call.clone());
        let party = Party::new(reader.app.as_ref(), self.kind, &needs);
        let dialect = reader.dialect().map(AsRef::as_ref);
        let values = Values::new(&reader.policy, dialect, &party, call, self.first);
        let misfit = reader.app.as_ref().filter(|app| !self.fits(app.kind, reader));
        let endpoint_path =
            endpoint.map(|one| reader.link(&format!("/docs/reference#{}", one.view.id)));
        let facts = context! {
            guide => self.name,
            kind => crate::display::app_kind_words(self.kind),
            misfit => misfit.map(|app| crate::display::app_kind_words(app.kind)),
            has_device_page => dialect.is_none(),
            code_page => dialect.and_then(|it| it.user_code.as_ref()).map(|page| &page.path),
            call => context! {
                method => values.call.method.as_str(),
                path => values.call.path.as_str(),
                needs => needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
                link => endpoint_path,
            },
            redirect_uri => party.redirect_uri,
            has_secret => values.has_secret,
            has_pkce => values.has_pkce,
            has_iss => values.has_iss,
            has_refresh => values.refresh.is_some(),
            has_revoke => values.revoke.is_some(),
            ..common(reader)
        };
        (facts, values)
    }

    fn fits(&self, kind: AppKind, reader: &DocsReader) -> bool {
        match self.first {
            "device" if reader.dialect().is_none() => kind.may_use_device_codes(),
            "client_credentials" => kind.is_confidential(),
            _ if self.kind == AppKind::Native => !kind.is_confidential(),
            _ => kind == AppKind::Web,
        }
    }

    /// The call that it shows: the one that the API's document names for this guide, else the first
    /// that does what it is about; of those that the app may make, if there are any.
    fn example<'a>(&self, reader: &DocsReader, shelf: &'a Shelf) -> Option<&'a Endpoint> {
        let all = || {
            let groups = shelf.apis.iter().take(1).flat_map(|api| &api.groups);
            groups.flat_map(|group| &group.endpoints).filter(|one| {
                one.is_complete && one.access != RouteAccess::Public && !needed(one).is_empty()
            })
        };
        let is_named = |one: &&Endpoint| one.guides.iter().any(|name| name == self.name);
        let may = |one: &&Endpoint| {
            reader.app.as_ref().is_none_or(|app| one.access.missing(&app.approved).is_empty())
        };
        let does = |one: &&Endpoint| kind_of(&reader.policy, &needed(one)) == self.wants;
        let named = || all().filter(may).find(is_named).or_else(|| all().find(is_named));
        named()
            .or_else(|| all().filter(may).find(does))
            .or_else(|| all().find(does))
            .or_else(|| all().find(may))
            .or_else(|| all().next())
    }
}

/// The scopes of the first way in.
fn needed(endpoint: &Endpoint) -> ScopeSet {
    match &endpoint.access {
        RouteAccess::Public => ScopeSet::default(),
        RouteAccess::AnyOf(sets) => sets.first().cloned().unwrap_or_default(),
    }
}

/// The most that some scopes let an app do.
fn kind_of(policy: &Policy, scopes: &ScopeSet) -> ScopeKind {
    let kinds = scopes.iter().filter_map(|name| Some(policy.scope(name)?.kind));
    kinds.max().unwrap_or(ScopeKind::Read)
}

/// Where the routes say nothing of use.
fn any_call(policy: &Policy) -> Call {
    let resource = policy.resources.first();
    let url = resource.map_or_else(
        || policy.issuer.clone(),
        |resource| format!("{}{}", api::origin(policy, resource), resource.path_prefix),
    );
    let path = String::new();
    Call { method: "GET".to_owned(), url: format!("{url}/…"), body: None, is_public: false, path }
}

/// What every text may name.
pub(super) fn common(reader: &DocsReader) -> Value {
    let policy = &reader.policy;
    let dialect = reader.dialect();
    let lifetimes = match &reader.app {
        Some(app) => policy.lifetimes_for(app, dialect.map(|it| it.name.as_str())),
        None => {
            let lifetimes = policy.lifetimes_of(dialect.map(|it| it.name.as_str()));
            lifetimes.for_app(&domain::app::AppLifetimes::default())
        }
    };
    let url = |path: &str| format!("{}{path}", policy.issuer);
    context! {
        issuer => policy.issuer.as_str(),
        query => reader.query(),
        app => reader.app.as_ref().map(|app| context! {
            name => app.name.as_str(),
            client_id => app.client_id.as_str(),
            path => format!("/apps/{}", app.id),
        }),
        dialect => dialect.map(|dialect| &dialect.title),
        authorize_url => url(dialect.map_or("/oauth/authorize", |it| &it.authorize.path)),
        lifetimes => context! {
            access => duration_words(lifetimes.access_token),
            access_seconds => lifetimes.access_token.as_secs(),
            refresh => duration_words(lifetimes.refresh_idle),
            grant => duration_words(lifetimes.grant),
        },
        has_keys => policy.partner_keys.is_some(),
        metadata_url => url("/.well-known/oauth-authorization-server"),
    }
}
