//! Who reads the documentation, and how: with the values of which app, in which wire format and
//! programming language. All of it is in the address, so a link shows everybody the same.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use domain::app::App;
use domain::id::AppId;
use domain::policy::{DocsReaders, Policy};
use http::request::Parts;
use protocol::dialect::Dialect;
use protocol::params::Params;

use super::snippet::Language;
use crate::actor::{Developer, Visitor};
use crate::error::{PageError, form_query};
use crate::pages::views::{Layout, STANDARD, Section};
use crate::portal::apps::owned;
use crate::provider::Shared;

/// Everybody, or developers, as the policy says. An app that is named is the reader's own: to
/// everyone else it does not exist (attack A2).
pub struct DocsReader {
    pub(super) policy: Arc<Policy>,
    pub(super) layout: Layout,
    pub(super) is_developer: bool,
    pub(super) app: Option<App>,
    /// As the address says it; `None`: what the app speaks, or the standard.
    wire: Option<String>,
    pub(super) language: Language,
    /// A part of a reference that is too long for one page.
    pub(super) group: Option<String>,
    path: String,
}

impl FromRequestParts<Shared> for DocsReader {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, provider: &Shared) -> Result<Self, PageError> {
        let policy = provider.policy();
        let query = parts.uri.query().unwrap_or_default();
        let params = Params::parse(query.as_bytes())
            .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
        let wanted = params.one("app")?.map(str::parse::<AppId>).transpose();
        let wanted = wanted.map_err(|_| PageError::NotFound)?;
        let (layout, developer) = if wanted.is_some() || policy.docs == DocsReaders::Developers {
            let Developer(user) = Developer::from_request_parts(parts, provider).await?;
            (user.layout(), Some(user))
        } else {
            let visitor = Visitor::from_request_parts(parts, provider).await?;
            (visitor.layout(), visitor.signed_in.filter(|user| user.is_developer))
        };
        let app = match (wanted, &developer) {
            (Some(id), Some(user)) => {
                let owner = user.user.id;
                let read = async move |tx: &mut store::Tx<'_>| owned(tx, id, owner).await;
                Some(provider.store.db.read(read).await?)
            }
            _ => None,
        };
        let wire = params.one("wire")?.map(str::to_owned);
        if wire.as_deref().is_some_and(|name| name != STANDARD && policy.dialect(name).is_none()) {
            return Err(PageError::NotFound);
        }
        let language = params.one("lang")?.and_then(Language::parse).unwrap_or(Language::Curl);
        Ok(Self {
            layout: layout.in_section(Section::Docs),
            is_developer: developer.is_some(),
            app,
            wire,
            language,
            group: params.one("group")?.map(str::to_owned),
            path: parts.uri.path().to_owned(),
            policy,
        })
    }
}

impl DocsReader {
    /// `None`: the standard.
    pub(super) fn dialect(&self) -> Option<&Arc<Dialect>> {
        let of_app = || self.app.as_ref()?.main_dialect();
        self.policy.dialect(self.wire.as_deref().or_else(of_app)?)
    }

    /// Names and titles of the wire formats that matter to the reader.
    pub(super) fn wires(&self) -> Vec<(&str, &str)> {
        let is_theirs = |name: Option<&str>| self.app.as_ref().is_none_or(|app| app.speaks(name));
        let dialects = self.policy.dialects.iter();
        let standard = is_theirs(None).then_some((STANDARD, "Standard OAuth 2.1"));
        let dialects = dialects
            .filter(|dialect| is_theirs(Some(&dialect.name)))
            .map(|dialect| (dialect.name.as_str(), dialect.title.as_str()));
        standard.into_iter().chain(dialects).collect()
    }

    pub(super) fn wire_name(&self) -> &str {
        self.dialect().map_or(STANDARD, |dialect| &dialect.name)
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// `?app=…&wire=…&lang=…`, or nothing.
    pub(super) fn query(&self) -> String {
        self.query_with(self.wire.as_deref(), self.language, self.app.is_some())
    }

    /// A page of the documentation, for this reader. `path` may end with an anchor.
    pub(super) fn link(&self, path: &str) -> String {
        with_query(path, &self.query())
    }

    /// This page in another wire format.
    pub(super) fn in_wire(&self, name: &str) -> String {
        format!("{}{}", self.path, self.query_with(Some(name), self.language, self.app.is_some()))
    }

    /// This page with snippets in another language.
    pub(super) fn in_language(&self, language: Language) -> String {
        let mut link = self.query_with(self.wire.as_deref(), language, self.app.is_some());
        if let Some(group) = &self.group {
            link.push(if link.is_empty() { '?' } else { '&' });
            link.push_str(&form_query(&[("group", group)]));
        }
        format!("{}{link}", self.path)
    }

    /// This page without the values of an app.
    pub(super) fn without_app(&self) -> String {
        format!("{}{}", self.path, self.query_with(None, self.language, false))
    }

    fn query_with(&self, wire: Option<&str>, language: Language, with_app: bool) -> String {
        let id = self.app.as_ref().filter(|_| with_app).map(|app| app.id.to_string());
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        pairs.extend(id.as_deref().map(|id| ("app", id)));
        pairs.extend(wire.map(|name| ("wire", name)));
        if language != Language::Curl {
            pairs.push(("lang", language.name()));
        }
        if pairs.is_empty() { String::new() } else { format!("?{}", form_query(&pairs)) }
    }
}

fn with_query(path: &str, query: &str) -> String {
    match path.split_once('#') {
        Some((page, anchor)) => format!("{page}{query}#{anchor}"),
        None => format!("{path}{query}"),
    }
}
