//! The pages: templates, what they show ([`views`]), the brand, the style sheet and its script.
//! Handlers fill a view and call [`Pages::render`]; nothing here knows a domain type.

use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

pub mod assets;
mod brand;
pub mod csp;
mod filters;
pub mod qr;
mod serve;
mod templates;
#[cfg(test)]
mod tests;
pub mod views;
pub mod words;

pub use brand::{Brand, BrandError};
pub use csp::policy as csp;
pub use serve::serve_asset;
pub use views::View;

use assets::{Asset, BrandSheet};

/// Why pages cannot be made. Says which file of the operator is at fault, where there is one.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    #[error(transparent)]
    Brand(#[from] BrandError),
    #[error("cannot read the template folder {}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("{} overrides no page; the pages are: {}", path.display(), templates::names())]
    UnknownTemplate { path: PathBuf },
    #[error("template {name} does not work: {}", detail(source))]
    Template { name: String, source: minijinja::Error },
}

fn detail(error: &minijinja::Error) -> String {
    let mut text = format!("{error:#}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!("; {inner}"));
        cause = inner.source();
    }
    text
}

/// Everything needed to answer with a page. One per provider; cheap to share behind an `Arc`.
pub struct Pages {
    environment: Environment<'static>,
    brand_sheet: BrandSheet,
    brand_name: String,
}

impl Pages {
    /// Templates of `overrides` win over the built-in ones of the same file name, and may start
    /// from those with `{% extends "built-in/consent.html" %}`. They are read again when they
    /// change. Each is tried with every sample here, so a mistake is found before a user does.
    pub fn new(brand: Brand, overrides: Option<PathBuf>) -> Result<Self, PagesError> {
        let palette = brand.check()?;
        if let Some(folder) = &overrides {
            refuse_unknown_templates(folder)?;
        }
        let brand_sheet = BrandSheet::new(palette.css());
        let mut environment = Environment::new();
        environment.set_loader(templates::loader(overrides.clone()));
        // Operators name their files; whatever the name says, what is in them is HTML.
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_formatter(filters::write_escaped);
        let syntax = tidy_whitespace()
            .map_err(|source| PagesError::Template { name: "syntax".to_owned(), source })?;
        environment.set_syntax(syntax);
        filters::register(&mut environment);
        environment.add_global("assets_version", brand_sheet.version());
        let Brand { name, logo_url, support_url, .. } = brand;
        let brand_name = name.clone();
        environment.add_global("brand", context! { name, logo_url, support_url });
        let pages = Self { environment, brand_sheet, brand_name };
        if overrides.is_some() {
            pages.render_samples()?;
        }
        Ok(pages)
    }

    /// The page as HTML.
    pub fn render<V: View>(&self, view: &V) -> Result<String, PagesError> {
        self.render_value(V::TEMPLATE, Value::from(Serde(view)))
    }

    fn render_value(&self, name: &str, value: Value) -> Result<String, PagesError> {
        self.environment
            .get_template(name)
            .and_then(|template| template.render(value))
            .map_err(|source| PagesError::Template { name: name.to_owned(), source })
    }

    /// Every sample of every page, named `consent-1`, `consent-2`, …
    pub fn render_samples(&self) -> Result<Vec<(String, String)>, PagesError> {
        let mut rendered = Vec::new();
        macro_rules! render {
            ($($view:ident),*) => {$(
                let stem = <views::$view as View>::TEMPLATE.trim_end_matches(".html");
                for (number, sample) in (1..).zip(<views::$view as View>::sample()) {
                    rendered.push((format!("{stem}-{number}"), self.render(&sample)?));
                }
            )*};
        }
        views::for_every_view!(render);
        Ok(rendered)
    }

    /// What users know the provider by.
    pub fn brand_name(&self) -> &str {
        &self.brand_name
    }

    /// The brand's colours as a style sheet, served at `/assets/brand.css`.
    pub fn brand_css(&self) -> &str {
        self.brand_sheet.css()
    }

    /// What to serve below `/assets/`. The addresses in the pages carry a version, so an answer
    /// may be cached for long; `None` is 404.
    pub fn asset(&self, path: &str) -> Option<Asset<'_>> {
        if path == "brand.css" { Some(self.brand_sheet.asset()) } else { assets::asset(path) }
    }
}

/// Lines that hold only a tag leave nothing behind.
pub(crate) fn tidy_whitespace() -> Result<SyntaxConfig, minijinja::Error> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()
}

/// A mistyped file name would silently change nothing.
fn refuse_unknown_templates(folder: &Path) -> Result<(), PagesError> {
    let unreadable = |source| PagesError::Folder { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_html = path.extension().is_some_and(|extension| extension == "html");
        let known =
            path.file_name().and_then(|name| name.to_str()).is_some_and(templates::is_known);
        if is_html && !known {
            return Err(PagesError::UnknownTemplate { path });
        }
    }
    Ok(())
}
