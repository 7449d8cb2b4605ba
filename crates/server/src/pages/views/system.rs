//! Pages that belong to no part of the site: an error, and the hop of `response_mode=form_post`.

use serde::Serialize;

use super::{Layout, View};

/// Any error a person can see. Never contains internal detail, only what they can act on.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorPage {
    pub layout: Layout,
    /// The HTTP status.
    pub status: u16,
    /// The headline: "This link does not work".
    pub title: String,
    pub what_happened: String,
    pub what_to_do: String,
    /// For the developer of an app that sent a wrong request: `error` and its description.
    pub for_developers: Option<String>,
    /// A way on: address and label.
    pub link: Option<(String, String)>,
    pub request_id: String,
}

impl View for ErrorPage {
    const TEMPLATE: &'static str = "error.html";

    fn sample() -> Vec<Self> {
        let redirect = Self {
            layout: Layout::signed_out("csrf-sample"),
            status: 400,
            title: "This app sent you here with a wrong address".into(),
            what_happened: "Trading Bot asked us to send you to an address that it has not \
                            registered. We stopped, because a stranger could be behind it."
                .into(),
            what_to_do: "Go back to the app and try again. If it happens again, tell the app’s \
                         developer."
                .into(),
            for_developers: Some(
                "invalid_request: redirect_uri https://evil.example/cb is not registered for \
                 client trading-bot. Redirect URIs are compared exactly."
                    .into(),
            ),
            link: None,
            request_id: "01JQ8Z3T6V".into(),
        };
        let missing = Self {
            layout: Layout::sample(),
            status: 404,
            title: "There is nothing here".into(),
            what_happened: "The address may be mistyped, or the page is gone.".into(),
            what_to_do: "Check the address, or start over.".into(),
            for_developers: None,
            link: Some(("/".into(), "Go to the start page".into())),
            request_id: "01JQ8Z3T6W".into(),
        };
        vec![redirect, missing]
    }
}

/// OAuth 2.0 Form Post Response Mode: the answer travels in a form that submits itself.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `form-post` | POST `action` | hidden, exactly `fields` |
///
/// Without JavaScript the user presses the button `#submit`, which has no name. The answer
/// must not be cached, and its `form-action` must allow `action`.
#[derive(Clone, Debug, Serialize)]
pub struct FormPost {
    pub layout: Layout,
    /// The redirect URI.
    pub action: String,
    pub fields: Vec<FormField>,
    pub app_name: String,
    /// The host of `action`, for people.
    pub place: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct FormField {
    pub name: String,
    pub value: String,
}

impl View for FormPost {
    const TEMPLATE: &'static str = "form_post.html";

    fn sample() -> Vec<Self> {
        let field = |name: &str, value: &str| FormField { name: name.into(), value: value.into() };
        vec![Self {
            layout: Layout::signed_out("csrf-sample"),
            action: "https://bot.example.com/callback".into(),
            fields: vec![
                field("code", "code-sample"),
                field("state", "\"><script>alert(document.domain)</script>"),
                field("iss", "https://auth.example.com"),
            ],
            app_name: "Trading Bot".into(),
            place: "bot.example.com".into(),
        }]
    }
}
