//! What an OpenAPI document says about the shape of JSON, as lists of members and as examples.
//! References are followed within bounds, and all fields of a document together have one: a small
//! document can name a large schema many times.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::prose;
use crate::pages::views::DocsField;
use crate::pages::words::grouped;

/// References that lead to references.
const HOPS_MAX: usize = 8;
/// Objects in objects.
const DEPTH_MAX: usize = 4;
const FIELDS_MAX: usize = 80;
/// Of the description of a field.
const TEXT_BYTES_MAX: usize = 2 << 10;
/// Longer examples are left out.
const EXAMPLE_BYTES_MAX: usize = 8 << 10;
/// Of all fields and examples of a document.
const BYTES_MAX: usize = 16 << 20;

pub(super) struct Schemas<'a> {
    document: &'a Value,
    bytes_left: Cell<usize>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Self { document, bytes_left: Cell::new(BYTES_MAX) }
    }

    /// What a reference leads to, or the value itself.
    pub(super) fn resolve(&self, mut value: &'a Value) -> &'a Value {
        for _ in 0..HOPS_MAX {
            let reference = value.get("$ref").and_then(Value::as_str);
            let Some(pointer) = reference.and_then(|text| text.strip_prefix('#')) else { break };
            match self.document.pointer(pointer) {
                Some(next) => value = next,
                None => return &Value::Null,
            }
        }
        value
    }

    fn spend(&self, bytes: usize) -> bool {
        let left = self.bytes_left.get().checked_sub(bytes);
        self.bytes_left.set(left.unwrap_or_default());
        left.is_some()
    }

    /// The members of an object, or of the objects in a list, with dots for what is inside.
    pub(super) fn fields(&self, schema: &'a Value) -> Vec<DocsField> {
        let mut fields = Vec::new();
        self.collect(schema, "", 0, &mut fields);
        fields
    }

    fn collect(&self, schema: &'a Value, prefix: &str, depth: usize, fields: &mut Vec<DocsField>) {
        if depth > DEPTH_MAX {
            return;
        }
        let schema = self.resolve(schema);
        let parts = |name| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        for part in parts("allOf") {
            self.collect(part, prefix, depth + 1, fields);
        }
        // Of several shapes the first is told.
        let before = fields.len();
        for part in parts("oneOf").chain(parts("anyOf")) {
            if fields.len() == before {
                self.collect(part, prefix, depth + 1, fields);
            }
        }
        if let Some(items) = schema.get("items") {
            self.collect(items, &format!("{prefix}[]"), depth + 1, fields);
        }
        if let Some(values) = schema.get("additionalProperties").filter(|it| it.is_object()) {
            self.collect(values, &joined(prefix, "*"), depth + 1, fields);
        }
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut properties: Vec<_> = properties.into_iter().flatten().collect();
        properties.sort_by_key(|(name, _)| !required.contains(&name.as_str()));
        for (name, member) in properties {
            if fields.len() >= FIELDS_MAX {
                return;
            }
            let name_inside = joined(prefix, name);
            let is_required = required.contains(&name.as_str());
            let Some(field) = self.field(&name_inside, "", member, is_required) else { return };
            fields.push(field);
            self.collect(member, &name_inside, depth + 1, fields);
        }
    }

    /// `None` when the document has used up what it may.
    pub(super) fn field(
        &self,
        name: &str,
        place: &str,
        schema: &'a Value,
        is_required: bool,
    ) -> Option<DocsField> {
        // A description beside a reference says more than the one behind it.
        let resolved = self.resolve(schema);
        let text = schema.get("description").or_else(|| resolved.get("description"));
        let text = text.and_then(Value::as_str).unwrap_or_default();
        let text = prose::cut(text, TEXT_BYTES_MAX);
        if !self.spend(text.len() + name.len() + 64) {
            return None;
        }
        Some(DocsField {
            name: prose::cut(name, 200).to_owned(),
            place: place.to_owned(),
            kind: self.kind(resolved, 0),
            is_required,
            text: prose::blocks(text),
            limits: limits(resolved),
        })
    }

    /// "text", "list of objects", "text or number".
    fn kind(&self, schema: &'a Value, depth: usize) -> String {
        let schema = self.resolve(schema);
        if depth > DEPTH_MAX {
            return "any".to_owned();
        }
        let alternatives = schema.get("oneOf").or_else(|| schema.get("anyOf"));
        if let Some(alternatives) = alternatives.and_then(Value::as_array) {
            let mut kinds: Vec<_> =
                alternatives.iter().take(8).map(|one| self.kind(one, depth + 1)).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
        let word = |kind: &str| match (kind, schema.get("format").and_then(Value::as_str)) {
            ("string", Some("date-time")) => "time".to_owned(),
            ("string", Some("date")) => "date".to_owned(),
            ("string", Some("binary")) => "bytes".to_owned(),
            ("string", _) => "text".to_owned(),
            ("integer", _) => "whole number".to_owned(),
            ("boolean", _) => "true or false".to_owned(),
            ("array", _) => match schema.get("items") {
                Some(items) => format!("list of {}", self.kind(items, depth + 1)),
                None => "list".to_owned(),
            },
            (other, _) => prose::cut(other, 40).to_owned(),
        };
        match schema.get("type") {
            Some(Value::String(kind)) => word(kind),
            Some(Value::Array(kinds)) => {
                let kinds: Vec<_> =
                    kinds.iter().filter_map(Value::as_str).take(8).map(word).collect();
                kinds.join(" or ")
            }
            _ if schema.get("allOf").is_some() || schema.get("properties").is_some() => {
                "object".to_owned()
            }
            _ if schema.get("enum").is_some() => "text".to_owned(),
            _ => "any".to_owned(),
        }
    }

    /// The JSON example of a request or an answer: the document's own, or one made of the schema.
    pub(super) fn example(&self, media: &'a Value) -> Option<&'a Value> {
        let of_examples = || {
            let first = media.get("examples")?.as_object()?.values().next()?;
            self.resolve(first).get("value")
        };
        let of_schema = || {
            let schema = self.resolve(media.get("schema")?);
            schema.get("example").or_else(|| schema.get("examples")?.as_array()?.first())
        };
        media.get("example").or_else(of_examples).or_else(of_schema)
    }

    /// As text of several lines.
    pub(super) fn shown(&self, example: &Value) -> Option<String> {
        let text = format!("{example:#}");
        let fits = text.len() <= EXAMPLE_BYTES_MAX && self.spend(text.len());
        fits.then_some(text)
    }

    /// A value of the schema's shape, of required members alone.
    pub(super) fn sample(&self, schema: &'a Value, depth: usize) -> Value {
        let schema = self.resolve(schema);
        let list = |name| schema.get(name).and_then(Value::as_array);
        let first = |name| list(name).and_then(|items| items.first());
        let given = schema.get("example").or_else(|| first("examples"));
        if let Some(given) = given.or_else(|| schema.get("default")).or_else(|| first("enum")) {
            return given.clone();
        }
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(part) = first("oneOf").or_else(|| first("anyOf")) {
            return self.sample(part, depth + 1);
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
            other => other.and_then(Value::as_str),
        };
        match kind {
            Some("string") => Value::from("text"),
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(Value::from(1)),
            Some("boolean") => Value::from(true),
            Some("array") => Value::Array(Vec::new()),
            _ => {
                let mut members = Map::new();
                for part in list("allOf").into_iter().flatten() {
                    if let Value::Object(more) = self.sample(part, depth + 1) {
                        members.extend(more);
                    }
                }
                let required = list("required").into_iter().flatten().filter_map(Value::as_str);
                for name in required.take(FIELDS_MAX) {
                    let member = schema.get("properties").and_then(|all| all.get(name));
                    let value = member.map_or(Value::Null, |member| self.sample(member, depth + 1));
                    members.insert(name.to_owned(), value);
                }
                Value::Object(members)
            }
        }
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn limits(schema: &Value) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = allowed.iter().take(30).map(shown_value).collect();
        limits.push(format!("one of {}", words.join(", ")));
    }
    let number = |name: &str| schema.get(name).filter(|value| value.is_number());
    let count = |name: &str| schema.get(name).and_then(Value::as_u64).map(grouped);
    let mut add = |text: Option<String>| limits.extend(text);
    add(number("minimum").map(|least| format!("at least {least}")));
    add(number("maximum").map(|most| format!("at most {most}")));
    add(count("minLength").map(|least| format!("at least {least} characters")));
    add(count("maxLength").map(|most| format!("at most {most} characters")));
    add(count("maxItems").map(|most| format!("at most {most} items")));
    add(schema
        .get("pattern")
        .and_then(Value::as_str)
        .map(|it| format!("matches {}", prose::cut(it, 200))));
    add(schema.get("default").map(|value| format!("{} if left out", shown_value(value))));
    limits
}

fn shown_value(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    prose::cut(&text, 100).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_told_with_what_is_required_first() {
        let document = json!({ "components": { "schemas": { "Side": {
            "type": "string", "enum": ["buy", "sell"], "description": "Which way" } } } });
        let schema = json!({ "type": "object", "required": ["side"], "properties": {
            "amount": { "type": "object", "properties": { "of": { "type": ["integer", "null"] } } },
            "side": { "$ref": "#/components/schemas/Side" } } });
        let fields = Schemas::new(&document).fields(&schema);
        let told: Vec<_> = fields.iter().map(|field| (&*field.name, &*field.kind)).collect();
        assert_eq!(
            told,
            [("side", "text"), ("amount", "object"), ("amount.of", "whole number or null")]
        );
        assert_eq!(fields[0].limits, ["one of buy, sell"]);
        assert!(fields[0].is_required && !fields[1].is_required);
    }

    #[test]
    fn a_schema_that_names_itself_comes_to_an_end() {
        let document = json!({ "A": { "type": "object", "properties": {
            "next": { "$ref": "#/A" }, "also": { "$ref": "#/A" } } },
            "B": { "$ref": "#/B" } });
        let schemas = Schemas::new(&document);
        assert!(schemas.fields(&document["A"]).len() <= FIELDS_MAX);
        assert_eq!(schemas.sample(&document["A"], 0), json!({}));
        assert!(schemas.fields(&document["B"]).is_empty());
    }

    #[test]
    fn all_fields_of_a_document_together_have_a_bound() {
        let long = "x".repeat(TEXT_BYTES_MAX);
        let members: Map<String, Value> = (0..FIELDS_MAX)
            .map(|number| (number.to_string(), json!({ "description": long })))
            .collect();
        let schema = json!({ "properties": members });
        let schemas = Schemas::new(&schema);
        let told: usize = (0..1_000).map(|_| schemas.fields(&schema).len()).sum();
        assert!(told * TEXT_BYTES_MAX <= BYTES_MAX, "{told}");
    }
}
