//! What the operator declared about partner keys: which scopes are about them, and the permissions
//! among which users pick. What a key may do now is decided here.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::scope::{ScopeName, ScopeSet};

use crate::app::App;
use crate::partner_key::{PartnerKey, Permission};
use crate::policy::{RouteAccess, RouteRule};
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    /// Asking for it asks the user for a key.
    pub create: ScopeName,
    /// Lets an app see its keys and get each secret once.
    pub read: ScopeName,
    pub delete: ScopeName,
    /// Of an access token that came with a key. There is no refresh token with it: the key is what
    /// lasts.
    pub access_token: Duration,
    /// In the order in which users see them.
    pub groups: Vec<PermissionGroup>,
}

/// Endpoints that users think of together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionGroup {
    /// For programs: the same in every language.
    pub name: String,
    pub title: Translated,
    /// It moves money: the consent page warns, and wants a second yes.
    pub moves_money: bool,
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The path of a route, as declared: `/api/v4/order/new`.
    pub url: String,
    /// What its routes ask of a token, one for each method.
    pub access: Vec<RouteAccess>,
}

/// A text of the operator's in several languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    pub text: String,
    /// By language: `de`, `uk`.
    pub by_language: BTreeMap<String, String>,
}

impl Translated {
    /// In the language of a locale such as `de-AT`, else as the operator first wrote it.
    pub fn in_locale(&self, locale: &str) -> &str {
        let language = locale.split(['-', '_']).next().unwrap_or_default();
        let found = self.by_language.get(locale).or_else(|| self.by_language.get(language));
        found.unwrap_or(&self.text)
    }
}

/// A group and those of its endpoints that an app can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered<'t> {
    pub group: &'t PermissionGroup,
    /// Not empty.
    pub endpoints: Vec<&'t Endpoint>,
}

impl KeyTerms {
    /// Whether a request for `scopes`, or what was granted of one, is about a new key.
    pub fn makes_key(&self, scopes: &ScopeSet) -> bool {
        scopes.contains(self.create.as_str())
    }

    /// The permissions among which a user of `app` picks: an app that is not approved for what a
    /// route asks of a token does not get there with a key either.
    pub fn offered_to(&self, app: &App, now: Timestamp) -> Vec<Offered<'_>> {
        let approved = app.approved_at(now);
        let is_open = |endpoint: &&Endpoint| endpoint.is_open_to(&approved);
        let of_group = |group| {
            let PermissionGroup { endpoints, .. }: &PermissionGroup = group;
            Offered { group, endpoints: endpoints.iter().filter(is_open).collect() }
        };
        let all = self.groups.iter().map(of_group);
        all.filter(|offered| !offered.endpoints.is_empty()).collect()
    }

    /// May `key`, which is one of `app`, call `route` now? What else has to be so: the app is live
    /// and admits the address, and the user is active.
    pub fn permits(&self, key: &PartnerKey, app: &App, route: &RouteRule, now: Timestamp) -> bool {
        let approved = app.approved_at(now);
        let is_granted =
            |permission: &Permission| permission.url == route.pattern && self.declares(permission);
        key.is_active()
            && self.makes_key(&approved)
            && route.access.missing(&approved).is_empty()
            && key.permissions.iter().any(is_granted)
    }

    /// Taking an endpoint out of a group takes it from the keys that have it.
    fn declares(&self, permission: &Permission) -> bool {
        let groups = self.groups.iter().filter(|group| group.name == permission.group);
        groups.flat_map(|group| &group.endpoints).any(|endpoint| endpoint.url == permission.url)
    }
}

impl Offered<'_> {
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        let group = &self.group.name;
        let one = move |endpoint: &&Endpoint| Permission {
            group: group.clone(),
            url: endpoint.url.clone(),
        };
        self.endpoints.iter().map(one)
    }
}

impl Endpoint {
    fn is_open_to(&self, approved: &ScopeSet) -> bool {
        self.access.iter().any(|access| access.missing(approved).is_empty())
    }
}
