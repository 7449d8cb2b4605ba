//! The keys of `[review]`.

use super::schema::{Kind, REQUIRED, Shape, key};

pub(super) static REVIEW: Shape = Shape {
    keys: &[
        key(
            "fields",
            Kind::Texts,
            "`[\"name\", \"redirect_uris\", \"logo\"]`",
            "What else of a live app waits for staff when its developer changes it, besides \
             scopes: `name`, `description`, `homepage`, `privacy_url`, `terms_url`, \
             `redirect_uris`, `logo`. The approved state stays live meanwhile; everything that is \
             not listed holds at once. An address or a logo that is taken away needs no review.",
        ),
        key(
            "mail",
            Kind::Texts,
            "`[]`",
            "Addresses that get a message when an app or a change waits for review, and when a \
             developer writes.",
        ),
        key(
            "tiers",
            Kind::Texts,
            "`[\"low\", \"sensitive\", \"high\"]`",
            "Scopes of which tiers wait for staff. Others are approved at once, and the consent \
             page says that nobody looked. A new app that asks for nothing else is live at once, \
             marked as not reviewed.",
        ),
        key(
            "again_after",
            Kind::Duration,
            "never",
            "So long after the last decision a live app comes back to the queue as due again. It \
             stays live.",
        ),
        key(
            "unused_after",
            Kind::Duration,
            "never",
            "When nobody let an app in and nobody called through it for so long, its developer \
             gets a message; after the same time again it is retired: its calls are refused until \
             the developer wakes it up.",
        ),
        key(
            "reports_max",
            Kind::Number,
            "`3`",
            "More reports of users than this are marked as many in the queue.",
        ),
        key(
            "answers",
            Kind::Sections(&ANSWERS),
            "",
            "A text that staff insert into notes and messages.",
        ),
    ],
};

static ANSWERS: Shape = Shape {
    keys: &[
        key("title", Kind::Text, REQUIRED, "What staff choose it by."),
        key("text", Kind::Text, REQUIRED, "What is inserted."),
    ],
};
