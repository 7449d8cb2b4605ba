//! The gallery: every sample page and what it loads, as files.

use std::error::Error;
use std::path::Path;

use server::pages::{Brand, Pages};

/// Fills `folder` and returns how many pages there are, the index not counted.
pub(crate) fn write(folder: &Path, name: &str, accent: &str) -> Result<usize, Box<dyn Error>> {
    let assets = folder.join("assets");
    std::fs::create_dir_all(&assets)?;
    let support_url = Some("mailto:help@example.com".into());
    let pages =
        Pages::new(Brand { accent: accent.into(), support_url, ..Brand::named(name) }, None)?;
    for name in ["style.css", "brand.css", "app.js", "passkey.js", "consentry.svg"] {
        let asset = pages.asset(name).ok_or("an asset is missing")?;
        std::fs::write(assets.join(name), asset.body)?;
    }
    let samples = pages.render_samples()?;
    let mut index = String::from("<!doctype html><title>Gallery</title><ul>");
    for (name, html) in &samples {
        std::fs::write(folder.join(format!("{name}.html")), html)?;
        index.push_str(&format!("<li><a href='{name}.html'>{name}</a>"));
    }
    std::fs::write(folder.join("index.html"), index)?;
    Ok(samples.len())
}
