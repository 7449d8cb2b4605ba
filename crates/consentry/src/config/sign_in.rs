//! How users sign in: with a password that is kept here, or at other systems.

use std::sync::Arc;

use domain::sign_in::{SecondFactor, SignInPolicy, SignInProvider, Way};
use protocol::jose::{SHARED_KEY_BYTES_MIN, SharedKey};
use protocol::openid::is_plain_loopback;
use protocol::secret::Secret;
use url::Url;

use super::reader::{Section, Spot};
use super::{ReadFile, secret};

/// Keys that mean nothing for the other kind.
const OF_OIDC: [&str; 4] = ["client_id", "client_secret", "client_secret_file", "scopes"];
const OF_REDIRECT: [&str; 3] = ["login_url", "key", "key_file"];

pub(super) fn read(section: &Section<'_>, files: ReadFile<'_>) -> SignInPolicy {
    let password = section.switch("password").unwrap_or(true);
    let sections = section.sections("provider");
    let providers: Vec<_> =
        sections.iter().filter_map(|section| provider(section, files)).collect();
    refuse_positions(section, sections.len());
    for (at, section) in sections.iter().enumerate() {
        refuse_twin(section, sections.get(..at).unwrap_or_default(), "name");
        refuse_twin(section, sections.get(..at).unwrap_or_default(), "issuer");
    }
    if !password && sections.is_empty() {
        let to_do = "Add a [[sign_in.provider]], or leave `password` out.";
        section.document.problem(&section.spot_of("password"), "nobody could sign in", to_do);
    }
    SignInPolicy { password, providers: providers.into_iter().map(Arc::new).collect() }
}

/// A variable may set a key of a provider of the file; it cannot make a new one.
fn refuse_positions(section: &Section<'_>, count: usize) {
    for (path, set) in &section.document.overrides {
        let index = path.strip_prefix("sign_in.provider.").and_then(|rest| rest.split('.').next());
        let Some(index) = index.and_then(|index| index.parse::<usize>().ok()) else { continue };
        if index >= count {
            let spot = Spot::Variable(set.variable.clone());
            let what = format!("there is no [[sign_in.provider]] number {index} in the file");
            let to_do = format!("Positions count from 0, and the file has {count} of them.");
            section.document.problem(&spot, what, to_do);
        }
    }
}

fn refuse_twin(section: &Section<'_>, before: &[Section<'_>], name: &str) {
    let Some(own) = section.text(name) else { return };
    let is_twin = |other: &Section<'_>| other.text(name).is_some_and(|at| at.value == own.value);
    if before.iter().any(is_twin) {
        let what = format!("two providers have the {name} `{}`", own.value);
        section.document.problem(&own.spot, what, "Each has its own.");
    }
}

fn provider(section: &Section<'_>, files: ReadFile<'_>) -> Option<SignInProvider> {
    let name = section.required("name");
    let name = name.and_then(|text| section.meaning("name", text, provider_name));
    let is_oidc = section.choice("kind").is_none_or(|kind| kind.value == "oidc");
    for foreign in if is_oidc { &OF_REDIRECT[..] } else { &OF_OIDC[..] } {
        if section.is_set(foreign) {
            let kind = if is_oidc { "signed-redirect" } else { "oidc" };
            let what = format!("`{foreign}` is of the other kind of provider");
            let to_do = format!("Remove it, or write kind = \"{kind}\".");
            section.document.problem(&section.spot_of(foreign), what, to_do);
        }
    }
    let issuer = section.required("issuer");
    let issuer = match is_oidc {
        true => issuer.and_then(|text| section.meaning("issuer", text, address)),
        false => issuer,
    };
    let way = if is_oidc { openid(section, files) } else { signed_redirect(section, files) };
    let texts = |name: &str| {
        let texts = section.texts(name);
        texts.map(|texts| texts.into_iter().map(|at| at.value).collect::<Vec<_>>())
    };
    let second_factor = SecondFactor {
        acr: texts("second_factor_acr").unwrap_or_default(),
        amr: texts("second_factor_amr").unwrap_or_else(|| vec!["mfa".to_owned()]),
        on_request: section.switch("step_up").unwrap_or(false),
    };
    if second_factor.on_request && second_factor.acr.is_empty() && second_factor.amr.is_empty() {
        let what = "nothing would tell that a second factor was given";
        let to_do = "Name what means one in `second_factor_amr` or `second_factor_acr`.";
        section.document.problem(&section.spot_of("step_up"), what, to_do);
    }
    let sign_out_url = section.parsed("sign_out_url", address).map(|at| at.value);
    let name = name?.value;
    Some(SignInProvider {
        title: section.text("title").map_or_else(|| name.clone(), |at| at.value),
        name,
        issuer: issuer?.value,
        way: way?,
        creates_accounts: section.switch("new_accounts").unwrap_or(true),
        links_accounts: section.switch("link_accounts").unwrap_or(false),
        verifies_emails: section.switch("emails_verified").unwrap_or(false),
        second_factor,
        sign_out_url,
    })
}

fn openid(section: &Section<'_>, files: ReadFile<'_>) -> Option<Way> {
    let client_id = section.required("client_id");
    let keys = ("client_secret", "client_secret_file");
    let secret = secret::one_of(section, keys, files);
    let scopes = match section.texts("scopes") {
        None => "openid email profile".to_owned(),
        Some(texts) => {
            let texts: Vec<_> = texts.into_iter().map(|at| at.value).collect();
            if !texts.iter().any(|scope| scope == "openid") {
                let to_do = "Without `openid` there is no ID token: add it.";
                let spot = section.spot_of("scopes");
                section.document.problem(&spot, "`openid` is not among the scopes", to_do);
            }
            texts.join(" ")
        }
    };
    let client_secret = secret.map(|(text, _)| Secret::new(text.as_str()));
    Some(Way::OpenId { client_id: client_id?.value, client_secret, scopes })
}

fn signed_redirect(section: &Section<'_>, files: ReadFile<'_>) -> Option<Way> {
    let url = section.required("login_url");
    let url = url.and_then(|text| section.meaning("login_url", text, address));
    let found = secret::one_of(section, ("key", "key_file"), files);
    if found.is_none() && !section.is_set("key") && !section.is_set("key_file") {
        let to_do = "Add `key_file` (or `key`).";
        section.document.problem(&section.spot, "the login page has no key", to_do);
    }
    let (text, spot) = found?;
    let key = SharedKey::new(text.as_bytes());
    if key.is_none() {
        let to_do = format!(
            "Use at least {SHARED_KEY_BYTES_MIN} characters; `openssl rand -hex 32` makes good \
             ones."
        );
        section.document.problem(&spot, "the key is too short", to_do);
    }
    Some(Way::SignedRedirect { url: url?.value, key: key? })
}

fn provider_name(text: &str) -> Result<String, &'static str> {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() <= 32 && text.bytes().all(is_name) {
        return Ok(text.to_owned());
    }
    Err("Use lower-case letters, digits and -, such as company-login.")
}

/// Kept as it is written: an issuer is compared as text.
fn address(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| {
        format!("Write an address such as https://login.example.com ({error}).")
    })?;
    if url.scheme() != "https" && !is_plain_loopback(&url) {
        return Err(
            "Who signs in there would be seen on the way. Use https://, or for a trial on \
                    one machine http://localhost."
                .into(),
        );
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("Write it without a user, a password and a fragment.".into());
    }
    Ok(text.to_owned())
}
