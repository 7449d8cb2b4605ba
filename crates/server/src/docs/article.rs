//! From a text of `docs/` to a page: filled in, taken apart into sections, with programs where it
//! names a step.

use minijinja::{Environment, Error, Output, State, Value, escape_formatter};

use super::api::{slug, unique};
use super::reader::DocsReader;
use super::snippet::{self, Language, STEPS};
use super::wire::Values;
use super::{broken, prose, snippets, texts};
use crate::error::PageError;
use crate::pages::views::{Block, DocsSection, Snippet};

/// What a page says.
pub(super) struct Article {
    pub(super) title: String,
    pub(super) lead: Vec<Block>,
    pub(super) sections: Vec<DocsSection>,
}

/// Fill the text called `name` in. `values` are those of its programs.
pub(super) fn write(
    name: &str,
    facts: &Value,
    values: Option<&Values>,
    reader: &DocsReader,
) -> Result<Article, PageError> {
    let environment = texts()?;
    let text =
        environment.get_template(name).and_then(|text| text.render(facts)).map_err(broken)?;
    let programs = match values {
        Some(values) => Some(Programs { environment: snippets(reader.language)?, values, reader }),
        None => None,
    };
    let mut article = Article { title: String::new(), lead: Vec::new(), sections: Vec::new() };
    let mut part = String::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            article.title = title.to_owned();
        } else if let Some(title) = line.strip_prefix("## ") {
            article.end_part(&mut part);
            let id = unique(&slug(title), |id| article.sections.iter().any(|one| one.id == id));
            let title = prose::spans(title).into_iter().map(|span| span.text).collect();
            article.sections.push(DocsSection { id, title, blocks: Vec::new() });
        } else if let Some(step) = line.strip_prefix("[program: ").and_then(|l| l.strip_suffix(']'))
        {
            article.end_part(&mut part);
            let program = match &programs {
                Some(programs) => programs.fill(step, article.sections.last())?,
                None => None,
            };
            article.blocks().extend(program.map(Block::Snippet));
        } else {
            part.push_str(line);
            part.push('\n');
        }
    }
    article.end_part(&mut part);
    Ok(article)
}

impl Article {
    fn blocks(&mut self) -> &mut Vec<Block> {
        match self.sections.last_mut() {
            Some(section) => &mut section.blocks,
            None => &mut self.lead,
        }
    }

    fn end_part(&mut self, part: &mut String) {
        let blocks = prose::blocks(&std::mem::take(part));
        self.blocks().extend(blocks);
    }
}

struct Programs<'a> {
    environment: Environment<'static>,
    values: &'a Values,
    reader: &'a DocsReader,
}

impl Programs<'_> {
    fn fill(
        &self,
        step: &str,
        section: Option<&DocsSection>,
    ) -> Result<Option<Snippet>, PageError> {
        let text = snippet::fill(&self.environment, step, self.values).map_err(broken)?;
        let Some(text) = text else { return Ok(None) };
        let title = STEPS.iter().find(|(name, _)| *name == step).map_or("", |(_, title)| title);
        let id = format!("snippet-{}", step.replace('_', "-"));
        let anchor = section.map_or(id.as_str(), |section| section.id.as_str()).to_owned();
        let title = title.to_owned();
        Ok(Some(Snippet { id, title, text, languages: languages(self.reader, &anchor) }))
    }
}

/// The same page in each language, at the same place.
pub(super) fn languages(reader: &DocsReader, anchor: &str) -> Vec<(String, String, bool)> {
    let one = |language: &Language| {
        let path = format!("{}#{anchor}", reader.in_language(*language));
        (path, language.title().to_owned(), *language == reader.language)
    };
    Language::ALL.iter().map(one).collect()
}

/// A value in a text of Markdown is text, whatever it holds.
pub(super) fn write_escaped(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe()) else {
        return escape_formatter(out, state, value);
    };
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '[' | ']' | '|' => escaped.extend(['\\', c]),
            '\n' | '\r' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    out.write_str(&escaped).map_err(Error::from)
}

/// A value as `code`.
pub(super) fn code(value: &Value) -> Value {
    let text = value.to_string().replace('`', "'").replace(['\n', '\r'], " ");
    Value::from_safe_string(if text.is_empty() { String::new() } else { format!("`{text}`") })
}
