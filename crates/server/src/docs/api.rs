//! The endpoints of an API: its routes, with what its OpenAPI document says about each. Read once
//! for each policy.

use std::collections::{BTreeMap, HashSet};

use domain::policy::{ApiDocument, Policy, Resource, RouteAccess, RouteRule};
use http::Method;
use protocol::rate::Rate;
use protocol::route::RoutePattern;
use serde_json::Value;

use super::prose;
use super::schema::Schemas;
use super::wire::Call;
use crate::error::duration_words;
use crate::pages::views::{DocsAnswer, DocsBody, DocsEndpoint, DocsField, DocsScopeName};
use crate::pages::words::grouped;

const ANSWERS_MAX: usize = 20;
const PARAMETERS_MAX: usize = 60;
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// An API as the documentation tells it.
pub(super) struct Api {
    /// Of its OpenAPI document's address.
    pub(super) slug: String,
    pub(super) name: String,
    /// Scheme, host and path prefix.
    pub(super) url: String,
    pub(super) description: String,
    pub(super) rates: Vec<String>,
    pub(super) groups: Vec<Group>,
}

pub(super) struct Group {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) endpoints: Vec<Endpoint>,
}

pub(super) struct Endpoint {
    /// Without what depends on the reader.
    pub(super) view: DocsEndpoint,
    pub(super) access: RouteAccess,
    pub(super) call: Call,
    /// Guides for which the document names it as an example.
    pub(super) guides: Vec<String>,
    /// Whether a call as it stands makes sense.
    pub(super) is_complete: bool,
}

pub(super) fn read_all(policy: &Policy) -> Vec<Api> {
    let mut apis: Vec<Api> = Vec::new();
    for resource in &policy.resources {
        let slug = unique(&slug(&resource.name), |slug| apis.iter().any(|api| api.slug == slug));
        apis.push(read(policy, resource, slug));
    }
    apis
}

fn read(policy: &Policy, resource: &Resource, slug: String) -> Api {
    let origin = origin(policy, resource);
    let mut reader = Reader {
        policy,
        resource,
        origin: origin.clone(),
        schemas: None,
        ids: HashSet::new(),
        prefix: if policy.resources.len() > 1 { format!("{slug}-") } else { String::new() },
    };
    let (groups, description) = reader.groups();
    Api {
        slug,
        name: resource.name.clone(),
        url: format!("{origin}{}", resource.path_prefix),
        description,
        rates: rates(resource),
        groups,
    }
}

/// Scheme and host under which callers reach an API: with the issuer's port where the config gives
/// it a host of its own.
pub(crate) fn origin(policy: &Policy, resource: &Resource) -> String {
    let Some(host) = &resource.host else { return policy.issuer.clone() };
    let issuer = url::Url::parse(&policy.issuer).ok();
    let scheme = issuer.as_ref().map_or("https", url::Url::scheme);
    let port = issuer.as_ref().and_then(url::Url::port);
    format!("{scheme}://{host}{}", port.map(|port| format!(":{port}")).unwrap_or_default())
}

fn rates(resource: &Resource) -> Vec<String> {
    let words = |rate: Rate, of: &str| {
        let (calls, period) = (grouped(rate.requests.into()), duration_words(rate.period));
        format!("{calls} calls in {period} of {of}")
    };
    let of_app = resource.rate_per_app.map(|rate| words(rate, "one app"));
    let of_user = resource.rate_per_user.map(|rate| words(rate, "one user, through all apps"));
    of_app.into_iter().chain(of_user).collect()
}

/// Letters, digits and dashes: a part of addresses and ids.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in prose::cut(text, 200).chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "x".to_owned() } else { slug.to_owned() }
}

/// `wanted`, or the same with the first number that is free.
pub(super) fn unique(wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{wanted}-{number}"));
    let mut candidates = std::iter::once(wanted.to_owned()).chain(numbered);
    candidates.find(|candidate| !is_taken(candidate)).unwrap_or_default()
}

struct Reader<'a> {
    policy: &'a Policy,
    resource: &'a Resource,
    origin: String,
    schemas: Option<Schemas<'a>>,
    ids: HashSet<String>,
    /// Of ids, where a page tells of several APIs.
    prefix: String,
}

impl<'a> Reader<'a> {
    /// In the order of the document's tags; what it does not tell of comes last.
    fn groups(&mut self) -> (Vec<Group>, String) {
        let mut groups: Vec<Group> = Vec::new();
        let mut told: HashSet<(String, Method)> = HashSet::new();
        let mut description = String::new();
        if let Some(document) = self.resource.api_document.as_deref() {
            self.schemas = Some(Schemas::new(&document.document));
            description = text(document.document.pointer("/info/description"));
            for tag in list(document.document.get("tags")) {
                let title = text(tag.get("name"));
                self.group(&mut groups, &title).description = text(tag.get("description"));
            }
            self.documented(document, &mut groups, &mut told);
        }
        for (_, method, rule) in self.resource.routes.all() {
            if !told.contains(&(rule.pattern.clone(), method.clone())) {
                let endpoint = self.endpoint(&rule.pattern, method, rule, &Value::Null, &[]);
                self.group(&mut groups, &rule.family).endpoints.push(endpoint);
            }
        }
        groups.retain(|group| !group.endpoints.is_empty());
        (groups, description)
    }

    fn group<'g>(&mut self, groups: &'g mut Vec<Group>, title: &str) -> &'g mut Group {
        let at = groups.iter().position(|group| group.title == title).unwrap_or_else(|| {
            let id = format!("{}{}", self.prefix, slug(title));
            let id = unique(&id, |id| self.ids.contains(id));
            self.ids.insert(id.clone());
            groups.push(Group {
                id,
                title: title.to_owned(),
                description: String::new(),
                endpoints: Vec::new(),
            });
            groups.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
        &mut groups[at]
    }

    /// The operations of the document that are routes here.
    fn documented(
        &mut self,
        document: &'a ApiDocument,
        groups: &mut Vec<Group>,
        told: &mut HashSet<(String, Method)>,
    ) {
        let paths = document.document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            let whole = format!("{}{path}", document.base_path);
            let Ok(pattern) = RoutePattern::parse(&whole) else { continue };
            let shared = list(item.get("parameters"));
            for (method, rule) in self.resource.routes.routes_of(&pattern) {
                let name = METHODS.iter().find(|name| method.as_str().eq_ignore_ascii_case(name));
                let Some(operation) = name.and_then(|name| item.get(name)) else { continue };
                let tag = list(operation.get("tags")).first().and_then(Value::as_str);
                let title = tag.unwrap_or(&rule.family).to_owned();
                let endpoint = self.endpoint(&whole, method, rule, operation, shared);
                self.group(groups, &title).endpoints.push(endpoint);
                told.insert((rule.pattern.clone(), method.clone()));
            }
        }
    }

    fn endpoint(
        &mut self,
        path: &str,
        method: &Method,
        rule: &RouteRule,
        operation: &'a Value,
        shared: &'a [Value],
    ) -> Endpoint {
        let id = format!("{}{}-{}", self.prefix, method.as_str().to_lowercase(), slug(path));
        let id = unique(&id, |id| self.ids.contains(id));
        self.ids.insert(id.clone());
        let parameters = self.parameters(operation, shared);
        let (body, sent) = self.body(operation).unzip();
        let url = self.url(path, &parameters);
        let is_complete = !url.contains(['{', '}']);
        let call = Call {
            method: method.as_str().to_owned(),
            url,
            body: sent.flatten().map(|body| body.to_string()),
            is_public: rule.access == RouteAccess::Public,
            path: path.to_owned(),
        };
        let guides = list(operation.get("x-consentry-guides")).iter();
        let view = DocsEndpoint {
            id,
            method: method.as_str().to_owned(),
            path: path.to_owned(),
            summary: prose::cut(&text(operation.get("summary")), 500).to_owned(),
            is_deprecated: operation.get("deprecated").and_then(Value::as_bool).unwrap_or(false),
            text: prose::blocks(&text(operation.get("description"))),
            is_public: call.is_public,
            needs: needs(self.policy, &rule.access),
            standing: None,
            parameters: parameters.into_iter().map(|parameter| parameter.field).collect(),
            body,
            answers: self.answers(operation),
            snippet: None,
        };
        let guides = guides.filter_map(Value::as_str).map(str::to_owned).collect();
        Endpoint { view, access: rule.access.clone(), call, guides, is_complete }
    }

    fn parameters(&self, operation: &'a Value, shared: &'a [Value]) -> Vec<Parameter> {
        let Some(schemas) = &self.schemas else { return Vec::new() };
        let own = list(operation.get("parameters")).iter();
        // An operation's own parameter replaces the path's of the same name and place.
        let mut found: BTreeMap<(String, String), (usize, Parameter)> = BTreeMap::new();
        for (order, given) in shared.iter().chain(own).take(PARAMETERS_MAX).enumerate() {
            let given = schemas.resolve(given);
            let (name, place) = (text(given.get("name")), text(given.get("in")));
            let is_ours = place == "header" && name.eq_ignore_ascii_case("authorization");
            if is_ours || place == "cookie" {
                continue;
            }
            let is_required = given.get("required").and_then(Value::as_bool).unwrap_or(false);
            let schema = given.get("schema").unwrap_or(&Value::Null);
            let words = match place.as_str() {
                "path" => "in the path",
                "query" => "in the query",
                _ => "header",
            };
            let Some(mut field) = schemas.field(&name, words, schema, is_required) else { break };
            if let Some(description) = given.get("description").and_then(Value::as_str) {
                field.text = prose::blocks(prose::cut(description, 4 << 10));
            }
            let example = schemas.example(given).or_else(|| schema.get("default"));
            let example =
                example.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
            let parameter = Parameter { field, example, place: place.clone() };
            found.insert((place, name), (order, parameter));
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_by_key(|(order, _)| *order);
        found.into_iter().map(|(_, parameter)| parameter).collect()
    }

    /// The address of a call, with examples for what it must have.
    fn url(&self, path: &str, parameters: &[Parameter]) -> String {
        let encode =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let mut url = format!("{}{path}", self.origin);
        let mut query = Vec::new();
        for Parameter { field, example, place } in parameters {
            match (place.as_str(), example) {
                ("path", Some(example)) => {
                    url = url.replace(&format!("{{{}}}", field.name), &encode(example));
                }
                ("query", example) if field.is_required => {
                    let example = example.as_deref().unwrap_or("…");
                    query.push(format!("{}={}", encode(&field.name), encode(example)));
                }
                _ => {}
            }
        }
        match query.is_empty() {
            true => url,
            false => format!("{url}?{}", query.join("&")),
        }
    }

    /// What is told of the body, and what an example sends.
    fn body(&self, operation: &'a Value) -> Option<(DocsBody, Option<Value>)> {
        let schemas = self.schemas.as_ref()?;
        let body = schemas.resolve(operation.get("requestBody")?);
        let (content_type, media) = media_of(body)?;
        let is_json = is_json(content_type);
        let given = schemas.example(media).cloned();
        let schema = media.get("schema");
        let sent = given.or_else(|| schema.map(|schema| schemas.sample(schema, 0)));
        let sent = sent.filter(|_| is_json);
        let body = DocsBody {
            content_type: prose::cut(content_type, 200).to_owned(),
            text: prose::blocks(prose::cut(&text(body.get("description")), 4 << 10)),
            is_required: body.get("required").and_then(Value::as_bool).unwrap_or(false),
            fields: schema.map(|schema| schemas.fields(schema)).unwrap_or_default(),
            example: sent.as_ref().and_then(|example| schemas.shown(example)),
        };
        Some((body, sent))
    }

    fn answers(&self, operation: &'a Value) -> Vec<DocsAnswer> {
        let Some(schemas) = &self.schemas else { return Vec::new() };
        let answers = operation.get("responses").and_then(Value::as_object);
        let answer = |(status, answer): (&String, &'a Value)| {
            let answer = schemas.resolve(answer);
            let media = media_of(answer).map(|(_, media)| media);
            let schema = media.and_then(|media| media.get("schema"));
            DocsAnswer {
                status: prose::cut(status, 20).to_owned(),
                text: prose::blocks(prose::cut(&text(answer.get("description")), 4 << 10)),
                fields: schema.map(|schema| schemas.fields(schema)).unwrap_or_default(),
                example: media
                    .and_then(|media| schemas.example(media))
                    .and_then(|example| schemas.shown(example)),
            }
        };
        answers.into_iter().flatten().take(ANSWERS_MAX).map(answer).collect()
    }
}

struct Parameter {
    field: DocsField,
    example: Option<String>,
    place: String,
}

/// JSON before anything else.
fn media_of(value: &Value) -> Option<(&str, &Value)> {
    let content = value.get("content")?.as_object()?;
    let json = content.iter().find(|(name, _)| is_json(name));
    json.or_else(|| content.iter().next()).map(|(name, media)| (name.as_str(), media))
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence == "application/json" || essence.ends_with("+json")
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn needs(policy: &Policy, access: &RouteAccess) -> Vec<Vec<DocsScopeName>> {
    let RouteAccess::AnyOf(sets) = access else { return Vec::new() };
    let words = |name: &protocol::scope::ScopeName| DocsScopeName {
        name: name.to_string(),
        text: policy.scope(name).map(|scope| scope.text.clone()).unwrap_or_default(),
    };
    sets.iter().map(|set| set.iter().map(words).collect()).collect()
}
