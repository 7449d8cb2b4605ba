//! `[signed_request]` of a dialect file: how clients sign requests to the API, and how those that
//! do not hold are answered.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::nonce::KEPT;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderName, Method, StatusCode};
use protocol::signed_request::{
    Digest, Encoding, Members, SignedForm, SignedRefusal, SignedRefusals,
};

use super::dialect_token::{status_named, template};
use super::quantity;
use super::reader::{At, Section};

const WINDOW: Duration = Duration::from_secs(5);
/// Headers that mean something else.
const TAKEN: [HeaderName; 5] = [AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST];

/// `None` when a problem was reported.
pub(super) fn signed_request(section: &Section<'_>) -> Option<SignedForm> {
    let header = |key| {
        let text = section.required(key)?;
        section.meaning(key, text, header_name).map(|at| at.value)
    };
    let names = (header("key_header"), header("payload_header"), header("signature_header"));
    let digest = section.choice("digest").map_or(Digest::Sha512, |at| {
        Digest::ALL.into_iter().find(|one| one.as_str() == at.value).unwrap_or(Digest::Sha512)
    });
    let encoding = section.choice("signature").map_or(Encoding::Hex, |at| {
        Encoding::ALL.into_iter().find(|one| one.as_str() == at.value).unwrap_or(Encoding::Hex)
    });
    let method = section.parsed("method", method).map_or(Method::POST, |at| at.value);
    let window = section.parsed("window", window).map_or(WINDOW, |at| at.value);
    let members = members(&section.section("members"));
    let refusals = refusals(&section.section("answer"));
    let (Some(key_header), Some(payload_header), Some(signature_header)) = names else {
        return None;
    };
    if key_header == payload_header
        || key_header == signature_header
        || payload_header == signature_header
    {
        let what = "two of the headers have the same name";
        section.document.problem(&section.spot, what, "Give each a name of its own.");
    }
    Some(SignedForm {
        key_header,
        payload_header,
        signature_header,
        digest,
        encoding,
        method,
        members: members?,
        window,
        refusals: refusals?,
    })
}

fn header_name(text: &str) -> Result<HeaderName, &'static str> {
    let name =
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| "Write the name of a header.")?;
    match TAKEN.contains(&name) || name.as_str().starts_with("consentry-") {
        true => Err("This header means something else."),
        false => Ok(name),
    }
}

fn method(text: &str) -> Result<Method, &'static str> {
    match text {
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        _ => Err("It is POST or PUT: a method with a body."),
    }
}

fn window(text: &str) -> Result<Duration, String> {
    let window = quantity::duration(text)?;
    match window <= KEPT {
        true => Ok(window),
        false => Err(format!("It is {} s at most.", KEPT.as_secs())),
    }
}

fn members(section: &Section<'_>) -> Option<Members> {
    let (request, nonce) = (section.required("request"), section.required("nonce"));
    let window = section.text("window");
    let (request, nonce) = (request?, nonce?);
    let is_shared = |at: &At<String>| at.value == request.value || at.value == nonce.value;
    if request.value == nonce.value || window.as_ref().is_some_and(is_shared) {
        let what = "two members of the body have the same name";
        section.document.problem(&section.spot, what, "Give each a name of its own.");
    }
    Some(Members { request: request.value, nonce: nonce.value, window: window.map(|at| at.value) })
}

fn refusals(section: &Section<'_>) -> Option<SignedRefusals> {
    let template = template(section);
    let status = status_named(section, "status").unwrap_or(StatusCode::UNAUTHORIZED);
    let (of_statuses, of_messages) = (section.section("statuses"), section.section("messages"));
    let all = SignedRefusal::ALL.into_iter();
    let statuses: BTreeMap<_, _> = all
        .clone()
        .filter_map(|why| Some((why, status_named(&of_statuses, why.as_str())?)))
        .collect();
    let messages =
        all.filter_map(|why| Some((why, of_messages.text(why.as_str())?.value))).collect();
    Some(SignedRefusals { template: template?.0, status, statuses, messages })
}
