//! Reads values from the file and the environment against the schema and remembers every problem,
//! so that one run of `consentry check` reports them all. serde would stop at the first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem, line_and_column, nearest};
use super::schema::{Key, Kind, Shape};

/// A value that an environment variable sets, by the dotted path of its key.
#[derive(Clone, Debug)]
pub(super) struct Override {
    pub(super) variable: String,
    pub(super) value: String,
}

/// The whole input and what was found wrong with it so far.
pub(super) struct Document<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    /// What it is called in messages: "the config".
    title: &'static str,
    pub(super) overrides: BTreeMap<String, Override>,
    problems: RefCell<Vec<(usize, Problem)>>,
    warnings: RefCell<Vec<Problem>>,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
}

/// Cheap form of a [`Place`].
#[derive(Clone, Debug)]
pub(super) enum Spot {
    Offset(usize),
    Variable(String),
}

impl<'a> Document<'a> {
    pub(super) fn new(
        file: &'a Path,
        text: &'a str,
        title: &'static str,
        overrides: BTreeMap<String, Override>,
    ) -> Self {
        Self {
            file,
            text,
            title,
            overrides,
            problems: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    pub(super) fn place(&self, spot: &Spot) -> Place {
        match spot {
            Spot::Offset(offset) => {
                let (line, column) = line_and_column(self.text, *offset);
                Place::File { file: self.file.to_owned(), line, column }
            }
            Spot::Variable(name) => Place::Variable(name.clone()),
        }
    }

    pub(super) fn problem(&self, spot: &Spot, what: impl Display, to_do: impl Display) {
        let order = match spot {
            Spot::Offset(offset) => *offset,
            Spot::Variable(_) => usize::MAX,
        };
        self.push(order, self.place(spot), what, to_do);
    }

    /// A problem inside another file.
    pub(super) fn problem_inside(&self, place: Place, what: impl Display, to_do: impl Display) {
        self.push(usize::MAX, place, what, to_do);
    }

    fn push(&self, order: usize, place: Place, what: impl Display, to_do: impl Display) {
        let problem = Problem { place, what: what.to_string(), to_do: to_do.to_string() };
        self.problems.borrow_mut().push((order, problem));
    }

    /// Problems of another file that was read because of this one.
    pub(super) fn absorb(&self, problems: impl IntoIterator<Item = Problem>) {
        let problems = problems.into_iter().map(|problem| (usize::MAX, problem));
        self.problems.borrow_mut().extend(problems);
    }

    /// Something that works, but probably not as meant.
    pub(super) fn warn(&self, place: Place, what: impl Display, to_do: impl Display) {
        let warning = Problem { place, what: what.to_string(), to_do: to_do.to_string() };
        self.warnings.borrow_mut().push(warning);
    }

    /// Problems in the order of the file, then warnings.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(order, _)| *order);
        (problems.into_iter().map(|(_, problem)| problem).collect(), self.warnings.into_inner())
    }

    /// The folder against which paths in the file are resolved.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// One table of the file, with what the environment says about its keys.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub(super) document: &'a Document<'a>,
    table: Option<&'a DeTable<'a>>,
    /// Dotted path with a dot at its end; empty for the root.
    path: String,
    shape: &'static Shape,
    /// Where its heading is.
    pub(super) spot: Spot,
}

impl<'a> Section<'a> {
    pub(super) fn root(
        document: &'a Document<'a>,
        table: &'a DeTable<'a>,
        shape: &'static Shape,
    ) -> Self {
        let root = Self {
            document,
            table: Some(table),
            path: String::new(),
            shape,
            spot: Spot::Offset(0),
        };
        root.check_keys();
        root
    }

    /// Report keys that the schema does not have.
    fn check_keys(&self) {
        for name in self.table.into_iter().flat_map(|table| table.keys()) {
            if self.shape.find(name.get_ref()).is_some() {
                continue;
            }
            let known = self.shape.keys.iter().map(|key| key.name);
            let to_do = match nearest(name.get_ref(), known.clone()) {
                Some(similar) => format!("Did you mean `{similar}`?"),
                None => format!("Known here: {}.", known.collect::<Vec<_>>().join(", ")),
            };
            let what = format!("`{}` is not a key of {}", name.get_ref(), self.title());
            self.document.problem(&Spot::Offset(name.span().start), what, to_do);
        }
    }

    fn title(&self) -> String {
        let names: Vec<_> =
            self.path.split('.').filter(|part| part.parse::<usize>().is_err()).collect();
        let name = names.join(".");
        let name = name.trim_end_matches('.');
        if name.is_empty() { self.document.title.into() } else { format!("[{name}]") }
    }

    pub(super) fn exists(&self) -> bool {
        self.table.is_some()
            || self.document.overrides.keys().any(|path| path.starts_with(&self.path))
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        let key = self.shape.find(name);
        debug_assert!(key.is_some(), "{name} is not in the schema of {}", self.title());
        key
    }

    fn entry(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }

    fn variable(&self, name: &str) -> Option<&'a Override> {
        self.document.overrides.get(&format!("{}{name}", self.path))
    }

    fn wrong_kind(&self, name: &str, value: &Spanned<DeValue<'_>>) {
        let kind = self.key(name).map(|key| key.kind.describe()).unwrap_or_default();
        let what = format!("`{name}` is {}, it must be: {kind}", value.get_ref().type_str());
        self.document.problem(&Spot::Offset(value.span().start), what, "");
    }

    /// The value as text, whatever its kind; numbers as they are written.
    pub(super) fn text(&self, name: &str) -> Option<At<String>> {
        if let Some(set) = self.variable(name) {
            let spot = Spot::Variable(set.variable.clone());
            return Some(At { value: set.value.clone(), spot });
        }
        let entry = self.entry(name)?;
        let spot = Spot::Offset(entry.span().start);
        let takes_numbers =
            self.key(name).is_some_and(|key| matches!(key.kind, Kind::Bytes | Kind::Number));
        let value = match entry.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if takes_numbers => number.to_string(),
            _ => {
                self.wrong_kind(name, entry);
                return None;
            }
        };
        Some(At { value, spot })
    }

    /// Text that is not empty; a problem when it is absent.
    pub(super) fn required(&self, name: &str) -> Option<At<String>> {
        let value = self.text(name);
        match &value {
            None if self.entry(name).is_none() => {
                let what = format!("`{name}` is missing in {}", self.title());
                let to_do = self.key(name).map_or("", |key| key.text);
                self.document.problem(&self.spot, what, to_do);
            }
            Some(at) if at.value.trim().is_empty() => {
                self.document.problem(&at.spot, format!("`{name}` is empty"), "");
                return None;
            }
            _ => {}
        }
        value
    }

    /// Text turned into a meaning by `read`, whose error says what to do.
    pub(super) fn parsed<T, E: Display>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        self.meaning(name, self.text(name)?, read)
    }

    pub(super) fn meaning<T, E: Display>(
        &self,
        name: &str,
        text: At<String>,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        match read(&text.value) {
            Ok(value) => Some(At { value, spot: text.spot }),
            Err(error) => {
                let what = format!("`{name}` cannot be `{}`", text.value);
                self.document.problem(&text.spot, what, error);
                None
            }
        }
    }

    /// One of the words of the schema, as an index into them.
    pub(super) fn choice(&self, name: &str) -> Option<At<&'static str>> {
        let text = self.text(name)?;
        let Some(Key { kind: Kind::Choice(words), .. }) = self.key(name) else { return None };
        self.meaning(name, text, |text| {
            words.iter().copied().find(|word| *word == text).ok_or_else(|| {
                let similar = nearest(text, words.iter().copied());
                let guess = similar.map(|word| format!("Did you mean `{word}`? "));
                format!("{}It is one of: {}.", guess.unwrap_or_default(), words.join(", "))
            })
        })
    }

    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        if self.variable(name).is_some() {
            let read = |text: &str| text.parse().map_err(|_| "It is true or false.");
            return self.parsed(name, read).map(|at| at.value);
        }
        let entry = self.entry(name)?;
        if entry.get_ref().as_bool().is_none() {
            self.wrong_kind(name, entry);
        }
        entry.get_ref().as_bool()
    }

    pub(super) fn path(&self, name: &str) -> Option<At<PathBuf>> {
        let document = self.document;
        self.parsed(name, |text| Ok::<_, &str>(document.resolve(text)))
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<At<String>>> {
        if let Some(set) = self.variable(name) {
            let items = set.value.split(',').map(str::trim).filter(|item| !item.is_empty());
            let spot = Spot::Variable(set.variable.clone());
            return Some(
                items.map(|item| At { value: item.to_owned(), spot: spot.clone() }).collect(),
            );
        }
        self.texts_of(name, self.entry(name)?)
    }

    fn texts_of(&self, name: &str, entry: &'a Spanned<DeValue<'a>>) -> Option<Vec<At<String>>> {
        let Some(items) = entry.get_ref().as_array() else {
            self.wrong_kind(name, entry);
            return None;
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => {
                    texts
                        .push(At { value: text.to_owned(), spot: Spot::Offset(item.span().start) });
                }
                None => self.wrong_kind(name, item),
            }
        }
        Some(texts)
    }

    pub(super) fn text_groups(&self, name: &str) -> Option<Vec<Vec<At<String>>>> {
        let entry = self.entry(name)?;
        let Some(groups) = entry.get_ref().as_array() else {
            self.wrong_kind(name, entry);
            return None;
        };
        Some(groups.iter().filter_map(|group| self.texts_of(name, group)).collect())
    }

    /// Every name that the schema has for this table.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.shape.keys.iter().map(|key| key.name)
    }

    /// How many tables the array `name` has.
    pub(super) fn count(&self, name: &str) -> usize {
        self.entry(name).and_then(|entry| entry.get_ref().as_array()).map_or(0, |list| list.len())
    }

    /// Whether there is something to read, right or wrong.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variable(name).is_some() || self.entry(name).is_some()
    }

    /// The value itself, for whoever reads it with serde.
    pub(super) fn raw(&self, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entry(name)
    }

    /// The spot of a key, or of the section's heading.
    pub(super) fn spot_of(&self, name: &str) -> Spot {
        match (self.variable(name), self.entry(name)) {
            (Some(set), _) => Spot::Variable(set.variable.clone()),
            (None, Some(entry)) => Spot::Offset(entry.span().start),
            (None, None) => self.spot.clone(),
        }
    }

    /// A table below this one; an empty one when it is absent.
    pub(super) fn section(&self, name: &str) -> Section<'a> {
        let entry = self.entry(name);
        let table = entry.and_then(|entry| entry.get_ref().as_table());
        if let (Some(entry), None) = (entry, table) {
            self.wrong_kind(name, entry);
        }
        let shape = match self.key(name).map(|key| key.kind) {
            Some(Kind::Section(shape)) => shape,
            _ => self.shape,
        };
        let spot = entry.map_or(self.spot.clone(), |entry| Spot::Offset(entry.span().start));
        let path = format!("{}{name}.", self.path);
        let section = Section { document: self.document, table, path, shape, spot };
        section.check_keys();
        section
    }

    pub(super) fn sections(&self, name: &str) -> Vec<Section<'a>> {
        let Some(entry) = self.entry(name) else { return Vec::new() };
        let Some(Key { kind: Kind::Sections(shape), .. }) = self.key(name) else {
            return Vec::new();
        };
        let Some(items) = entry.get_ref().as_array() else {
            self.document.problem(
                &Spot::Offset(entry.span().start),
                format!("`{name}` is one of many"),
                format!("Write [[{name}]] with double brackets."),
            );
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Some(table) = item.get_ref().as_table() else {
                self.wrong_kind(name, item);
                continue;
            };
            let section = Section {
                document: self.document,
                table: Some(table),
                path: format!("{}{name}.{index}.", self.path),
                shape,
                spot: Spot::Offset(item.span().start),
            };
            section.check_keys();
            sections.push(section);
        }
        sections
    }
}
