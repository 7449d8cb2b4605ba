//! `POST /oauth/token`, the standard form of it: decode, let [`grants`] decide, encode.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use protocol::token::TokenRequest;

use crate::oauth::answer::{self, TokenError};
use crate::oauth::client::AppCall;
use crate::oauth::grants;
use crate::provider::Shared;

pub async fn issue(
    State(provider): State<Shared>,
    AppCall { client, params, noted }: AppCall,
) -> Result<Response, TokenError> {
    let request = TokenRequest::decode(&params)?;
    let tokens = grants::issue(&provider, &client, request, None).await?;
    noted.set_grant(tokens.grant.id);
    Ok(answer::json(StatusCode::OK, tokens.to_standard().to_json()))
}

/// `OPTIONS` of every endpoint that apps in browsers call.
pub async fn preflight() -> Response {
    answer::preflight()
}
