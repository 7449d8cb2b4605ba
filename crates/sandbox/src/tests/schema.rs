//! Checks a value against a schema of an OpenAPI document: as much of JSON Schema as ours use. A
//! keyword that is not known here fails, so that no rule is written down and not checked.

use serde_json::{Map, Value};

/// Say more than can be wrong, or what a reader of the document is told.
const NOTES: [&str; 7] =
    ["description", "default", "format", "pattern", "maxLength", "contentEncoding", "example"];

/// What is wrong, with the place where it is.
pub(super) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    check_at(document, schema, value, "")
}

fn check_at(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let wrong = |rule: &str| Err(format!("{at}: {rule}: {value}"));
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let holds = match keyword.as_str() {
            "$ref" => {
                check_at(document, resolve(document, rule), value, at)?;
                true
            }
            "type" => is_of_type(rule, value),
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "required" => rule.as_array().unwrap().iter().all(|name| {
                value.as_object().is_none_or(|object| object.contains_key(name.as_str().unwrap()))
            }),
            "properties" => {
                for (name, part) in parts(value) {
                    if let Some(schema) = rule.get(name) {
                        check_at(document, schema, part, &format!("{at}/{name}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                let more = parts(value)
                    .filter(|(name, _)| known.is_none_or(|known| known.get(name).is_none()));
                for (name, part) in more {
                    match rule {
                        Value::Bool(false) => return wrong(&format!("{name} is not described")),
                        rule => check_at(document, rule, part, &format!("{at}/{name}"))?,
                    }
                }
                true
            }
            "items" => {
                for (index, part) in value.as_array().into_iter().flatten().enumerate() {
                    check_at(document, rule, part, &format!("{at}/{index}"))?;
                }
                true
            }
            "oneOf" => {
                let tried: Vec<_> = rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|schema| check_at(document, schema, value, at))
                    .collect();
                if tried.iter().filter(|each| each.is_ok()).count() != 1 {
                    return wrong(&format!("not exactly one of {tried:?}"));
                }
                true
            }
            "minItems" => value.as_array().is_none_or(|all| all.len() as u64 >= number(rule)),
            "maxItems" => value.as_array().is_none_or(|all| all.len() as u64 <= number(rule)),
            "minimum" => value.as_u64().is_none_or(|value| value >= number(rule)),
            "maximum" => value.as_u64().is_none_or(|value| value <= number(rule)),
            note if NOTES.contains(&note) => true,
            unknown => panic!("{at}: teach this test the keyword {unknown}"),
        };
        if !holds {
            return wrong(&format!("{keyword} {rule}"));
        }
    }
    Ok(())
}

/// What a `$ref` names, or the object itself.
pub(super) fn follow<'a>(document: &'a Value, object: &'a Value) -> &'a Value {
    object.get("$ref").map_or(object, |reference| resolve(document, reference))
}

fn resolve<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let pointer = reference.as_str().unwrap().strip_prefix('#').expect("a local reference");
    document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is nowhere"))
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        unknown => panic!("no type is called {unknown}"),
    };
    rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is))
}

fn parts(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn number(rule: &Value) -> u64 {
    rule.as_u64().unwrap()
}
