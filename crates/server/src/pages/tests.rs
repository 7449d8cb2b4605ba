//! Every page, rendered from its samples and read the way a browser and a screen reader would.

use std::collections::{BTreeMap, HashSet};

use minijinja::Value;
use minijinja::value::Serde;

use super::views::{self, View};
use super::*;

const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr", "!doctype",
];

struct Tag {
    name: String,
    attributes: BTreeMap<String, String>,
    closing: bool,
    self_closing: bool,
}

impl Tag {
    fn is(&self, name: &str) -> bool {
        self.name == name && !self.closing
    }

    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }
}

/// The tags in order. Strict where browsers forgive: every attribute value must be quoted.
fn tags(page: &str, html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let mut chars = rest[start + 1..].char_indices().peekable();
        let mut quoted = false;
        let end = chars
            .find(|&(_, c)| {
                quoted ^= c == '"';
                c == '>' && !quoted
            })
            .map(|(at, _)| start + 1 + at)
            .unwrap_or_else(|| panic!("{page}: a tag has no end"));
        tags.push(tag(page, &rest[start + 1..end]));
        rest = &rest[end + 1..];
    }
    tags
}

fn tag(page: &str, inside: &str) -> Tag {
    let closing = inside.starts_with('/');
    let self_closing = inside.ends_with('/');
    let inside = inside.trim_matches('/');
    let (name, mut rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    let mut attributes = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let attribute = rest[..end].to_owned();
        rest = &rest[end..];
        let value = match rest.strip_prefix('=') {
            None => String::new(),
            Some(after) => {
                let after = after.strip_prefix('"').unwrap_or_else(|| {
                    panic!("{page}: {attribute} of <{name}> is not quoted");
                });
                let (value, after) = after.split_once('"').unwrap();
                rest = after;
                value.to_owned()
            }
        };
        let old = attributes.insert(attribute.clone(), value);
        assert!(old.is_none(), "{page}: <{name}> has {attribute} twice");
    }
    Tag { name: name.to_ascii_lowercase(), attributes, closing, self_closing }
}

fn assert_balanced(page: &str, tags: &[Tag]) {
    let mut open: Vec<&str> = Vec::new();
    for tag in tags {
        if tag.closing {
            assert_eq!(open.pop(), Some(tag.name.as_str()), "{page}: wrong closing tag");
        } else if !tag.self_closing && !VOID.contains(&tag.name.as_str()) {
            open.push(&tag.name);
        }
    }
    assert!(open.is_empty(), "{page}: never closed: {open:?}");
}

fn assert_nothing_inline(page: &str, tags: &[Tag]) {
    for tag in tags {
        assert!(!tag.is("style"), "{page}: <style>");
        assert!(!tag.is("script") || tag.has("src"), "{page}: inline script");
        for attribute in tag.attributes.keys() {
            let inline = attribute == "style" || attribute.starts_with("on");
            assert!(!inline, "{page}: {attribute} on <{}>", tag.name);
        }
    }
}

fn assert_accessible(page: &str, tags: &[Tag]) {
    let count = |name: &str| tags.iter().filter(|tag| tag.is(name)).count();
    assert_eq!((count("h1"), count("main")), (1, 1), "{page}: one h1 and one main");
    assert!(tags.iter().any(|tag| tag.is("html") && tag.attribute("lang") == "en"), "{page}");
    let mut ids = HashSet::new();
    for tag in tags.iter().filter(|tag| tag.has("id")) {
        let id = tag.attribute("id");
        assert!(!id.is_empty() && ids.insert(id), "{page}: the id {id:?} is there twice");
    }
    let labelled: HashSet<&str> =
        tags.iter().filter(|tag| tag.is("label")).map(|tag| tag.attribute("for")).collect();
    for tag in tags {
        let hidden = tag.attribute("type") == "hidden";
        if (tag.is("input") && !hidden) || tag.is("textarea") || tag.is("select") {
            let id = tag.attribute("id");
            assert!(labelled.contains(id), "{page}: the input {id:?} has no label");
        }
        for pointer in ["for", "aria-describedby", "aria-labelledby", "data-copy"] {
            for id in tag.attribute(pointer).split_whitespace() {
                assert!(ids.contains(id), "{page}: {pointer} points to nothing: {id}");
            }
        }
        assert!(!tag.is("img") || tag.has("alt"), "{page}: an image without alt");
    }
}

/// RFC 9700 §4.7 and attack L-rows: a form that changes something carries the session's token.
fn assert_forms_are_protected(page: &str, tags: &[Tag]) {
    let mut inside: Option<(&Tag, bool)> = None;
    for tag in tags {
        if tag.is("form") {
            assert!(tag.has("name") && tag.has("id"), "{page}: a form without name or id");
            inside = Some((tag, false));
        } else if tag.name == "form" {
            let (form, protected) = inside.take().unwrap();
            let must = form.attribute("method") == "post" && form.attribute("name") != "form-post";
            assert_eq!(must, protected, "{page}: form {}", form.attribute("name"));
        } else if tag.is("input") && tag.attribute("name") == "csrf" {
            assert!(!tag.attribute("value").is_empty(), "{page}: an empty csrf token");
            inside = inside.map(|(form, _)| (form, true));
        }
    }
}

fn pages() -> Pages {
    let brand = Brand {
        support_url: Some("mailto:help@example.com".into()),
        ..Brand::named("Harbor & Sons")
    };
    Pages::new(brand, None).unwrap()
}

#[test]
fn every_sample_is_a_sound_page() {
    let rendered = pages().render_samples().unwrap();
    assert!(rendered.len() >= 2 * samples().len() / 3);
    for (page, html) in rendered {
        let tags = tags(&page, &html);
        assert_balanced(&page, &tags);
        assert_nothing_inline(&page, &tags);
        assert_accessible(&page, &tags);
        assert_forms_are_protected(&page, &tags);
        assert!(html.contains("Harbor &amp; Sons") || page.starts_with("form_post"), "{page}");
    }
}

/// Every sample as (template, JSON).
fn samples() -> Vec<(&'static str, serde_json::Value)> {
    let mut all = Vec::new();
    macro_rules! collect {
        ($($view:ident),*) => {$(
            for sample in <views::$view as View>::sample() {
                let json = serde_json::to_value(&sample).unwrap();
                all.push((<views::$view as View>::TEMPLATE, json));
            }
        )*};
    }
    views::for_every_view!(collect);
    all
}

/// Paths of all strings, as JSON pointers.
fn strings(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        serde_json::Value::String(_) => found.push(path.to_owned()),
        serde_json::Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                strings(item, &format!("{path}/{at}"), found);
            }
        }
        serde_json::Value::Object(fields) => {
            for (key, field) in fields {
                strings(field, &format!("{path}/{}", escape(key)), found);
            }
        }
        _ => {}
    }
}

/// Each string of each sample replaced by `hostile`, one at a time: (where, HTML).
fn with_each_string_replaced(hostile: &str) -> Vec<(String, String)> {
    let pages = pages();
    let mut rendered = Vec::new();
    for (template, sample) in samples() {
        let mut paths = Vec::new();
        strings(&sample, "", &mut paths);
        for path in paths {
            let mut changed = sample.clone();
            *changed.pointer_mut(&path).unwrap() = hostile.into();
            let html = pages.render_value(template, Value::from(Serde(&changed))).unwrap();
            rendered.push((format!("{template}{path}"), html));
        }
    }
    rendered
}

/// Attack R8.
#[test]
fn no_string_of_any_view_becomes_markup() {
    let rendered = with_each_string_replaced("x\"'><script>alert(1)</script><p z=\"");
    assert!(rendered.len() > 300);
    for (place, html) in rendered {
        assert!(!html.contains("<script>"), "{place}");
        let tags = tags(&place, &html);
        assert_balanced(&place, &tags);
        assert_nothing_inline(&place, &tags);
        assert!(tags.iter().all(|tag| !tag.has("z")), "{place}");
    }
}

/// Attack R8: escaping alone does not stop an address from being a script.
#[test]
fn no_string_of_any_view_becomes_a_script_address() {
    for (place, html) in with_each_string_replaced("javascript:alert(1)") {
        for tag in tags(&place, &html) {
            for attribute in ["href", "src", "action", "formaction"] {
                assert!(!tag.attribute(attribute).starts_with("javascript:"), "{place}");
            }
        }
    }
}

#[test]
fn no_built_in_template_switches_escaping_off() {
    for (name, source) in templates::all() {
        for escape_hatch in ["|safe", "autoescape"] {
            assert!(!source.replace(' ', "").contains(escape_hatch), "{name} says {escape_hatch}");
        }
    }
}

#[test]
fn an_operators_template_takes_the_place_of_ours_and_may_start_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = "{% extends 'built-in/signed_out.html' %}\
                  {% block footer %}Harbor, since {{ '<1850>' }}{% endblock %}";
    std::fs::write(folder.path().join("signed_out.html"), source).unwrap();
    let pages = Pages::new(Brand::named("Harbor"), Some(folder.path().to_owned())).unwrap();
    let view = views::SignedOut { layout: views::Layout::signed_out("t"), elsewhere: None };
    let html = pages.render(&view).unwrap();
    assert!(html.contains("You are signed out") && html.contains("since &lt;1850&gt;"), "{html}");
}

#[test]
fn a_wrong_override_is_refused_with_its_name() {
    let refusal = |name: &str, source: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), source).unwrap();
        let pages = Pages::new(Brand::named("Harbor"), Some(folder.path().to_owned()));
        pages.err().unwrap().to_string()
    };
    let mistyped = refusal("consnt.html", "");
    assert!(mistyped.contains("consnt.html") && mistyped.contains("consent.html"), "{mistyped}");
    let unknown_field = refusal("consent.html", "<p>\n{{ app.nmae }}");
    assert!(unknown_field.contains("consent.html:2"), "{unknown_field}");
    let broken = refusal("layout.html", "{% if %}");
    assert!(broken.contains("layout.html:1"), "{broken}");
}

#[test]
fn the_consent_page_holds_no_form_but_its_own_and_denies_on_enter() {
    let view = views::Consent::sample().remove(0);
    let html = pages().render(&view).unwrap();
    let tags = tags("consent", &html);
    assert_eq!(tags.iter().filter(|tag| tag.is("form")).count(), 1);
    // HTML, "implicit submission": Enter presses the first button in tree order.
    let decisions: Vec<_> =
        tags.iter().filter(|tag| tag.is("button")).map(|tag| tag.attribute("value")).collect();
    assert_eq!(decisions, ["deny", "allow"]);
}

#[test]
fn the_style_sheet_of_the_brand_is_served_with_the_rest() {
    let pages = pages();
    for (name, html) in pages.render_samples().unwrap() {
        for tag in tags(&name, &html) {
            let address =
                if tag.is("script") { tag.attribute("src") } else { tag.attribute("href") };
            if let Some(path) = address.strip_prefix("/assets/") {
                let path = path.split_once('?').map_or(path, |(path, _)| path);
                assert!(pages.asset(path).is_some(), "{name} loads {path}");
            }
        }
    }
    let sheet = pages.asset("brand.css").unwrap();
    assert_eq!(sheet.body, pages.brand_css().as_bytes());
    assert!(pages.asset("brand.css.map").is_none());
}
