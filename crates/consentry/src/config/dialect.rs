//! Dialect files: those in the binary and those of the operator, read with the same care as the
//! config file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::policy::Resource;
use protocol::dialect::{
    AuthorizeEndpoint, Dialect, DialectLifetimes, GrantType, PageAlias, Parameter, RELAXABLE,
    Relaxed, TokenEndpoint, UserCodePage,
};
use protocol::path::NormalPath;
use toml::de::DeTable;

use super::dialect_partner_keys::partner_keys;
use super::dialect_schema::DIALECT;
use super::dialect_token::token;
use super::problem::nearest;
use super::reader::{At, Document, Section, Spot};
use super::resource::{OUR_SEGMENTS, written_envelope};
use super::scope::Scopes;
use super::{ReadFile, quantity, read_text, syntax_problem};

/// The dialects that every Consentry has.
const BUILT_IN: [(&str, &str); 2] = [
    ("bitport", include_str!("../../../../dialects/bitport.toml")),
    ("whitebit", include_str!("../../../../dialects/whitebit.toml")),
];

/// Dialects by name.
#[derive(Default)]
pub(super) struct Dialects {
    /// Whose endpoints there are, in the order of the config.
    pub(super) served: Vec<Arc<Dialect>>,
    /// All that are known, also for their envelopes alone.
    pub(super) known: BTreeMap<String, Arc<Dialect>>,
}

impl Dialects {
    /// The built-in ones, and those that the key `dialects` names.
    pub(super) fn read_all(root: &Section<'_>, read: ReadFile<'_>) -> Self {
        let document = root.document;
        let mut dialects = Self::default();
        for (name, text) in BUILT_IN {
            let file = format!("dialects/{name}.toml");
            if let Some(dialect) = read_file(document, Path::new(&file), text) {
                dialects.known.insert(name.to_owned(), Arc::new(dialect));
            }
        }
        for At { value, spot } in root.texts("dialects").unwrap_or_default() {
            if let Some(dialect) = dialects.find(document, &value, &spot, read) {
                dialects.serve(document, dialect, &spot);
            }
        }
        dialects
    }

    /// By name, or by the path of a file. `None` when a problem was reported.
    fn find(
        &self,
        document: &Document<'_>,
        text: &str,
        spot: &Spot,
        read: ReadFile<'_>,
    ) -> Option<Arc<Dialect>> {
        if let Some(known) = self.known.get(text) {
            return Some(Arc::clone(known));
        }
        if !text.contains('/') && !text.ends_with(".toml") {
            let names = self.known.keys().map(String::as_str);
            let to_do = match nearest(text, names.clone()) {
                Some(similar) => format!("Did you mean `{similar}`?"),
                None => format!(
                    "Built in are: {}. For one of your own write the path of its file.",
                    names.collect::<Vec<_>>().join(", ")
                ),
            };
            document.problem(spot, format!("there is no dialect `{text}`"), to_do);
            return None;
        }
        // Without `./` in the middle, as people would name it.
        let file: PathBuf = document.resolve(text).components().collect();
        match read_text(read, &file) {
            Ok(text) => read_file(document, &file, &text).map(Arc::new),
            Err(error) => {
                let what = format!("the dialect file {} cannot be read: {error}", file.display());
                document.problem(spot, what, "Write the path of a dialect file.");
                None
            }
        }
    }

    /// An API's route and a dialect's endpoint of the same path: the endpoint would hide the route.
    pub(super) fn refuse_covered(&self, root: &Section<'_>, resources: &[Resource]) {
        let spot = root.spot_of("dialects");
        for resource in resources.iter().filter(|resource| resource.host.is_none()) {
            for dialect in &self.served {
                let hides = |path: &&str| {
                    let normal = NormalPath::parse(path).ok();
                    let pattern = normal.and_then(|normal| resource.routes.pattern_for(&normal));
                    pattern.is_some_and(|pattern| pattern.as_str() == *path)
                };
                for path in dialect.paths().filter(hides) {
                    let what = format!(
                        "{path} is an endpoint of the dialect `{}` and a route of {}",
                        dialect.name, resource.name
                    );
                    let to_do = "The endpoint would hide the route: remove the route.";
                    root.document.problem(&spot, what, to_do);
                }
            }
        }
    }

    /// RFC 6749 §3.3 allows almost everything in the name of a scope, a dialect's separator too.
    pub(super) fn refuse_ambiguous_scopes(&self, root: &Section<'_>, scopes: &Scopes) {
        let spot = root.spot_of("dialects");
        for dialect in &self.served {
            let of_answers = dialect.tokens.iter().map(|endpoint| endpoint.answer.scope_separator);
            let separators: Vec<char> =
                of_answers.chain([dialect.authorize.scope_separator]).collect();
            for name in scopes.keys().filter(|name| name.as_str().contains(&separators[..])) {
                let what = format!(
                    "the dialect `{}` separates scopes by a character of `{name}`",
                    dialect.name
                );
                root.document.problem(&spot, what, "Call the scope something else.");
            }
        }
    }

    fn serve(&mut self, document: &Document<'_>, dialect: Arc<Dialect>, spot: &Spot) {
        for other in &self.served {
            if other.name == dialect.name {
                let what = format!("the dialect `{}` is there twice", dialect.name);
                document.problem(spot, what, "Remove one of them.");
                return;
            }
            for path in dialect.paths().filter(|path| other.paths().any(|taken| taken == *path)) {
                let what = format!(
                    "the dialects `{}` and `{}` both answer {path}",
                    other.name, dialect.name
                );
                document.problem(spot, what, "Two providers' formats need two issuers.");
            }
        }
        self.known.insert(dialect.name.clone(), Arc::clone(&dialect));
        self.served.push(dialect);
    }
}

/// `None` only if problems were reported, to `parent`, with their places in `file`.
fn read_file(parent: &Document<'_>, file: &Path, text: &str) -> Option<Dialect> {
    let (table, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        parent.absorb(syntax.iter().map(|error| syntax_problem(file, text, error)));
        return None;
    }
    let document = Document::new(file, text, "the dialect", BTreeMap::new());
    let root = Section::root(&document, table.get_ref(), &DIALECT);
    let dialect = meaning(&root);
    drop(root);
    let (problems, _) = document.finish();
    let is_good = problems.is_empty();
    parent.absorb(problems);
    dialect.filter(|_| is_good)
}

/// Every part is read even when an earlier one failed.
fn meaning(root: &Section<'_>) -> Option<Dialect> {
    let name = root.required("name").and_then(|text| root.meaning("name", text, dialect_name));
    let title = root.text("title").map(|at| at.value);
    let relaxed = relaxed(root);
    let (of_lifetimes, of_authorize) = (root.section("lifetimes"), root.section("authorize"));
    let (of_tokens, of_pages) = (root.sections("token"), root.sections("page"));
    let lifetimes = lifetimes(&of_lifetimes);
    let authorize = authorize(&of_authorize);
    let tokens: Vec<TokenEndpoint> = of_tokens.iter().filter_map(token).collect();
    let pages = of_pages.iter().filter_map(page).collect();
    let of_user_code = root.raw("user_code").map(|_| root.section("user_code"));
    let user_code = of_user_code.as_ref().and_then(user_code);
    let of_keys = root.raw("partner_keys").map(|_| root.section("partner_keys"));
    let keys = of_keys.as_ref().map(partner_keys);
    let of_keys: Vec<_> = of_keys
        .iter()
        .flat_map(|keys| ["info", "secret", "delete"].map(|name| keys.section(name)))
        .collect();
    let endpoints =
        [&of_authorize].into_iter().chain(&of_tokens).chain(&of_user_code).chain(&of_keys);
    refuse_doubled_paths(root, endpoints, &of_pages);
    // Whatever is wrong with an endpoint is told already.
    if tokens.len() == of_tokens.len() {
        check_grant_types(root, &of_lifetimes, &tokens);
        check_user_codes(root, &tokens);
    }
    let envelope = match root.raw("envelope") {
        None => None,
        Some(_) => Some(written_envelope(root)?),
    };
    let name = name?.value;
    let partner_keys = match keys {
        None => None,
        Some(keys) => Some(keys?),
    };
    Some(Dialect {
        title: title.unwrap_or_else(|| name.clone()),
        name,
        relaxed,
        lifetimes: lifetimes?,
        authorize: authorize?,
        tokens,
        user_code,
        partner_keys,
        pages,
        envelope,
    })
}

fn dialect_name(text: &str) -> Result<String, &'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match text.len() <= 32 && text.chars().all(legal) && text != "standard" {
        true => Ok(text.to_owned()),
        false => Err("Use up to 32 small letters, digits and `-`; `standard` is taken."),
    }
}

fn relaxed(root: &Section<'_>) -> Relaxed {
    let mut relaxed = Relaxed::default();
    for word in root.texts("relax").unwrap_or_default() {
        let with = |text: &str| {
            let known = RELAXABLE.map(|(word, _)| word);
            relaxed.with(text).ok_or_else(|| one_of(text, &known))
        };
        if let Some(at) = root.meaning("relax", word, with) {
            relaxed = at.value;
        }
    }
    relaxed
}

/// What to do about a word that is not one of `known`.
pub(super) fn one_of(text: &str, known: &[&str]) -> String {
    let guess = nearest(text, known.iter().copied());
    let guess = guess.map(|word| format!("Did you mean `{word}`? ")).unwrap_or_default();
    format!("{guess}It is one of: {}.", known.join(", "))
}

fn lifetimes(section: &Section<'_>) -> Option<DialectLifetimes> {
    let required = |name| {
        let text = section.required(name)?;
        section.meaning(name, text, quantity::duration).map(|at| at.value)
    };
    let (access_token, grant) = (required("access_token"), required("grant"));
    let refresh_token = section.parsed("refresh_token", quantity::duration).map(|at| at.value);
    let idle = section.parsed("idle", quantity::duration).map(|at| at.value);
    let (access_token, grant) = (access_token?, grant?);
    if access_token > grant {
        let what = "`access_token` is longer than `grant`, whose end is its end";
        section.document.problem(&section.spot_of("access_token"), what, "Raise `grant`.");
    }
    Some(DialectLifetimes {
        access_token,
        refresh_token,
        idle: idle.unwrap_or(Duration::from_secs(365 * 24 * 3600)),
        grant,
    })
}

fn authorize(section: &Section<'_>) -> Option<AuthorizeEndpoint> {
    let path = path(section, "path");
    let defaults = section.section("defaults");
    let parameters = parameters(&section.section("parameters"), Some(&defaults));
    require_names(section, &parameters, &["client_id"]);
    let scope_separator = separator(section);
    Some(AuthorizeEndpoint { path: path?, parameters, scope_separator })
}

/// In the order of the schema. Without `defaults`, nothing is filled in.
pub(super) fn parameters(names: &Section<'_>, defaults: Option<&Section<'_>>) -> Vec<Parameter> {
    let one = |standard: &'static str| {
        let name = names.text(standard).map(|at| at.value);
        let default = defaults.and_then(|defaults| defaults.text(standard)).map(|at| at.value);
        (name.is_some() || default.is_some()).then(|| Parameter {
            standard: standard.to_owned(),
            name,
            default,
        })
    };
    let parameters: Vec<Parameter> = names.names().filter_map(one).collect();
    refuse_shared_names(names, &parameters);
    parameters
}

/// One value cannot mean two things: a secret must not become an id.
fn refuse_shared_names(names: &Section<'_>, parameters: &[Parameter]) {
    for (index, parameter) in parameters.iter().enumerate() {
        let Some(name) = &parameter.name else { continue };
        let is_same = |other: &&Parameter| other.name.as_ref() == Some(name);
        if let Some(other) = parameters.iter().take(index).find(is_same) {
            names.document.problem(
                &names.spot_of(&parameter.standard),
                format!(
                    "`{}` and `{}` are both called `{name}`",
                    other.standard, parameter.standard
                ),
                "Give each a name of its own.",
            );
        }
    }
}

pub(super) fn require_names(section: &Section<'_>, parameters: &[Parameter], standards: &[&str]) {
    for standard in standards {
        let is_named = |one: &Parameter| one.standard == *standard && one.name.is_some();
        if !parameters.iter().any(is_named) {
            section.document.problem(
                &section.spot_of("parameters"),
                format!("no name for `{standard}`, without which there is no request"),
                format!("Add {standard} = \"…\" to `parameters`."),
            );
        }
    }
}

pub(super) fn separator(section: &Section<'_>) -> char {
    let parse = |text: &str| {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            // RFC 6749 §3.3 allows most of them in names, see `refuse_ambiguous_scopes`.
            (Some(one @ (' ' | ',' | ';' | '|' | '+')), None) => Ok(one),
            _ => Err("It is one of: space, `,`, `;`, `|`, `+`."),
        }
    };
    section.parsed("scope_separator", parse).map_or(' ', |at| at.value)
}

fn page(section: &Section<'_>) -> Option<PageAlias> {
    let (from, to) = (path(section, "from"), section.required("to"));
    let ours = |text: &str| {
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let first = path.strip_prefix('/').and_then(|rest| rest.split('/').next());
        // `//host` would be another site.
        let is_ours = first.is_some_and(|segment| OUR_SEGMENTS.contains(&segment));
        match is_ours && NormalPath::parse(path).is_ok_and(|normal| normal.as_str() == path) {
            true => Ok(text.to_owned()),
            false => Err("It is a page of Consentry, such as /apps or /apps/new."),
        }
    };
    let to = to.and_then(|text| section.meaning("to", text, ours));
    Some(PageAlias { from: from?, to: to?.value })
}

fn user_code(section: &Section<'_>) -> Option<UserCodePage> {
    path(section, "path").map(|path| UserCodePage { path })
}

/// A path of the dialect's own.
pub(super) fn path(section: &Section<'_>, name: &str) -> Option<String> {
    let text = section.required(name)?;
    section.meaning(name, text, plain_path).map(|at| at.value)
}

pub(super) fn plain_path(text: &str) -> Result<String, String> {
    let normal = NormalPath::parse(text).map_err(|error| format!("{error}."))?;
    if normal.as_str() != text || text.contains(['{', '}']) || text.ends_with('/') {
        return Err("Write a plain path, such as /oauth2/token.".to_owned());
    }
    // The router would take them for parameters.
    if text.split('/').any(|segment| segment.starts_with([':', '*'])) {
        return Err("No part of it may begin with `:` or `*`.".to_owned());
    }
    let first = text.split('/').nth(1).unwrap_or_default();
    match OUR_SEGMENTS.contains(&first) {
        true => Err(format!("/{first} is where the standard's endpoints and pages are.")),
        false => Ok(text.to_owned()),
    }
}

fn refuse_doubled_paths<'s, 'a: 's>(
    root: &Section<'_>,
    endpoints: impl Iterator<Item = &'s Section<'a>>,
    pages: &'s [Section<'a>],
) {
    let endpoints = endpoints.map(|section| (section, "path"));
    let all = endpoints.chain(pages.iter().map(|section| (section, "from")));
    let mut taken: Vec<String> = Vec::new();
    for At { value: path, spot } in all.filter_map(|(section, key)| section.text(key)) {
        if taken.contains(&path) {
            let what = format!("two parts of the dialect answer {path}");
            root.document.problem(&spot, what, "Give one of them another path.");
        }
        taken.push(path);
    }
}

/// Codes that nobody takes; refresh tokens that nobody takes, or the reverse.
fn check_grant_types(root: &Section<'_>, lifetimes: &Section<'_>, tokens: &[TokenEndpoint]) {
    let is_taken = |wanted| {
        let mut all = tokens.iter().flat_map(|endpoint| &endpoint.grant_types);
        all.any(|(grant_type, _)| *grant_type == wanted)
    };
    if !is_taken(GrantType::AuthorizationCode) {
        let what = "no [[token]] takes codes, so nobody gets a token";
        root.document.problem(&root.spot, what, "Add one with grant = \"authorization_code\".");
    }
    let takes_refresh = is_taken(GrantType::RefreshToken);
    if lifetimes.text("refresh_token").is_some() != takes_refresh {
        let what = match takes_refresh {
            true => "an endpoint takes refresh tokens, but there are none",
            false => "there are refresh tokens, but no endpoint takes them",
        };
        root.document.problem(
            &lifetimes.spot_of("refresh_token"),
            what,
            "`lifetimes.refresh_token` and a [[token]] for refresh tokens belong together.",
        );
    }
}

/// Codes that nobody takes, or that nobody can get.
fn check_user_codes(root: &Section<'_>, tokens: &[TokenEndpoint]) {
    let mut all = tokens.iter().flat_map(|endpoint| &endpoint.grant_types);
    let is_taken = all.any(|(grant_type, _)| *grant_type == GrantType::UserCode);
    if root.raw("user_code").is_some() != is_taken {
        let what = match is_taken {
            true => "an endpoint takes user codes, but there is no page that shows them",
            false => "there is a page of user codes, but no endpoint takes them",
        };
        let to_do = "[user_code] and a [[token]] with a word for `user_code` belong together.";
        root.document.problem(&root.spot_of("user_code"), what, to_do);
    }
}
