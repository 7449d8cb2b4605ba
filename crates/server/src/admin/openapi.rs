//! The API as an OpenAPI 3.1 document and as a page for people. Both are made from the table of
//! routes and the types of the wire, and checked in; a test says when they are no longer true.

use std::fmt::Write as _;

use axum::Json;
use domain::admin_token::AdminScope;
use http::Method;
use serde_json::{Map, Value, json};

use super::actor::Admin;
use super::operation::Operation;
use super::problem::{ProblemDocument, ProblemKind, TYPE_PREFIX};
use super::routes::{PREFIX, operations};
use super::schema::{Components, Schema as _};

pub async fn show(_: Admin) -> Json<Value> {
    Json(document())
}

/// The whole document.
pub fn document() -> Value {
    let mut components = Components::default();
    let problem = ProblemDocument::schema(&mut components);
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(format!("{PREFIX}{}", operation.path)).or_insert(json!({}));
        if let Some(methods) = path.as_object_mut() {
            let method = operation.method.as_str().to_ascii_lowercase();
            methods.insert(method, describe(&operation, &mut components));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Consentry admin API",
            "version": "1",
            "description": "Everything that staff can click, for programs of the operator. It is \
                            served by the internal listener and never by the public one.",
        },
        "paths": paths,
        "components": {
            "schemas": components.into_value(),
            "responses": {
                "Problem": {
                    "description": "What went wrong (RFC 9457)",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": scopes_text() },
            },
        },
        "security": [{ "token": [] }],
    })
}

fn scopes_text() -> String {
    let scopes = AdminScope::ALL.iter().map(|scope| format!("`{scope}`: {}", scope.text()));
    format!("A token `consentry_admin_…` with scopes. {}", scopes.collect::<Vec<_>>().join(" "))
}

fn describe(operation: &Operation, components: &mut Components) -> Value {
    let mut answer = json!({ "description": "Done" });
    if let Some(describe) = operation.answer {
        answer = json!({
            "description": "Done",
            "content": { "application/json": { "schema": describe(components) } },
        });
    }
    let scopes: Vec<AdminScope> = operation.scope.into_iter().collect();
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(operation)],
        "parameters": parameters(operation),
        "responses": {
            operation.status.to_string(): answer,
            "default": { "$ref": "#/components/responses/Problem" },
        },
        // OpenAPI 3.1 names what it takes with schemes other than OAuth too.
        "security": [{ "token": scopes }],
    });
    if let (Some(describe), Some(fields)) = (operation.body, described.as_object_mut()) {
        let (content, schema) = match operation.method {
            Method::PATCH => ("application/merge-patch+json", patch_of(describe, components)),
            _ => ("application/json", describe(components)),
        };
        let body = json!({ "required": true, "content": { content: { "schema": schema } } });
        fields.insert("requestBody".to_owned(), body);
    }
    described
}

/// Of a merge patch no member is required.
fn patch_of(describe: fn(&mut Components) -> Value, components: &mut Components) -> Value {
    let mut schema = resolve(describe, components);
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("required");
    }
    schema
}

/// The schema itself, where `describe` gives a reference.
fn resolve(describe: fn(&mut Components) -> Value, components: &mut Components) -> Value {
    let schema = describe(components);
    let reference = schema.get("$ref").and_then(Value::as_str).unwrap_or_default();
    let name = reference.rsplit('/').next().unwrap_or_default();
    components.find(name).cloned().unwrap_or(schema)
}

/// Routes of one kind of thing stand together.
fn tag(operation: &Operation) -> &str {
    let first = operation.path.split('/').nth(1).unwrap_or_default();
    if first == "openapi.json" { "document" } else { first }
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let named =
        operation.path.split('/').filter_map(|one| one.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = named
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true, "schema": { "type": "string" },
                "description": path_text(name),
            })
        })
        .collect();
    if let Some(describe) = operation.query {
        let schema = resolve(describe, &mut Components::default());
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            parameters.push(json!({ "name": name, "in": "query", "schema": schema }));
        }
    }
    let header = |name: &str, required: bool, text: &str| {
        json!({
            "name": name, "in": "header", "required": required, "schema": { "type": "string" },
            "description": text,
        })
    };
    if operation.needs_match {
        let text = "The ETag of what you have read, or `*` for whatever it is";
        parameters.push(header("If-Match", true, text));
    }
    if operation.method == Method::POST {
        let text = "The same key within 24 hours gets the first answer again";
        parameters.push(header("Idempotency-Key", false, text));
    }
    parameters
}

fn path_text(name: &str) -> &'static str {
    match name {
        "app" => "The client id of the app, percent-encoded",
        "user" => "The id or the e-mail address of the user",
        _ => "Its id",
    }
}

/// The reference for people: `docs/operator/admin-api.md` from its mark on.
pub fn markdown() -> String {
    let mut text = String::from("## Scopes\n\n| scope | allows to |\n|---|---|\n");
    for scope in AdminScope::ALL {
        _ = writeln!(text, "| `{scope}` | {} |", scope.text());
    }
    text.push_str("\n## Problems\n\n| `type` | status | when |\n|---|---|---|\n");
    for kind in ProblemKind::ALL {
        let (name, status) = (kind.name(), kind.status().as_u16());
        _ = writeln!(text, "| `{TYPE_PREFIX}{name}` | {status} | {} |", kind.text());
    }
    text.push_str("\n## Routes\n\nAll of them begin with `/admin/v1`.\n");
    let mut section = String::new();
    for operation in operations() {
        if tag(&operation) != section {
            tag(&operation).clone_into(&mut section);
            _ = writeln!(text, "\n### {section}");
        }
        route(&mut text, &operation);
    }
    text
}

fn route(text: &mut String, operation: &Operation) {
    let scope = operation.scope.map_or("any token".to_owned(), |scope| format!("`{scope}`"));
    let (method, path, summary) = (&operation.method, operation.path, operation.summary);
    _ = writeln!(text, "\n#### `{method} {path}`\n\n{summary}. Needs {scope}.");
    let mut components = Components::default();
    if let Some(describe) = operation.query {
        members(text, "parameter", &resolve(describe, &mut components), false);
    }
    if let Some(describe) = operation.body {
        let is_change = operation.method == Method::PATCH;
        members(text, "member of the body", &resolve(describe, &mut components), !is_change);
    }
    _ = write!(text, "\n```sh\n{}\n```\n", curl(operation, &mut components));
}

fn members(text: &mut String, heading: &str, schema: &Value, tells_required: bool) {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| {
        tells_required && required.is_some_and(|all| all.iter().any(|one| one == name))
    };
    _ = write!(text, "\n| {heading} | type | |\n|---|---|---|\n");
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = about.replace('|', "\\|");
        let must = if is_required(name) { " Required." } else { "" };
        _ = writeln!(text, "| `{name}` | {} | {about}{must} |", type_text(schema));
    }
}

fn type_text(schema: &Value) -> String {
    let choices = schema.get("enum").and_then(Value::as_array);
    let texts = choices.into_iter().flatten().filter_map(Value::as_str);
    let choices: Vec<String> = texts.map(|text| format!("`{text}`")).collect();
    // Scopes have a table of their own.
    if !choices.is_empty() && choices.len() < 10 {
        return choices.join(", ");
    }
    let of = schema.get("items").map(|items| format!(" of {}s", type_text(items)));
    let name = schema.get("type").and_then(Value::as_str).unwrap_or("object");
    format!("{name}{}", of.unwrap_or_default())
}

/// A call that works when what stands in capitals is filled in.
fn curl(operation: &Operation, components: &mut Components) -> String {
    let mut line = String::from("curl");
    if operation.method != Method::GET {
        _ = write!(line, " -X {}", operation.method);
    }
    let path = operation.path.replace("{user}", "alice@example.com");
    let filled = path.split('/').map(|part| match part.strip_prefix('{') {
        Some(name) => name.trim_end_matches('}').to_uppercase(),
        None => part.to_owned(),
    });
    let path = filled.collect::<Vec<_>>().join("/");
    _ = write!(
        line,
        " \"$CONSENTRY{PREFIX}{path}\" \\\n  -H \"Authorization: Bearer $CONSENTRY_ADMIN_TOKEN\""
    );
    if operation.needs_match {
        line.push_str(" \\\n  -H 'If-Match: ETAG'");
    }
    if let Some(describe) = operation.body {
        let content = match operation.method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let body = example(operation, &resolve(describe, components));
        _ = write!(line, " \\\n  -H 'Content-Type: {content}' \\\n  -d '{body}'");
    }
    line
}

/// What is required; of a change, its first member.
fn example(operation: &Operation, schema: &Value) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let properties = schema.get("properties").and_then(Value::as_object);
    let wanted = |name: &str| match operation.method {
        Method::PATCH => name == "name",
        _ => name == "reason" || required.is_some_and(|all| all.iter().any(|one| one == name)),
    };
    let members = properties.into_iter().flatten().filter(|(name, _)| wanted(name));
    members.map(|(name, schema)| (name.clone(), sample(schema))).collect()
}

fn sample(schema: &Value) -> Value {
    let first = schema.get("enum").and_then(Value::as_array).and_then(|all| all.first());
    match (first, schema.get("type").and_then(Value::as_str)) {
        (Some(first), _) => first.clone(),
        (None, Some("array")) => {
            schema.get("items").map(|items| json!([sample(items)])).unwrap_or_default()
        }
        (None, Some("boolean")) => true.into(),
        (None, Some("integer")) => 1.into(),
        (None, Some("string")) => "…".into(),
        _ => json!({}),
    }
}
