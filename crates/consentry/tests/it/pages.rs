//! Every page as a person with a screen reader, a phone or a dark screen meets it.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clients::{Program, variable};

#[path = "../../../server/examples/gallery/write.rs"]
mod gallery;

#[tokio::test]
async fn every_page_passes_axe_in_light_and_dark_and_fits_a_phone() {
    let folder = TempDir::new().unwrap();
    let count = gallery::write(folder.path(), "Harbor Exchange", "#14594b").unwrap();
    let chromium = variable("CONSENTRY_TEST_CHROMIUM");
    let config = json!({ "gallery": folder.path(), "chromium": chromium });
    let found = Program::node("pages.mjs").report(&config).await;
    assert_eq!(found["pages"], count);
    let faults: Vec<&str> =
        found["faults"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
