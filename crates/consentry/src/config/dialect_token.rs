//! Token endpoints in a dialect file: what clients send there, and how they are answered.

use std::time::Duration;

use http::StatusCode;
use protocol::dialect::{
    BodyFormat, ErrorRule, Failure, GrantType, Parameter, TokenAnswer, TokenEndpoint,
};
use protocol::rate::Rate;
use protocol::template::{Placeholder, Template};

use super::dialect::{one_of, parameters, path, require_names, separator};
use super::quantity;
use super::reader::{At, Section};

/// Enough for a client that retries now and then, not for one that retries in a loop.
const FAILURES: Rate = Rate { requests: 30, period: Duration::from_secs(60) };

/// One `[[token]]`. `None` when a problem was reported.
pub(super) fn token(section: &Section<'_>) -> Option<TokenEndpoint> {
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
    if texts.is_empty() {
        let what = "no body is taken, so no request can be made";
        let to_do = format!("Name some of: {}.", known.join(", "));
        section.document.problem(&section.spot_of("bodies"), what, to_do);
    }
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
    let mut rules: Vec<ErrorRule> = Vec::new();
    // A rule that was not understood is still one.
    let (mut answered, mut has_last) = (Vec::new(), false);
    for rule in &sections {
        let words = rule.texts("when");
        let is_last = words.is_none();
        if has_last {
            let what = "an earlier [[token.error]] fits everything, so this one is never used";
            rule.document.problem(&rule.spot, what, "Move it before that one, or remove it.");
        }
        has_last |= is_last;
        let when = failures(rule, words.unwrap_or_default(), &mut answered);
        let (status, template) = (status(rule), template(rule));
        if let Some((template, _)) = template {
            rules.push(ErrorRule { when, status, template });
        }
    }
    match sections.last() {
        None => {
            let to_do = "Add [[token.error]] with a `template` and without `when`.";
            section.document.problem(
                &section.spot,
                "the endpoint does not say how it refuses",
                to_do,
            );
        }
        Some(last) if !has_last => {
            let what = "the last [[token.error]] does not fit everything";
            last.document.problem(&last.spot, what, "Add one without `when` behind it.");
        }
        Some(_) => {}
    }
    rules
}

/// The words of `when`; those in `answered` belong to an earlier rule.
fn failures(
    rule: &Section<'_>,
    words: Vec<At<String>>,
    answered: &mut Vec<Failure>,
) -> Vec<Failure> {
    let known = Failure::ALL.map(Failure::as_str);
    let parse = |text: &str| {
        let found = Failure::ALL.into_iter().find(|failure| failure.as_str() == text);
        found.ok_or_else(|| one_of(text, &known))
    };
    let mut when = Vec::new();
    for word in words {
        let Some(At { value: failure, spot }) = rule.meaning("when", word, parse) else { continue };
        if answered.contains(&failure) {
            let what = format!("`{}` is answered by an earlier [[token.error]]", failure.as_str());
            rule.document.problem(&spot, what, "Remove one of them.");
        }
        answered.push(failure);
        when.push(failure);
    }
    when
}

/// `required` reports an absent template once.
pub(super) fn template<P: Placeholder>(section: &Section<'_>) -> Option<(Template<P>, At<String>)> {
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

pub(super) fn status(section: &Section<'_>) -> Option<StatusCode> {
    let parse = |text: &str| {
        let status = text.parse().ok().and_then(|number: u16| StatusCode::from_u16(number).ok());
        // With a body, and no redirect: a 3xx here is an error to most clients.
        let is_sendable = |status: &StatusCode| match status.as_u16() {
            204 | 205 => false,
            200..300 | 400..600 => true,
            _ => false,
        };
        status.filter(is_sendable).ok_or("It is an HTTP status of an answer: 200, 4xx or 5xx.")
    };
    section.parsed("status", parse).map(|at| at.value)
}
