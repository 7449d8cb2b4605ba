//! The keys of `[[webhooks]]`.

use super::schema::{Kind, REQUIRED, Shape, key};

pub(super) static WEBHOOKS: Shape = Shape {
    keys: &[
        key(
            "name",
            Kind::Text,
            REQUIRED,
            "For you and the log. What waits belongs to the name: with another one it is gone.",
        ),
        key(
            "url",
            Kind::Text,
            REQUIRED,
            "Where the events go: https, or plain http to this machine itself. It may be inside \
             your own network.",
        ),
        key(
            "secret",
            Kind::Text,
            "–",
            "What messages are signed with: `whsec_` and base64 of 24 to 64 bytes. Better in \
             `secret_file`.",
        ),
        key("secret_file", Kind::Path, "–", "A file with that secret."),
        key(
            "events",
            Kind::Texts,
            REQUIRED,
            "Of what to hear: `app.submitted`, `app.reported`, `app.suspended`, `app.resumed`, \
             `plan.decided`, `perk.decided`.",
        ),
    ],
};
