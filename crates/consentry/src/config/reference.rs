//! The reference of the config file as Markdown, printed from the schema.

use std::fmt::Write as _;

use super::schema::{Kind, ROOT, Shape};

/// `docs/operator/config.md`.
pub fn markdown() -> String {
    let mut out = String::from(include_str!("reference_head.md"));
    section(&mut out, &ROOT, "Top level", "", "CONSENTRY_");
    out.push_str(include_str!("reference_tail.md"));
    out
}

fn section(out: &mut String, shape: &Shape, title: &str, text: &str, variables: &str) {
    let _ = writeln!(out, "\n## {title}\n");
    if !text.is_empty() {
        let _ = writeln!(out, "{text}\n");
    }
    out.push_str("| key | value | default | meaning | environment |\n|---|---|---|---|---|\n");
    for key in shape.keys {
        let variable = format!("{variables}{}", key.name.to_uppercase());
        let variable = match key.kind {
            Kind::Section(_) | Kind::Sections(_) => continue,
            Kind::TextGroups => "–".to_owned(),
            _ => format!("`{variable}`"),
        };
        let default = if key.default.is_empty() { "–" } else { key.default };
        let kind = key.kind.describe();
        let _ =
            writeln!(out, "| `{}` | {kind} | {default} | {} | {variable} |", key.name, key.text);
    }
    let name = title.trim_matches(|c| "`[]".contains(c));
    let parent = if title == "Top level" { String::new() } else { format!("{name}.") };
    for key in shape.keys {
        let variables = format!("{variables}{}__", key.name.to_uppercase());
        match key.kind {
            Kind::Section(below) => {
                let title = format!("`[{parent}{}]`", key.name);
                section(out, below, &title, key.text, &variables);
            }
            Kind::Sections(below) => {
                let title = format!("`[[{parent}{}]]`", key.name);
                section(out, below, &title, key.text, &format!("{variables}N__"));
            }
            _ => {}
        }
    }
}
