//! Writes every sample page to a folder, to be looked at in a browser:
//! `cargo run -p consentry-server --example gallery -- FOLDER`, then serve the folder.

use std::error::Error;
use std::path::PathBuf;

use server::pages::{Brand, Pages};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).map(PathBuf::from).ok_or("which folder?")?;
    let assets = folder.join("assets");
    std::fs::create_dir_all(&assets)?;
    let accent = std::env::args().nth(2).unwrap_or_else(|| "#14594b".into());
    let name = std::env::args().nth(3).unwrap_or_else(|| "Harbor Exchange".into());
    let support_url = Some("mailto:help@example.com".into());
    let pages = Pages::new(Brand { accent, support_url, ..Brand::named(name) }, None)?;
    for name in ["style.css", "brand.css", "app.js", "passkey.js", "consentry.svg"] {
        let asset = pages.asset(name).ok_or("an asset is missing")?;
        std::fs::write(assets.join(name), asset.body)?;
    }
    let mut index = String::from("<!doctype html><title>Gallery</title><ul>");
    for (name, html) in pages.render_samples()? {
        std::fs::write(folder.join(format!("{name}.html")), html)?;
        index.push_str(&format!("<li><a href='{name}.html'>{name}</a>"));
    }
    std::fs::write(folder.join("index.html"), index)?;
    Ok(())
}
