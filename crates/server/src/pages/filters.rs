//! What templates may do to a value on its way into HTML.

use minijinja::{Environment, Error, Output, State, Value, escape_formatter};

use super::words;

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("image", |url: &str| image(url).to_owned());
    environment.add_filter("initial", initial);
    environment.add_filter("link", |url: &str| link(url).to_owned());
    environment.add_filter("number", words::grouped);
    environment.add_filter("plural", |count: u64, one: &str, many: &str| {
        format!("{} {}", words::grouped(count), if count == 1 { one } else { many })
    });
}

/// The default escaping also turns `/` into a character reference, which only makes the
/// addresses in a page hard to read; everything else is left to it.
pub(super) fn write_escaped(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    let Some(text) = value.as_str().filter(|_| !value.is_safe()) else {
        return escape_formatter(out, state, value);
    };
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
        let (plain, special) = rest.split_at(at);
        let reference = match special.chars().next() {
            Some('<') => "&lt;",
            Some('>') => "&gt;",
            Some('&') => "&amp;",
            Some('"') => "&quot;",
            _ => "&#39;",
        };
        out.write_str(plain).and_then(|()| out.write_str(reference)).map_err(Error::from)?;
        // All five are one byte long.
        rest = special.get(1..).unwrap_or_default();
    }
    out.write_str(rest).map_err(Error::from)
}

/// An address that a browser may follow: never `javascript:` or another scheme with powers, and
/// never `//host`, which looks like a path and is not.
fn link(url: &str) -> &str {
    let allowed = ["https://", "http://", "mailto:"];
    if is_path(url) || allowed.iter().any(|scheme| starts_with_ignoring_case(url, scheme)) {
        url
    } else {
        "#"
    }
}

/// The pages' policy loads images from this origin and from `data:` only.
pub(super) fn image(url: &str) -> &str {
    if is_path(url) || starts_with_ignoring_case(url, "data:image/") { url } else { "data:," }
}

fn is_path(url: &str) -> bool {
    // Browsers read `/\host` and `/<tab>/host` as `//host`.
    let plain = !url.contains(|c: char| c.is_ascii_control() || c == '\\');
    plain && url.starts_with('/') && !url.starts_with("//")
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The letter that stands for an app without a verified logo.
fn initial(name: &str) -> String {
    name.chars().find(|c| c.is_alphanumeric()).map_or("?".into(), |c| c.to_uppercase().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_could_run_or_leave_in_disguise_are_dropped() {
        for good in ["/connected", "https://a.example/", "HTTP://a.example", "mailto:a@b.example"] {
            assert_eq!(link(good), good);
        }
        let bad = [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            " https://a.example",
            "",
        ];
        for url in bad {
            assert_eq!(link(url), "#", "{url:?}");
        }
    }

    #[test]
    fn an_initial_is_the_first_letter_that_shows() {
        assert_eq!(initial("“ärger”"), "Ä");
        assert_eq!(initial("  7zip"), "7");
        assert_eq!(initial("—"), "?");
    }
}
