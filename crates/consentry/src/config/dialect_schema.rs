//! Every key of a dialect file, as data: files are checked against it, and the reference in
//! `docs/operator/dialect-files.md` is printed from it.

use super::schema::{Key, Kind, REQUIRED, Shape, key};

pub(super) static DIALECT: Shape = Shape {
    keys: &[
        key(
            "name",
            Kind::Text,
            REQUIRED,
            "The word for it in configuration and registrations: small letters, digits and `-`.",
        ),
        key("title", Kind::Text, "the name", "As people call it."),
        key(
            "relax",
            Kind::Texts,
            "`[]`",
            "Rules of the standard that do not hold here, and nowhere else. See “What can be \
             relaxed” below.",
        ),
        key(
            "lifetimes",
            Kind::Section(&LIFETIMES),
            "",
            "How long things live. Apps may wish for less.",
        ),
        key("authorize", Kind::Section(&AUTHORIZE), "", "Where apps send users to."),
        key(
            "token",
            Kind::Sections(&TOKEN),
            "",
            "An address where codes or refresh tokens become tokens. One or more.",
        ),
        key(
            "user_code",
            Kind::Section(&USER_CODE),
            "",
            "A page where a signed-in user gets a code to paste into an app that has no browser. \
             It needs a [[token]] with a word for `user_code`.",
        ),
        key(
            "partner_keys",
            Kind::Section(&PARTNER_KEYS),
            "",
            "How apps ask for a key with which they sign calls, and about it. What a key may do \
             is in [the config file](config.md).",
        ),
        key(
            "page",
            Kind::Sections(&PAGE),
            "",
            "An address that the dialect's developers know, and the page of ours that it leads to.",
        ),
        key(
            "envelope",
            Kind::Envelope,
            "none",
            "How its API says no. An API in the config takes it with `envelope = \"NAME\"`; the \
             keys are those of “Envelopes” in [the config file](config.md).",
        ),
    ],
};

static LIFETIMES: Shape = Shape {
    keys: &[
        key("access_token", Kind::Duration, REQUIRED, "Of access tokens."),
        key(
            "refresh_token",
            Kind::Duration,
            "no refresh tokens",
            "A refresh token that is not used for so long ends its grant.",
        ),
        key(
            "idle",
            Kind::Duration,
            "`365d`",
            "Without refresh tokens: a grant whose tokens are not used for so long ends. \
             A token that is valid for years must not outlive everyone's memory of it.",
        ),
        key("grant", Kind::Duration, REQUIRED, "After so long users are asked again."),
    ],
};

static AUTHORIZE: Shape = Shape {
    keys: &[
        key("path", Kind::Text, REQUIRED, "Its address on the issuer's host."),
        key(
            "parameters",
            Kind::Section(&AUTHORIZE_PARAMETERS),
            "",
            "The dialect's names for the standard's parameters. What has no name here is not read.",
        ),
        key(
            "defaults",
            Kind::Section(&AUTHORIZE_PARAMETERS),
            "",
            "What a request without the parameter means.",
        ),
        key(
            "scope_separator",
            Kind::Text,
            "a space",
            "Between scopes in a request. Without a name for `scope`, requests ask for the scopes \
             of the registration.",
        ),
    ],
};

pub(super) static AUTHORIZE_PARAMETERS: Shape = Shape {
    keys: &[
        parameter("client_id"),
        parameter("redirect_uri"),
        parameter("response_type"),
        parameter("response_mode"),
        parameter("scope"),
        parameter("state"),
        parameter("code_challenge"),
        parameter("code_challenge_method"),
        parameter("prompt"),
        parameter("max_age"),
        parameter("login_hint"),
        parameter("resource"),
    ],
};

static TOKEN: Shape = Shape {
    keys: &[
        key("path", Kind::Text, REQUIRED, "Its address on the issuer's host."),
        key(
            "grant",
            Kind::Choice(&["authorization_code", "refresh_token", "user_code"]),
            "by parameter",
            "What every request here asks for, where clients do not say it.",
        ),
        key(
            "grant_types",
            Kind::Section(&GRANT_TYPES),
            "",
            "Or: the dialect's words in the parameter `grant_type`.",
        ),
        key(
            "parameters",
            Kind::Section(&TOKEN_PARAMETERS),
            "",
            "The dialect's names for the standard's parameters. What has no name here is not read.",
        ),
        key(
            "required",
            Kind::Texts,
            "`[]`",
            "Names of the dialect without which nothing else is looked at: `missing_parameter`.",
        ),
        key(
            "bodies",
            Kind::Texts,
            "`[\"form\"]`",
            "What bodies are: `form`; `json`, one flat object; `json_as_form`, the same under the \
             content type of a form.",
        ),
        key("basic", Kind::Switch, "`false`", "HTTP Basic is taken besides the body."),
        key(
            "addresses",
            Kind::Choice(&["any", "listed"]),
            "`any`",
            "`listed`: an app without a list of allowed addresses is refused. A list that an app \
             has holds in every case.",
        ),
        key("rate", Kind::Section(&RATE), "", "How often. Both count per node."),
        key("answer", Kind::Section(&ANSWER), "", "How tokens are handed over."),
        key(
            "error",
            Kind::Sections(&ERROR),
            "",
            "How refusals are answered. The first that fits; the last one has no `when`.",
        ),
    ],
};

static GRANT_TYPES: Shape = Shape {
    keys: &[
        key("authorization_code", Kind::Text, "none", "The word for a code."),
        key("refresh_token", Kind::Text, "none", "The word for a refresh token."),
        key("user_code", Kind::Text, "none", "The word for a code that its user was shown."),
    ],
};

static TOKEN_PARAMETERS: Shape = Shape {
    keys: &[
        parameter("grant_type"),
        parameter("client_id"),
        parameter("client_secret"),
        parameter("code"),
        parameter("redirect_uri"),
        parameter("code_verifier"),
        parameter("refresh_token"),
        parameter("scope"),
        parameter("resource"),
    ],
};

static RATE: Shape = Shape {
    keys: &[
        key("per_app", Kind::Rate, "no limit", "Requests of one app that proved who it is."),
        key(
            "failures",
            Kind::Rate,
            "`30/1m`",
            "Refused requests of one client id from one address. After that its requests are not \
             looked at for a while.",
        ),
    ],
};

static ANSWER: Shape = Shape {
    keys: &[
        key("status", Kind::Number, "`200`", "HTTP status."),
        key(
            "template",
            Kind::Text,
            REQUIRED,
            "JSON with `{{access_token}}`, `{{expires_in}}` (seconds), `{{refresh_token}}`, \
             `{{scope}}`, `{{scopes}}` (a list) and `{{token_type}}`. A member without a value is \
             left out.",
        ),
        key("token_type", Kind::Text, "`Bearer`", "`{{token_type}}`."),
        key("scope_separator", Kind::Text, "a space", "Between the scopes of `{{scope}}`."),
    ],
};

static ERROR: Shape = Shape {
    keys: &[
        key(
            "when",
            Kind::Texts,
            "always",
            "Any of `missing_parameter`, `invalid_request`, `invalid_client`, `invalid_grant`, \
             `unauthorized_client` (also for a forbidden address), `unsupported_grant_type`, \
             `invalid_scope`, `slow_down`, `temporarily_unavailable`, `server_error`.",
        ),
        key("status", Kind::Number, "the standard's", "HTTP status."),
        key(
            "template",
            Kind::Text,
            REQUIRED,
            "JSON with `{{error}}`, `{{description}}`, `{{status}}` and `{{missing}}` (a list of \
             missing parameters; as the name of a member it makes one for each).",
        ),
    ],
};

static USER_CODE: Shape = Shape {
    keys: &[key(
        "path",
        Kind::Text,
        REQUIRED,
        "Its address on the issuer's host. With `?client_id=ID` it asks for that app at once.",
    )],
};

static PARTNER_KEYS: Shape = Shape {
    keys: &[
        key(
            "asked_by",
            Kind::Text,
            "the scope alone",
            "The standard's name of the parameter with which an authorization request asks for a \
             key. Where requests name no scopes, one without it asks for all but the scope that \
             makes a key.",
        ),
        key(
            "redirect_parameter",
            Kind::Text,
            "`partner_key`",
            "The parameter of the redirect that carries the public key.",
        ),
        key("info", Kind::Section(&KEY_ENDPOINT), "", "GET: is there a key, and what may it do?"),
        key("secret", Kind::Section(&KEY_ENDPOINT), "", "GET: its secret, once."),
        key("delete", Kind::Section(&KEY_ENDPOINT), "", "DELETE: the key is over."),
        key(
            "permission",
            Kind::Text,
            REQUIRED,
            "JSON of one group of `{{permissions}}`, with `{{name}}`, `{{title}}` (in the user's \
             language) and `{{urls}}`.",
        ),
        key(
            "url",
            Kind::Text,
            REQUIRED,
            "JSON of one endpoint of `{{urls}}`, with `{{url}}` and `{{enable}}`.",
        ),
        key(
            "error",
            Kind::Sections(&KEY_ERROR),
            "",
            "How refusals are answered. The first that fits; the last one has no `when`.",
        ),
    ],
};

static KEY_ENDPOINT: Shape = Shape {
    keys: &[
        key(
            "path",
            Kind::Text,
            REQUIRED,
            "Its address on the issuer's host. `{id}` stands for the id of the key, in all but \
             `info`.",
        ),
        key(
            "template",
            Kind::Text,
            REQUIRED,
            "JSON with `{{exists}}`, `{{is_enabled}}`, `{{external_id}}`, `{{public_key}}` and \
             `{{permissions}}` for `info`; `{{secret}}` for `secret`; `{{external_id}}` for both \
             others.",
        ),
    ],
};

static KEY_ERROR: Shape = Shape {
    keys: &[
        key(
            "when",
            Kind::Texts,
            "always",
            "Any of `invalid_token`, `insufficient_scope`, `access_denied` (somebody else's key), \
             `not_found`, `secret_read`, `locked`, `temporarily_unavailable`, `server_error`.",
        ),
        key("status", Kind::Number, "the standard's", "HTTP status."),
        key(
            "template",
            Kind::Text,
            REQUIRED,
            "JSON with `{{error}}`, `{{description}}` and `{{status}}`.",
        ),
    ],
};

static PAGE: Shape = Shape {
    keys: &[
        key("from", Kind::Text, REQUIRED, "The address that is known."),
        key("to", Kind::Text, REQUIRED, "The page it leads to, such as `/apps/new`."),
    ],
};

const fn parameter(name: &'static str) -> Key {
    key(name, Kind::Text, "none", "")
}
