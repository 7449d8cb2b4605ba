//! A person's own account: made, looked after, and got back when the password is forgotten.

use serde::Serialize;

use super::{Layout, Moment, View};

/// `GET /account`.
///
/// | form `name`/`id` | POST | fields |
/// |---|---|---|
/// | `email-form` | `/account/email` | `email`, `password` |
/// | `language` | `/account/language` | `language` |
/// | `end-session-ID` (name `end-session`) | `/account/sessions/end` | hidden `session` |
/// | `end-sessions` | `/account/sessions/end-all` | the buttons' `which`: `others` or `all` |
#[derive(Clone, Debug, Serialize)]
pub struct AccountSettings {
    pub layout: Layout,
    pub name: String,
    pub email: String,
    pub is_verified: bool,
    /// Without it an address cannot be changed or confirmed.
    pub sends_mail: bool,
    /// `false`: people sign in elsewhere.
    pub has_password: bool,
    pub email_form: EmailForm,
    pub languages: Vec<LanguageChoice>,
    pub sessions: Vec<SessionCard>,
}

/// What was typed for another address, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EmailForm {
    pub email: String,
    pub email_error: Option<String>,
    pub password_error: Option<String>,
    pub wait: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LanguageChoice {
    pub code: String,
    pub name: String,
    pub is_chosen: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct SessionCard {
    pub id: String,
    pub is_current: bool,
    /// “Firefox on Linux”, or empty.
    pub browser: String,
    pub address: String,
    pub signed_in_at: Moment,
    pub seen_at: Moment,
}

impl View for AccountSettings {
    const TEMPLATE: &'static str = "account.html";

    fn sample() -> Vec<Self> {
        let session = |id: &str, browser: &str, is_current| SessionCard {
            id: id.into(),
            is_current,
            browser: browser.into(),
            address: "203.0.113.7".into(),
            signed_in_at: Moment::sample("2026-04-01T09:00:00Z", "1 day ago"),
            seen_at: Moment::sample("2026-04-02T08:55:00Z", "5 minutes ago"),
        };
        let language = |code: &str, name: &str, is_chosen| LanguageChoice {
            code: code.into(),
            name: name.into(),
            is_chosen,
        };
        let good = Self {
            layout: Layout::sample(),
            name: "Alice Moreau".into(),
            email: "alice@example.com".into(),
            is_verified: true,
            sends_mail: true,
            has_password: true,
            email_form: EmailForm::default(),
            languages: vec![language("en", "English", false), language("de", "Deutsch", true)],
            sessions: vec![
                session("00aa", "Firefox on Linux", true),
                session("00bb", "", false),
                session("00cc", "Safari on iPhone", false),
            ],
        };
        let wrong = EmailForm {
            email: "alice(at)example.com".into(),
            email_error: Some("That is not an e-mail address.".into()),
            password_error: Some("That is not your password.".into()),
            wait: None,
        };
        let throttled = EmailForm { wait: Some("5 seconds".into()), ..EmailForm::default() };
        vec![
            good.clone(),
            Self { is_verified: false, email_form: wrong, ..good.clone() },
            Self { is_verified: false, email_form: throttled, ..good.clone() },
            Self {
                is_verified: false,
                sends_mail: false,
                has_password: false,
                sessions: good.sessions.iter().take(1).cloned().collect(),
                ..good
            },
        ]
    }
}

/// `GET /account/password`. The form `change-password` posts `current_password` and
/// `new_password`.
#[derive(Clone, Debug, Serialize)]
pub struct ChangePassword {
    pub layout: Layout,
    /// For password managers.
    pub email: String,
    pub has_password: bool,
    pub current_error: Option<String>,
    pub new_error: Option<String>,
    pub wait: Option<String>,
}

impl View for ChangePassword {
    const TEMPLATE: &'static str = "change_password.html";

    fn sample() -> Vec<Self> {
        let plain = Self {
            layout: Layout::sample(),
            email: "alice@example.com".into(),
            has_password: true,
            current_error: None,
            new_error: None,
            wait: None,
        };
        let wrong = Self {
            current_error: Some("That is not your password.".into()),
            new_error: Some("This password is on lists that attackers try first.".into()),
            ..plain.clone()
        };
        let throttled = Self { wait: Some("5 seconds".into()), ..plain.clone() };
        vec![plain.clone(), wrong, throttled, Self { has_password: false, ..plain }]
    }
}

/// `GET /forgotten-password`. The form `forgotten` posts `email`.
#[derive(Clone, Debug, Serialize)]
pub struct ForgottenPassword {
    pub layout: Layout,
    /// Without mail there is no form, but the advice to ask the operator.
    pub sends_mail: bool,
    pub email: String,
    pub error: Option<String>,
    pub wait: Option<String>,
}

impl View for ForgottenPassword {
    const TEMPLATE: &'static str = "forgotten_password.html";

    fn sample() -> Vec<Self> {
        let plain = Self {
            layout: Layout::signed_out("csrf-sample"),
            sends_mail: true,
            email: String::new(),
            error: None,
            wait: None,
        };
        let wrong = Self {
            email: "alice".into(),
            error: Some("That is not an e-mail address.".into()),
            ..plain.clone()
        };
        let throttled = Self { wait: Some("15 minutes".into()), ..plain.clone() };
        vec![plain.clone(), wrong, throttled, Self { sends_mail: false, ..plain }]
    }
}

/// The answer to every form that has a message sent, whether it is or not.
#[derive(Clone, Debug, Serialize)]
pub struct MailSent {
    pub layout: Layout,
    pub email: String,
    /// `reset`, `sign_up` or `address`.
    pub what: &'static str,
}

impl View for MailSent {
    const TEMPLATE: &'static str = "mail_sent.html";

    fn sample() -> Vec<Self> {
        let one = |what| Self {
            layout: Layout::signed_out("csrf-sample"),
            email: "alice@example.com".into(),
            what,
        };
        vec![one("reset"), one("sign_up"), Self { layout: Layout::sample(), ..one("address") }]
    }
}

/// A reset link in a browser that did not ask for it. The form `confirm` posts `link`.
#[derive(Clone, Debug, Serialize)]
pub struct ConfirmReset {
    pub layout: Layout,
    pub link: String,
    pub asked_at: Moment,
    pub address: String,
    /// Perhaps empty.
    pub browser: String,
}

impl View for ConfirmReset {
    const TEMPLATE: &'static str = "confirm_reset.html";

    fn sample() -> Vec<Self> {
        let one = Self {
            layout: Layout::signed_out("csrf-sample"),
            link: "cs_ml_sample".into(),
            asked_at: Moment::sample("2026-04-02T08:55:00Z", "5 minutes ago"),
            address: "203.0.113.7".into(),
            browser: "Firefox on Linux".into(),
        };
        vec![one.clone(), Self { browser: String::new(), ..one }]
    }
}

/// `GET /reset-password?link=…`. The form `reset` posts `link` and `password`.
#[derive(Clone, Debug, Serialize)]
pub struct ResetPassword {
    pub layout: Layout,
    pub link: String,
    pub error: Option<String>,
}

impl View for ResetPassword {
    const TEMPLATE: &'static str = "reset_password.html";

    fn sample() -> Vec<Self> {
        let plain = Self {
            layout: Layout::signed_out("csrf-sample"),
            link: "cs_ml_sample".into(),
            error: None,
        };
        let wrong =
            Self { error: Some("A password has at least 8 characters.".into()), ..plain.clone() };
        vec![plain, wrong]
    }
}

/// `GET /sign-up`. The form `sign-up` posts `name`, `email` and `password`.
#[derive(Clone, Debug, Serialize)]
pub struct SignUp {
    pub layout: Layout,
    pub name: String,
    pub email: String,
    pub name_error: Option<String>,
    pub email_error: Option<String>,
    pub password_error: Option<String>,
    pub wait: Option<String>,
}

impl View for SignUp {
    const TEMPLATE: &'static str = "sign_up.html";

    fn sample() -> Vec<Self> {
        let plain = Self {
            layout: Layout::signed_out("csrf-sample"),
            name: String::new(),
            email: String::new(),
            name_error: None,
            email_error: None,
            password_error: None,
            wait: None,
        };
        let wrong = Self {
            name_error: Some("Tell us a name, of at most 100 characters.".into()),
            email: "alice".into(),
            email_error: Some("That is not an e-mail address.".into()),
            password_error: Some("A password has at least 8 characters.".into()),
            ..plain.clone()
        };
        let throttled = Self { wait: Some("15 minutes".into()), ..plain.clone() };
        vec![plain, wrong, throttled]
    }
}

/// `GET /sign-up/finish?link=…`. The form `finish` posts `link`, and `password` in a browser that
/// did not ask.
#[derive(Clone, Debug, Serialize)]
pub struct FinishSignUp {
    pub layout: Layout,
    pub link: String,
    pub name: String,
    pub email: String,
    pub asks_password: bool,
    pub error: Option<String>,
    pub wait: Option<String>,
}

impl View for FinishSignUp {
    const TEMPLATE: &'static str = "finish_sign_up.html";

    fn sample() -> Vec<Self> {
        let plain = Self {
            layout: Layout::signed_out("csrf-sample"),
            link: "cs_ml_sample".into(),
            name: "Alice Moreau".into(),
            email: "alice@example.com".into(),
            asks_password: false,
            error: None,
            wait: None,
        };
        let elsewhere = Self { asks_password: true, ..plain.clone() };
        let wrong = Self { error: Some("That is not your password.".into()), ..elsewhere.clone() };
        let throttled = Self { wait: Some("5 seconds".into()), ..elsewhere.clone() };
        vec![plain, elsewhere, wrong, throttled]
    }
}

/// `GET /account/email/confirm?link=…`. The form `confirm` posts `link`.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyAddress {
    pub layout: Layout,
    pub link: String,
    pub email: String,
    /// The account is known by another one so far.
    pub is_new: bool,
}

impl View for VerifyAddress {
    const TEMPLATE: &'static str = "verify_address.html";

    fn sample() -> Vec<Self> {
        let one = |is_new| Self {
            layout: Layout::sample(),
            link: "cs_ml_sample".into(),
            email: "alice@example.com".into(),
            is_new,
        };
        vec![one(false), one(true)]
    }
}
