//! Rules for every text file: no invisible blanks at line ends, no path of somebody's machine.

use std::path::Path;

use super::{File, Finding};

/// Files in which a blank at a line's end is never meant. Snapshots of output may contain it.
const SOURCES: &[&str] = &[
    "css", "go", "html", "jinja", "js", "json", "md", "mjs", "py", "rs", "sh", "sql", "toml",
    "yaml", "yml",
];

/// Folders of one person's or one build machine. Spelled in halves to pass their own check.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/"), concat!("/tmp/", "wt")];

pub fn check(file: &File) -> Vec<Finding> {
    let extension = Path::new(&file.path).extension().and_then(|extension| extension.to_str());
    let is_source = extension.is_some_and(|extension| SOURCES.contains(&extension));
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if is_source && line.ends_with([' ', '\t']) {
            let advice = "blanks at the end of the line: remove them";
            findings.push(Finding::new(&file.path, index + 1, "blanks", advice));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| names_machine_path(line, path)) {
            let advice = format!("`{path}` exists on one machine: use a path that all have");
            findings.push(Finding::new(&file.path, index + 1, "machine-path", advice));
        }
    }
    findings
}

/// Whether `path` starts a path in `line`; inside an address or a longer path it is something else.
fn names_machine_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_-.}/~*".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let file = File { path: path.into(), text: text.into() };
        check(&file).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn blanks_at_line_ends_are_found_in_sources_only() {
        assert_eq!(rules("a.rs", "a \nb\n"), ["blanks"]);
        assert_eq!(rules("a.snap", "a \nb\n"), Vec::<&str>::new());
    }

    #[test]
    fn a_path_of_one_machine_is_found_and_an_address_is_not() {
        for path in MACHINE_PATHS {
            assert_eq!(rules("README", &format!("see `{path}x`")), ["machine-path"]);
            assert!(rules("README", &format!("https://example.com{path}x")).is_empty());
        }
    }
}
