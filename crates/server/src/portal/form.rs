//! What a developer typed about an app, and what is wrong with it. Pure: the same rules hold for
//! the pages, the command line and the demo.

use std::net::IpAddr;
use std::sync::Arc;

use domain::app::{AppKind, ScopeRequest};
use domain::id::LogoId;
use domain::look_alike;
use domain::policy::Policy;
use domain::revision::Revision;
use ipnet::IpNet;
use protocol::dialect::Dialect;
use protocol::params::{Duplicate, Params};
use protocol::redirect_uri::RedirectUri;
use protocol::scope::{ScopeName, ScopeSet};
use url::Url;

use crate::display;
use crate::pages::views::{self, AppForm, AppFormErrors, DialectChoice, LineError, ScopeChoice};

/// In characters.
pub const NAME_MIN: usize = 3;
pub const NAME_MAX: usize = 60;
const DESCRIPTION_MAX: usize = 500;
const PURPOSE_MAX: usize = 200;
/// In bytes.
const URL_MAX: usize = 2000;
pub const REDIRECT_URIS_MAX: usize = 20;
const ADDRESSES_MAX: usize = 100;

/// What users and reviewers read about an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub name: String,
    pub description: String,
    pub homepage: Option<String>,
    pub privacy_url: Option<String>,
    pub terms_url: Option<String>,
}

impl About {
    /// With what other forms say.
    pub fn revision(self, redirect_uris: Vec<RedirectUri>, logo: Option<LogoId>) -> Revision {
        let Self { name, description, homepage, privacy_url, terms_url } = self;
        Revision { name, description, homepage, privacy_url, terms_url, redirect_uris, logo }
    }
}

/// Everything that a new app says about itself.
#[derive(Clone, Debug)]
pub struct Draft {
    pub about: About,
    pub kind: AppKind,
    /// The dialect it speaks besides the standard.
    pub dialect: Option<String>,
    pub redirect_uris: Vec<RedirectUri>,
    pub requested: Vec<ScopeRequest>,
}

/// Read the fields of the form `new-app`, right or wrong, to be shown again.
pub fn read(params: &Params, offered: Vec<ScopeChoice>) -> Result<AppForm, Duplicate> {
    let text = |name: &str| params.one(name).map(|value| value.unwrap_or_default().to_owned());
    Ok(AppForm {
        name: text("name")?,
        kind: parse_kind(&text("kind")?).map_or(views::AppKind::Web, display::app_kind),
        wire: params.one("wire")?.unwrap_or(views::STANDARD).to_owned(),
        redirect_uris: text("redirect_uris")?,
        addresses: text("addresses")?,
        homepage: text("homepage")?,
        description: text("description")?,
        privacy_url: text("privacy_url")?,
        terms_url: text("terms_url")?,
        scopes: read_scopes(params, offered)?,
    })
}

/// The checklist with what was ticked and typed.
pub fn read_scopes(
    params: &Params,
    offered: Vec<ScopeChoice>,
) -> Result<Vec<ScopeChoice>, Duplicate> {
    let ticked: Vec<_> = params.all("scope").collect();
    let read_one = |choice: ScopeChoice| {
        let purpose = params.one(&format!("purpose.{}", choice.id))?.unwrap_or_default();
        Ok(ScopeChoice {
            ticked: ticked.contains(&choice.id.as_str()),
            purpose: purpose.trim().to_owned(),
            required: params.one(&format!("required.{}", choice.id))? == Some("yes"),
            ..choice
        })
    };
    offered.into_iter().map(read_one).collect()
}

/// The scopes of `policy` without those of `besides`, unticked.
pub fn offered_scopes(policy: &Policy, besides: &ScopeSet) -> Vec<ScopeChoice> {
    let rest = policy.scopes.values().filter(|scope| !besides.contains(scope.name.as_str()));
    rest.map(|definition| {
        let words = display::scope_words(definition);
        ScopeChoice {
            id: definition.name.to_string(),
            kind: words.kind,
            tier: words.tier,
            text: words.text,
            ticked: false,
            purpose: String::new(),
            required: false,
            error: None,
        }
    })
    .collect()
}

/// Check the form `new-app`. What is wrong with a scope is written into `form`. `ours`: the name of
/// the provider.
pub fn check(
    form: &mut AppForm,
    kind_given: &str,
    policy: &Policy,
    ours: &str,
) -> Result<Draft, Box<AppFormErrors>> {
    let kind = parse_kind(kind_given);
    let (about, mut errors) = check_about(form);
    errors.name = errors.name.or_else(|| imitation_error(&about.name, ours));
    if kind.is_none() {
        errors.kind = Some("Choose what kind of app it is.".to_owned());
    }
    let kind = kind.unwrap_or(AppKind::Web);
    let dialect = check_wire(&form.wire, kind, policy, &mut errors);
    let uris = check_redirect_uris(kind, &form.redirect_uris, &mut errors);
    let requested = check_scopes(&mut form.scopes, &mut errors);
    match is_clean(&errors) {
        true => Ok(Draft { about, kind, dialect, redirect_uris: uris, requested }),
        false => Err(Box::new(errors)),
    }
}

pub fn is_clean(errors: &AppFormErrors) -> bool {
    let AppFormErrors {
        name,
        kind,
        wire,
        redirect_uris,
        redirect_lines,
        addresses,
        homepage,
        description,
        privacy_url,
        terms_url,
        scopes,
    } = errors;
    let fields = [
        name,
        kind,
        wire,
        redirect_uris,
        addresses,
        homepage,
        description,
        privacy_url,
        terms_url,
        scopes,
    ];
    fields.iter().all(|error| error.is_none()) && redirect_lines.is_empty()
}

/// The fields of the form `details`, trimmed, and what is wrong with them.
pub fn check_about(form: &AppForm) -> (About, AppFormErrors) {
    let about = About {
        name: form.name.trim().to_owned(),
        description: form.description.trim().replace("\r\n", "\n"),
        homepage: filled(&form.homepage),
        privacy_url: filled(&form.privacy_url),
        terms_url: filled(&form.terms_url),
    };
    let errors = AppFormErrors {
        name: name_error(&about.name).map(str::to_owned),
        description: description_error(&about.description).map(str::to_owned),
        homepage: about.homepage.as_deref().and_then(url_error).map(str::to_owned),
        privacy_url: about.privacy_url.as_deref().and_then(url_error).map(str::to_owned),
        terms_url: about.terms_url.as_deref().and_then(url_error).map(str::to_owned),
        ..AppFormErrors::default()
    };
    (about, errors)
}

/// Addresses and networks, one per line; blank lines are skipped. A network is its first address.
pub fn check_addresses(text: &str, errors: &mut AppFormErrors) -> Vec<IpNet> {
    let mut networks: Vec<IpNet> = Vec::new();
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.is_empty() {
            continue;
        }
        let single = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        match text.parse::<IpNet>().or_else(|_| single()) {
            Ok(network) => networks.push(network.trunc()),
            Err(_) => {
                errors.addresses.get_or_insert_with(|| {
                    format!(
                        "Line {line}, {text}: write an address (192.0.2.7) or a network \
                         (192.0.2.0/24)."
                    )
                });
            }
        }
    }
    networks.sort_unstable();
    networks.dedup();
    if networks.len() > ADDRESSES_MAX {
        errors.addresses = Some(format!("At most {ADDRESSES_MAX} lines. Use networks."));
    }
    networks
}

pub fn offered_dialects(policy: &Policy) -> Vec<DialectChoice> {
    let choice = |dialect: &Arc<Dialect>| DialectChoice {
        name: dialect.name.clone(),
        title: dialect.title.clone(),
    };
    policy.dialects.iter().map(choice).collect()
}

/// Why an app of `kind` cannot speak the dialect.
pub fn wire_error(dialect: &Dialect, kind: AppKind) -> Option<String> {
    let title = &dialect.title;
    match kind {
        AppKind::Web => None,
        AppKind::Service => Some(format!(
            "A service acts for itself, which the {title} format has no words for: take OAuth 2.1."
        )),
        AppKind::Device => Some(format!(
            "A device that has no browser takes OAuth 2.1; in the {title} format it is a web app."
        )),
        AppKind::Native | AppKind::SinglePage | AppKind::Agent if dialect.admits_public_apps() => {
            None
        }
        AppKind::Native | AppKind::SinglePage | AppKind::Agent => Some(format!(
            "An app of the {title} format proves itself by a secret: its kind is web, on users’ \
             devices too."
        )),
    }
}

fn check_wire(
    wire: &str,
    kind: AppKind,
    policy: &Policy,
    errors: &mut AppFormErrors,
) -> Option<String> {
    if wire == views::STANDARD {
        return None;
    }
    let dialect = policy.dialect(wire);
    errors.wire = match dialect {
        Some(dialect) => wire_error(dialect, kind),
        None => Some("Choose one of the formats.".to_owned()),
    };
    dialect.map(|dialect| dialect.name.clone())
}

/// One URI per line; blank lines are skipped.
pub fn check_redirect_uris(
    kind: AppKind,
    text: &str,
    errors: &mut AppFormErrors,
) -> Vec<RedirectUri> {
    let mut uris: Vec<RedirectUri> = Vec::new();
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    for (line, uri) in lines {
        let mut refuse = |reason: String| {
            errors.redirect_lines.push(LineError { line, uri: uri.to_owned(), reason });
        };
        match RedirectUri::register(kind.redirect_policy(), uri) {
            Ok(known) if uris.contains(&known) => refuse("this URI is listed twice.".to_owned()),
            Ok(new) => uris.push(new),
            Err(error) => refuse(format!("{error}.")),
        }
    }
    errors.redirect_uris = match (kind, uris.len() + errors.redirect_lines.len()) {
        (AppKind::Service | AppKind::Device, 0) => None,
        (AppKind::Service, _) => {
            Some("A service acts for itself and sends no user anywhere: leave this empty.".into())
        }
        (AppKind::Device, _) => Some("A device has no browser: leave this empty.".into()),
        (_, 0) => Some("Name at least one address that users come back to.".into()),
        (_, count) if count > REDIRECT_URIS_MAX => {
            Some(format!("At most {REDIRECT_URIS_MAX} redirect URIs."))
        }
        _ => None,
    };
    uris
}

/// The ticked scopes. Each needs its purpose: reviewers and users read it.
pub fn check_scopes(choices: &mut [ScopeChoice], errors: &mut AppFormErrors) -> Vec<ScopeRequest> {
    let mut requested = Vec::new();
    for choice in choices.iter_mut().filter(|choice| choice.ticked) {
        choice.error = purpose_error(&choice.purpose).map(str::to_owned);
        if let (Ok(scope), None) = (ScopeName::parse(&choice.id), &choice.error) {
            let purpose = choice.purpose.clone();
            requested.push(ScopeRequest { scope, purpose, required: choice.required });
        }
    }
    if choices.iter().any(|choice| choice.error.is_some()) {
        errors.scopes = Some("Say for each scope what the app needs it for.".to_owned());
    }
    requested
}

pub fn parse_kind(text: &str) -> Option<AppKind> {
    match text {
        "web" => Some(AppKind::Web),
        "native" => Some(AppKind::Native),
        "single_page" => Some(AppKind::SinglePage),
        "service" => Some(AppKind::Service),
        "device" => Some(AppKind::Device),
        "agent" => Some(AppKind::Agent),
        _ => None,
    }
}

/// Users decide by the name, so it must look the same to everyone.
pub fn name_error(name: &str) -> Option<&'static str> {
    let length = name.chars().count();
    if length < NAME_MIN {
        return Some("Use at least 3 characters.");
    }
    if length > NAME_MAX {
        return Some("Use at most 60 characters.");
    }
    if name.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Some("Leave out control characters and characters that nobody can see.");
    }
    if name.contains("  ") || name.chars().any(|c| c.is_whitespace() && c != ' ') {
        return Some("Use single spaces.");
    }
    (!name.chars().any(char::is_alphabetic)).then_some("Use at least one letter.")
}

/// Users trust what carries the provider's name, so no developer may take it: not even a reviewer
/// sees every look-alike. The operator's own apps are made on the command line, which does not ask.
pub fn imitation_error(name: &str, ours: &str) -> Option<String> {
    look_alike::imitates(name, ours).then(|| {
        format!(
            "This contains “{ours}” or reads like it: users would take the app for ours. Choose \
             another name."
        )
    })
}

/// Formatting characters that change how the rest looks, or look like nothing (Unicode TR 36 §3).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn description_error(text: &str) -> Option<&'static str> {
    if text.chars().count() > DESCRIPTION_MAX {
        return Some("Use at most 500 characters.");
    }
    let bad = |c: char| (c.is_control() && c != '\n') || is_invisible(c);
    text.chars().any(bad).then_some("Leave out control characters.")
}

/// Told to users and reviewers.
pub fn purpose_error(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("Say in a sentence why the app needs this.");
    }
    if text.chars().count() > PURPOSE_MAX {
        return Some("Use at most 200 characters.");
    }
    text.chars()
        .any(|c| c.is_control() || is_invisible(c))
        .then_some("Leave out control characters.")
}

/// A link that we show to users: https, a host, nothing hidden in it.
pub fn url_error(text: &str) -> Option<&'static str> {
    if text.len() > URL_MAX {
        return Some("Use an address of at most 2000 characters.");
    }
    if !text.starts_with("https://") {
        return Some("Start with https://");
    }
    let bad = |c: char| c.is_control() || c.is_whitespace() || is_invisible(c) || c == '\\';
    match Url::parse(text) {
        Ok(url) if url.host_str().is_none() => Some("Name a host after https://"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("Leave out the user name before the host.")
        }
        Ok(_) if !text.chars().any(bad) => None,
        _ => Some("This is not an address that a browser can open."),
    }
}

fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uris(kind: AppKind, text: &str) -> (usize, AppFormErrors) {
        let mut errors = AppFormErrors::default();
        let uris = check_redirect_uris(kind, text, &mut errors);
        (uris.len(), errors)
    }

    #[test]
    fn every_refused_redirect_uri_says_its_line_and_why() {
        let text = "https://ok.example/cb\n\nhttp://bad.example/cb\nhttps://ok.example/cb\n";
        let (count, errors) = uris(AppKind::Web, text);
        let lines: Vec<_> = errors.redirect_lines.iter().map(|e| (e.line, &*e.reason)).collect();
        assert_eq!(count, 1);
        assert_eq!(
            lines,
            [
                (3, "http:// is allowed only for 127.0.0.1, [::1] and localhost; use https://."),
                (4, "this URI is listed twice."),
            ]
        );
    }

    #[test]
    fn a_custom_scheme_is_for_native_apps_only() {
        let text = "com.example.app:/callback";
        assert!(is_clean(&uris(AppKind::Native, text).1));
        assert_eq!(uris(AppKind::SinglePage, text).1.redirect_lines.len(), 1);
    }

    #[test]
    fn a_service_has_no_redirect_uri_and_everything_else_has_one() {
        assert!(is_clean(&uris(AppKind::Service, " \n").1));
        assert!(uris(AppKind::Service, "https://a.example/cb").1.redirect_uris.is_some());
        for kind in [AppKind::Web, AppKind::Native, AppKind::SinglePage, AppKind::Agent] {
            assert!(uris(kind, "").1.redirect_uris.is_some(), "{kind:?}");
        }
    }

    #[test]
    fn more_redirect_uris_than_anyone_needs_are_refused() {
        let many: String = (0..21).map(|n| format!("https://a.example/{n}\n")).collect();
        assert!(uris(AppKind::Web, &many).1.redirect_uris.is_some());
    }

    #[test]
    fn a_name_has_letters_and_nothing_invisible() {
        for good in ["Bot", "Trading Bot 2", "Портфель", "株価アプリ"] {
            assert_eq!(name_error(good), None, "{good}");
        }
        let long = "x".repeat(61);
        let bad = ["", "ab", "123", "Bot\u{202e}toB", "Tra\u{200b}ding", "a\nb c", "a  bc", &long];
        for bad in bad {
            assert!(name_error(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_homepage_is_https_with_nothing_hidden_in_it() {
        assert_eq!(url_error("https://bot.example.com/about?x=1"), None);
        let bad = [
            "bot.example.com",
            "http://bot.example.com/",
            "javascript:alert(1)",
            "https://",
            "https://bank.example@evil.example/",
            "https://a.example/\u{202e}x",
            "https://a.example\\@evil.example/",
        ];
        for bad in bad {
            assert!(url_error(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_ticked_scope_without_a_purpose_is_refused() {
        let choice = |ticked, purpose: &str| ScopeChoice {
            id: "balances.read".into(),
            kind: views::ScopeKind::Read,
            tier: views::Tier::Low,
            text: "See balances".into(),
            ticked,
            purpose: purpose.into(),
            required: false,
            error: None,
        };
        let mut choices = [choice(true, ""), choice(false, ""), choice(true, "To show them.")];
        let mut errors = AppFormErrors::default();
        assert_eq!(check_scopes(&mut choices, &mut errors).len(), 1);
        assert_eq!(choices.map(|choice| choice.error.is_some()), [true, false, false]);
        assert!(errors.scopes.is_some());
    }
}
