//! The developer documentation that a deployment serves: made of its policy, of the OpenAPI
//! documents of its APIs, and of the texts and programs in `docs/`. Nothing here decides anything;
//! what it says is read from what decides.

mod api;
mod article;
mod errors;
mod guide;
pub mod pages;
mod prose;
mod published;
mod reader;
mod schema;
mod snippet;
mod standing;
mod wire;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use domain::policy::{Policy, RouteAccess};
use minijinja::{AutoEscape, Environment};

use crate::error::PageError;
use crate::pages::tidy_whitespace;
use api::Api;
use snippet::Language;

pub(crate) use api::origin;
pub use reader::DocsReader;

/// Texts and programs, and what was last read of a policy. One per provider.
#[derive(Default)]
pub struct Manual {
    shelf: ArcSwapOption<Shelf>,
}

/// An endpoint, for whoever calls it.
pub(crate) struct Callable {
    pub(crate) id: String,
    pub(crate) method: String,
    /// From the root of the host, with `{name}` and `{*rest}`.
    pub(crate) path: String,
    /// The same with examples where the API's document has some, and with a query.
    pub(crate) example_url: String,
    pub(crate) example_body: Option<String>,
    pub(crate) access: RouteAccess,
}

/// The APIs of one policy. Reading them takes milliseconds, so they are kept.
struct Shelf {
    policy: Arc<Policy>,
    apis: Vec<Api>,
}

impl Manual {
    /// The endpoints of an API, in the order of the reference.
    pub(crate) fn callable(&self, policy: &Arc<Policy>, resource: &str) -> Vec<Callable> {
        let shelf = self.shelf(policy);
        // One API for each resource, in the same order.
        let known = policy.resources.iter().zip(&shelf.apis);
        let api = known.filter(|(known, _)| known.identifier == resource).map(|(_, api)| api);
        let endpoints = api.flat_map(|api| &api.groups).flat_map(|group| &group.endpoints);
        endpoints
            .map(|endpoint| Callable {
                id: endpoint.view.id.clone(),
                method: endpoint.call.method.clone(),
                path: endpoint.call.path.clone(),
                example_url: endpoint.call.url.clone(),
                example_body: endpoint.call.body.clone(),
                access: endpoint.access.clone(),
            })
            .collect()
    }

    fn shelf(&self, policy: &Arc<Policy>) -> Arc<Shelf> {
        if let Some(shelf) = self.shelf.load_full()
            && Arc::ptr_eq(&shelf.policy, policy)
        {
            return shelf;
        }
        let shelf = Arc::new(Shelf { policy: policy.clone(), apis: api::read_all(policy) });
        self.shelf.store(Some(shelf.clone()));
        shelf
    }
}

/// The programs of one language, ready to fill.
fn snippets(language: Language) -> Result<Environment<'static>, PageError> {
    language.environment().map_err(broken)
}

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        const TEXTS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../docs/", $name, ".txt")))),*];
    };
}

texts!(
    "guides/trading-bot",
    "guides/portfolio-tracker",
    "guides/mobile-app",
    "guides/enterprise",
    "guides/web-app",
    "guides/device",
    "steps/register",
    "steps/connect",
    "steps/call",
    "steps/keep",
    "texts/oauth",
    "texts/oauth-dialect",
    "texts/errors",
    "texts/troubleshooting",
    "texts/partner-keys",
    "texts/webhooks",
);

/// The texts, as templates of Markdown: values stay text in it.
fn texts() -> Result<Environment<'static>, PageError> {
    let mut environment = Environment::new();
    environment.set_syntax(tidy_whitespace().map_err(broken)?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(article::write_escaped);
    environment.add_filter("code", article::code);
    for (name, text) in TEXTS {
        environment.add_template(name, text).map_err(broken)?;
    }
    Ok(environment)
}

/// Texts and programs are ours, and tests fill all of them.
fn broken(error: minijinja::Error) -> PageError {
    PageError::Internal(format!("documentation: {error:#}"))
}
