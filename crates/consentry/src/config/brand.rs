//! How the pages look.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use server::pages::Brand;

use super::ReadFile;
use super::issuer::Issuer;
use super::reader::Section;

/// The logo travels inside the pages.
const LOGO_BYTES_MAX: usize = 64 * 1024;

pub(super) fn read(section: &Section<'_>, issuer: Option<&Issuer>, read: ReadFile<'_>) -> Brand {
    let name = section.text("name").map(|at| at.value).filter(|name| !name.trim().is_empty());
    let name = name.or_else(|| issuer.map(|issuer| issuer.host.clone())).unwrap_or_default();
    let colour = |name| section.parsed(name, colour).map(|at| at.value);
    let plain = Brand::named(name);
    Brand {
        logo_url: logo(section, read),
        accent: colour("accent").unwrap_or_else(|| plain.accent.clone()),
        accent_dark: colour("accent_dark"),
        support_url: section.parsed("support_url", support_address).map(|at| at.value),
        ..plain
    }
}

/// The image as a `data:` address; pages load images from nowhere else.
fn logo(section: &Section<'_>, read: ReadFile<'_>) -> Option<String> {
    let path = section.path("logo")?;
    let problem = |what: String, to_do: &str| {
        section.document.problem(&path.spot, what, to_do);
        None
    };
    let Some(kind) = image_kind(&path.value) else {
        let to_do = "Use a file that ends in .svg, .png, .jpg or .webp.";
        return problem("the logo is no image that pages can show".into(), to_do);
    };
    match read(&path.value) {
        Ok(bytes) if bytes.len() <= LOGO_BYTES_MAX => {
            Some(format!("data:image/{kind};base64,{}", STANDARD.encode(bytes)))
        }
        Ok(_) => problem(format!("the logo is larger than {LOGO_BYTES_MAX} bytes"), "Shrink it."),
        Err(error) => {
            let what = format!("{} cannot be read: {error}", path.value.display());
            problem(what, "Paths are relative to the folder of the config file.")
        }
    }
}

fn image_kind(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "svg" => Some("svg+xml"),
        "png" => Some("png"),
        "jpg" | "jpeg" => Some("jpeg"),
        "webp" => Some("webp"),
        _ => None,
    }
}

/// Only six digits: the value goes into a style sheet.
fn colour(text: &str) -> Result<String, &'static str> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("Write # and six hexadecimal digits, such as #2f5fd0.")
}

fn support_address(text: &str) -> Result<String, &'static str> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "https" | "mailto") => Ok(text.to_owned()),
        _ => Err("Write an address that starts with https: or mailto:."),
    }
}
