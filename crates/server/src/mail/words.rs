//! The words of messages: text files, one per kind and language. A file opens with `Subject:` and
//! an empty line; what follows is the text. The HTML form of a letter is made of its text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use domain::mail::{Letter, MailKind};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value as Shown};
use serde_json::{Map, Value, json};

use super::samples;

/// Everything is there in this language; others may leave files out.
pub const FALLBACK_LANGUAGE: &str = "en";

/// Of one value that somebody else chose: an app's name, a browser's.
const VALUE_CHARACTERS_MAX: usize = 300;
const SUBJECT_CHARACTERS_MAX: usize = 200;

macro_rules! built_in {
    ($($name:literal)*) => {
        const NAMES: &[&str] = &[$($name),*];
        const BUILT_IN: &[(&str, &str)] = &[
            $((concat!("en/", $name), include_str!(concat!("../../mails/en/", $name))),)*
            $((concat!("de/", $name), include_str!(concat!("../../mails/de/", $name))),)*
        ];
    };
}

built_in! {
    "address_changed.txt" "address_to_verify.txt" "app_decided.txt" "app_resumed.txt"
    "app_submitted.txt" "app_suspended.txt" "app_transfer.txt" "app_unavailable.txt"
    "app_unused.txt" "developer_wrote.txt" "footer.txt" "new_device.txt" "new_grant.txt"
    "partner_key_ended.txt" "partner_key_issued.txt" "password_changed.txt" "password_reset.txt"
    "recovery_code_used.txt" "second_factor_added.txt" "second_factor_removed.txt"
    "second_factors_removed_by_staff.txt" "secret_expiring.txt" "sign_up.txt"
    "sign_up_taken.txt" "staff_wrote.txt" "team_invitation.txt" "test.txt" "theft_detected.txt"
    "webhook_disabled.txt" "wish_decided.txt"
}

/// Languages of the built-in files, with their own names.
const BUILT_IN_LANGUAGES: [(&str, &str); 2] = [("en", "English"), ("de", "Deutsch")];

#[derive(Debug, thiserror::Error)]
pub enum MailsError {
    #[error("cannot read the folder of messages {}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("{} is no message; the messages are: {}", path.display(), NAMES.join(", "))]
    Unknown { path: PathBuf },
    #[error("there are no messages in the language {language}; there are: {known}")]
    Language { language: String, known: String },
    #[error("the message {name} does not work: {what}")]
    Template { name: String, what: String },
}

/// Everything needed to write letters. One per provider.
pub struct Mails {
    environment: Environment<'static>,
    languages: Vec<(String, String)>,
    /// Of people who have chosen none.
    language: String,
}

/// What a letter tells besides its kind's own data.
pub struct Told<'a> {
    pub brand: &'a str,
    pub issuer: &'a str,
    pub link: Option<&'a str>,
    /// `2026-04-02 09:00 UTC`
    pub when: String,
    /// Until when the link works.
    pub until: String,
}

impl Mails {
    /// Files below `overrides` (`LANGUAGE/NAME.txt`) win over the built-in ones and may add
    /// languages. Each is tried here, so that a mistake is found before it is sent.
    pub fn new(overrides: Option<&Path>, language: &str) -> Result<Self, MailsError> {
        let mut languages: Vec<_> =
            BUILT_IN_LANGUAGES.map(|(code, name)| (code.to_owned(), name.to_owned())).into();
        let folder = overrides.filter(|folder| folder.is_dir());
        let added = folder.map(languages_in).transpose()?.unwrap_or_default();
        for code in added {
            if !languages.iter().any(|(known, _)| *known == code) {
                languages.push((code.clone(), code));
            }
        }
        let mut environment = Environment::new();
        let from_folder = folder.map(minijinja::path_loader);
        environment.set_loader(move |name| {
            if let Some(from_folder) = &from_folder
                && let Some(source) = from_folder(name)?
            {
                return Ok(Some(source));
            }
            let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
            Ok(built_in.map(|(_, source)| minijinja::TemplateSource::new(*source)))
        });
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| broken("syntax", &error))?);
        let mails = Self { environment, languages, language: FALLBACK_LANGUAGE.to_owned() };
        mails.try_samples()?;
        let Some(language) = mails.known(language).map(str::to_owned) else {
            let codes: Vec<_> = mails.languages.iter().map(|(code, _)| code.as_str()).collect();
            return Err(MailsError::Language {
                language: language.to_owned(),
                known: codes.join(", "),
            });
        };
        Ok(Self { language, ..mails })
    }

    /// Codes and names of the languages that there are.
    pub fn languages(&self) -> &[(String, String)] {
        &self.languages
    }

    /// The language that serves somebody who wishes for `wish` (`de-AT`).
    pub fn pick(&self, wish: &str) -> &str {
        self.known(wish).unwrap_or(&self.language)
    }

    /// The one of our languages that a browser likes best (RFC 9110 §12.5.4). `None`: it likes none
    /// of them.
    pub fn negotiate(&self, accept_language: &str) -> Option<&str> {
        let weighted = accept_language.split(',').take(32).filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok());
            Some((self.known(tag.trim())?, weight.filter(|weight: &f32| *weight > 0.0)?))
        });
        // Of equals, the first.
        let best = weighted.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(language, _)| language)
    }

    fn known(&self, wish: &str) -> Option<&str> {
        let primary = wish.split('-').next().unwrap_or_default();
        let find =
            |code: &str| self.languages.iter().find(|(known, _)| known.eq_ignore_ascii_case(code));
        find(wish).or_else(|| find(primary)).map(|(code, _)| code.as_str())
    }

    /// The letter, still without sender, receiver and id. `name`: the text file, which is the
    /// kind's unless the office decided otherwise.
    pub fn write(
        &self,
        name: &str,
        kind: &MailKind,
        language: Option<&str>,
        told: &Told<'_>,
    ) -> Result<Letter, MailsError> {
        let language = language.map_or(self.language.as_str(), |wish| self.pick(wish));
        let data = Shown::from(Serde(data(kind, told)));
        let text = self.render(language, &format!("{name}.txt"), &data)?;
        let footer = self.render(language, "footer.txt", &data)?;
        let (subject, body) = split(&text).ok_or_else(|| MailsError::Template {
            name: format!("{language}/{name}.txt"),
            what: "it does not open with `Subject: …` and an empty line".to_owned(),
        })?;
        Ok(Letter {
            message_id: String::new(),
            to: String::new(),
            subject: one_line(subject, SUBJECT_CHARACTERS_MAX),
            text: format!("{}\n\n-- \n{}\n", body.trim(), footer.trim()),
            html: html(language, body.trim(), footer.trim(), told),
            language: language.to_owned(),
        })
    }

    fn render(&self, language: &str, name: &str, data: &Shown) -> Result<String, MailsError> {
        let own = format!("{language}/{name}");
        let fallback = format!("{FALLBACK_LANGUAGE}/{name}");
        let template = match self.environment.get_template(&own) {
            Err(error) if error.kind() == ErrorKind::TemplateNotFound => {
                self.environment.get_template(&fallback)
            }
            found => found,
        };
        template.and_then(|template| template.render(data)).map_err(|error| broken(&own, &error))
    }

    fn try_samples(&self) -> Result<(), MailsError> {
        for (language, _) in &self.languages {
            for (name, kind) in samples::all() {
                self.write(name, &kind, Some(language), &samples::told())?;
            }
        }
        Ok(())
    }
}

fn broken(name: &str, error: &minijinja::Error) -> MailsError {
    MailsError::Template { name: name.to_owned(), what: format!("{error:#}") }
}

/// The languages of an operator's folder. A mistyped file name would silently change nothing.
fn languages_in(folder: &Path) -> Result<BTreeSet<String>, MailsError> {
    let unreadable = |source| MailsError::Folder { path: folder.to_owned(), source };
    let mut languages = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_language = (2..=16).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !path.is_dir() || !is_language {
            return Err(MailsError::Unknown { path });
        }
        languages.insert(name.to_owned());
        for file in std::fs::read_dir(&path).map_err(unreadable)? {
            let file = file.map_err(unreadable)?.path();
            if !file.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known)) {
                return Err(MailsError::Unknown { path: file });
            }
        }
    }
    Ok(languages)
}

/// What a template sees. Everything in it is one line of bounded length, whoever chose it: nothing
/// can end a subject or look like a part of ours.
fn data(kind: &MailKind, told: &Told<'_>) -> Value {
    let mut shown = match serde_json::to_value(kind) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    for secret in ["password", "asked"] {
        if let Some(Value::Object(asked)) = shown.remove(secret) {
            shown.extend(asked.into_iter().filter(|(name, _)| name == "seen"));
        }
    }
    if let Some(Value::Object(seen)) = shown.get_mut("seen") {
        let agent = seen.remove("user_agent");
        let agent = agent.as_ref().and_then(Value::as_str).unwrap_or_default();
        seen.insert("browser".to_owned(), crate::browsers::in_words(agent).into());
    }
    let mut shown = Value::Object(shown);
    flatten(&mut shown);
    if let Value::Object(shown) = &mut shown {
        let Told { brand, issuer, link, when, until } = told;
        let own = json!({
            "brand": one_line(brand, VALUE_CHARACTERS_MAX), "issuer": issuer,
            "link": link.unwrap_or_default(), "when": when, "until": until,
        });
        if let Value::Object(own) = own {
            shown.extend(own);
        }
    }
    shown
}

fn flatten(value: &mut Value) {
    match value {
        Value::String(text) => *text = one_line(text, VALUE_CHARACTERS_MAX),
        Value::Array(items) => items.iter_mut().for_each(flatten),
        Value::Object(object) => object.values_mut().for_each(flatten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Without line ends and other control characters, and without those that turn a text around.
fn one_line(text: &str, characters_max: usize) -> String {
    let is_plain = |c: char| {
        !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().take(characters_max).map(|c| if is_plain(c) { c } else { ' ' }).collect()
}

fn split(text: &str) -> Option<(&str, &str)> {
    let (head, body) = text.split_once("\n\n")?;
    let subject = head.trim().strip_prefix("Subject:")?.trim();
    (!subject.is_empty() && !subject.contains('\n')).then_some((subject, body))
}

/// The text as paragraphs. Only an address that stands alone and is ours becomes a link.
fn html(language: &str, body: &str, footer: &str, told: &Told<'_>) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"></head><body>",
        escape(language)
    );
    let ours = format!("{}/", told.issuer);
    for paragraph in body.split("\n\n").map(str::trim).filter(|text| !text.is_empty()) {
        let is_link = paragraph.starts_with(&ours) && !paragraph.contains(char::is_whitespace);
        let text = escape(paragraph);
        match is_link {
            true => html.push_str(&format!("<p><a href=\"{text}\">{text}</a></p>")),
            false if paragraph.starts_with("- ") => {
                html.push_str(&format!("<p>{}</p>", text.replace('\n', "<br>")));
            }
            false => html.push_str(&format!("<p>{text}</p>")),
        }
        html.push('\n');
    }
    html.push_str(&format!("<hr><p><small>{}</small></p></body></html>\n", escape(footer)));
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use domain::mail::Seen;

    use super::*;

    fn mails() -> Mails {
        Mails::new(None, "en").unwrap()
    }

    fn letter(kind: &MailKind, language: &str) -> Letter {
        mails().write(kind.name(), kind, Some(language), &samples::told()).unwrap()
    }

    #[test]
    fn every_message_is_there_in_every_language_and_in_other_words() {
        for (name, kind) in samples::all() {
            let write = |language| mails().write(name, &kind, Some(language), &samples::told());
            let (english, german) = (write("en").unwrap(), write("de").unwrap());
            assert_ne!(english.subject, german.subject, "{name}");
            assert!(!english.text.contains("\n\n\n"), "{name} has gaps:\n{}", english.text);
            assert!(!german.text.contains("\n\n\n"), "{name} has gaps:\n{}", german.text);
            assert!(!english.text.contains("argon2"), "{name}");
        }
        let built_in: BTreeSet<_> =
            NAMES.iter().map(|name| name.trim_end_matches(".txt")).collect();
        let told: BTreeSet<_> = samples::all().into_iter().map(|(name, _)| name).collect();
        assert_eq!(built_in.difference(&told).collect::<Vec<_>>(), [&"footer"]);
    }

    #[test]
    fn nobody_ends_a_subject_or_writes_html_by_a_name() {
        let app =
            "Evil\r\nBcc: all@example.com\u{2028}<a href=\"https://evil.example\">".to_owned();
        let letter = letter(&MailKind::TheftDetected { app }, "en");
        assert!(letter.subject.contains("Evil  Bcc: all@example.com"), "{}", letter.subject);
        assert!(!letter.subject.contains(char::is_control));
        assert!(!letter.text.lines().any(|line| line.starts_with("Bcc")), "{}", letter.text);
        assert!(!letter.html.contains("<a href=\"https://evil"), "{}", letter.html);
    }

    #[test]
    fn only_our_own_address_on_a_line_of_its_own_becomes_a_link() {
        let seen = Seen {
            address: std::net::IpAddr::from([192, 0, 2, 1]),
            user_agent: "https://evil.example/".to_owned(),
        };
        let letter = letter(&MailKind::NewDevice { seen }, "en");
        assert_eq!(letter.html.matches("<a ").count(), 1, "{}", letter.html);
        let link = "<a href=\"https://id.example.com/account/password\">";
        assert!(letter.html.contains(link), "{}", letter.html);
    }

    #[test]
    fn the_language_is_what_somebody_likes_best_of_what_there_is() {
        let mails = mails();
        let best = |header| mails.negotiate(header);
        assert_eq!(best("de-AT,de;q=0.9,en;q=0.8"), Some("de"));
        assert_eq!(best("fr, en;q=0.5, de;q=0.7"), Some("de"));
        assert_eq!(best("de;q=0, en"), Some("en"));
        assert_eq!(best("fr"), None);
        assert_eq!(mails.pick("fr"), "en");
        assert_eq!(mails.pick("DE-ch"), "de");
    }

    #[test]
    fn an_operators_file_wins_adds_a_language_and_is_tried_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("fr/test.txt", "Subject: Essai de {{ brand }}\n\nBonjour.\n");
        let mails = Mails::new(Some(folder.path()), "fr").unwrap();
        let write_test = |name: &str, kind: &MailKind| {
            mails.write(name, kind, Some("fr"), &samples::told()).unwrap()
        };
        assert_eq!(write_test("test", &MailKind::Test).subject, "Essai de Harbor");
        let (name, kind) = samples::all().into_iter().next().unwrap();
        let english = write_test(name, &kind);
        assert_eq!(english.subject, letter(&kind, "en").subject, "the rest is in English");

        write("fr/test.txt", "Subject: {{ brnad }}\n\nBonjour.\n");
        let error = Mails::new(Some(folder.path()), "fr").err().unwrap().to_string();
        assert!(error.contains("fr/test.txt"), "{error}");
        write("fr/test.txt", "Bonjour\n\n{{ brand }}");
        assert!(Mails::new(Some(folder.path()), "fr").is_err(), "no subject");
        write("fr/test.txt", "Subject: a\n\nb");
        write("fr/tset.txt", "Subject: a\n\nb");
        let error = Mails::new(Some(folder.path()), "fr").err().unwrap().to_string();
        assert!(error.contains("tset.txt"), "{error}");
    }
}
