//! Second factors: asked for, set up, listed; and the codes on paper.

use serde::Serialize;

use super::{FormField, Layout, Moment, SignInChoice, View};
use crate::pages::qr::Qr;

/// What a passkey is asked. A script hands it to the browser and fills in the form; without one,
/// the form stays hidden.
#[derive(Clone, Debug, Serialize)]
pub struct PasskeyQuestion {
    /// The sealed question (the field `passkey`).
    pub state: String,
    pub challenge: String,
    pub rp_id: String,
    /// Ids of the passkeys that may answer, in base64url; empty: any of this site.
    pub credentials: Vec<String>,
}

impl PasskeyQuestion {
    pub(super) fn sample(credentials: &[&str]) -> Self {
        Self {
            state: "sealed-question".into(),
            challenge: "Y2hhbGxlbmdl".into(),
            rp_id: "auth.example.com".into(),
            credentials: credentials.iter().map(|id| (*id).to_owned()).collect(),
        }
    }
}

/// The second step of signing in, and `GET /step-up`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `second-factor` | POST `action` | `code`, `hidden`, hidden `csrf` |
/// | `passkey` | POST `action` | `hidden`, hidden `csrf`, `passkey`, and the answer |
///
/// An error is `#second-factor-error`, a waiting time `#second-factor-wait`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SecondFactor {
    pub layout: Layout,
    pub action: String,
    /// What both forms carry.
    pub hidden: Vec<FormField>,
    /// The app that the user is on the way to.
    pub app_name: Option<String>,
    /// After the password; else the user is signed in and about to do something.
    pub is_sign_in: bool,
    /// Nothing but a passkey is enough.
    pub wants_passkey: bool,
    /// Of an authenticator app, or a recovery code.
    pub takes_code: bool,
    /// There is an authenticator app; else codes are recovery codes.
    pub has_app: bool,
    pub passkey: Option<PasskeyQuestion>,
    /// The system that signs the user in, which asks itself.
    pub elsewhere: Option<SignInChoice>,
    /// There is nothing that could be asked for: the query of the pages that set one up.
    pub set_up: Option<String>,
    /// This site can have passkeys.
    pub offers_passkeys: bool,
    /// Back to the app, without.
    pub cancel_url: Option<String>,
    pub error: Option<String>,
    pub wait: Option<String>,
}

impl View for SecondFactor {
    const TEMPLATE: &'static str = "second_factor.html";

    fn sample() -> Vec<Self> {
        let field = |name: &str| FormField { name: name.into(), value: "sealed".into() };
        let sign_in = Self {
            layout: Layout::signed_out("csrf-sample"),
            action: "/sign-in/second-factor".into(),
            hidden: vec![field("continue"), field("half_way")],
            app_name: Some("Trading Bot".into()),
            is_sign_in: true,
            takes_code: true,
            has_app: true,
            passkey: Some(PasskeyQuestion::sample(&["Y3JlZA"])),
            ..Self::default()
        };
        let step_up = Self {
            layout: Layout::sample(),
            action: "/step-up".into(),
            hidden: vec![field("continue")],
            is_sign_in: false,
            passkey: None,
            cancel_url: Some("/oauth/authorize/continue?request=sealed".into()),
            ..sign_in.clone()
        };
        let wrong = Self { error: Some("That code is not right.".into()), ..step_up.clone() };
        let waiting = Self { wait: Some("2 minutes".into()), app_name: None, ..sign_in.clone() };
        let paper = Self { has_app: false, cancel_url: None, ..step_up.clone() };
        let none = Self {
            takes_code: false,
            has_app: false,
            set_up: Some("continue=%2Fconnected".into()),
            offers_passkeys: true,
            ..step_up.clone()
        };
        let link = "/sign-in/with/harbor?continue=%2F&second_factor=yes".into();
        let elsewhere = Some(SignInChoice { title: "Harbor account".into(), link });
        let handed_off = Self { set_up: None, elsewhere, ..none.clone() };
        let only_passkey = Self { wants_passkey: true, ..none.clone() };
        let with_passkey = Self {
            set_up: None,
            passkey: Some(PasskeyQuestion::sample(&["Y3JlZA", "b3RoZXI"])),
            ..only_passkey.clone()
        };
        let nowhere = Self { offers_passkeys: false, ..only_passkey.clone() };
        let without_app = Self { app_name: None, cancel_url: None, ..none.clone() };
        vec![
            sign_in,
            step_up,
            wrong,
            waiting,
            paper,
            none,
            handed_off,
            only_passkey,
            nowhere,
            with_passkey,
            without_app,
        ]
    }
}

/// `GET /security`
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `remove-factor`/`remove-ID` | POST `/security/remove` | hidden `factor`, hidden `csrf` |
/// | `new-codes` | POST `/security/recovery-codes` | hidden `csrf` |
#[derive(Clone, Debug, Serialize)]
pub struct Security {
    pub layout: Layout,
    pub apps: Vec<Factor>,
    pub passkeys: Vec<Factor>,
    /// Codes on paper that were not used.
    pub codes_left: u64,
    /// This site can have passkeys.
    pub offers_passkeys: bool,
}

/// An authenticator app or a passkey.
#[derive(Clone, Debug, Serialize)]
pub struct Factor {
    pub id: String,
    pub name: String,
    pub added_at: Moment,
    pub last_used_at: Option<Moment>,
}

impl View for Security {
    const TEMPLATE: &'static str = "security.html";

    fn sample() -> Vec<Self> {
        let factor = |id: &str, name: &str, used: bool| Factor {
            id: id.into(),
            name: name.into(),
            added_at: Moment::sample("2026-03-12T09:00:00Z", "12 March 2026"),
            last_used_at: used.then(|| Moment::sample("2026-04-02T09:00:00Z", "3 hours ago")),
        };
        let nothing = Self {
            layout: Layout::sample(),
            apps: Vec::new(),
            passkeys: Vec::new(),
            codes_left: 0,
            offers_passkeys: true,
        };
        let all = Self {
            apps: vec![factor("1a", "Phone", true), factor("1b", "Old phone", false)],
            passkeys: vec![factor("2a", "Laptop", true)],
            codes_left: 8,
            ..nothing.clone()
        };
        let few = Self { codes_left: 1, offers_passkeys: false, ..all.clone() };
        let no_codes = Self { codes_left: 0, passkeys: Vec::new(), ..all.clone() };
        vec![nothing, all, few, no_codes]
    }
}

/// `GET /security/app`: set up an authenticator app.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `add-app` | POST `/security/app` | `name`, `code`, hidden `new`, `continue`, `csrf` |
#[derive(Clone, Debug, Serialize)]
pub struct AddApp {
    pub layout: Layout,
    pub qr: Option<Qr>,
    /// In groups of four, for whoever cannot scan.
    pub secret: String,
    /// The sealed secret (the field `new`).
    pub state: String,
    /// Where to go on afterwards (the field `continue`).
    #[serde(rename = "continue")]
    pub continue_to: String,
    pub name: String,
    pub name_error: Option<String>,
    pub code_error: Option<String>,
}

impl View for AddApp {
    const TEMPLATE: &'static str = "add_app.html";

    fn sample() -> Vec<Self> {
        let empty = Self {
            layout: Layout::sample(),
            qr: Qr::of("otpauth://totp/Example:alice%40example.com?secret=JBSWY3DPEHPK3PXP"),
            secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP".into(),
            state: "sealed-secret".into(),
            continue_to: "/security".into(),
            name: "Authenticator app".into(),
            name_error: None,
            code_error: None,
        };
        let wrong = Self {
            qr: None,
            name_error: Some("Give it a name.".into()),
            code_error: Some("That is not the code that the app shows now.".into()),
            ..empty.clone()
        };
        vec![empty, wrong]
    }
}

/// `GET /security/passkey`: make a passkey. The script fills in what the device answers.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `add-passkey` | POST | `name`, hidden `passkey`, `continue`, `csrf`, and the answer |
#[derive(Clone, Debug, Serialize)]
pub struct AddPasskey {
    pub layout: Layout,
    /// The ids are those of passkeys that the user has already.
    pub question: PasskeyQuestion,
    /// The account's id, in base64url.
    pub user_id: String,
    /// COSE numbers of the kinds of keys that we take.
    pub algorithms: String,
    #[serde(rename = "continue")]
    pub continue_to: String,
    pub name: String,
    pub name_error: Option<String>,
    pub error: Option<String>,
}

impl View for AddPasskey {
    const TEMPLATE: &'static str = "add_passkey.html";

    fn sample() -> Vec<Self> {
        let empty = Self {
            layout: Layout::sample(),
            question: PasskeyQuestion::sample(&[]),
            user_id: "dXNlcg".into(),
            algorithms: "-7 -8 -257".into(),
            continue_to: "/security".into(),
            name: "This device".into(),
            name_error: None,
            error: None,
        };
        let wrong = Self {
            name_error: Some("Give it a name.".into()),
            error: Some("That passkey is here already.".into()),
            ..empty.clone()
        };
        vec![empty, wrong]
    }
}

/// Recovery codes, once. They are kept as hashes only.
#[derive(Clone, Debug, Serialize)]
pub struct RecoveryCodes {
    pub layout: Layout,
    pub codes: Vec<String>,
    /// The first ones came with the first factor, of this name.
    pub added: Option<String>,
    #[serde(rename = "continue")]
    pub continue_to: String,
}

impl View for RecoveryCodes {
    const TEMPLATE: &'static str = "recovery_codes.html";

    fn sample() -> Vec<Self> {
        let codes = ["BCDF-GHJK-LMNP", "QRST-VWXZ-BCDF", "GHJK-LMNP-QRST"];
        let again = Self {
            layout: Layout::sample(),
            codes: codes.map(str::to_owned).to_vec(),
            added: None,
            continue_to: "/security".into(),
        };
        vec![Self { added: Some("Phone".into()), ..again.clone() }, again]
    }
}
