//! The routes of one API: those of the config file, and those of an OpenAPI document. A route of
//! the file replaces the document's of the same method and path.

use std::sync::Arc;

use domain::policy::{ApiDocument, RouteAccess, RouteRule};
use http::Method;
use protocol::route::{RoutePattern, RouteTable};
use protocol::scope::ScopeSet;

use super::openapi;
use super::problem::{Place, nearest};
use super::reader::{At, Section, Spot};
use super::resource::Surroundings;
use super::scope::{self, Scopes};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A route before it is in the table.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) pattern: RoutePattern,
    pub(super) access: RouteAccess,
    pub(super) family: Option<String>,
}

pub(super) fn read_all(
    section: &Section<'_>,
    surroundings: &Surroundings<'_>,
    path_prefix: &str,
) -> (RouteTable<RouteRule>, Option<Arc<ApiDocument>>) {
    let mut table = RouteTable::new();
    let mut declared: Vec<Route> = Vec::new();
    for route_section in section.sections("route") {
        for (route, spot) in read(&route_section, surroundings.scopes, path_prefix) {
            let twin = |other: &Route| {
                other.method == route.method && other.pattern.is_same_shape(&route.pattern)
            };
            if declared.iter().any(twin) {
                let what = format!("{} {} is declared twice", route.method, route.pattern);
                section.document.problem(&spot, what, "Remove one of them.");
                continue;
            }
            declared.push(route);
        }
    }
    let document = section.path("openapi").and_then(|path| {
        let (routes, document) = openapi::read(section, surroundings, &path, path_prefix)?;
        for route in routes {
            let twin = |other: &Route| {
                other.method == route.method && other.pattern.is_same_shape(&route.pattern)
            };
            if !declared.iter().any(twin) {
                declared.push(route);
            }
        }
        Some(Arc::new(document))
    });
    if declared.is_empty() && section.raw("route").is_none() && section.raw("openapi").is_none() {
        section.document.warn(
            section.document.place(&section.spot),
            "the API has no routes, so every call is 404",
            "Add [[resource.route]] tables, or name an OpenAPI document with `openapi`.",
        );
    }
    for Route { method, pattern, access, family } in declared {
        let family = family.unwrap_or_else(|| family_of(&pattern, path_prefix));
        let rule = RouteRule { access, family, pattern: pattern.to_string() };
        // Twins were sorted out above.
        if let Err(conflict) = table.insert(method, pattern, rule) {
            section.document.problem(&section.spot, conflict, "Remove one of them.");
        }
    }
    (table, document)
}

/// The first literal segment behind the prefix.
fn family_of(pattern: &RoutePattern, path_prefix: &str) -> String {
    let rest = pattern.as_str().strip_prefix(path_prefix).unwrap_or(pattern.as_str());
    let segment = rest.split('/').find(|part| !part.is_empty() && !part.starts_with('{'));
    segment.unwrap_or("everything").to_owned()
}

fn read(section: &Section<'_>, scopes: &Scopes, path_prefix: &str) -> Vec<(Route, Spot)> {
    let methods = methods(section);
    let path = section.required("path");
    let pattern = path
        .and_then(|text| section.meaning("path", text, |text| pattern_under(text, path_prefix)));
    let access = access(section, scopes);
    let family = section.text("family").map(|at| at.value);
    let (Some(At { value: pattern, spot }), Some(access)) = (pattern, access) else {
        return Vec::new();
    };
    let route = |method| {
        let (pattern, access, family) = (pattern.clone(), access.clone(), family.clone());
        (Route { method, pattern, access, family }, spot.clone())
    };
    methods.into_iter().map(route).collect()
}

pub(super) fn pattern_under(text: &str, path_prefix: &str) -> Result<RoutePattern, String> {
    let pattern = RoutePattern::parse(text).map_err(|error| format!("{error}."))?;
    let rest = text.strip_prefix(path_prefix);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Err(format!("It must start with the API's path prefix {path_prefix}."));
    }
    Ok(pattern)
}

fn methods(section: &Section<'_>) -> Vec<Method> {
    let mut texts = section.texts("methods").unwrap_or_default();
    texts.extend(section.text("method"));
    if texts.is_empty() && section.raw("methods").is_none() && section.raw("method").is_none() {
        let to_do = "Add method = \"GET\", or methods = [\"GET\", \"POST\"].";
        section.document.problem(&section.spot, "the route has no method", to_do);
    }
    let read = |text| section.meaning("method", text, method).map(|at| at.value);
    texts.into_iter().filter_map(read).collect()
}

fn method(text: &str) -> Result<Method, String> {
    let known = METHODS.iter().find(|known| **known == text);
    known.and_then(|text| Method::from_bytes(text.as_bytes()).ok()).ok_or_else(|| {
        match nearest(&text.to_uppercase(), METHODS) {
            Some(similar) => format!("Did you mean {similar}?"),
            None => format!("It is one of: {}.", METHODS.join(", ")),
        }
    })
}

/// Exactly one of `scopes`, `any_of` and `public`; `None` when a problem was reported.
fn access(section: &Section<'_>, scopes: &Scopes) -> Option<RouteAccess> {
    let all = section.texts("scopes");
    let groups = section.text_groups("any_of");
    let is_public = section.switch("public").unwrap_or(false);
    match (all, groups, is_public) {
        (None, None, true) => Some(RouteAccess::Public),
        (Some(names), None, false) => {
            Some(RouteAccess::AnyOf(vec![scope::set(section, scopes, names)?]))
        }
        (None, Some(groups), false) if !groups.is_empty() => {
            let sets: Vec<Option<ScopeSet>> =
                groups.into_iter().map(|names| scope::set(section, scopes, names)).collect();
            Some(RouteAccess::AnyOf(sets.into_iter().collect::<Option<_>>()?))
        }
        (None, None, false) => {
            let place_is_known =
                ["scopes", "any_of"].iter().any(|name| section.raw(name).is_some());
            if !place_is_known {
                let to_do = "Add scopes = [\"…\"]; or public = true if no token is needed.";
                section.document.problem(
                    &section.spot,
                    "the route does not say what it needs",
                    to_do,
                );
            }
            None
        }
        _ => {
            let what = "a route has exactly one of `scopes`, `any_of` and `public`";
            section.document.problem(&section.spot, what, "Keep the one that is meant.");
            None
        }
    }
}

/// Where in an OpenAPI document something is.
pub(super) fn inside(file: &std::path::Path, path: impl Into<String>) -> Place {
    Place::Inside { file: file.to_owned(), path: path.into() }
}
