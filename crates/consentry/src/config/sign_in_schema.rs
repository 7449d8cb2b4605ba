//! The keys of `[sign_in]`.

use super::schema::{Kind, REQUIRED, Shape, key};

pub(super) static SIGN_IN: Shape = Shape {
    keys: &[
        key(
            "password",
            Kind::Switch,
            "true",
            "Users may sign in with an e-mail address and a password that Consentry keeps. With \
             `false` and one provider, they are sent straight there.",
        ),
        key(
            "provider",
            Kind::Sections(&PROVIDER),
            "",
            "Another system that signs users in: see [Sign-in](sign-in.md).",
        ),
    ],
};

static PROVIDER: Shape = Shape {
    keys: &[
        key(
            "name",
            Kind::Text,
            REQUIRED,
            "In our addresses, such as `/sign-in/with/NAME`: lower-case letters, digits and `-`.",
        ),
        key("title", Kind::Text, "the name", "On the button: “Continue with TITLE”."),
        key(
            "kind",
            Kind::Choice(&["oidc", "signed-redirect"]),
            "`oidc`",
            "An OpenID provider, or a login page that answers with a signed return.",
        ),
        key(
            "issuer",
            Kind::Text,
            REQUIRED,
            "Who vouches for the users. `oidc`: the provider's issuer, under which its discovery \
             document is; https, or plain http to this machine itself. `signed-redirect`: the \
             `iss` of the returns. Users are known by it and their `sub`: changing it makes \
             strangers of them.",
        ),
        key("client_id", Kind::Text, "–", "`oidc`: our client id there."),
        key("client_secret", Kind::Text, "–", "`oidc`: our secret there, if we have one."),
        key("client_secret_file", Kind::Path, "–", "A file with that secret."),
        key(
            "scopes",
            Kind::Texts,
            "`[\"openid\", \"email\", \"profile\"]`",
            "`oidc`: what is asked for.",
        ),
        key("login_url", Kind::Text, "–", "`signed-redirect`: the login page; https."),
        key(
            "key",
            Kind::Text,
            "–",
            "`signed-redirect`: the secret under which both sides sign, of at least 32 characters.",
        ),
        key("key_file", Kind::Path, "–", "A file with that secret."),
        key(
            "new_accounts",
            Kind::Switch,
            "true",
            "Whoever comes for the first time, with a verified address, gets an account.",
        ),
        key(
            "link_accounts",
            Kind::Switch,
            "false",
            "Whoever comes for the first time gets the account that has their address, if both \
             sides have verified it. Only for a system whose addresses you trust.",
        ),
        key(
            "emails_verified",
            Kind::Switch,
            "false",
            "The system verifies every address, also where it does not say `email_verified`.",
        ),
        key(
            "second_factor_acr",
            Kind::Texts,
            "`[]`",
            "Values of `acr` that mean a second factor. They are asked for in `acr_values`.",
        ),
        key(
            "second_factor_amr",
            Kind::Texts,
            "`[\"mfa\"]`",
            "Values of `amr` that mean a second factor.",
        ),
        key(
            "step_up",
            Kind::Switch,
            "false",
            "It can be asked for a second factor (`acr_values`, `max_age=0`, `prompt=login`): its \
             users give theirs there, and none here.",
        ),
        key(
            "sign_out_url",
            Kind::Text,
            "–",
            "Where users sign out of it; shown after signing out here.",
        ),
    ],
};
