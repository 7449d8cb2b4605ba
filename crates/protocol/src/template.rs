//! JSON templates of configuration files: a JSON text whose string values hold `{{placeholders}}`.
//! Values are put into the parsed template, never into its text, so what comes out is JSON whatever
//! the values are; members keep the order in which they were written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Deepest nesting of a template.
const DEPTH_MAX: usize = 16;

/// What a template may name.
pub trait Placeholder: Copy + PartialEq + 'static {
    /// Every placeholder, for messages and documentation.
    const ALL: &'static [(&'static str, Self)];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, placeholder)| *placeholder)
    }
}

/// What a placeholder stands for in one rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot<'a> {
    Text(Cow<'a, str>),
    Number(i64),
    List(Vec<Cow<'a, str>>),
    /// JSON of our own making: see [`Slot::json`].
    Json(Cow<'a, str>),
}

/// A template that was checked and is ready to render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<P>(Node<P>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the template is not JSON: {0}")]
    NotJson(String),
    #[error("the template is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("the template has the unknown placeholder {{{{{name}}}}}; known are: {known}")]
    UnknownPlaceholder { name: String, known: String },
    #[error("the template has a {{{{ without }}}} in {0:?}")]
    OpenPlaceholder(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node<P> {
    /// JSON text of a value without placeholders.
    Constant(String),
    /// The whole string is one placeholder: the JSON type of the value is kept.
    Whole(P),
    Text(Vec<Piece<P>>),
    List(Vec<Node<P>>),
    Object(Vec<(Name<P>, Node<P>)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<P> {
    Text(String),
    Placeholder(P),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name<P> {
    Constant(String),
    /// The member is repeated for each item of a list, with the item as its name.
    Each(P),
}

impl<P: Placeholder> Template<P> {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let json: Json = serde_json::from_str(text)
            .map_err(|error| TemplateError::NotJson(error.to_string()))?;
        Ok(Self(Node::new(json, 0)?))
    }

    /// Whether `placeholder` is anywhere in it.
    pub fn names(&self, placeholder: P) -> bool {
        self.0.names(placeholder)
    }

    /// Compact JSON. `value` is `None` where this rendering has nothing for a placeholder: a member
    /// that is one such placeholder is left out; elsewhere it is `null`, or nothing within a text.
    pub fn render<'a>(&self, value: impl Fn(P) -> Option<Slot<'a>>) -> String {
        let mut out = String::with_capacity(256);
        self.0.write(&mut out, &value);
        out
    }
}

impl<P: Placeholder> Node<P> {
    /// serde_json bounds the depth of what it parses, so this recursion is bounded too.
    fn new(json: Json, depth: usize) -> Result<Self, TemplateError> {
        if depth > DEPTH_MAX {
            return Err(TemplateError::TooDeep);
        }
        Ok(match json {
            Json::Scalar(text) => Self::Constant(text),
            Json::Text(text) => Self::text(&text)?,
            Json::List(items) => Self::List(
                items
                    .into_iter()
                    .map(|item| Self::new(item, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            Json::Object(members) => Self::Object(
                members
                    .into_iter()
                    .map(|(name, member)| Ok((Name::new(name)?, Self::new(member, depth + 1)?)))
                    .collect::<Result<_, TemplateError>>()?,
            ),
        })
    }

    fn text(text: &str) -> Result<Self, TemplateError> {
        let pieces = pieces(text)?;
        Ok(match pieces.as_slice() {
            [] | [Piece::Text(_)] => Self::Constant(quoted(text)),
            [Piece::Placeholder(whole)] => Self::Whole(*whole),
            _ => Self::Text(pieces),
        })
    }

    fn write<'a>(&self, out: &mut String, value: &impl Fn(P) -> Option<Slot<'a>>) {
        match self {
            Self::Constant(json) => out.push_str(json),
            Self::Whole(placeholder) => match value(*placeholder) {
                Some(slot) => slot.write(out),
                None => out.push_str("null"),
            },
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(constant) => text.push_str(constant),
                        Piece::Placeholder(placeholder) => {
                            text.push_str(
                                &value(*placeholder).map(Slot::into_text).unwrap_or_default(),
                            );
                        }
                    }
                }
                out.push_str(&quoted(&text));
            }
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out, value);
                }
                out.push(']');
            }
            Self::Object(members) => write_object(out, members, value),
        }
    }

    fn names(&self, wanted: P) -> bool {
        let is_wanted = |piece: &Piece<P>| matches!(piece, Piece::Placeholder(it) if *it == wanted);
        match self {
            Self::Constant(_) => false,
            Self::Whole(placeholder) => *placeholder == wanted,
            Self::Text(pieces) => pieces.iter().any(is_wanted),
            Self::List(items) => items.iter().any(|item| item.names(wanted)),
            Self::Object(members) => members.iter().any(|(name, member)| {
                matches!(name, Name::Each(it) if *it == wanted) || member.names(wanted)
            }),
        }
    }

    fn is_absent<'a>(&self, value: &impl Fn(P) -> Option<Slot<'a>>) -> bool {
        matches!(self, Self::Whole(placeholder) if value(*placeholder).is_none())
    }
}

fn write_object<'a, P: Placeholder>(
    out: &mut String,
    members: &[(Name<P>, Node<P>)],
    value: &impl Fn(P) -> Option<Slot<'a>>,
) {
    out.push('{');
    let mut is_first = true;
    let mut write_member = |out: &mut String, name: &str, member: &Node<P>| {
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        out.push_str(&quoted(name));
        out.push(':');
        member.write(out, value);
    };
    for (name, member) in members {
        if member.is_absent(value) {
            continue;
        }
        match name {
            Name::Constant(name) => write_member(out, name, member),
            Name::Each(placeholder) => {
                for name in value(*placeholder).map(Slot::into_items).unwrap_or_default() {
                    write_member(out, &name, member);
                }
            }
        }
    }
    out.push('}');
}

impl<P: Placeholder> Name<P> {
    fn new(name: String) -> Result<Self, TemplateError> {
        match pieces(&name)?.as_slice() {
            [Piece::Placeholder(whole)] => Ok(Self::Each(*whole)),
            _ => Ok(Self::Constant(name)),
        }
    }
}

impl From<bool> for Slot<'_> {
    fn from(value: bool) -> Self {
        Self::json(if value { "true" } else { "false" })
    }
}

impl<'a> Slot<'a> {
    /// A text that is JSON already; what came from outside is none.
    pub const fn json(json: &'a str) -> Self {
        Self::Json(Cow::Borrowed(json))
    }

    /// A list of what other templates rendered.
    pub fn json_list(items: impl Iterator<Item = String>) -> Self {
        Self::Json(format!("[{}]", items.collect::<Vec<_>>().join(",")).into())
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
                out.push('[');
                out.push_str(&items.join(","));
                out.push(']');
            }
            Self::Json(json) => out.push_str(json),
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text.into_owned(),
            Self::Number(number) => number.to_string(),
            Self::List(items) => items.join(" "),
            Self::Json(json) => json.into_owned(),
        }
    }

    fn into_items(self) -> Vec<Cow<'a, str>> {
        match self {
            Self::List(items) => items,
            Self::Text(text) => vec![text],
            Self::Number(number) => vec![number.to_string().into()],
            Self::Json(json) => vec![json],
        }
    }
}

fn pieces<P: Placeholder>(text: &str) -> Result<Vec<Piece<P>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, tail) = after
            .split_once("}}")
            .ok_or_else(|| TemplateError::OpenPlaceholder(text.to_owned()))?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let name = name.trim();
        let placeholder = P::parse(name).ok_or_else(|| {
            let known: Vec<&str> = P::ALL.iter().map(|(known, _)| *known).collect();
            TemplateError::UnknownPlaceholder { name: name.to_owned(), known: known.join(", ") }
        })?;
        pieces.push(Piece::Placeholder(placeholder));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// JSON whose members keep their order; `serde_json::Value` would sort them.
enum Json {
    /// JSON text of null, a truth value or a number.
    Scalar(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Scalar("null".to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Scalar(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Scalar(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Scalar(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Scalar(serde_json::Value::from(value).to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object: Vec<(String, Json)> = Vec::new();
        while let Some((name, member)) = members.next_entry::<String, Json>()? {
            if object.iter().any(|(known, _)| *known == name) {
                return Err(de::Error::custom(format!("the member {name:?} occurs twice")));
            }
            object.push((name, member));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Word {
        Name,
        Age,
        Fields,
    }

    impl Placeholder for Word {
        const ALL: &'static [(&'static str, Self)] =
            &[("name", Self::Name), ("age", Self::Age), ("fields", Self::Fields)];
    }

    fn render(template: &str, name: Option<&str>) -> String {
        Template::<Word>::parse(template).unwrap().render(|word| match word {
            Word::Name => name.map(|name| Slot::Text(name.to_owned().into())),
            Word::Age => Some(Slot::Number(7)),
            Word::Fields => Some(Slot::List(vec!["b".into(), "a".into()])),
        })
    }

    #[test]
    fn members_keep_their_order_and_values_their_type() {
        let template = r#"{ "z": "{{age}}", "a": "{{name}}",
                            "m": [1, true, null, 1.5], "t": "{{ name }} is {{age}}" }"#;
        let rendered = render(template, Some("Ann"));
        assert_eq!(rendered, r#"{"z":7,"a":"Ann","m":[1,true,null,1.5],"t":"Ann is 7"}"#);
    }

    #[test]
    fn a_member_without_a_value_is_left_out() {
        assert_eq!(
            render(r#"{"a":"{{name}}","b":["{{name}}"],"c":1}"#, None),
            r#"{"b":[null],"c":1}"#
        );
    }

    #[test]
    fn a_member_named_by_a_list_is_repeated() {
        let rendered = render(r#"{"errors":{"{{fields}}":["required"]}}"#, None);
        assert_eq!(rendered, r#"{"errors":{"b":["required"],"a":["required"]}}"#);
    }

    #[test]
    fn faults_are_told() {
        use TemplateError as E;
        let fault = |text: &str| Template::<Word>::parse(text).unwrap_err();
        assert!(matches!(fault("{"), E::NotJson(_)));
        assert!(matches!(fault(r#"{"a":1,"a":2}"#), E::NotJson(_)));
        assert!(matches!(fault(r#"{"a":"{{nam}}"}"#), E::UnknownPlaceholder { .. }));
        assert!(fault(r#"{"a":"{{nam}}"}"#).to_string().contains("name, age, fields"));
        assert!(matches!(fault(r#"{"a":"{{name"}"#), E::OpenPlaceholder(_)));
        assert_eq!(fault(&format!("{}{}", "[".repeat(40), "]".repeat(40))), E::TooDeep);
    }

    proptest::proptest! {
        #[test]
        fn r8_no_value_breaks_out_of_the_json(name in proptest::prelude::any::<String>()) {
            let text = render(r#"{"a":"{{name}}","b":"<{{name}}>"}"#, Some(&name));
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            proptest::prop_assert_eq!(parsed["a"].as_str(), Some(name.as_str()));
            let framed = format!("<{name}>");
            proptest::prop_assert_eq!(parsed["b"].as_str(), Some(framed.as_str()));
        }
    }
}
