//! `GET /sign-in/with/{id}`: off to the system that signs the user in.

use axum::extract::{Path, RawQuery, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use domain::sign_in::{SignInProvider, Way};
use http::header::SET_COOKIE;
use protocol::hand_off::{LIFETIME_SECONDS_MAX, SignInRequest};
use protocol::openid::AskedSignIn;
use protocol::params::Params;
use protocol::pkce::CodeVerifier;
use url::Url;

use super::refused::{self, Why};
use super::return_url;
use super::travel::Travel;
use crate::account::sign_in::safe_path;
use crate::actor::Visitor;
use crate::error::PageError;
use crate::provider::{Provider, Shared};

pub async fn start(
    State(provider): State<Shared>,
    visitor: Visitor,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let policy = provider.policy();
    let upstream = policy.sign_in.provider(&name).ok_or(PageError::NotFound)?;
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let continue_to = safe_path(params.one("continue")?.unwrap_or("/"));
    let travel = match &visitor.signed_in {
        Some(user) if params.one("second_factor")?.is_some() => {
            Travel::to_second_factor(&provider, upstream, continue_to, user)
        }
        _ => {
            let again = params.one("again")?.is_some();
            Travel::to_sign_in(&provider, upstream, continue_to, again)
        }
    };
    leave(&provider, &visitor, upstream, travel).await
}

/// Send the browser to `upstream`, from where it comes back.
pub(in crate::account) async fn leave(
    provider: &Provider,
    visitor: &Visitor,
    upstream: &SignInProvider,
    travel: Travel,
) -> Result<Response, PageError> {
    let hint = travel.login_hint.as_deref();
    let acr_values = upstream.second_factor.acr_values();
    let acr_values = acr_values.filter(|_| travel.demand.second_factor.is_some());
    let address = match &upstream.way {
        Way::OpenId { client_id, scopes, .. } => {
            let verifier = CodeVerifier::parse(&travel.verifier)
                .map_err(|error| PageError::Internal(error.to_string()))?;
            let asked = AskedSignIn {
                client_id,
                redirect_uri: &return_url(provider, upstream),
                scopes,
                state: &travel.id,
                nonce: &travel.nonce,
                code_challenge: &verifier.challenge().to_string(),
                login_hint: hint,
                max_age: travel.demand.max_age(),
                prompt_login: travel.demand.after.is_some(),
                acr_values: acr_values.as_deref(),
            };
            let document = provider.openid_providers.document(provider, &upstream.issuer).await;
            document.map(|document| document.authorization_url(&asked))
        }
        Way::SignedRedirect { url, key } => {
            let iat = travel.left_at.as_seconds();
            let request = SignInRequest {
                iss: &provider.issuer(),
                aud: &upstream.issuer,
                jti: &travel.id,
                iat,
                exp: iat.saturating_add(LIFETIME_SECONDS_MAX),
                return_url: &return_url(provider, upstream),
                login_hint: hint,
                max_age: travel.demand.max_age(),
                acr_values,
            };
            let signed =
                request.sign(key).map_err(|error| PageError::Internal(error.to_string()))?;
            with_parameter(url, "request", &signed)
        }
    };
    match address {
        Ok(address) => {
            let cookie = AppendHeaders([(SET_COOKIE, travel.cookie(provider)?)]);
            let away = (cookie, Redirect::to(&address)).into_response();
            // What comes next may be a form of a browser that had none yet.
            Ok(visitor.remember(provider, away))
        }
        Err(why) => {
            tracing::warn!(provider = %upstream.name, %why, "nobody can sign in there");
            refused::page(provider, visitor, (&upstream.title, &why), &travel.continue_to)
        }
    }
}

fn with_parameter(url: &str, name: &str, value: &str) -> Result<String, Why> {
    let mut url = Url::parse(url).map_err(|error| Why::Unreachable(error.to_string()))?;
    url.query_pairs_mut().append_pair(name, value);
    Ok(url.into())
}
