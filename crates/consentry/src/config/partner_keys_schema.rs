//! The keys of `[partner_keys]`.

use super::schema::{Kind, REQUIRED, Shape, key};

pub(super) static PARTNER_KEYS: Shape = Shape {
    keys: &[
        key(
            "create_scope",
            Kind::Text,
            "`apikeys.create`",
            "The scope by which an app asks a user for a key. Declare it with [[scope]].",
        ),
        key(
            "read_scope",
            Kind::Text,
            "`apikeys.read`",
            "The scope by which an app learns about its key, and gets its secret once.",
        ),
        key("delete_scope", Kind::Text, "`apikeys.delete`", "The scope by which it deletes it."),
        key(
            "access_token",
            Kind::Duration,
            "`4h`",
            "Of an access token that comes with a key. There is no refresh token with it.",
        ),
        key(
            "group",
            Kind::Sections(&KEY_GROUP),
            "",
            "Permissions that users think of together. An app is offered those endpoints for \
             whose routes it is approved.",
        ),
    ],
};

static KEY_GROUP: Shape = Shape {
    keys: &[
        key("name", Kind::Text, REQUIRED, "For programs; keep it. Small letters, digits, `-_.`."),
        key("title", Kind::Text, REQUIRED, "What users read, in the language of the pages."),
        key("translation", Kind::Sections(&TRANSLATION), "", "The title in another language."),
        key(
            "money",
            Kind::Switch,
            "`false`",
            "It moves money: the consent page warns and wants a second yes.",
        ),
        key(
            "endpoints",
            Kind::Texts,
            REQUIRED,
            "Paths of routes, exactly as the routes have them, each in one group. A permission is \
             for all methods of its path.",
        ),
    ],
};

static TRANSLATION: Shape = Shape {
    keys: &[
        key("language", Kind::Text, REQUIRED, "`de`, or `pt-BR`."),
        key("text", Kind::Text, REQUIRED, "The text in it."),
    ],
};
