//! Just enough HTML to use our own pages as a browser does: find a form, its fields and what they
//! hold, and the links.

use std::collections::HashMap;

/// A start tag with its attributes, and the text up to the next tag.
#[derive(Clone, Debug)]
pub struct Tag {
    pub name: String,
    pub attributes: HashMap<String, String>,
    pub text: String,
}

impl Tag {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// A form as a browser would submit it before anyone touches it.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
    /// Check boxes that are not ticked.
    pub unticked: Vec<(String, String)>,
}

impl Form {
    /// The form whose `id` or `name` is `wanted`.
    pub fn find(html: &str, wanted: &str) -> Option<Form> {
        let tags = tags(html);
        let start = tags.iter().position(|tag| {
            tag.name == "form"
                && (tag.attribute("id") == Some(wanted) || tag.attribute("name") == Some(wanted))
        })?;
        let inside: Vec<_> =
            tags[start + 1..].iter().take_while(|tag| tag.name != "/form").collect();
        let mut form = Form {
            action: tags[start].attribute("action").unwrap_or_default().to_owned(),
            fields: Vec::new(),
            unticked: Vec::new(),
        };
        for tag in inside {
            let Some(name) = tag.attribute("name").map(str::to_owned) else { continue };
            let value = tag.attribute("value").unwrap_or_default().to_owned();
            let kind = tag.attribute("type").unwrap_or("text");
            match (tag.name.as_str(), kind) {
                ("input", "checkbox" | "radio") if tag.attribute("checked").is_none() => {
                    form.unticked.push((name, value));
                }
                ("input", "submit") | ("button", _) => {}
                ("input", _) => form.fields.push((name, value)),
                ("textarea", _) => form.fields.push((name, tag.text.clone())),
                _ => {}
            }
        }
        Some(form)
    }

    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Add a value beside those of the same name (ticks a check box).
    #[must_use]
    pub fn add(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Take one value of `name` away (unticks a check box).
    #[must_use]
    pub fn without(mut self, name: &str, value: &str) -> Self {
        let before = self.fields.len();
        self.fields.retain(|(field, held)| !(field == name && held == value));
        assert!(self.fields.len() < before, "the form has no ticked {name}={value}: {self:?}");
        self
    }

    pub fn values(&self, name: &str) -> Vec<&str> {
        let of_name = self.fields.iter().filter(|(field, _)| field == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }
}

/// Every start and end tag in order; end tags are named `/name`.
pub fn tags(html: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    for piece in html.split('<').skip(1) {
        if piece.starts_with('!') {
            continue;
        }
        let Some((inside, text)) = split_at_tag_end(piece) else { continue };
        let (name, attributes) =
            inside.split_once(|c: char| c.is_whitespace()).unwrap_or((inside, ""));
        found.push(Tag {
            name: name.trim_end_matches('/').to_lowercase(),
            attributes: attributes_of(attributes),
            text: decode(text),
        });
    }
    // "/form" lost nothing above, but "br/" became "br": end tags keep their slash in front.
    found
}

/// Splits at the first `>` that is not inside a quoted value.
fn split_at_tag_end(piece: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in piece.char_indices() {
        match (quote, c) {
            (None, '>') => return Some((&piece[..at], &piece[at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn attributes_of(mut text: &str) -> HashMap<String, String> {
    let mut attributes = HashMap::new();
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if text.is_empty() {
            return attributes;
        }
        let end = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
        let name = text[..end].to_lowercase();
        text = &text[end..];
        let Some(rest) = text.strip_prefix('=') else {
            attributes.insert(name, String::new());
            continue;
        };
        let (value, after) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
            _ => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        attributes.insert(name, decode(value));
        text = after;
    }
}

/// The character references that the template engine writes.
pub fn decode(text: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#x2f;", "/"),
        ("&#47;", "/"),
        ("&amp;", "&"),
    ];
    named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_would_send_it() {
        let html = r#"<form id="a" action="/x?y=1&amp;z"><input type=hidden name="csrf" value="t&#x2f;1">
            <input type="checkbox" name="scope" value="r" checked><input type="checkbox" name="scope" value="w">
            <textarea name="t">a &lt; b</textarea><button name="decision" value="allow">></button></form>
            <input name="outside" value="1">"#;
        let form = Form::find(html, "a").unwrap();
        assert_eq!(form.action, "/x?y=1&z");
        let fields = [("csrf", "t/1"), ("scope", "r"), ("t", "a < b")];
        assert_eq!(form.fields, fields.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(form.unticked, [("scope".to_owned(), "w".to_owned())]);
    }
}
