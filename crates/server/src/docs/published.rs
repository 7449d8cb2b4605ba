//! The OpenAPI document of an API as this deployment serves it: only what is reachable, with our
//! addresses, and with what each call really needs.

use domain::policy::{Policy, Resource, RouteAccess};
use protocol::route::RoutePattern;
use protocol::scope::ScopeSet;
use serde_json::{Map, Value, json};

use super::api::origin;

const SCHEME: &str = "oauth2";
const METHODS: [&str; 8] = ["get", "head", "post", "put", "patch", "delete", "options", "trace"];

pub(super) fn document(policy: &Policy, resource: &Resource) -> Value {
    let given = resource.api_document.as_deref();
    let base = given.map_or("", |given| given.base_path.as_str());
    let mut document = match given.map(|given| &given.document) {
        Some(Value::Object(members)) => members.clone(),
        _ => Map::new(),
    };
    document.entry("openapi").or_insert_with(|| json!("3.1.0"));
    document.entry("info").or_insert_with(|| json!({ "title": resource.name, "version": "1" }));
    let url = format!("{}{base}", origin(policy, resource));
    document.insert("servers".to_owned(), json!([{ "url": url }]));
    document.remove("security");
    document.remove("webhooks");
    let paths = document.remove("paths");
    document.insert("paths".to_owned(), Value::Object(reachable(resource, base, paths)));
    let components = document.entry("components").or_insert_with(|| json!({}));
    if let Value::Object(components) = components {
        components.insert("securitySchemes".to_owned(), json!({ SCHEME: scheme(policy) }));
    }
    Value::Object(document)
}

/// The operations that are routes, each with what its route needs; and routes that the document
/// does not tell of.
fn reachable(resource: &Resource, base: &str, paths: Option<Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    let Some(Value::Object(paths)) = paths else { return undocumented(resource, base, kept) };
    for (path, mut item) in paths {
        let Ok(pattern) = RoutePattern::parse(&format!("{base}{path}")) else { continue };
        let routes = resource.routes.routes_of(&pattern);
        let Value::Object(members) = &mut item else { continue };
        let mut is_reachable = false;
        for name in METHODS {
            let route =
                routes.iter().find(|(method, _)| method.as_str().eq_ignore_ascii_case(name));
            match (route, members.get_mut(name)) {
                (Some((_, rule)), Some(Value::Object(operation))) => {
                    operation.insert("security".to_owned(), security(&rule.access));
                    is_reachable = true;
                }
                _ => drop(members.remove(name)),
            }
        }
        if is_reachable {
            kept.insert(path, item);
        }
    }
    undocumented(resource, base, kept)
}

fn undocumented(
    resource: &Resource,
    base: &str,
    mut paths: Map<String, Value>,
) -> Map<String, Value> {
    for (_, method, rule) in resource.routes.all() {
        // What is outside of the document's base path cannot be said in it.
        let Some(path) = rule.pattern.strip_prefix(base) else { continue };
        let name = method.as_str().to_lowercase();
        let item = paths.entry(path).or_insert_with(|| json!({}));
        let Value::Object(item) = item else { continue };
        item.entry(name).or_insert_with(|| {
            let parameters: Vec<Value> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .map(|name| {
                    json!({ "name": name, "in": "path", "required": true,
                            "schema": { "type": "string" } })
                })
                .collect();
            json!({
                "tags": [rule.family],
                "parameters": parameters,
                "security": security(&rule.access),
                "responses": { "default": { "description": "Not described" } },
            })
        });
    }
    paths
}

fn security(access: &RouteAccess) -> Value {
    match access {
        RouteAccess::Public => json!([]),
        RouteAccess::AnyOf(sets) => {
            let names =
                |set: &ScopeSet| set.iter().map(|name| Value::from(name.as_str())).collect();
            sets.iter().map(|set| json!({ SCHEME: Value::Array(names(set)) })).collect()
        }
    }
}

/// RFC 8414 has the same addresses.
fn scheme(policy: &Policy) -> Value {
    let url = |path: &str| format!("{}{path}", policy.issuer);
    let scopes: Map<String, Value> = policy
        .scopes
        .iter()
        .map(|(name, scope)| (name.to_string(), Value::from(scope.text.as_str())))
        .collect();
    json!({
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": url("/oauth/authorize"),
                "tokenUrl": url("/oauth/token"),
                "refreshUrl": url("/oauth/token"),
                "scopes": scopes,
            },
            "clientCredentials": { "tokenUrl": url("/oauth/token"), "scopes": scopes },
        },
    })
}
