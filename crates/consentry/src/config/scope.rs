//! The scopes that the operator declares, and the reading of scope names elsewhere in the file.

use std::collections::BTreeMap;

use domain::policy::{ScopeDefinition, ScopeKind, ScopeTier};
use protocol::scope::{ScopeName, ScopeSet};

use super::problem::nearest;
use super::reader::{At, Section};

pub(super) type Scopes = BTreeMap<ScopeName, ScopeDefinition>;

pub(super) fn read_all(root: &Section<'_>) -> Scopes {
    let mut scopes = Scopes::new();
    for section in root.sections("scope") {
        let Some(definition) = read(&section) else { continue };
        let name = definition.name.clone();
        if scopes.insert(name.clone(), definition).is_some() {
            section.document.problem(
                &section.spot_of("name"),
                format!("the scope `{name}` is declared twice"),
                "Remove one of them.",
            );
        }
    }
    scopes
}

fn read(section: &Section<'_>) -> Option<ScopeDefinition> {
    let name = section.required("name");
    let name = name.and_then(|text| {
        section.meaning("name", text, |text| {
            ScopeName::parse(text).map_err(|error| format!("Choose another name: {error}."))
        })
    });
    let text = section.required("text");
    let kind = match section.choice("kind").map(|at| at.value) {
        Some("change") => ScopeKind::Change,
        Some("money") => ScopeKind::Money,
        _ => ScopeKind::Read,
    };
    let tier = match section.choice("tier").map(|at| at.value) {
        Some("sensitive") => ScopeTier::Sensitive,
        Some("high") => ScopeTier::High,
        _ => ScopeTier::Low,
    };
    Some(ScopeDefinition { name: name?.value, text: text?.value, kind, tier })
}

/// What to do about a name that no `[[scope]]` declares.
pub(super) fn undeclared(scopes: &Scopes, name: &str) -> String {
    match nearest(name, scopes.keys().map(ScopeName::as_str)) {
        Some(similar) => format!("Did you mean `{similar}`?"),
        None => "Declare it with [[scope]], or correct the name.".into(),
    }
}

/// A set of declared scopes; `None` when a problem was reported.
pub(super) fn set(
    section: &Section<'_>,
    scopes: &Scopes,
    names: Vec<At<String>>,
) -> Option<ScopeSet> {
    let mut found = Vec::new();
    let count = names.len();
    for At { value, spot } in names {
        match scopes.get_key_value(value.as_str()) {
            Some((name, _)) => found.push(name.clone()),
            None => {
                let what = format!("no scope is called `{value}`");
                section.document.problem(&spot, what, undeclared(scopes, &value));
            }
        }
    }
    (found.len() == count).then(|| found.into_iter().collect())
}
