//! Dialect files: those in the binary and those of the operator, read with the same care as the
//! config file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::policy::Resource;
use http::StatusCode;
use protocol::dialect::{
    AuthorizeEndpoint, BodyFormat, Dialect, DialectLifetimes, ErrorRule, Failure, GrantType,
    PageAlias, Parameter, RELAXABLE, Relaxed, TokenAnswer, TokenEndpoint, UserCodePage,
};
use protocol::path::NormalPath;
use protocol::rate::Rate;
use protocol::template::{Placeholder, Template};
use toml::de::DeTable;

use super::dialect_schema::DIALECT;
use super::problem::nearest;
use super::reader::{At, Document, Section, Spot};
use super::resource::{OUR_SEGMENTS, written_envelope};
use super::{ReadFile, quantity, read_text, syntax_problem};

/// The dialects that every Consentry has.
const BUILT_IN: [(&str, &str); 2] = [
    ("bitport", include_str!("../../../../dialects/bitport.toml")),
    ("whitebit", include_str!("../../../../dialects/whitebit.toml")),
];

/// Enough for a client that retries now and then, not for one that retries in a loop.
const FAILURES: Rate = Rate { requests: 30, period: Duration::from_secs(60) };

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
        let file = document.resolve(text);
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
    let document = Document::new(file, text, BTreeMap::new());
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
    let lifetimes = lifetimes(&root.section("lifetimes"));
    let authorize = authorize(&root.section("authorize"));
    let sections = root.sections("token");
    if sections.is_empty() {
        let what = "the dialect has no [[token]], so no code becomes a token";
        root.document.problem(&root.spot, what, "Add one.");
    }
    let tokens: Vec<TokenEndpoint> = sections.iter().filter_map(token).collect();
    let pages = root.sections("page").iter().filter_map(page).collect();
    let user_code = root.raw("user_code").and_then(|_| user_code(&root.section("user_code")));
    let envelope = match root.raw("envelope") {
        None => None,
        Some(_) => Some(written_envelope(root)?),
    };
    let name = name?.value;
    let dialect = Dialect {
        title: title.unwrap_or_else(|| name.clone()),
        name,
        relaxed,
        lifetimes: lifetimes?,
        authorize: authorize?,
        tokens,
        user_code,
        pages,
        envelope,
    };
    refuse_doubled_paths(root, &dialect);
    check_refresh(root, &dialect);
    check_user_codes(root, &dialect);
    Some(dialect)
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
fn one_of(text: &str, known: &[&str]) -> String {
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

fn token(section: &Section<'_>) -> Option<TokenEndpoint> {
    let path = path(section, "path");
    let mut parameters = parameters(&section.section("parameters"), None);
    let grant_types = grant_types(section, &mut parameters);
    let needs = grant_types.iter().map(|(grant_type, _)| match grant_type {
        GrantType::AuthorizationCode | GrantType::UserCode => "code",
        GrantType::RefreshToken => "refresh_token",
    });
    let needs: Vec<&str> = ["client_id"].into_iter().chain(needs).collect();
    require_names(section, &parameters, &needs);
    let required = required(section, &parameters);
    let rates = section.section("rate");
    let rate = |name| rates.parsed(name, quantity::rate).map(|at| at.value);
    let answer = answer(&section.section("answer"));
    let errors = errors(section);
    Some(TokenEndpoint {
        parameters,
        grant_types,
        bodies: bodies(section),
        takes_basic: section.switch("basic").unwrap_or(false),
        required,
        scope_separator: ' ',
        needs_listed_address: section.choice("addresses").is_some_and(|at| at.value == "listed"),
        rate_per_app: rate("per_app"),
        rate_of_failures: Some(rate("failures").unwrap_or(FAILURES)),
        path: path?,
        answer: answer?,
        errors,
    })
}

/// In the order of the schema. Without `defaults`, nothing is filled in.
fn parameters(names: &Section<'_>, defaults: Option<&Section<'_>>) -> Vec<Parameter> {
    let one = |standard: &'static str| {
        let name = names.text(standard).map(|at| at.value);
        let default = defaults.and_then(|defaults| defaults.text(standard)).map(|at| at.value);
        (name.is_some() || default.is_some()).then(|| Parameter {
            standard: standard.to_owned(),
            name,
            default,
        })
    };
    names.names().filter_map(one).collect()
}

fn require_names(section: &Section<'_>, parameters: &[Parameter], standards: &[&str]) {
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

/// Either every request asks for the same, or a parameter says what it asks for.
fn grant_types(section: &Section<'_>, parameters: &mut Vec<Parameter>) -> Vec<(GrantType, String)> {
    let words = section.section("grant_types");
    let named: Vec<(GrantType, String)> = GrantType::ALL
        .into_iter()
        .filter_map(|grant_type| Some((grant_type, words.text(grant_type.as_str())?.value)))
        .collect();
    let fixed = section.choice("grant").and_then(|at| {
        GrantType::ALL.into_iter().find(|grant_type| grant_type.as_str() == at.value)
    });
    let has_parameter = parameters.iter().any(|one| one.standard == "grant_type");
    match (fixed, named.is_empty(), has_parameter) {
        (Some(grant_type), true, false) => {
            parameters.push(Parameter {
                standard: "grant_type".to_owned(),
                name: None,
                default: Some(grant_type.as_str().to_owned()),
            });
            vec![(grant_type, grant_type.as_str().to_owned())]
        }
        (None, false, true) => named,
        _ => {
            section.document.problem(
                &section.spot,
                "it is not clear what a request here asks for",
                "Write either grant = \"…\" alone, or a name for `grant_type` in `parameters` and \
                 its words in `grant_types`.",
            );
            named
        }
    }
}

fn required(section: &Section<'_>, parameters: &[Parameter]) -> Vec<String> {
    let own: Vec<&str> = parameters.iter().filter_map(|one| one.name.as_deref()).collect();
    let check = |text: &str| match own.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(one_of(text, &own)),
    };
    let texts = section.texts("required").unwrap_or_default();
    texts
        .into_iter()
        .filter_map(|text| Some(section.meaning("required", text, check)?.value))
        .collect()
}

fn bodies(section: &Section<'_>) -> Vec<BodyFormat> {
    let known = BodyFormat::ALL.map(BodyFormat::as_str);
    let parse = |text: &str| {
        let found = BodyFormat::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| one_of(text, &known))
    };
    let Some(texts) = section.texts("bodies") else { return vec![BodyFormat::Form] };
    texts
        .into_iter()
        .filter_map(|text| Some(section.meaning("bodies", text, parse)?.value))
        .collect()
}

fn answer(section: &Section<'_>) -> Option<TokenAnswer> {
    let template = template(section);
    let status = status(section).unwrap_or(StatusCode::OK);
    let token_type = section.text("token_type").map_or_else(|| "Bearer".to_owned(), |at| at.value);
    let scope_separator = separator(section);
    let (template, text) = template?;
    if !text.value.contains("access_token}}") && !text.value.contains("access_token }}") {
        let what = "the template has no {{access_token}}, so nobody would get one";
        section.document.problem(&text.spot, what, "Add it.");
    }
    Some(TokenAnswer { body: (status, template), token_type, scope_separator })
}

fn errors(section: &Section<'_>) -> Vec<ErrorRule> {
    let sections = section.sections("error");
    let known = Failure::ALL.map(Failure::as_str);
    let parse = |text: &str| {
        let found = Failure::ALL.into_iter().find(|failure| failure.as_str() == text);
        found.ok_or_else(|| one_of(text, &known))
    };
    let last = sections.len().saturating_sub(1);
    let mut rules = Vec::new();
    for (index, rule) in sections.iter().enumerate() {
        let words = rule.texts("when");
        if words.is_none() && index != last {
            let what = "this [[token.error]] fits everything, so those behind it are never used";
            rule.document.problem(&rule.spot, what, "Move it to the end, or add `when`.");
        }
        let is_catch_all = words.is_none();
        let words = words.unwrap_or_default().into_iter();
        let when =
            words.filter_map(|text| Some(rule.meaning("when", text, parse)?.value)).collect();
        let (status, template) = (status(rule), template(rule));
        if index == last && !is_catch_all {
            let what = "the last [[token.error]] does not fit everything";
            rule.document.problem(&rule.spot, what, "Add one without `when` behind it.");
        }
        if let Some((template, _)) = template {
            rules.push(ErrorRule { when, status, template });
        }
    }
    if sections.is_empty() {
        let to_do = "Add [[token.error]] with a `template` and without `when`.";
        section.document.problem(&section.spot, "the endpoint does not say how it refuses", to_do);
    }
    rules
}

/// `required` reports an absent template once.
fn template<P: Placeholder>(section: &Section<'_>) -> Option<(Template<P>, At<String>)> {
    let text = section.required("template")?;
    match Template::parse(&text.value) {
        Ok(template) => Some((template, text)),
        Err(error) => {
            let to_do = "See docs/operator/dialect-files.md for what a template is.";
            section.document.problem(&text.spot, error, to_do);
            None
        }
    }
}

fn status(section: &Section<'_>) -> Option<StatusCode> {
    let parse = |text: &str| {
        let status = text.parse().ok().and_then(|number: u16| StatusCode::from_u16(number).ok());
        let sendable = status.filter(|status| (200..600).contains(&status.as_u16()));
        sendable.ok_or("It is an HTTP status from 200 to 599.")
    };
    section.parsed("status", parse).map(|at| at.value)
}

fn separator(section: &Section<'_>) -> char {
    let parse = |text: &str| {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            // RFC 6749 §3.3: what a scope name cannot hold, or programs that split by it would fail.
            (Some(one @ (' ' | ',' | ';' | '|' | '+')), None) => Ok(one),
            _ => Err("It is one of: space, `,`, `;`, `|`, `+`."),
        }
    };
    section.parsed("scope_separator", parse).map_or(' ', |at| at.value)
}

fn page(section: &Section<'_>) -> Option<PageAlias> {
    let (from, to) = (path(section, "from"), section.required("to"));
    let ours = |text: &str| {
        let first = text.strip_prefix('/').and_then(|rest| rest.split('/').next());
        match first.is_some_and(|segment| OUR_SEGMENTS.contains(&segment)) {
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
fn path(section: &Section<'_>, name: &str) -> Option<String> {
    let text = section.required(name)?;
    let check = |text: &str| {
        let normal = NormalPath::parse(text).map_err(|error| format!("{error}."))?;
        if normal.as_str() != text || text.contains(['{', '}']) || text.ends_with('/') {
            return Err("Write a plain path, such as /oauth2/token.".to_owned());
        }
        let first = text.split('/').nth(1).unwrap_or_default();
        match OUR_SEGMENTS.contains(&first) {
            true => Err(format!("/{first} is where the standard's endpoints and pages are.")),
            false => Ok(text.to_owned()),
        }
    };
    section.meaning(name, text, check).map(|at| at.value)
}

fn refuse_doubled_paths(root: &Section<'_>, dialect: &Dialect) {
    let paths: Vec<&str> = dialect.paths().collect();
    for (index, path) in paths.iter().enumerate() {
        if paths.iter().take(index).any(|earlier| earlier == path) {
            let what = format!("two parts of the dialect answer {path}");
            root.document.problem(&root.spot, what, "Give one of them another path.");
        }
    }
}

/// Refresh tokens that nobody takes, or the reverse.
fn check_refresh(root: &Section<'_>, dialect: &Dialect) {
    let is_taken = dialect.tokens.iter().any(|endpoint| {
        endpoint.grant_types.iter().any(|(grant_type, _)| *grant_type == GrantType::RefreshToken)
    });
    if dialect.lifetimes.refresh_token.is_some() != is_taken {
        let spot = root.section("lifetimes").spot_of("refresh_token");
        let what = match is_taken {
            true => "an endpoint takes refresh tokens, but there are none",
            false => "there are refresh tokens, but no endpoint takes them",
        };
        root.document.problem(
            &spot,
            what,
            "`lifetimes.refresh_token` and a [[token]] for refresh tokens belong together.",
        );
    }
}

/// Codes that nobody takes, or that nobody can get.
fn check_user_codes(root: &Section<'_>, dialect: &Dialect) {
    let is_taken = dialect.tokens.iter().any(|endpoint| {
        endpoint.grant_types.iter().any(|(grant_type, _)| *grant_type == GrantType::UserCode)
    });
    if root.raw("user_code").is_some() != is_taken {
        let what = match is_taken {
            true => "an endpoint takes user codes, but there is no page that shows them",
            false => "there is a page of user codes, but no endpoint takes them",
        };
        let to_do = "[user_code] and a [[token]] with a word for `user_code` belong together.";
        root.document.problem(&root.spot_of("user_code"), what, to_do);
    }
}
