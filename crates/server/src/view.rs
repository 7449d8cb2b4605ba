//! From a view to an HTTP answer.

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

use crate::error::PageError;
use crate::pages::csp;
use crate::pages::views::View;
use crate::provider::Provider;

/// A page with status 200 whose forms go to ourselves.
pub fn page<V: View>(provider: &Provider, view: &V) -> Result<Response, PageError> {
    page_with_form_action(provider, view, None)
}

/// A form's page once more, with what was typed and what is wrong with it.
pub fn page_again<V: View>(provider: &Provider, view: &V) -> Result<Response, PageError> {
    let mut response = page(provider, view)?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// A page whose form may lead, through our redirect, to `destination` (an origin or a scheme):
/// browsers apply `form-action` to redirects too.
pub fn page_with_form_action<V: View>(
    provider: &Provider,
    view: &V,
    destination: Option<&str>,
) -> Result<Response, PageError> {
    let html =
        provider.pages.render(view).map_err(|error| PageError::Internal(error.to_string()))?;
    Ok(answer(StatusCode::OK, html, destination))
}

/// For errors: must not fail, so a template that an operator broke falls back to plain text.
pub fn page_with_status<V: View>(provider: &Provider, status: StatusCode, view: &V) -> Response {
    match provider.pages.render(view) {
        Ok(html) => answer(status, html, None),
        Err(error) => {
            tracing::error!(%error, template = V::TEMPLATE, "a template failed");
            (status, "Something went wrong.\n").into_response()
        }
    }
}

fn answer(status: StatusCode, html: String, destination: Option<&str>) -> Response {
    let mut response = (status, Html(html)).into_response();
    if let Ok(policy) = HeaderValue::from_str(&csp(destination)) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
