//! What errors mean and what to do about them, one entry for each of the enums: a new error does
//! not compile before somebody has said here what developers should do.

use protocol::authorize::AuthorizeErrorCode;
use protocol::dialect::Dialect;
use protocol::envelope::{ErrorEnvelope, Refusal, RefusalKind};
use protocol::error::{OAuthError, OAuthErrorKind};
use serde::Serialize;

use super::wire;

/// A row of a table of errors. Cause and remedy are Markdown.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ErrorRow {
    pub(super) status: Option<u16>,
    pub(super) word: &'static str,
    pub(super) cause: &'static str,
    pub(super) remedy: &'static str,
}

/// On the way back from the authorization endpoint. `with_keys`: those about partner keys too.
pub(super) fn of_authorization(with_keys: bool) -> Vec<ErrorRow> {
    let is_about_keys = |code: &AuthorizeErrorCode| code.as_str().starts_with("partner_key");
    let codes = AuthorizeErrorCode::ALL.into_iter();
    codes.filter(|code| with_keys || !is_about_keys(code)).map(authorization).collect()
}

fn authorization(code: AuthorizeErrorCode) -> ErrorRow {
    use AuthorizeErrorCode as Code;
    const PROMPT: &str = "Send the user again, without `prompt=none`.";
    let (cause, remedy) = match code {
        Code::InvalidRequest => (
            "A parameter is missing, malformed or there twice; often it is `code_challenge`.",
            "`error_description` names it.",
        ),
        Code::UnauthorizedClient => (
            "A service, which has no users, sent one.",
            "Ask for tokens with client credentials, or register a web app.",
        ),
        Code::AccessDenied => {
            ("The user said no, or left every box empty.", "Respect it, and offer to try again.")
        }
        Code::UnsupportedResponseType => ("`response_type` is not `code`.", "Send `code`."),
        Code::InvalidScope => (
            "A scope does not exist, or is not approved for your app.",
            "Ask only for approved ones; the text names the others.",
        ),
        Code::InvalidTarget => (
            "`resource` is no API of ours.",
            "Take an identifier from `protected_resources` of the metadata.",
        ),
        Code::ServerError => ("Our mistake.", "Try again; if it stays, tell us."),
        Code::TemporarilyUnavailable => {
            ("We cannot answer right now. Nothing was changed.", "Try again in a minute.")
        }
        Code::LoginRequired => {
            ("`prompt=none`, and the user is not signed in, or not recently enough.", PROMPT)
        }
        Code::InteractionRequired => {
            ("`prompt=none`, and the user has something to do first.", PROMPT)
        }
        Code::UnmetAuthenticationRequirements => (
            "`acr_values` names nothing that we know, or the user gave no second factor.",
            "Tell the user what it is for, and let them try again.",
        ),
        Code::ConsentRequired => ("`prompt=none`, and there is something to ask the user.", PROMPT),
        Code::AccountSelectionRequired => {
            ("`prompt=none`, and the user has to choose an account.", PROMPT)
        }
        Code::RequestNotSupported | Code::RequestUriNotSupported => {
            ("Request objects are not supported.", "Send plain parameters.")
        }
        Code::PartnerKeyActiveExists => (
            "The user has an active key for your app.",
            "Use it. If its secret is lost, delete it first.",
        ),
        Code::PartnerKeyExpiredExists => (
            "The user has a disabled key for your app.",
            "Ask them to remove it under “Connected apps”.",
        ),
        Code::PartnerKeyLimitReached => (
            "The user’s account has as many keys as it can.",
            "Ask them to remove one that they do not need.",
        ),
    };
    ErrorRow { status: None, word: code.as_str(), cause, remedy }
}

/// Of the token, revocation and introspection endpoints.
pub(super) fn of_oauth() -> Vec<ErrorRow> {
    OAuthErrorKind::ALL.into_iter().map(oauth).collect()
}

fn oauth(kind: OAuthErrorKind) -> ErrorRow {
    use OAuthErrorKind as Kind;
    let (cause, remedy) = match kind {
        Kind::InvalidRequest => (
            "A parameter is missing or there twice, the body is no form, or the app proved itself \
             in two ways.",
            "`error_description` says which.",
        ),
        Kind::InvalidClient => (
            "Unknown client id; a wrong or removed secret; a public app that sends one; an app \
             that is not live. One text for all.",
            "Check id and secret, then look at your app’s page.",
        ),
        Kind::InvalidGrant => (
            "A code that was used, is older than a minute or belongs to another app; \
             `redirect_uri` or `code_verifier` is not the one it was asked with; a refresh token \
             that was replaced, revoked or has lapsed.",
            "With a code: start over, and compare what you send with the first step. With a \
             refresh token: ask the user to connect again.",
        ),
        Kind::UnauthorizedClient => (
            "Your app may not call from this address, or may not act for itself.",
            "See the list of addresses on your app’s page, or ask us.",
        ),
        Kind::UnsupportedGrantType => {
            ("`grant_type` is not one of those below.", "Compare it with the reference.")
        }
        Kind::InvalidScope => ("More than was granted or approved.", "Ask for less."),
        Kind::InvalidTarget => (
            "`resource` is not what the user let you use, or came more than once.",
            "Name one that the authorization request named.",
        ),
        Kind::UnsupportedTokenType => {
            ("`token_type_hint` names a type that there is not.", "Leave it out.")
        }
        Kind::AuthorizationPending => {
            ("The user of a device has not decided yet.", "Ask again after `interval` seconds.")
        }
        Kind::PollTooFast => (
            "The same, and the device asks too often.",
            "Wait five seconds longer between two requests from now on.",
        ),
        Kind::AccessDenied => ("The user of a device said no.", "Stop asking."),
        Kind::ExpiredToken => ("A device code is over.", "Ask for another one."),
        Kind::SlowDown { .. } => (
            "Too many wrong secrets, codes or requests from your address.",
            "Wait as long as `Retry-After` says, and mend what is wrong first.",
        ),
        Kind::TemporarilyUnavailable { .. } => (
            "We cannot answer right now. **Nothing was changed.**",
            "Wait for `Retry-After`, then send the same again, with the same code or token.",
        ),
        Kind::ServerError => ("Our mistake.", "Send the same again; if it stays, tell us."),
    };
    let status = OAuthError::new(kind, "").status().as_u16();
    ErrorRow { status: Some(status), word: kind.as_str(), cause, remedy }
}

/// Of the gateway in front of an API, with the status that its envelope gives each.
pub(super) fn of_api(envelope: &ErrorEnvelope) -> Vec<ErrorRow> {
    RefusalKind::ALL.into_iter().map(|kind| refusal(kind, envelope)).collect()
}

fn refusal(kind: RefusalKind, envelope: &ErrorEnvelope) -> ErrorRow {
    use RefusalKind as Kind;
    let (cause, remedy) = match kind {
        Kind::MissingToken => ("There is no token.", "Send `Authorization: Bearer …`."),
        Kind::InvalidToken => (
            "The token has expired, was revoked, is for another API or is no token.",
            "Refresh once. If that fails, ask the user to connect again.",
        ),
        Kind::InvalidSignature => (
            "A signed request does not hold: altered, sent twice, too old, or by a disabled key.",
            "The text says which. Sign again, with a new nonce.",
        ),
        Kind::InsufficientScope => (
            "The token lacks scopes. `WWW-Authenticate` lists all that are missing.",
            "Send the user through authorization again with these besides. Refreshing does not \
             help.",
        ),
        Kind::AddressNotAllowed => (
            "Your app may not call from this address.",
            "See the list of addresses on your app’s page.",
        ),
        Kind::NotFound => ("There is no such endpoint.", "Compare the path with the reference."),
        Kind::MethodNotAllowed => {
            ("The endpoint has other methods.", "`Allow` lists those there are.")
        }
        Kind::RateLimited => (
            "Too many calls of your app, or of this user.",
            "Wait as long as `Retry-After` says. `RateLimit` tells what is left.",
        ),
        Kind::BadRequest => (
            "An ambiguous path, an unclear host, a broken body, or a token in the address.",
            "Let an HTTP library encode path and query, and send the token in the header.",
        ),
        Kind::PayloadTooLarge => ("The body is too large.", "Send less at once."),
        Kind::UriTooLong => ("The address is too long.", "Shorten the query."),
        Kind::HeadersTooLarge => ("The headers are too large.", "Send fewer."),
        Kind::RequestTimeout => ("The body did not come in time.", "Try again."),
        Kind::UpstreamUnavailable | Kind::UpstreamTimeout => (
            "The API is down or slow. A call with an effect may have had it.",
            "Try again if the call can be repeated; else look first.",
        ),
        Kind::Unavailable => (
            "We cannot be sure that the token still holds, and so refuse; or too many calls wait.",
            "Wait as long as `Retry-After` says. Keep the token.",
        ),
        Kind::Internal => ("Our mistake.", "Tell us, with `Consentry-Request-Id` of the answer."),
    };
    let status = envelope.status(kind).as_u16();
    ErrorRow { status: Some(status), word: kind.as_str(), cause, remedy }
}

/// How the API says that scopes are missing.
pub(super) fn example_refusal(envelope: &ErrorEnvelope) -> String {
    let missing = "orders.create".parse().unwrap_or_default();
    let refusal = Refusal {
        kind: RefusalKind::InsufficientScope,
        message: "the access token lacks permissions",
        missing_scopes: Some(&missing),
    };
    envelope.render(&refusal).body
}

/// How a dialect says no where codes become tokens: status, body, and what it stands for.
pub(super) fn of_dialect(dialect: &Dialect) -> Vec<(u16, String, &'static str)> {
    let grant = protocol::dialect::GrantType::AuthorizationCode;
    let Some(endpoint) = wire::endpoint_for(dialect, grant) else { return Vec::new() };
    let mut told: Vec<(u16, String, &'static str)> = Vec::new();
    for (error, cause) in [
        (OAuthError::invalid_client(), "A wrong client id or secret, or an app that is not live."),
        (OAuthError::invalid_grant("the code is not valid"), "A code that does not hold."),
        (
            OAuthError::unauthorized_client("the address is not allowed"),
            "Your address is not on your app’s list.",
        ),
        (OAuthError::slow_down(60), "Too many refusals from your address: wait for `Retry-After`."),
        (
            OAuthError::temporarily_unavailable(5),
            "We cannot answer right now; nothing was changed.",
        ),
    ] {
        let answer = endpoint.refused(&error);
        told.push((answer.status.as_u16(), answer.body, cause));
    }
    told
}
