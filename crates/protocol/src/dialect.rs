//! Dialects: wire formats of providers that were there before the standard, as data. A dialect
//! renames the standard's parameters, fills in what its clients leave out, and dresses the answers;
//! what is decided in between is the same code as for the standard (architecture, invariants 5
//! and 7).

use std::time::Duration;

use http::StatusCode;

use crate::envelope::ErrorEnvelope;
use crate::rate::Rate;
use crate::template::Template;

mod answer;
mod body;
mod partner_key;
mod request;

pub use answer::{ErrorRule, ErrorWord, Failure, RenderedAnswer, TokenAnswer, TokenWord, Tokens};
pub use body::{BodyError, BodyFormat};
pub use partner_key::{
    KEY_ID, KeyEndpoint, KeyErrorRule, KeyErrorWord, KeyWord, PartnerKeys, PermissionWord, UrlWord,
};
pub use request::{DecodeError, Parameter};

/// One wire format. Made from a file of `dialects/` by `consentry::config`, which checks it.
#[derive(Debug, Clone)]
pub struct Dialect {
    /// The word for it in configuration, in registrations and in tokens.
    pub name: String,
    /// As people call it.
    pub title: String,
    pub relaxed: Relaxed,
    pub lifetimes: DialectLifetimes,
    pub authorize: AuthorizeEndpoint,
    pub tokens: Vec<TokenEndpoint>,
    /// Where a user gets a code to give to an app that has no browser.
    pub user_code: Option<UserCodePage>,
    /// How its apps ask for keys with which they sign calls.
    pub partner_keys: Option<PartnerKeys>,
    /// Addresses that its developers know, and the pages of ours that they lead to.
    pub pages: Vec<PageAlias>,
    /// How its API says no, for resources that name it.
    pub envelope: Option<ErrorEnvelope>,
}

/// Rules of the standard that do not hold in a dialect: all that is loose is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relaxed {
    /// Confidential apps need no PKCE. Public apps always do.
    pub pkce: bool,
    /// A redirect URI of the authorization request need not be repeated for the token
    /// (RFC 6749 §4.1.3).
    pub redirect_uri_repeat: bool,
    /// Any port of a registered loopback redirect URI, for all kinds of apps (RFC 8252 §7.3).
    pub loopback_port: bool,
    /// Authorization answers have no `iss` (RFC 9207): clients of several providers can be mixed
    /// up (attack M1).
    pub iss: bool,
    /// The API takes `Authorization: TOKEN` without a scheme.
    pub bare_token: bool,
}

/// The words of [`Relaxed`] in a dialect file, each with what it lets go.
pub const RELAXABLE: [(&str, &str); 5] = [
    ("pkce", "confidential apps need no PKCE; public ones always do"),
    ("redirect_uri_repeat", "the token request need not repeat the redirect URI"),
    ("loopback_port", "any port of a registered 127.0.0.1 or [::1] address, for every kind of app"),
    (
        "iss",
        "authorization answers carry no `iss`, so a client of several providers can be mixed up",
    ),
    ("bare_token", "the API takes `Authorization: TOKEN` without a scheme"),
];

impl Relaxed {
    /// `None`: there is no such rule.
    #[must_use]
    pub fn with(mut self, word: &str) -> Option<Self> {
        let rule = match word {
            "pkce" => &mut self.pkce,
            "redirect_uri_repeat" => &mut self.redirect_uri_repeat,
            "loopback_port" => &mut self.loopback_port,
            "iss" => &mut self.iss,
            "bare_token" => &mut self.bare_token,
            _ => return None,
        };
        *rule = true;
        Some(self)
    }
}

/// How long things live in a dialect. Apps may wish for less, not for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialectLifetimes {
    pub access_token: Duration,
    /// `None`: no refresh tokens.
    pub refresh_token: Option<Duration>,
    /// A grant without refresh tokens ends when it was not used for this long.
    pub idle: Duration,
    pub grant: Duration,
}

/// A page of ours at an address of the dialect's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCodePage {
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAlias {
    pub from: String,
    pub to: String,
}

/// Where users are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeEndpoint {
    pub path: String,
    pub parameters: Vec<Parameter>,
    pub scope_separator: char,
}

/// Where codes and refresh tokens become tokens. A dialect may have one address for each.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    pub path: String,
    pub parameters: Vec<Parameter>,
    /// The standard's grant types that it serves, and its words for them.
    pub grant_types: Vec<(GrantType, String)>,
    pub bodies: Vec<BodyFormat>,
    /// Whether HTTP Basic is taken besides the body.
    pub takes_basic: bool,
    /// Own names of parameters without which nothing is looked at.
    pub required: Vec<String>,
    pub scope_separator: char,
    /// An app without a list of allowed addresses is refused.
    pub needs_listed_address: bool,
    /// Requests of one app, per node.
    pub rate_per_app: Option<Rate>,
    /// Refused requests of one client id from one address, per node; after that nothing is looked
    /// at.
    pub rate_of_failures: Option<Rate>,
    pub answer: TokenAnswer,
    /// The first rule that fits; the last one fits everything.
    pub errors: Vec<ErrorRule>,
}

/// Grant types that a dialect may have a word for. An app that acts for itself speaks the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    /// A code that a user carries from [`Dialect::user_code`]'s page to an app.
    UserCode,
}

impl GrantType {
    pub const ALL: [Self; 3] = [Self::AuthorizationCode, Self::RefreshToken, Self::UserCode];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::UserCode => "user_code",
        }
    }

    /// What an endpoint for it does, as developers read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "codes become tokens",
            Self::RefreshToken => "tokens are refreshed",
            Self::UserCode => "codes that users were shown become tokens",
        }
    }
}

impl Dialect {
    /// Whether an app without a secret can get in: by PKCE, which the dialect must have names for.
    pub fn admits_public_apps(&self) -> bool {
        let names = |parameters: &[Parameter], standard: &str| {
            parameters.iter().any(|one| one.standard == standard && one.name.is_some())
        };
        let takes_codes = |endpoint: &&TokenEndpoint| {
            endpoint.grant_types.iter().any(|(known, _)| *known == GrantType::AuthorizationCode)
        };
        names(&self.authorize.parameters, "code_challenge")
            && self.tokens.iter().filter(takes_codes).all(|endpoint| {
                names(&endpoint.parameters, "code_verifier") && !endpoint.requires_secret()
            })
    }

    /// Every address that it takes on the issuer's host. Those that name a key have [`KEY_ID`]
    /// there.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.authorize.path.as_str())
            .chain(self.tokens.iter().map(|endpoint| endpoint.path.as_str()))
            .chain(self.user_code.iter().map(|page| page.path.as_str()))
            .chain(self.partner_keys.iter().flat_map(PartnerKeys::paths))
            .chain(self.pages.iter().map(|page| page.from.as_str()))
    }

    /// Whether it answers under `path`.
    pub fn owns(&self, path: &str) -> bool {
        self.partner_keys.as_ref().is_some_and(|keys| keys.owns(path))
            || self.paths().any(|own| own == path)
    }
}

/// A status and a template: one kind of answer.
pub type Body<P> = (StatusCode, Template<P>);

#[cfg(test)]
mod tests;
