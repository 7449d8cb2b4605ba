//! The authorization answer (RFC 6749 §4.1.2) with `iss` (RFC 9207), and its two encodings.

use std::borrow::Cow;

use crate::authorize::AuthorizeErrorCode;
use crate::params::append_encoded;
use crate::redirect_uri::RedirectUri;

/// How the answer travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ResponseMode {
    #[default]
    Query,
    /// A page that posts itself to the client (OAuth 2.0 Form Post Response Mode).
    FormPost,
}

impl ResponseMode {
    /// Absent means query. `fragment` is not for codes (OAuth 2.0 Multiple Response Types §2.1).
    pub(crate) fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("query") => Some(Self::Query),
            Some("form_post") => Some(Self::FormPost),
            Some(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeResponse {
    pub redirect_uri: RedirectUri,
    pub response_mode: ResponseMode,
    pub state: Option<String>,
    /// `None` only in a dialect that has no `iss`.
    pub issuer: Option<String>,
    pub answer: AuthorizeAnswer,
    /// The public key that was made besides, under the name that the wire format has for it.
    pub partner_key: Option<NamedKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    pub parameter: String,
    pub public: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorizeAnswer {
    Code(String),
    Error { code: AuthorizeErrorCode, description: Cow<'static, str> },
}

/// The answer as the server sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodedResponse {
    /// The value of `Location`; send it with 303 (RFC 9700 §4.12).
    Redirect(String),
    /// The fields of a page that posts itself.
    FormPost(FormPost),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormPost {
    pub action: String,
    /// Raw values: the page escapes them (attack R8).
    pub fields: Vec<(String, String)>,
}

impl AuthorizeResponse {
    pub fn encode(&self) -> EncodedResponse {
        match self.response_mode {
            ResponseMode::Query => EncodedResponse::Redirect(self.to_location()),
            ResponseMode::FormPost => EncodedResponse::FormPost(FormPost {
                action: self.redirect_uri.as_str().to_owned(),
                fields: self
                    .fields()
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.into_owned()))
                    .collect(),
            }),
        }
    }

    /// Every field once: clients refuse a doubled one.
    pub fn fields(&self) -> Vec<(&str, Cow<'_, str>)> {
        let mut fields: Vec<(&str, Cow<'_, str>)> = match &self.answer {
            AuthorizeAnswer::Code(code) => vec![("code", Cow::Borrowed(code))],
            AuthorizeAnswer::Error { code, description } => vec![
                ("error", Cow::Borrowed(code.as_str())),
                ("error_description", Cow::Borrowed(description)),
            ],
        };
        if let Some(NamedKey { parameter, public }) = &self.partner_key {
            fields.push((parameter, Cow::Borrowed(public)));
        }
        if let Some(state) = &self.state {
            fields.push(("state", Cow::Borrowed(state)));
        }
        if let Some(issuer) = &self.issuer {
            fields.push(("iss", Cow::Borrowed(issuer)));
        }
        fields
    }

    /// The redirect URI with the fields appended; its own query is kept (RFC 6749 §3.1.2).
    fn to_location(&self) -> String {
        let uri = self.redirect_uri.as_str();
        let mut location = String::with_capacity(uri.len() + 256);
        location.push_str(uri);
        let separator = match uri.split_once('?') {
            None => Some('?'),
            Some((_, query)) if query.is_empty() || query.ends_with('&') => None,
            Some(_) => Some('&'),
        };
        append_encoded(&mut location, separator, &self.fields());
        location
    }
}
