//! `[partner_keys]` of a dialect file: where clients ask about their keys, and how they are
//! answered.

use protocol::dialect::{KEY_ID, KeyEndpoint, KeyErrorRule, KeyWord, PartnerKeys};
use protocol::partner_key::KeyFailure;
use protocol::template::{Placeholder, Template};

use super::dialect::{one_of, plain_path};
use super::dialect_schema::AUTHORIZE_PARAMETERS;
use super::dialect_token::{status, template};
use super::reader::{At, Section};

/// `None` when a problem was reported.
pub(super) fn partner_keys(section: &Section<'_>) -> Option<PartnerKeys> {
    let parameters: Vec<&str> = AUTHORIZE_PARAMETERS.keys.iter().map(|key| key.name).collect();
    let of_standard = |text: &str| match parameters.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(one_of(text, &parameters)),
    };
    let asked_by = section.parsed("asked_by", of_standard).map(|at| at.value);
    let redirect_parameter = section.parsed("redirect_parameter", parameter_name);
    let info = endpoint(&section.section("info"), false);
    let secret = endpoint(&section.section("secret"), true);
    let delete = endpoint(&section.section("delete"), true);
    let permission = json(section, "permission");
    let url = json(section, "url");
    let errors = errors(section);
    let (info, secret) = (info?, secret?);
    check_secret(section, &info, &secret);
    Some(PartnerKeys {
        asked_by,
        redirect_parameter: redirect_parameter
            .map_or_else(|| "partner_key".to_owned(), |at| at.value),
        info,
        secret,
        delete: delete?,
        permission: permission?,
        url: url?,
        errors,
    })
}

fn parameter_name(text: &str) -> Result<String, &'static str> {
    // Those are in every answer.
    const TAKEN: [&str; 5] = ["code", "state", "iss", "error", "error_description"];
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_name = !text.is_empty() && text.bytes().all(legal) && !TAKEN.contains(&text);
    is_name.then(|| text.to_owned()).ok_or("Write a name that the answer does not have yet.")
}

fn endpoint(section: &Section<'_>, has_id: bool) -> Option<KeyEndpoint> {
    let path = path_with_key(section, has_id);
    let template = template(section);
    Some(KeyEndpoint { path: path?, template: template?.0 })
}

/// A path of the dialect's own, with [`KEY_ID`] as one segment of it or without.
fn path_with_key(section: &Section<'_>, has_id: bool) -> Option<String> {
    let text = section.required("path")?;
    let check = |text: &str| {
        let ids = text.split('/').filter(|segment| *segment == KEY_ID).count();
        if ids != usize::from(has_id) {
            return Err(match has_id {
                true => format!("One segment of it is {KEY_ID}, for the id of the key."),
                false => format!("It has no {KEY_ID}: the token says whose key it is."),
            });
        }
        plain_path(&text.replacen(KEY_ID, "id", 1)).map(|_| text.to_owned())
    };
    section.meaning("path", text, check).map(|at| at.value)
}

/// The secret is told at one endpoint, and there it is.
fn check_secret(section: &Section<'_>, info: &KeyEndpoint, secret: &KeyEndpoint) {
    let has_secret = |endpoint: &KeyEndpoint| endpoint.template.names(KeyWord::Secret);
    if !has_secret(secret) || has_secret(info) {
        let what = "{{secret}} belongs into the template of `secret`, and nowhere else";
        let to_do = "The secret is told once, there.";
        section.document.problem(&section.spot_of("secret"), what, to_do);
    }
}

fn json<P: Placeholder>(section: &Section<'_>, name: &str) -> Option<Template<P>> {
    let text = section.required(name)?;
    section.meaning(name, text, Template::parse).map(|at| at.value)
}

fn errors(section: &Section<'_>) -> Vec<KeyErrorRule> {
    let sections = section.sections("error");
    let (mut rules, mut answered, mut has_last) = (Vec::new(), Vec::new(), false);
    for rule in &sections {
        let words = rule.texts("when");
        if has_last {
            let what = "an earlier [[partner_keys.error]] fits everything, so this one is unused";
            rule.document.problem(&rule.spot, what, "Move it before that one, or remove it.");
        }
        has_last |= words.is_none();
        let when = failures(rule, words.unwrap_or_default(), &mut answered);
        let (status, template) = (status(rule), template(rule));
        if let Some((template, _)) = template {
            rules.push(KeyErrorRule { when, status, template });
        }
    }
    if !has_last {
        let spot = sections.last().map_or(&section.spot, |last| &last.spot);
        let what = "nothing fits every refusal";
        let to_do = "Add a last [[partner_keys.error]] without `when`.";
        section.document.problem(spot, what, to_do);
    }
    rules
}

fn failures(
    rule: &Section<'_>,
    words: Vec<At<String>>,
    answered: &mut Vec<KeyFailure>,
) -> Vec<KeyFailure> {
    let known = KeyFailure::ALL.map(KeyFailure::as_str);
    let parse = |text: &str| {
        let found = KeyFailure::ALL.into_iter().find(|failure| failure.as_str() == text);
        found.ok_or_else(|| one_of(text, &known))
    };
    let mut when = Vec::new();
    for word in words {
        let Some(At { value: failure, spot }) = rule.meaning("when", word, parse) else { continue };
        if answered.contains(&failure) {
            let what = format!("`{}` is answered by an earlier rule", failure.as_str());
            rule.document.problem(&spot, what, "Remove one of them.");
        }
        answered.push(failure);
        when.push(failure);
    }
    when
}
