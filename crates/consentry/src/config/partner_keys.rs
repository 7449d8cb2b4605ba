//! `[partner_keys]`: which scopes are about keys, and the permissions among which users pick.

use std::time::Duration;

use domain::key_terms::{Endpoint, KeyTerms, PermissionGroup, Translated};
use domain::policy::Resource;
use protocol::route::RoutePattern;
use protocol::scope::ScopeName;

use super::quantity;
use super::reader::{At, Section, Spot};
use super::scope::{self, Scopes};

/// Time to fetch the secret, also for an app that does it by hand.
const ACCESS_TOKEN: Duration = Duration::from_secs(4 * 3600);
/// More would not fit what travels through the browser.
const ENDPOINTS_MAX: usize = 100;
const NAME_LENGTH_MAX: usize = 32;

/// `None`: there are no partner keys, or a problem was reported.
pub(super) fn read(
    root: &Section<'_>,
    scopes: &Scopes,
    resources: &[Resource],
) -> Option<KeyTerms> {
    root.raw("partner_keys")?;
    let section = root.section("partner_keys");
    let scope_of = |key, default| named_scope(&section, scopes, key, default);
    let create = scope_of("create_scope", "apikeys.create");
    let read = scope_of("read_scope", "apikeys.read");
    let delete = scope_of("delete_scope", "apikeys.delete");
    let access_token = section.parsed("access_token", quantity::duration).map(|at| at.value);
    let mut taken = Taken::default();
    let of_groups = section.sections("group");
    let groups: Vec<PermissionGroup> =
        of_groups.iter().filter_map(|group| self::group(group, resources, &mut taken)).collect();
    if section.raw("group").is_none() {
        let what = "there is no permission that a key could have";
        section.document.problem(&section.spot, what, "Add [[partner_keys.group]] tables.");
    }
    if taken.urls.len() > ENDPOINTS_MAX {
        let what = format!("the groups have {} endpoints", taken.urls.len());
        let to_do = format!("There can be {ENDPOINTS_MAX}: nobody reads more.");
        section.document.problem(&section.spot, what, to_do);
    }
    Some(KeyTerms {
        create: create?,
        read: read?,
        delete: delete?,
        access_token: access_token.unwrap_or(ACCESS_TOKEN),
        groups,
    })
}

/// What earlier groups have.
#[derive(Default)]
struct Taken {
    names: Vec<String>,
    urls: Vec<String>,
}

fn named_scope(
    section: &Section<'_>,
    scopes: &Scopes,
    key: &str,
    default: &str,
) -> Option<ScopeName> {
    let At { value, spot } = section
        .text(key)
        .unwrap_or_else(|| At { value: default.to_owned(), spot: section.spot.clone() });
    let found = scopes.get_key_value(value.as_str()).map(|(name, _)| name.clone());
    if found.is_none() {
        let what = format!("no scope is called `{value}`, which `{key}` needs");
        section.document.problem(&spot, what, scope::undeclared(scopes, &value));
    }
    found
}

fn group(
    section: &Section<'_>,
    resources: &[Resource],
    taken: &mut Taken,
) -> Option<PermissionGroup> {
    let name = section.required("name");
    let name = name.and_then(|text| section.meaning("name", text, group_name));
    if let Some(At { value, spot }) = &name {
        if taken.names.contains(value) {
            let what = format!("the group `{value}` is declared twice");
            section.document.problem(spot, what, "Remove one of them.");
        }
        taken.names.push(value.clone());
    }
    let title = section.required("title");
    let by_language = section.sections("translation").iter().filter_map(translation).collect();
    let urls = section.texts("endpoints");
    if urls.as_ref().is_none_or(Vec::is_empty) {
        let what = "the group has no endpoints, so it permits nothing";
        let to_do = "Add endpoints = [\"/api/…\"] with the paths of routes.";
        section.document.problem(&section.spot_of("endpoints"), what, to_do);
    }
    let endpoints = urls.unwrap_or_default().into_iter();
    let endpoints = endpoints.filter_map(|url| endpoint(section, url, resources, taken)).collect();
    Some(PermissionGroup {
        name: name?.value,
        title: Translated { text: title?.value, by_language },
        moves_money: section.switch("money").unwrap_or(false),
        endpoints,
    })
}

fn group_name(text: &str) -> Result<String, &'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    match text.len() <= NAME_LENGTH_MAX && text.chars().all(legal) {
        true => Ok(text.to_owned()),
        false => Err("Use up to 32 small letters, digits, `-`, `_` and `.`."),
    }
}

/// `None` when a problem was reported.
fn translation(section: &Section<'_>) -> Option<(String, String)> {
    let tag = |text: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_tag = (2..=12).contains(&text.len()) && text.chars().all(legal);
        is_tag.then(|| text.to_owned()).ok_or("Write a language such as de, or pt-BR.")
    };
    let language = section.required("language");
    let language = language.and_then(|text| section.meaning("language", text, tag));
    let text = section.required("text");
    Some((language?.value, text?.value))
}

/// The path of a route of exactly one API. `None` when a problem was reported.
fn endpoint(
    section: &Section<'_>,
    At { value: url, spot }: At<String>,
    resources: &[Resource],
    taken: &mut Taken,
) -> Option<Endpoint> {
    let problem = |spot: &Spot, what: String, to_do: &str| {
        section.document.problem(spot, what, to_do);
    };
    if taken.urls.contains(&url) {
        problem(&spot, format!("{url} is in two groups, or twice in one"), "Keep one of them.");
        return None;
    }
    taken.urls.push(url.clone());
    let pattern = match RoutePattern::parse(&url) {
        Ok(pattern) => pattern,
        Err(error) => {
            problem(&spot, format!("{error}"), "Write the path of a route.");
            return None;
        }
    };
    let all = resources.iter().map(|resource| resource.routes.routes_of(&pattern));
    let found: Vec<_> = all.filter(|routes| !routes.is_empty()).collect();
    // A problem of a route hides it; it is told where it is.
    let [routes] = found.as_slice() else {
        let (what, to_do) = match found.is_empty() {
            true => ("no route has the path", "Write it as the route has it, or add the route."),
            false => ("several APIs have the path", "A permission must not mean two things."),
        };
        problem(&spot, format!("{what} {url}"), to_do);
        return None;
    };
    let same_text = routes.iter().all(|(_, rule)| rule.pattern == url);
    if !same_text {
        problem(&spot, format!("the route of {url} is written otherwise"), "Write it as there.");
    }
    Some(Endpoint { url, access: routes.iter().map(|(_, rule)| rule.access.clone()).collect() })
}
