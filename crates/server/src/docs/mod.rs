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
use domain::policy::Policy;
use minijinja::{AutoEscape, Environment};

use crate::error::PageError;
use crate::pages::tidy_whitespace;
use api::Api;
use snippet::Language;

pub use reader::DocsReader;

/// Texts and programs, and what was last read of a policy. One per provider.
#[derive(Default)]
pub struct Manual {
    shelf: ArcSwapOption<Shelf>,
}

/// The APIs of one policy. Reading them takes milliseconds, so they are kept.
struct Shelf {
    policy: Arc<Policy>,
    apis: Vec<Api>,
}

impl Manual {
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
