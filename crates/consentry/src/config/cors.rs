//! Which web pages may call an API from a browser.

use domain::policy::{Cors, CorsOrigins};
use http::HeaderName;
use url::Url;

use super::reader::Section;

/// `None` without the section, and when a problem was reported.
pub(super) fn read(section: &Section<'_>) -> Option<Cors> {
    if !section.exists() {
        return None;
    }
    let texts = section.texts("origins").unwrap_or_default();
    if texts.is_empty() {
        section.document.problem(
            &section.spot_of("origins"),
            "`cors` names no origin",
            "Add origins = [\"https://app.example.com\"], or [\"*\"] for every page.",
        );
    }
    let any = texts.iter().find(|at| at.value == "*");
    let origins = match any {
        Some(any) if texts.len() > 1 => {
            let to_do = "Remove the others, or the `*`.";
            section.document.problem(&any.spot, "`*` is every origin already", to_do);
            return None;
        }
        Some(_) => CorsOrigins::Any,
        None => {
            let listed = texts.into_iter().filter_map(|at| section.meaning("origins", at, origin));
            CorsOrigins::Listed(listed.map(|at| at.value).collect())
        }
    };
    let names = |key| {
        let texts = section.texts(key).unwrap_or_default();
        texts
            .into_iter()
            .filter_map(|at| section.meaning(key, at, header_name))
            .map(|at| at.value)
            .collect()
    };
    Some(Cors { origins, headers: names("headers"), expose: names("expose") })
}

/// As browsers write it in `Origin`: compared as a text, so one spelling only.
fn origin(text: &str) -> Result<String, String> {
    let origin = Url::parse(text).map(|url| url.origin().ascii_serialization());
    match origin {
        Ok(origin) if origin == text && text.starts_with("http") => Ok(origin),
        Ok(origin) if origin.starts_with("http") => Err(format!("Write {origin}.")),
        _ => Err("Write scheme, host and port, such as https://app.example.com.".to_owned()),
    }
}

fn header_name(text: &str) -> Result<String, &'static str> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("Write the name of a header, such as Idempotency-Key."),
    }
}
