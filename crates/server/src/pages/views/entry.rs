//! The way in and out: home, sign-in, signed out.

use serde::Serialize;

use super::{Account, Flash, Layout, PasskeyQuestion, Roles, View};

/// `GET /`: what this provider is. Signed in or not follows from `layout.account`.
#[derive(Clone, Debug, Serialize)]
pub struct Home {
    pub layout: Layout,
    /// Apps the signed-in user has let in.
    pub connected_count: u64,
    /// Apps the signed-in developer has registered.
    pub app_count: u64,
    /// Apps waiting for a reviewer; shown to staff.
    pub review_count: u64,
    /// Where the API's own documentation is, if anywhere.
    pub docs_url: Option<String>,
}

impl View for Home {
    const TEMPLATE: &'static str = "home.html";

    fn sample() -> Vec<Self> {
        let stranger = Self {
            layout: Layout::signed_out("csrf-sample"),
            connected_count: 0,
            app_count: 0,
            review_count: 0,
            docs_url: None,
        };
        let developer = Self {
            layout: Layout::sample(),
            connected_count: 3,
            app_count: 1,
            review_count: 0,
            docs_url: Some("https://docs.example.com/".into()),
        };
        let staff = Self { layout: Layout::staff_sample(), review_count: 4, ..stranger.clone() };
        vec![stranger, developer, staff]
    }
}

/// `GET /sign-in`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `sign-in` | POST `action` | `email`, `password`, hidden `continue`, hidden `csrf` |
/// | `passkey` | POST `/sign-in/passkey` | hidden `continue`, `csrf`, `passkey`, and the answer |
///
/// The form is there only if `password` is; links to other systems have the class `choice-link`.
///
/// Input ids: `email`, `password`; the button is `submit`; an error is `#sign-in-error`, a
/// waiting time `#sign-in-wait`. `error` must be the same text whichever of the two was wrong.
#[derive(Clone, Debug, Serialize)]
pub struct SignIn {
    pub layout: Layout,
    pub action: String,
    /// Passwords are asked here.
    pub password: bool,
    /// Other systems that sign users in.
    pub choices: Vec<SignInChoice>,
    /// Where to go on after signing in (the field `continue`).
    #[serde(rename = "continue")]
    pub continue_to: String,
    /// The name of the app that sent the user here.
    pub app_name: Option<String>,
    /// For signing in without a password; `None`: this site can have no passkeys.
    pub passkey: Option<PasskeyQuestion>,
    /// `login_hint`, or what was typed before an error.
    pub email: String,
    pub error: Option<String>,
    /// Too many attempts: how long to wait, in words ("2 minutes"). The button stays usable,
    /// because only the server knows when the time is over.
    pub wait: Option<String>,
    /// Whether people make accounts themselves.
    pub can_sign_up: bool,
}

impl View for SignIn {
    const TEMPLATE: &'static str = "sign_in.html";

    fn sample() -> Vec<Self> {
        let plain = Self {
            layout: Layout::signed_out("csrf-sample"),
            action: "/sign-in".into(),
            password: true,
            choices: Vec::new(),
            continue_to: "/connected".into(),
            app_name: None,
            passkey: Some(PasskeyQuestion::sample(&[])),
            email: String::new(),
            error: None,
            wait: None,
            can_sign_up: false,
        };
        let wrong = Self {
            continue_to: "/authorize?client_id=trading-bot&state=s".into(),
            app_name: Some("Trading Bot".into()),
            email: "alice@example.com".into(),
            error: Some("That e-mail address and password do not match an account here.".into()),
            can_sign_up: true,
            ..plain.clone()
        };
        let throttled =
            Self { passkey: None, error: None, wait: Some("2 minutes".into()), ..wrong.clone() };
        let choice = |title: &str, name: &str| SignInChoice {
            title: title.into(),
            link: format!("/sign-in/with/{name}?continue=%2Fconnected"),
        };
        let choices = vec![choice("Harbor account", "harbor"), choice("Company login", "company")];
        let both = Self { app_name: Some("Trading Bot".into()), choices, ..plain.clone() };
        let handed_off = Self {
            password: false,
            choices: vec![choice("Harbor account", "harbor")],
            error: Some("Harbor account did not sign you in. You can try again.".into()),
            ..plain.clone()
        };
        vec![plain, wrong, throttled, both, handed_off]
    }
}

/// Another system, and the address that leads to it.
#[derive(Clone, Debug, Serialize)]
pub struct SignInChoice {
    pub title: String,
    pub link: String,
}

/// The answer to signing out.
#[derive(Clone, Debug, Serialize)]
pub struct SignedOut {
    pub layout: Layout,
    /// Where the user may still be signed in.
    pub elsewhere: Option<SignInChoice>,
}

impl View for SignedOut {
    const TEMPLATE: &'static str = "signed_out.html";

    fn sample() -> Vec<Self> {
        let account = Account { name: "Bob".into(), email: "bob@example.com".into() };
        let still_in = Layout::signed_in(account, Roles::default(), "csrf-sample")
            .with_flash(Some(Flash::problem("Your other session is still open.")));
        let title = "Harbor account".into();
        let elsewhere = SignInChoice { title, link: "https://login.example.com/out".into() };
        vec![
            Self { layout: Layout::signed_out("csrf-sample"), elsewhere: Some(elsewhere) },
            Self { layout: still_in, elsewhere: None },
        ]
    }
}
