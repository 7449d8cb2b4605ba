//! Programs for developers, from the files of `docs/snippets`: one for each language and step.
//! Values are put in as literals of the language, whatever characters they have; secrets never are.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use serde_json::Value as Json;

use super::wire::Values;
use crate::pages::tidy_whitespace;

macro_rules! languages {
    ($(($variant:ident, $name:literal, $title:literal)),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Language { $($variant),* }

        impl Language {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            /// In addresses, and the folder of its files.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub(super) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            const fn files(self) -> [(&'static str, &'static str); 9] {
                match self { $(Self::$variant => files!($name)),* }
            }
        }
    };
}

macro_rules! files {
    ($language:literal) => {
        [
            ("start", file!($language, "start")),
            ("authorize", file!($language, "authorize")),
            ("exchange", file!($language, "exchange")),
            ("call", file!($language, "call")),
            ("refresh", file!($language, "refresh")),
            ("revoke", file!($language, "revoke")),
            ("client_credentials", file!($language, "client_credentials")),
            ("device", file!($language, "device")),
            ("poll", file!($language, "poll")),
        ]
    };
}

macro_rules! file {
    ($language:literal, $step:literal) => {
        include_str!(concat!("../../docs/snippets/", $language, "/", $step, ".txt"))
    };
}

languages!(
    (Curl, "curl", "curl"),
    (Python, "python", "Python"),
    (TypeScript, "typescript", "TypeScript"),
    (Go, "go", "Go"),
    (Java, "java", "Java"),
    (Php, "php", "PHP"),
    (Rust, "rust", "Rust"),
);

/// What a program does next. The name of a file of each language.
pub(super) const STEPS: [(&str, &str); 8] = [
    ("authorize", "Send the user"),
    ("exchange", "Trade the code"),
    ("call", "Call the API"),
    ("refresh", "Refresh"),
    ("revoke", "Give it back"),
    ("client_credentials", "Ask for a token"),
    ("device", "Ask for a code"),
    ("poll", "Wait for the user"),
];

impl Language {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|language| language.name() == name)
    }

    /// The files of this language, with filters that write its literals.
    pub(super) fn environment(self) -> Result<Environment<'static>, Error> {
        let mut environment = Environment::new();
        environment.set_syntax(tidy_whitespace()?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_filter("q", move |text: &str| self.quoted(text));
        environment.add_filter("var", move |name: &str| self.variable(name));
        environment.add_filter("expr", move |field: &Value| self.expression(field));
        environment.add_filter("pair", |field: &Value| shell_pair(field));
        environment.add_filter("query", |fields: &Value| shell_query(fields));
        environment.add_filter("json", move |text: &str| self.json(text));
        for (name, text) in self.files() {
            environment.add_template(name, text)?;
        }
        Ok(environment)
    }

    /// A text as a literal.
    fn quoted(self, text: &str) -> String {
        match self {
            Self::Curl => format!("'{}'", text.replace('\'', r"'\''")),
            Self::Php => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
            _ => Json::from(text).to_string(),
        }
    }

    /// What the value called `name` is called in a program.
    fn variable(self, name: &str) -> String {
        match (self, name) {
            (Self::Curl, _) => name.to_uppercase(),
            (Self::Php, _) => format!("${name}"),
            (Self::Go, "client_secret") => "os.Getenv(\"CLIENT_SECRET\")".to_owned(),
            (Self::Rust, "client_secret") => "CLIENT_SECRET.as_str()".to_owned(),
            (Self::Rust, "challenge") => "challenge.as_str()".to_owned(),
            (Self::Python | Self::Rust, _) => name.to_owned(),
            (Self::TypeScript | Self::Go | Self::Java, _) => camel(name),
        }
    }

    fn expression(self, field: &Value) -> Result<String, Error> {
        Ok(match read(field)? {
            (_, Content::Literal(text)) => self.quoted(&text),
            (_, Content::Variable(name)) => self.variable(&name),
        })
    }

    /// A JSON text as the language likes it best.
    fn json(self, text: &str) -> String {
        let written = |words| serde_json::from_str(text).map(|json| literal(&json, words));
        match self {
            Self::Python => written(["True", "False", "None"]).unwrap_or_default(),
            Self::TypeScript => written(["true", "false", "null"]).unwrap_or_default(),
            Self::Go if !text.contains('`') => format!("`{text}`"),
            Self::Rust if !text.contains("\"#") => format!("r#\"{text}\"#"),
            _ => self.quoted(text),
        }
    }
}

enum Content {
    Literal(String),
    Variable(String),
}

fn read(field: &Value) -> Result<(String, Content), Error> {
    let text = |name| field.get_attr(name).map(|value| value.as_str().map(str::to_owned));
    let name = text("name")?.unwrap_or_default();
    let content = match (text("literal")?, text("variable")?) {
        (Some(literal), _) => Content::Literal(literal),
        (None, Some(variable)) => Content::Variable(variable),
        (None, None) => return Err(Error::new(ErrorKind::InvalidOperation, "an empty field")),
    };
    Ok((name, content))
}

/// `'name=value'`, or `"name=$VARIABLE"`.
fn shell_pair(field: &Value) -> Result<String, Error> {
    Ok(match read(field)? {
        (name, Content::Literal(text)) => Language::Curl.quoted(&format!("{name}={text}")),
        (name, Content::Variable(variable)) => {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let variable = variable.to_uppercase();
            match name.chars().all(is_word) {
                true => format!("\"{name}=${variable}\""),
                false => {
                    format!("{}\"${variable}\"", Language::Curl.quoted(&format!("{name}=")))
                }
            }
        }
    })
}

/// Fields as a query inside of double quotes. What is encoded has no character that is special
/// there.
fn shell_query(fields: &Value) -> Result<String, Error> {
    let mut query = Vec::new();
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for field in fields.try_iter()? {
        let (name, content) = read(&field)?;
        let value = match content {
            Content::Literal(text) => encode(&text),
            Content::Variable(name) => format!("${}", name.to_uppercase()),
        };
        query.push(format!("{}={value}", encode(&name)));
    }
    Ok(query.join("&"))
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

/// JSON on one line, with the language's words for true, false and nothing. The depth is that of a
/// document that was read, which is bounded.
fn literal(json: &Json, words: [&str; 3]) -> String {
    let [yes, no, nothing] = words;
    match json {
        Json::Bool(true) => yes.to_owned(),
        Json::Bool(false) => no.to_owned(),
        Json::Null => nothing.to_owned(),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, words)).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(members) => {
            let member = |(name, value): (&String, &Json)| {
                format!("{}: {}", Json::from(name.as_str()), literal(value, words))
            };
            let members: Vec<_> = members.iter().map(member).collect();
            match members.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{{}}}", members.join(", ")),
            }
        }
        plain => plain.to_string(),
    }
}

/// The program's text, or `None` where the wire format has no such step.
pub(super) fn fill(
    environment: &Environment<'static>,
    step: &str,
    values: &Values,
) -> Result<Option<String>, Error> {
    if !values.has(step) {
        return Ok(None);
    }
    let text = environment.get_template(step)?.render(Value::from(Serde(values)))?;
    Ok(Some(format!("{}\n", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_literal() {
        let evil = "a'b\"c\\d$(e)`f`";
        assert_eq!(Language::Curl.quoted(evil), r#"'a'\''b"c\d$(e)`f`'"#);
        assert_eq!(Language::Php.quoted(evil), r#"'a\'b"c\\d$(e)`f`'"#);
        assert_eq!(Language::Python.quoted(evil), r#""a'b\"c\\d$(e)`f`""#);
    }

    #[test]
    fn json_becomes_the_languages_own() {
        let text = r#"{"a":[true,null],"b":{}}"#;
        assert_eq!(Language::Python.json(text), r#"{"a": [True, None], "b": {}}"#);
        assert_eq!(Language::TypeScript.json(text), r#"{"a": [true, null], "b": {}}"#);
        assert_eq!(Language::Go.json(text), format!("`{text}`"));
        assert_eq!(Language::Rust.json(text), format!("r#\"{text}\"#"));
        assert_eq!(Language::Curl.json(r#"{"a":"'"}"#), r#"'{"a":"'\''"}'"#);
    }

    #[test]
    fn names_follow_the_habits_of_each_language() {
        assert_eq!(Language::Java.variable("refresh_token"), "refreshToken");
        assert_eq!(Language::Php.variable("refresh_token"), "$refresh_token");
        assert_eq!(Language::Curl.variable("refresh_token"), "REFRESH_TOKEN");
    }
}
