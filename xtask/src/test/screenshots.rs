//! `cargo xtask screenshots`: every page in light, dark and phone width, as pictures to be looked
//! at. The browser is the one of the tests, and what they check of a page is checked here too.

use std::path::Path;
use std::process::Command;

use super::clients::{Places, SCRIPTS};
use super::tools::Tools;
use crate::process::{Outcome, progress, run_visibly};

pub fn run(root: &Path, words: &[&str]) -> Outcome<()> {
    let (folder, only) = match words {
        [] => ("target/screenshots", ""),
        [folder] => (*folder, ""),
        [folder, only] => (*folder, *only),
        _ => return Err("`screenshots` takes a folder and a part of a page's name".into()),
    };
    let tools = Tools::find_or_install(false)?;
    let places = Places::new(root);
    let node_folder = places.node_folder(&tools)?;
    let gallery = places.gallery();
    // A page that is gone would be photographed again.
    let _ = std::fs::remove_dir_all(&gallery);
    progress("writing the pages");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["run", "-q", "-p", "consentry-server", "--example", "gallery"]);
    if !run_visibly(cargo.arg("--").arg(&gallery))? {
        return Err("the gallery could not be written".into());
    }
    progress("taking the pictures");
    let config = [
        ("gallery", gallery.as_path()),
        ("chromium", &tools.chromium),
        ("pictures", &root.join(folder)),
        ("only", Path::new(only)),
    ];
    let members: Vec<String> =
        config.iter().map(|(name, path)| format!("\"{name}\":{}", quoted(path))).collect();
    let mut node = Command::new(&tools.node);
    node.arg(root.join(SCRIPTS).join("pages.mjs")).arg(format!("{{{}}}", members.join(",")));
    if run_visibly(node.env("CONSENTRY_TEST_NODE_DIR", &node_folder))? {
        Ok(())
    } else {
        Err("the pages have the faults above".into())
    }
}

/// As a JSON string.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}
