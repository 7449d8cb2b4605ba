//! The environment, read once at start. `CONSENTRY_LISTEN__PUBLIC` sets `public` of `[listen]`,
//! `CONSENTRY_RESOURCE__0__UPSTREAM__URL` the upstream of the first `[[resource]]`.

use std::collections::BTreeMap;

use super::problem::{Place, Problem, nearest};
use super::reader::Override;
use super::schema::{Kind, ROOT, Shape};

const PREFIX: &str = "CONSENTRY_";
/// The digits of the master key themselves, for systems that hand secrets over like this.
pub(super) const MASTER_KEY: &str = "CONSENTRY_MASTER_KEY";
/// Read elsewhere and no part of the file: the log filter.
pub const LOG: &str = "CONSENTRY_LOG";
/// Belongs to the test suite.
const TEST_PREFIX: &str = "CONSENTRY_TEST_";

/// What the process was started with.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Variables with our prefix by the dotted path of the key that they set, and those that set
    /// nothing.
    pub(super) fn overrides(&self) -> (BTreeMap<String, Override>, Vec<Problem>) {
        let mut overrides = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, value) in &self.variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            if name.starts_with(TEST_PREFIX) || name == LOG || name == MASTER_KEY {
                continue;
            }
            let path = rest.to_lowercase().replace("__", ".");
            if sets_a_value(&ROOT, &path) {
                let set = Override { variable: name.clone(), value: value.clone() };
                overrides.insert(path, set);
            } else {
                problems.push(unknown(name));
            }
        }
        (overrides, problems)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().collect() }
    }
}

fn sets_a_value(shape: &Shape, path: &str) -> bool {
    let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
    match (shape.find(head).map(|key| key.kind), rest) {
        (Some(Kind::Section(below)), Some(rest)) => sets_a_value(below, rest),
        (Some(Kind::Sections(below)), Some(rest)) => rest
            .split_once('.')
            .is_some_and(|(index, rest)| index.parse::<u16>().is_ok() && sets_a_value(below, rest)),
        (Some(Kind::Section(_) | Kind::Sections(_) | Kind::TextGroups) | None, _) => false,
        (Some(_), rest) => rest.is_none(),
    }
}

fn unknown(name: &str) -> Problem {
    let mut known = Vec::new();
    variables_of(&ROOT, PREFIX, &mut known);
    // Compared without the position, so that a misspelt key of any resource finds its neighbour.
    let plain: String = name
        .split("__")
        .map(|part| if part.parse::<u16>().is_ok() { "0" } else { part })
        .collect::<Vec<_>>()
        .join("__");
    let to_do = match nearest(&plain, known.iter().map(String::as_str)) {
        Some(similar) => format!("Did you mean {similar}?"),
        None => "Remove it, or see the table in docs/operator/config.md.".into(),
    };
    Problem { place: Place::Variable(name.to_owned()), what: "it sets nothing".into(), to_do }
}

/// The names of all variables, with `0` for positions.
fn variables_of(shape: &Shape, prefix: &str, out: &mut Vec<String>) {
    for key in shape.keys {
        let name = format!("{prefix}{}", key.name.to_uppercase());
        match key.kind {
            Kind::Section(below) => variables_of(below, &format!("{name}__"), out),
            Kind::Sections(below) => variables_of(below, &format!("{name}__0__"), out),
            Kind::TextGroups => {}
            _ => out.push(name),
        }
    }
}
