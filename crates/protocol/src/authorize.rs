//! The authorization request (RFC 6749 §4.1.1, OAuth 2.1 §4.1.1), in two stages: a raw request is
//! only words; after the client was found, [`RawAuthorizeRequest::validate`] gives a request that
//! means something. No error is redirected before client and redirect URI are known to be good.

mod all_errors;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::authorize_response::{AuthorizeAnswer, AuthorizeResponse, ResponseMode};
use crate::params::{Duplicate, Params};
use crate::pkce::CodeChallenge;
use crate::redirect_uri::RedirectUri;
use crate::scope::ScopeSet;

mod prompt;

pub use prompt::{Prompt, Prompts};

/// Longest `state`, `nonce` and `login_hint`, in bytes.
pub const TEXT_BYTES_MAX: usize = 2048;
/// Most words in `acr_values`.
const ACR_VALUES_MAX: usize = 10;
/// Most `resource` parameters in one request.
pub const RESOURCES_MAX: usize = 10;

/// What an authorization request says, before anybody knows whether it may say so. A dialect
/// fills the same fields from its own parameters. Serialisable so that a page can carry it sealed
/// from step to step; it is validated again at each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RawAuthorizeRequest {
    pub client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_challenge_method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr_values: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    pub resources: Vec<String>,
    /// A fault that was seen while decoding and is told once a redirect is safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<DecodeFault>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecodeFault {
    /// This known parameter came more than once.
    Duplicate(String),
    /// `request` came (OpenID Connect Core §6.1).
    RequestObject,
    /// `request_uri` came.
    RequestUri,
}

/// What the app may ask for, and the operator's defaults. Borrowed from the app's policy.
#[derive(Debug, Clone, Copy)]
pub struct ClientPolicy<'a> {
    pub redirect_uris: &'a [RedirectUri],
    /// Scopes approved for this app.
    pub allowed_scopes: &'a ScopeSet,
    /// What a request without `scope` means.
    pub default_scopes: &'a ScopeSet,
    /// False only in a dialect whose clients know no PKCE.
    pub require_pkce: bool,
    /// True only in a dialect whose confidential apps run on users' devices.
    pub any_loopback_port: bool,
    /// False for apps that only use client credentials.
    pub may_use_code: bool,
    /// Resource identifiers that `resource` may name, compared exactly.
    pub known_resources: &'a [String],
}

/// A request that may be shown to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeRequest {
    pub client_id: String,
    /// The URI to redirect to: the presented one, or the only registered one.
    pub redirect_uri: RedirectUri,
    /// Whether the request named it; if so, the token request must repeat it (RFC 6749 §4.1.3).
    pub redirect_uri_was_sent: bool,
    pub response_mode: ResponseMode,
    pub scopes: ScopeSet,
    pub state: Option<String>,
    pub code_challenge: Option<CodeChallenge>,
    pub prompts: Prompts,
    /// Oldest acceptable sign-in, in seconds.
    pub max_age_seconds: Option<u32>,
    /// What the sign-in should be worth (RFC 9470 §4), the dearest to the client first.
    pub acr_values: Vec<String>,
    pub login_hint: Option<String>,
    pub nonce: Option<String>,
    /// Empty when the client named none: the operator's default applies.
    pub resources: Vec<String>,
}

/// Why there is no valid request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    /// Shown on a page of ours. Never redirect.
    #[error(transparent)]
    Direct(#[from] DirectError),
    /// Client and redirect URI are good: the client hears it.
    #[error("{}: {}", .0.code.as_str(), .0.description)]
    Redirect(Box<RedirectError>),
}

/// Told to the user on our own page, because there is nowhere safe to redirect to (attack R6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectError {
    #[error("the request does not say which app it comes from (client_id is missing)")]
    ClientIdMissing,
    #[error("this app is not registered here")]
    UnknownClient,
    #[error("the parameter {0} was sent more than once")]
    Duplicate(String),
    #[error("the app did not say where to return to (redirect_uri is missing)")]
    RedirectUriMissing,
    #[error("the app asked to return to an address that is not registered for it")]
    RedirectUriMismatch,
    #[error("the request is not readable: {0}")]
    Unreadable(#[from] crate::params::ParamsError),
}

/// An error for the client, with all that is needed to send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectError {
    pub redirect_uri: RedirectUri,
    pub response_mode: ResponseMode,
    pub state: Option<String>,
    pub code: AuthorizeErrorCode,
    pub description: Cow<'static, str>,
}

/// Error codes of the authorization endpoint (RFC 6749 §4.1.2.1, RFC 8707 §2, OpenID Connect Core
/// §3.1.2.6), and those of ours for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthorizeErrorCode {
    InvalidRequest,
    UnauthorizedClient,
    AccessDenied,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    ServerError,
    TemporarilyUnavailable,
    LoginRequired,
    InteractionRequired,
    /// OpenID Connect Core Unmet Authentication Requirements, RFC 9470 §5.
    UnmetAuthenticationRequirements,
    ConsentRequired,
    AccountSelectionRequired,
    RequestNotSupported,
    RequestUriNotSupported,
    /// The user has an active key for this app; there is one at most.
    PartnerKeyActiveExists,
    /// A disabled one, which the user has to remove first.
    PartnerKeyExpiredExists,
    /// The user has as many keys as an account may have.
    PartnerKeyLimitReached,
}

impl RawAuthorizeRequest {
    /// Reads the standard form. Fails only where not even an error could be redirected.
    pub fn decode(params: &Params) -> Result<Self, DirectError> {
        let direct = |duplicate: Duplicate| DirectError::Duplicate(duplicate.name);
        let client_id = params.one("client_id").map_err(direct)?;
        let mut raw = Self {
            client_id: client_id.ok_or(DirectError::ClientIdMissing)?.to_owned(),
            redirect_uri: params.one("redirect_uri").map_err(direct)?.map(str::to_owned),
            resources: params.all("resource").map(str::to_owned).collect(),
            ..Self::default()
        };
        for (name, field) in [
            ("response_type", &mut raw.response_type),
            ("response_mode", &mut raw.response_mode),
            ("scope", &mut raw.scope),
            ("state", &mut raw.state),
            ("code_challenge", &mut raw.code_challenge),
            ("code_challenge_method", &mut raw.code_challenge_method),
            ("prompt", &mut raw.prompt),
            ("max_age", &mut raw.max_age),
            ("acr_values", &mut raw.acr_values),
            ("login_hint", &mut raw.login_hint),
            ("nonce", &mut raw.nonce),
        ] {
            match params.one(name) {
                Ok(value) => *field = value.map(str::to_owned),
                Err(duplicate) => raw.fault = Some(DecodeFault::Duplicate(duplicate.name)),
            }
        }
        // Ignoring them would run another request than the client signed or pushed.
        if params.contains("request") {
            raw.fault.get_or_insert(DecodeFault::RequestObject);
        } else if params.contains("request_uri") {
            raw.fault.get_or_insert(DecodeFault::RequestUri);
        }
        Ok(raw)
    }

    /// Whether it came with this parameter of the standard.
    pub fn has(&self, parameter: &str) -> bool {
        let value = match parameter {
            "redirect_uri" => &self.redirect_uri,
            "response_type" => &self.response_type,
            "response_mode" => &self.response_mode,
            "scope" => &self.scope,
            "state" => &self.state,
            "code_challenge" => &self.code_challenge,
            "code_challenge_method" => &self.code_challenge_method,
            "prompt" => &self.prompt,
            "max_age" => &self.max_age,
            "login_hint" => &self.login_hint,
            "nonce" => &self.nonce,
            _ => &None,
        };
        value.is_some() || parameter == "resource" && !self.resources.is_empty()
    }

    /// What the request means for this client. First the redirect URI, then all the rest.
    pub fn validate(&self, policy: &ClientPolicy<'_>) -> Result<AuthorizeRequest, AuthorizeError> {
        let redirect_uri = self.find_redirect_uri(policy)?;
        let response_mode = ResponseMode::parse(self.response_mode.as_deref());
        let state = self.state.clone().filter(|state| is_plain_text(state));
        let refuse = |refusal: Refusal| {
            AuthorizeError::Redirect(Box::new(RedirectError {
                redirect_uri: redirect_uri.clone(),
                response_mode: response_mode.unwrap_or_default(),
                state: state.clone(),
                code: refusal.0,
                description: crate::error::legal_description(refusal.1),
            }))
        };
        self.check_form(policy).map_err(refuse)?;
        let code_challenge = self.find_challenge(policy).map_err(refuse)?;
        let scopes = self.find_scopes(policy).map_err(refuse)?;
        let prompts = Prompts::parse(self.prompt.as_deref()).map_err(refuse)?;
        let max_age_seconds = parse_max_age(self.max_age.as_deref()).map_err(refuse)?;
        let acr_values = parse_acr_values(self.acr_values.as_deref()).map_err(refuse)?;
        self.check_resources(policy).map_err(refuse)?;
        Ok(AuthorizeRequest {
            client_id: self.client_id.clone(),
            redirect_uri: redirect_uri.clone(),
            redirect_uri_was_sent: self.redirect_uri.is_some(),
            response_mode: response_mode.unwrap_or_default(),
            scopes,
            state: state.clone(),
            code_challenge,
            prompts,
            max_age_seconds,
            acr_values,
            login_hint: self.login_hint.clone(),
            nonce: self.nonce.clone(),
            resources: self.resources.clone(),
        })
    }

    fn find_redirect_uri(&self, policy: &ClientPolicy<'_>) -> Result<RedirectUri, DirectError> {
        let resolve = |uri: &RedirectUri, presented: &str| match policy.any_loopback_port {
            true => uri.at_any_loopback_port().resolve(presented),
            false => uri.resolve(presented),
        };
        match (&self.redirect_uri, policy.redirect_uris) {
            (Some(presented), registered) => registered
                .iter()
                .find_map(|uri| resolve(uri, presented))
                .ok_or(DirectError::RedirectUriMismatch),
            // OAuth 2.1 §2.3.2: may be left out when exactly one is registered.
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(DirectError::RedirectUriMissing),
        }
    }

    fn check_form(&self, policy: &ClientPolicy<'_>) -> Result<(), Refusal> {
        use AuthorizeErrorCode as Code;
        match &self.fault {
            Some(DecodeFault::Duplicate(name)) => {
                return refuse(
                    Code::InvalidRequest,
                    format!("the parameter {name} was sent more than once"),
                );
            }
            Some(DecodeFault::RequestObject) => {
                return refuse(Code::RequestNotSupported, "request objects are not supported");
            }
            Some(DecodeFault::RequestUri) => {
                return refuse(Code::RequestUriNotSupported, "request_uri is not supported");
            }
            None => {}
        }
        if ResponseMode::parse(self.response_mode.as_deref()).is_none() {
            return refuse(Code::InvalidRequest, "response_mode must be query or form_post");
        }
        match self.response_type.as_deref() {
            Some("code") => {}
            Some(_) => return refuse(Code::UnsupportedResponseType, "response_type must be code"),
            None => return refuse(Code::InvalidRequest, "response_type is missing"),
        }
        if !policy.may_use_code {
            return refuse(Code::UnauthorizedClient, "this app may not ask users for access");
        }
        for (name, value) in
            [("state", &self.state), ("nonce", &self.nonce), ("login_hint", &self.login_hint)]
        {
            if value.as_deref().is_some_and(|value| !is_plain_text(value)) {
                return refuse(
                    Code::InvalidRequest,
                    format!("{name} is too long or contains a control character"),
                );
            }
        }
        Ok(())
    }

    fn find_challenge(&self, policy: &ClientPolicy<'_>) -> Result<Option<CodeChallenge>, Refusal> {
        let challenge = CodeChallenge::from_params(
            self.code_challenge.as_deref(),
            self.code_challenge_method.as_deref(),
        )
        .map_err(|error| Refusal(AuthorizeErrorCode::InvalidRequest, error.to_string().into()))?;
        if challenge.is_none() && policy.require_pkce {
            return refuse(
                AuthorizeErrorCode::InvalidRequest,
                "code_challenge is missing; PKCE with S256 is required",
            );
        }
        Ok(challenge)
    }

    fn find_scopes(&self, policy: &ClientPolicy<'_>) -> Result<ScopeSet, Refusal> {
        let Some(text) = self.scope.as_deref() else {
            if policy.default_scopes.is_empty() {
                return refuse(
                    AuthorizeErrorCode::InvalidScope,
                    "scope is missing and this app has no default scopes",
                );
            }
            return Ok(policy.default_scopes.clone());
        };
        let scopes = ScopeSet::parse(text)
            .map_err(|error| Refusal(AuthorizeErrorCode::InvalidScope, error.to_string().into()))?;
        if scopes.is_empty() {
            return refuse(AuthorizeErrorCode::InvalidScope, "scope is empty");
        }
        let excess = scopes.difference(policy.allowed_scopes);
        if !excess.is_empty() {
            return refuse(
                AuthorizeErrorCode::InvalidScope,
                format!("not approved for this app: {excess}"),
            );
        }
        Ok(scopes)
    }

    fn check_resources(&self, policy: &ClientPolicy<'_>) -> Result<(), Refusal> {
        check_resources(&self.resources)
            .map_err(|text| Refusal(AuthorizeErrorCode::InvalidTarget, text.into()))?;
        if self.resources.iter().any(|resource| !policy.known_resources.contains(resource)) {
            return refuse(AuthorizeErrorCode::InvalidTarget, "resource is not an API known here");
        }
        Ok(())
    }
}

/// RFC 8707 §2: absolute URIs without a fragment.
pub(crate) fn check_resources(resources: &[String]) -> Result<(), &'static str> {
    if resources.len() > RESOURCES_MAX {
        return Err("too many resource parameters");
    }
    let absolute = |text: &String| Url::parse(text).is_ok() && !text.contains('#');
    if !resources.iter().all(absolute) {
        return Err("resource must be an absolute URI without a fragment");
    }
    Ok(())
}

impl AuthorizeRequest {
    /// The answer that carries a code. `issuer` is `None` only in a dialect that has no `iss`.
    pub fn granted(&self, code: String, issuer: Option<&str>) -> AuthorizeResponse {
        self.answer(AuthorizeAnswer::Code(code), issuer)
    }

    /// The answer that says no.
    pub fn refused(
        &self,
        code: AuthorizeErrorCode,
        description: impl Into<Cow<'static, str>>,
        issuer: Option<&str>,
    ) -> AuthorizeResponse {
        let description = crate::error::legal_description(description.into());
        self.answer(AuthorizeAnswer::Error { code, description }, issuer)
    }

    fn answer(&self, answer: AuthorizeAnswer, issuer: Option<&str>) -> AuthorizeResponse {
        AuthorizeResponse {
            redirect_uri: self.redirect_uri.clone(),
            response_mode: self.response_mode,
            state: self.state.clone(),
            issuer: issuer.map(str::to_owned),
            answer,
            partner_key: None,
        }
    }
}

impl RedirectError {
    pub fn into_response(self, issuer: Option<&str>) -> AuthorizeResponse {
        AuthorizeResponse {
            redirect_uri: self.redirect_uri,
            response_mode: self.response_mode,
            state: self.state,
            issuer: issuer.map(str::to_owned),
            answer: AuthorizeAnswer::Error { code: self.code, description: self.description },
            partner_key: None,
        }
    }
}

impl AuthorizeErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::InteractionRequired => "interaction_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::ConsentRequired => "consent_required",
            Self::AccountSelectionRequired => "account_selection_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::PartnerKeyActiveExists => "partner_key_active_exists",
            Self::PartnerKeyExpiredExists => "partner_key_expired_exists",
            Self::PartnerKeyLimitReached => "partner_key_limit_reached",
        }
    }
}

struct Refusal(AuthorizeErrorCode, Cow<'static, str>);

fn refuse<T>(
    code: AuthorizeErrorCode,
    description: impl Into<Cow<'static, str>>,
) -> Result<T, Refusal> {
    Err(Refusal(code, description.into()))
}

fn parse_max_age(text: Option<&str>) -> Result<Option<u32>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(seconds) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(seconds)),
        _ => refuse(AuthorizeErrorCode::InvalidRequest, "max_age must be a number of seconds"),
    }
}

fn parse_acr_values(text: Option<&str>) -> Result<Vec<String>, Refusal> {
    let text = text.unwrap_or_default();
    let words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    if text.len() > TEXT_BYTES_MAX || words.len() > ACR_VALUES_MAX {
        return refuse(AuthorizeErrorCode::InvalidRequest, "acr_values is too long");
    }
    Ok(words)
}

/// Wider than RFC 6749 appendix A.5, which has ASCII only: clients put user text there, and it is
/// sent back encoded. Control characters have no reader.
fn is_plain_text(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
