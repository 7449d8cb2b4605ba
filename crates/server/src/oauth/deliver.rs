//! From an authorization answer to HTTP: 303, never 307, which would repeat a form with a password
//! at the app (RFC 9700 §4.12), or a page that posts itself.

use axum::response::{IntoResponse, Redirect, Response};
use protocol::authorize_response::{AuthorizeResponse, EncodedResponse};
use protocol::redirect_uri::{DestinationKind, RedirectUri};
use url::{Host, Url};

use crate::error::PageError;
use crate::pages::views::{FormField, FormPost, Layout};
use crate::provider::Provider;
use crate::view;

pub(super) fn deliver(
    provider: &Provider,
    app_name: &str,
    answer: &AuthorizeResponse,
) -> Result<Response, PageError> {
    match answer.encode() {
        EncodedResponse::Redirect(location) => Ok(Redirect::to(&location).into_response()),
        EncodedResponse::FormPost(form) => {
            let field = |(name, value)| FormField { name, value };
            let page = FormPost {
                layout: Layout::signed_out(""),
                action: form.action,
                fields: form.fields.into_iter().map(field).collect(),
                app_name: app_name.to_owned(),
                place: answer.redirect_uri.destination().host.clone(),
            };
            let target = form_target(&answer.redirect_uri);
            view::page_with_form_action(provider, &page, target.as_deref())
        }
    }
}

/// What the `form-action` of a page must name so that its form may lead to `redirect_uri`: an
/// origin, or a scheme.
pub(super) fn form_target(redirect_uri: &RedirectUri) -> Option<String> {
    let url = Url::parse(redirect_uri.as_str()).ok()?;
    let is_web = redirect_uri.destination().kind != DestinationKind::CustomScheme;
    // CSP has no spelling for an IPv6 host.
    let is_named = is_web && !matches!(url.host(), Some(Host::Ipv6(_)));
    Some(match is_named {
        true => url.origin().ascii_serialization(),
        false => format!("{}:", url.scheme()),
    })
}

#[cfg(test)]
mod tests {
    use protocol::redirect_uri::RedirectPolicy;

    use super::*;

    #[test]
    fn a_form_may_lead_to_the_origin_or_the_scheme_of_the_redirect_uri() {
        let target = |text: &str| {
            form_target(&RedirectUri::register(RedirectPolicy::Native, text).unwrap()).unwrap()
        };
        assert_eq!(target("https://bot.example.com/cb?x=1"), "https://bot.example.com");
        assert_eq!(target("http://127.0.0.1:4321/cb"), "http://127.0.0.1:4321");
        assert_eq!(target("http://[::1]:4321/cb"), "http:");
        assert_eq!(target("com.example.app:/cb"), "com.example.app:");
    }
}
