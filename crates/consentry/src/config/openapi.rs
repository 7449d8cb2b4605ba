//! Routes from an OpenAPI 3 document: each operation's `security`, or the document's. Alternatives
//! of the list are alternatives of the route; `{}` or an empty list make it public. The document
//! is kept for the developer documentation.

use std::path::{Path, PathBuf};

use domain::policy::{ApiDocument, RouteAccess};
use http::Method;
use protocol::scope::ScopeSet;
use serde_json::{Map, Value};

use super::read_text;
use super::reader::{At, Section};
use super::resource::Surroundings;
use super::route::{Route, inside, pattern_under};
use super::scope;

/// Larger documents are refused before they are parsed.
const BYTES_MAX: usize = 4 << 20;
/// Of one document. Each is a piece of a page.
const OPERATIONS_MAX: usize = 2_000;
/// Deepest nesting of a document: what reads it later goes down as far.
const DEPTH_MAX: usize = 64;
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

pub(super) fn read(
    section: &Section<'_>,
    surroundings: &Surroundings<'_>,
    path: &At<PathBuf>,
    path_prefix: &str,
) -> Option<(Vec<Route>, ApiDocument)> {
    let problem = |what: String, to_do: &str| {
        section.document.problem(&path.spot, format!("{}: {what}", path.value.display()), to_do);
        None
    };
    let text = match read_text(surroundings.read, &path.value) {
        Ok(text) => text,
        Err(error) => {
            let to_do = "Paths are relative to the folder of the config file.";
            return problem(format!("cannot be read: {error}"), to_do);
        }
    };
    let mut document = match parse(&text) {
        Ok(document) => document,
        Err(error) => return problem(error, "It must be an OpenAPI 3 document, YAML or JSON."),
    };
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("3.") {
        return problem("is not an OpenAPI 3 document".into(), "`openapi: 3.1.0` is missing.");
    }
    let operations = count_operations(&document);
    if operations > OPERATIONS_MAX {
        let what = format!("has {operations} operations, and {OPERATIONS_MAX} are the most");
        return problem(what, "Split the API into several [[resource]] tables.");
    }
    match drop_outside_references(&mut document, DEPTH_MAX) {
        None => return problem(format!("is nested deeper than {DEPTH_MAX} levels"), "Flatten it."),
        Some(0) => {}
        Some(count) => section.document.warn(
            inside(&path.value, ""),
            format!("the documentation leaves out what it refers to elsewhere (`$ref`): {count}"),
            "Bundle the document: let every `$ref` begin with `#/`.",
        ),
    }
    let mut reading = Reading { section, surroundings, file: &path.value, path_prefix, document };
    let (routes, base_path) = (reading.routes(), reading.base_path());
    let document = std::mem::take(&mut reading.document);
    Some((routes, ApiDocument { base_path, document }))
}

fn count_operations(document: &Value) -> usize {
    let paths = document.get("paths").and_then(Value::as_object);
    let of_path = |item: &Value| METHODS.iter().filter(|name| item.get(name).is_some()).count();
    paths.into_iter().flat_map(Map::values).map(of_path).sum()
}

/// The documentation is served to strangers and fetches nothing: a `$ref` to elsewhere becomes an
/// empty object. How many there were; `None`: the document is too deep to look at.
fn drop_outside_references(value: &mut Value, depth_left: usize) -> Option<usize> {
    let depth_left = depth_left.checked_sub(1)?;
    let mut count = 0;
    match value {
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            if reference.is_some_and(|reference| !reference.starts_with("#/")) {
                members.clear();
                return Some(1);
            }
            for member in members.values_mut() {
                count += drop_outside_references(member, depth_left)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                count += drop_outside_references(item, depth_left)?;
            }
        }
        _ => {}
    }
    Some(count)
}

/// YAML; JSON is a part of it, but is named first for its better messages.
fn parse(text: &str) -> Result<Value, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("is larger than {BYTES_MAX} bytes"));
    }
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

struct Reading<'a, 'd> {
    section: &'a Section<'d>,
    surroundings: &'a Surroundings<'a>,
    file: &'a Path,
    path_prefix: &'a str,
    document: Value,
}

impl Reading<'_, '_> {
    fn routes(&self) -> Vec<Route> {
        let empty = Map::new();
        let paths = self.document.get("paths").and_then(Value::as_object).unwrap_or(&empty);
        let base = self.base_path();
        let mut routes = Vec::new();
        for (path, item) in paths {
            for name in METHODS {
                let Some(operation) = item.get(name) else { continue };
                let whole = format!("{base}{path}");
                routes.extend(self.route(name, path, &whole, operation));
            }
        }
        routes
    }

    /// The path of the first server, which every path of the document is relative to.
    fn base_path(&self) -> String {
        let servers = self.document.get("servers").and_then(Value::as_array);
        let url = servers.and_then(|servers| servers.first()?.get("url")?.as_str());
        let path = match url {
            Some(url) if url.starts_with('/') => url.to_owned(),
            Some(url) => url::Url::parse(url).map(|url| url.path().to_owned()).unwrap_or_default(),
            None => String::new(),
        };
        path.trim_end_matches('/').to_owned()
    }

    fn route(&self, method: &str, path: &str, whole: &str, operation: &Value) -> Option<Route> {
        let document = self.section.document;
        let place = || inside(self.file, format!("{} {path}", method.to_uppercase()));
        let pattern = match pattern_under(whole, self.path_prefix) {
            Ok(pattern) => pattern,
            Err(error) => {
                let what = format!("`{whole}` cannot be a route of this API");
                document.problem_inside(place(), what, error);
                return None;
            }
        };
        let security = operation.get("security").or_else(|| self.document.get("security"));
        let Some(alternatives) = security.and_then(Value::as_array) else {
            document.warn(
                place(),
                "it has no `security`, so it is not reachable",
                "Add `security: []` if no token is needed, or a [[resource.route]].",
            );
            return None;
        };
        let access = self.access(alternatives, &place)?;
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).ok()?;
        let family = operation.get("x-consentry-family").and_then(Value::as_str);
        Some(Route { method, pattern, access, family: family.map(str::to_owned) })
    }

    /// `None` when nothing usable is left; that was reported then.
    fn access(
        &self,
        alternatives: &[Value],
        place: &dyn Fn() -> super::problem::Place,
    ) -> Option<RouteAccess> {
        let document = self.section.document;
        if alternatives.is_empty() {
            return Some(RouteAccess::Public);
        }
        let mut sets = Vec::new();
        for schemes in alternatives.iter().filter_map(Value::as_object) {
            if schemes.is_empty() {
                return Some(RouteAccess::Public);
            }
            if !schemes.keys().all(|scheme| self.is_ours(scheme)) {
                continue;
            }
            let names = schemes.values().filter_map(Value::as_array).flatten();
            let mut set = ScopeSet::default();
            for name in names.filter_map(Value::as_str) {
                let Some((name, _)) = self.surroundings.scopes.get_key_value(name) else {
                    let to_do = scope::undeclared(self.surroundings.scopes, name);
                    let what = format!("no scope is called `{name}`");
                    document.problem_inside(place(), what, to_do);
                    return None;
                };
                set.insert(name.clone());
            }
            sets.push(set);
        }
        if sets.is_empty() {
            document.warn(
                place(),
                "it accepts no OAuth token, so it is not reachable",
                "Add a scheme of type oauth2 or http bearer, or a [[resource.route]].",
            );
            return None;
        }
        Some(RouteAccess::AnyOf(sets))
    }

    /// Whether a security scheme is one that our tokens satisfy.
    fn is_ours(&self, scheme: &str) -> bool {
        let declared =
            self.document.pointer("/components/securitySchemes").and_then(|all| all.get(scheme));
        let word = |name| declared.and_then(|one| one.get(name)).and_then(Value::as_str);
        match word("type") {
            Some("oauth2" | "openIdConnect") => true,
            Some("http") => word("scheme").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")),
            _ => false,
        }
    }
}
