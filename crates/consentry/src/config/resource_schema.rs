//! The keys of `[[resource]]`: one API behind the gateway.

use super::schema::{Kind, REQUIRED, Shape, key};

pub(super) static RESOURCE: Shape = Shape {
    keys: &[
        key(
            "identifier",
            Kind::Text,
            "host and path prefix",
            "An absolute URI: the audience of its tokens (RFC 8707).",
        ),
        key("name", Kind::Text, "name of the brand", "What people call this API."),
        key("host", Kind::Text, "host of the issuer", "Which `Host` it answers to, without port."),
        key(
            "path_prefix",
            Kind::Text,
            "none",
            "`/api/v4`. Needed unless the API has a host of its own.",
        ),
        key(
            "token_format",
            Kind::Choice(&["opaque", "jwt-es256", "jwt-eddsa", "jwt-rs256"]),
            "`opaque`",
            "JWT (RFC 9068) only for APIs that check tokens alone: they learn of a revocation \
             only when the token expires.",
        ),
        key(
            "openapi",
            Kind::Path,
            "none",
            "OpenAPI 3 document (YAML or JSON): its `security` entries become routes, and its \
             texts the [developer documentation](developer-docs.md).",
        ),
        key("upstream", Kind::Section(&UPSTREAM), "forward-auth only", "The API itself."),
        key(
            "test_upstream",
            Kind::Text,
            "none",
            "`http://HOST:PORT` of an API for tests, with the settings of `upstream`: calls with \
             test tokens go there and nowhere else. Without it they are refused here. Behind \
             forward-auth it is your proxy that sends `Consentry-Mode: test` there.",
        ),
        key("introspection", Kind::Section(&INTROSPECTION), "none", "The API's own credentials."),
        key("rate", Kind::Section(&RATE), "no limits", "Limits, counted on each node."),
        key(
            "envelope",
            Kind::Envelope,
            "`problem+json`",
            "How refusals are written: `problem+json` (RFC 9457), `bitport`, `whitebit`, or a \
             table of your own (below).",
        ),
        key(
            "cors",
            Kind::Section(&CORS),
            "left to the API",
            "Which web pages may call the API from a browser. The gateway answers preflights, and \
             its word replaces the API's own.",
        ),
        key(
            "drop_request_headers",
            Kind::Texts,
            "`[]`",
            "Request headers that never reach the API, in any spelling, besides [those that never \
             do](proxies.md#headers-that-callers-cannot-send). `x-team-` stands for every one that \
             begins so.",
        ),
        key("route", Kind::Sections(&ROUTE), "", "One route of the API. Unlisted ones are 404."),
    ],
};

static CORS: Shape = Shape {
    keys: &[
        key(
            "origins",
            Kind::Texts,
            REQUIRED,
            "Where the pages are: `[\"https://app.example.com\"]`, or `[\"*\"]` for every page. \
             Calls carry a token and never cookies, so `*` gives nothing to a page that has no \
             token.",
        ),
        key(
            "headers",
            Kind::Texts,
            "`[]`",
            "Request headers that pages may send besides `Authorization` and `Content-Type`.",
        ),
        key(
            "expose",
            Kind::Texts,
            "`[]`",
            "Headers of the API's answers that pages may read besides those of the gateway.",
        ),
    ],
};

static UPSTREAM: Shape = Shape {
    keys: &[
        key("url", Kind::Text, REQUIRED, "`http://HOST:PORT`, with a path if it needs one."),
        key("connect_timeout", Kind::Duration, "`5s`", "Until a connection stands."),
        key("answer_timeout", Kind::Duration, "`30s`", "Until the head of the answer."),
        key("idle_timeout", Kind::Duration, "`60s`", "Between two pieces of a body."),
        key("body_max", Kind::Bytes, "`16MiB`", "Largest request body."),
        key(
            "signed_body_max",
            Kind::Bytes,
            "`64KiB`",
            "Largest body of a request that is signed with a partner key: it is held whole. A \
             dialect that sends the body in a header too has less: a head has 32 KiB.",
        ),
        key(
            "in_service_max",
            Kind::Number,
            "`1000`",
            "Calls that wait for its answer at once. Further ones get 503 with `Retry-After`.",
        ),
    ],
};

static INTROSPECTION: Shape = Shape {
    keys: &[
        key("id", Kind::Text, REQUIRED, "The API's client id at the introspection endpoint."),
        key("secret", Kind::Text, "", "Its secret; better in a file."),
        key("secret_file", Kind::Path, "", "File that holds the secret."),
    ],
};

static RATE: Shape = Shape {
    keys: &[
        key("per_app", Kind::Rate, "none", "`100/1m`: so many calls of one app per period."),
        key("per_user", Kind::Rate, "none", "The same for one user through all apps."),
    ],
};

static ROUTE: Shape = Shape {
    keys: &[
        key("method", Kind::Text, "", "`GET`; or use `methods`."),
        key("methods", Kind::Texts, "", "Several methods that need the same."),
        key(
            "path",
            Kind::Text,
            REQUIRED,
            "The whole path as callers write it, with `{name}` for one segment and `{*rest}` for \
             all that follow: `/api/v4/orders/{id}`.",
        ),
        key(
            "scopes",
            Kind::Texts,
            "",
            "All of these are needed. `[]`: any valid token of this API.",
        ),
        key("any_of", Kind::TextGroups, "", "Or: all of one of these groups."),
        key("public", Kind::Switch, "`false`", "No token is needed."),
        key(
            "family",
            Kind::Text,
            "first segment behind the prefix",
            "What “connected apps” calls the group of routes.",
        ),
    ],
};
