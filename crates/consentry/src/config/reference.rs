//! The references of the config file and of dialect files as Markdown, printed from their schemas.

use std::fmt::Write as _;

use protocol::dialect::RELAXABLE;

use super::dialect_schema::DIALECT;
use super::schema::{Kind, ROOT, Shape};

/// `docs/operator/config.md`.
pub fn markdown() -> String {
    let mut out = String::from(include_str!("reference_head.md"));
    section(&mut out, &ROOT, "Top level", "", Some("CONSENTRY_"));
    out.push_str(include_str!("reference_tail.md"));
    out
}

/// `docs/operator/dialect-files.md`.
pub fn dialect_markdown() -> String {
    let mut out = String::from(include_str!("dialect_reference_head.md"));
    let text = "[Add a dialect](../dev/adding-a-dialect.md) builds such a file step by step.";
    section(&mut out, &DIALECT, "Top level", text, None);
    out.push_str("\n## What can be relaxed\n\n");
    out.push_str("| word in `relax` | what does not hold any more |\n|---|---|\n");
    for (word, text) in RELAXABLE {
        let _ = writeln!(out, "| `{word}` | {text} |");
    }
    out.push_str(include_str!("dialect_reference_tail.md"));
    out
}

/// `variables`: what environment variables of this table begin with; `None`: there are none.
fn section(out: &mut String, shape: &Shape, title: &str, text: &str, variables: Option<&str>) {
    let _ = writeln!(out, "\n## {title}\n");
    if !text.is_empty() {
        let _ = writeln!(out, "{text}\n");
    }
    if shape.keys.iter().all(|key| key.text.is_empty()) {
        // Their names say it: those of the standard's parameters.
        let names: Vec<String> = shape.keys.iter().map(|key| format!("`{}`", key.name)).collect();
        let _ = writeln!(out, "Each is a text: {}.", names.join(", "));
    } else {
        table(out, shape, variables);
    }
    let name = title.trim_matches(|c| "`[]".contains(c));
    let parent = if title == "Top level" { String::new() } else { format!("{name}.") };
    for key in shape.keys {
        let (below, title, number) = match key.kind {
            Kind::Section(below) => (below, format!("`[{parent}{}]`", key.name), ""),
            Kind::Sections(below) => (below, format!("`[[{parent}{}]]`", key.name), "N__"),
            _ => continue,
        };
        let variables =
            variables.map(|name| format!("{name}{}__{number}", key.name.to_uppercase()));
        section(out, below, &title, key.text, variables.as_deref());
    }
}

fn table(out: &mut String, shape: &Shape, variables: Option<&str>) {
    let (heading, rule) = match variables {
        Some(_) => (" environment |", "---|"),
        None => ("", ""),
    };
    let _ = writeln!(out, "| key | value | default | meaning |{heading}\n|---|---|---|---|{rule}");
    for key in shape.keys {
        let variable = match (key.kind, variables) {
            (Kind::Section(_) | Kind::Sections(_), _) => continue,
            (_, None) => String::new(),
            (Kind::TextGroups, Some(_)) => " – |".to_owned(),
            (_, Some(name)) => format!(" `{name}{}` |", key.name.to_uppercase()),
        };
        let default = if key.default.is_empty() { "–" } else { key.default };
        let kind = key.kind.describe();
        let _ = writeln!(out, "| `{}` | {kind} | {default} | {} |{variable}", key.name, key.text);
    }
}
