//! Relative links in Markdown: each must lead to a file of the repository. Addresses elsewhere
//! are not visited, since the checks need no network.

use super::{File, Finding};

/// `exists` is asked for paths from the root of the repository.
pub fn check(file: &File, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in list_targets(line) {
            let resolved = resolve(&file.path, target);
            if resolved.as_deref().is_none_or(|path| !path.is_empty() && !exists(path)) {
                let advice = format!("`{target}` leads nowhere: correct the path or drop the link");
                findings.push(Finding::new(&file.path, index + 1, "dead-link", advice));
            }
        }
    }
    findings
}

/// The relative targets of `[text](target)` and `[name]: target` in one line.
fn list_targets(line: &str) -> Vec<&str> {
    let without_code: Vec<&str> = line.split('`').step_by(2).collect();
    // A link whose text is code is cut by the backticks, but `](target)` stays in one piece.
    let mut targets: Vec<&str> = without_code
        .iter()
        .flat_map(|piece| piece.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .collect();
    let definition = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    targets.extend(definition.and_then(|(_, target)| target.split_whitespace().next()));
    targets
        .retain(|target| !target.is_empty() && !target.contains(':') && !target.starts_with('#'));
    targets
}

/// `docs/a.md` + `../b.md#part` → `b.md`; `None` when it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let (mut parts, target): (Vec<&str>, &str) = match target.strip_prefix('/') {
        Some(from_root) => (Vec::new(), from_root),
        None => (from.split('/').collect(), target),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(text: &str) -> usize {
        let file = File { path: "docs/dev/a.md".into(), text: text.into() };
        check(&file, |path| ["README.md", "docs/b.md"].contains(&path)).len()
    }

    #[test]
    fn a_link_leads_to_a_file() {
        assert_eq!(dead("see [b](../b.md#part), [r](/README.md), [`r`](../../README.md)"), 0);
        assert_eq!(dead("[x]: ../b.md\n[top](#top) [out](https://example.com/none.md)"), 0);
        assert_eq!(dead("see [b](b.md)"), 1);
        assert_eq!(dead("[x]: none.md"), 1);
        assert_eq!(dead("[out](../../../../b.md)"), 1);
    }

    #[test]
    fn code_has_no_links() {
        assert_eq!(dead("```\n[b](none.md)\n```\nand `[b](none.md)`"), 0);
    }
}
