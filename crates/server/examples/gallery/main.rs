//! Writes every sample page to a folder, to be looked at in a browser:
//! `cargo run -p consentry-server --example gallery -- FOLDER [ACCENT] [NAME]`, then serve the
//! folder. `cargo xtask screenshots` does both and takes the pictures.

mod write;

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().map(PathBuf::from).ok_or("which folder?")?;
    let accent = words.next().unwrap_or_else(|| "#14594b".into());
    let name = words.next().unwrap_or_else(|| "Harbor Exchange".into());
    let count = write::write(&folder, &name, &accent)?;
    writeln!(std::io::stdout(), "{count} pages")?;
    Ok(())
}
