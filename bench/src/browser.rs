//! A browser, as far as it takes to be a user: cookies, links, and forms that are sent back as they
//! stand.

use crate::Outcome;
use crate::site::Site;
use crate::wire::{self, Answer};

/// A flow of ours has fewer.
const REDIRECTS_MAX: usize = 10;

pub struct Browser<'s> {
    site: &'s Site,
    cookies: Vec<(String, String)>,
}

/// Where a click led.
pub struct Page {
    pub status: u16,
    pub html: String,
    /// The redirect that left the site; of pages `None`.
    pub left_to: Option<String>,
}

impl<'s> Browser<'s> {
    pub fn new(site: &'s Site) -> Self {
        Self { site, cookies: Vec::new() }
    }

    /// One that goes on with the cookies of another.
    pub fn with_cookies(site: &'s Site, header: &str) -> Self {
        let pairs = header.split("; ").filter_map(|pair| pair.split_once('='));
        let cookies = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { site, cookies }
    }

    /// The `Cookie` header.
    pub fn cookies(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    pub fn open(&mut self, path: &str) -> Outcome<Page> {
        self.follow("GET", path.to_owned(), None)
    }

    /// The form of `page` with this id, with some fields changed.
    pub fn submit(&mut self, page: &Page, id: &str, changed: &[(&str, &str)]) -> Outcome<Page> {
        let missing = || format!("there is no form {id} on a page:\n{}", page.html);
        let mut fields = fields_of(&page.html, id).ok_or_else(missing)?;
        fields.retain(|(name, _)| !changed.iter().any(|(other, _)| name == other));
        fields.extend(changed.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let action = action_of(&page.html, id).ok_or_else(missing)?;
        self.follow("POST", action, Some(encode(&fields)))
    }

    fn follow(&mut self, method: &str, path: String, body: Option<String>) -> Outcome<Page> {
        let (mut method, mut path, mut body) = (method.to_owned(), path, body);
        for _ in 0..REDIRECTS_MAX {
            let cookies = self.cookies();
            let headers = [("cookie", &*cookies), ("origin", &self.site.issuer)];
            let request = wire::request(&method, &path, &self.site.host, &headers, body.as_deref());
            let (page, set) = wire::ask(self.site.address, &request, |answer| {
                let left_to = answer.headers("location").pop();
                let page = Page { status: answer.status, html: answer.text(), left_to };
                (page, answer.headers("set-cookie"))
            })?;
            set.iter().for_each(|line| self.set_cookie(line));
            let Some(location) = &page.left_to else { return Ok(page) };
            let own = location.strip_prefix(&self.site.issuer).unwrap_or(location);
            if !own.starts_with('/') {
                return Ok(page);
            }
            (method, path, body) = ("GET".to_owned(), own.to_owned(), None);
        }
        Err(format!("{path} leads in a circle"))
    }

    fn set_cookie(&mut self, line: &str) {
        let pair = line.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else { return };
        self.cookies.retain(|(other, _)| other != name);
        if !value.is_empty() {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }
}

impl Page {
    /// Of the redirect that left the site.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.left_to.as_ref()?, name)
    }

    pub fn link(&self, id: &str) -> Option<String> {
        link(&self.html, id)
    }

    /// The text of the element with this id, up to the next tag.
    pub fn text(&self, id: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(&format!("id=\"{id}\""))?;
        rest.split_once('>')?.1.split('<').next().map(decode)
    }
}

/// Where the link with this id leads.
pub fn link(html: &str, id: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("id=\"{id}\""))?;
    attribute(rest.split_once('>')?.0, "href")
}

/// The form of a consent page that allows everything.
pub fn consent_form(answer: &Answer<'_>) -> Option<String> {
    let mut fields = fields_of(&answer.text(), "consent")?;
    fields.push(("decision".into(), "allow".into()));
    Some(encode(&fields))
}

pub fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

pub fn encode(fields: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The inputs of the form with this id, as they stand.
pub fn fields_of(html: &str, id: &str) -> Option<Vec<(String, String)>> {
    let (_, form) = html.split_once(&format!("id=\"{id}\""))?;
    let (form, _) = form.split_once("</form>")?;
    let inputs = form.split("<input ").skip(1).filter_map(|rest| rest.split_once('>'));
    let fields = inputs.filter_map(|(tag, _)| {
        let is_unticked = tag.contains("checkbox") && !tag.contains(" checked");
        let field =
            (attribute(tag, " name").or_else(|| attribute(tag, "name"))?, attribute(tag, " value"));
        (!is_unticked).then(|| (field.0, field.1.unwrap_or_default()))
    });
    Some(fields.collect())
}

fn action_of(html: &str, id: &str) -> Option<String> {
    let (before, rest) = html.split_once(&format!("id=\"{id}\""))?;
    let tag = before.rsplit_once("<form ")?.1;
    attribute(tag, "action").or_else(|| attribute(rest.split_once('>')?.0, "action"))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| decode(value))
}

/// The character references that the template engine writes.
fn decode(text: &str) -> String {
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
    fn a_form_is_sent_back_as_it_stands() {
        let html = r#"<form action="/a&#x2f;b" id="consent">
            <input type="hidden" name="csrf" value="a&#x2f;b">
            <input type="checkbox" id="scope-r" name="scope" value="r" checked>
            <input type="checkbox" name="scope" value="w"></form><input name="x" value="1">"#;
        let fields = fields_of(html, "consent").unwrap();
        let wanted = [("csrf", "a/b"), ("scope", "r")];
        assert_eq!(fields, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(action_of(html, "consent").unwrap(), "/a/b");
    }
}
