//! The layer table of `ARCHITECTURE.md` against each crate's `Cargo.toml`. Cargo refuses only
//! circles; which way a dependency may point is decided here.

use std::collections::BTreeMap;

use super::{File, Finding};

/// Crate → the crates of this workspace that it may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("domain", &["protocol"]),
    ("store", &["protocol", "domain"]),
    ("server", &["protocol", "domain", "store"]),
    ("gateway", &["protocol", "domain"]),
    ("sandbox", &[]),
    ("consentry", &["protocol", "domain", "store", "server", "gateway", "sandbox"]),
    ("testkit", &["protocol", "domain", "store", "server", "gateway", "sandbox"]),
];

/// The crate that only tests may use.
const TESTS_ONLY: &str = "testkit";

/// Database drivers → the crates that may know them. `sandbox` is an example of an upstream with
/// storage of its own; `testkit` is no part of the product.
const DRIVERS: &[(&str, &[&str])] = &[
    ("rusqlite", &["store", "sandbox", "testkit"]),
    ("tokio-postgres", &["store", "testkit"]),
    ("deadpool-postgres", &["store"]),
    ("libsqlite3-sys", &["store"]),
    ("postgres", &[]),
    ("sqlx", &[]),
    ("diesel", &[]),
];

/// A dependency as one manifest names it.
struct Dependency {
    /// The real package, after renames; without `consentry-` when it is ours.
    name: String,
    line: usize,
    for_tests: bool,
}

pub fn check(files: &[File]) -> Vec<Finding> {
    files
        .iter()
        .filter_map(|file| Some((crate_name(&file.path)?, file)))
        .flat_map(check_one)
        .collect()
}

/// `store` for `crates/store/Cargo.toml`.
fn crate_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
    (!name.contains('/')).then_some(name)
}

fn check_one((name, file): (&str, &File)) -> Vec<Finding> {
    const RULE: &str = "layers";
    let path = &file.path;
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
        let advice = "a new crate needs a reason and a row in LAYERS (xtask/src/tidy/layers.rs)";
        return vec![Finding::new(path, 1, RULE, advice)];
    };
    let dependencies = match list_dependencies(&file.text) {
        Ok(dependencies) => dependencies,
        Err(error) => return vec![Finding::new(path, 1, RULE, error)],
    };
    let mut findings = Vec::new();
    for Dependency { name: used, line, for_tests } in dependencies {
        let is_ours = LAYERS.iter().any(|(layer, _)| *layer == used);
        let is_tests_only = used == TESTS_ONLY;
        if is_tests_only && !for_tests {
            let advice = format!("`{TESTS_ONLY}` belongs under [dev-dependencies]");
            findings.push(Finding::new(path, line, RULE, advice));
        } else if is_ours && !is_tests_only && used != name && !allowed.contains(&used.as_str()) {
            let may_use = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
            let advice = format!("`{name}` may not use `{used}` (it may use: {may_use})");
            findings.push(Finding::new(path, line, RULE, advice));
        }
        let driver = DRIVERS.iter().find(|(driver, _)| *driver == used);
        if let Some((driver, owners)) = driver
            && !for_tests
            && !owners.contains(&name)
        {
            let advice =
                format!("`{driver}` is a database driver: put the statement into crates/store");
            findings.push(Finding::new(path, line, "drivers", advice));
        }
    }
    findings
}

fn list_dependencies(manifest: &str) -> Result<Vec<Dependency>, String> {
    let table: toml::Table =
        manifest.parse().map_err(|error| format!("not valid TOML: {error}"))?;
    let mut found = Vec::new();
    let mut collect = |tables: &toml::Table| {
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let entries = tables.get(section).and_then(toml::Value::as_table);
            for (key, value) in entries.into_iter().flatten() {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                let name = package.strip_prefix("consentry-").unwrap_or(package).to_owned();
                let line = line_of(manifest, section, key);
                found.push(Dependency { name, line, for_tests: section == "dev-dependencies" });
            }
        }
    };
    collect(&table);
    let targets = table.get("target").and_then(toml::Value::as_table);
    let by_target: BTreeMap<&String, &toml::Value> = targets.into_iter().flatten().collect();
    by_target.values().filter_map(|value| value.as_table()).for_each(&mut collect);
    Ok(found)
}

/// Where `key` is written below the heading of `section`; 1 when it is spelled unusually.
fn line_of(manifest: &str, section: &str, key: &str) -> usize {
    let mut in_section = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            let heading = line.trim_matches(['[', ']']);
            in_section = heading.split('.').any(|part| part == section);
            if in_section && heading.ends_with(&format!(".{key}")) {
                return index + 1;
            }
        }
        let written = line.split(['.', '=', ' ']).next().unwrap_or_default();
        if in_section && written.trim_matches('"') == key {
            return index + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, manifest: &str) -> Vec<String> {
        let path = format!("crates/{name}/Cargo.toml");
        check(&[File { path, text: manifest.into() }]).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_lower_layer_may_not_use_a_higher_one() {
        let found =
            findings("domain", "[dependencies]\nprotocol.workspace = true\nstore = \"1\"\n");
        let expected = "crates/domain/Cargo.toml:3: error [layers] \
                        `domain` may not use `store` (it may use: protocol)";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_renamed_dependency_is_still_seen() {
        let manifest = "[dependencies]\nx = { package = \"consentry-server\", path = \"..\" }\n";
        assert_eq!(findings("gateway", manifest).len(), 1);
        let manifest = "[target.'cfg(unix)'.dependencies.x]\npackage = \"consentry-store\"\n";
        assert_eq!(findings("gateway", manifest).len(), 1);
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        assert_eq!(findings("server", "[dependencies]\ntestkit.workspace = true\n").len(), 1);
        assert!(findings("server", "[dev-dependencies]\ntestkit.workspace = true\n").is_empty());
    }

    #[test]
    fn a_database_driver_stays_in_the_store() {
        let manifest = "[dependencies]\nrusqlite.workspace = true\n";
        assert!(findings("store", manifest).is_empty());
        assert!(findings("sandbox", manifest).is_empty());
        assert!(findings("server", manifest)[0].contains("[drivers]"));
        assert_eq!(findings("sandbox", "[dependencies]\ntokio-postgres = \"0.7\"\n").len(), 1);
    }

    #[test]
    fn a_crate_outside_the_table_is_an_error() {
        assert_eq!(findings("extras", "[package]\n").len(), 1);
    }
}
