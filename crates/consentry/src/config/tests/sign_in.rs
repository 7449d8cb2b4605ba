//! Ways to sign in as an operator writes them down.

use domain::sign_in::{SignInPolicy, Way};

use super::{Environment, RIGHT, parse, parse_with};

const PROVIDERS: &str = r#"
[sign_in]
password = false
[[sign_in.provider]]
name = "company"
title = "Company login"
issuer = "https://login.example.com/tenant/"
client_id = "consentry"
client_secret = "very secret"
scopes = ["openid", "email"]
step_up = true
second_factor_acr = ["gold"]
[[sign_in.provider]]
name = "desk"
kind = "signed-redirect"
issuer = "desk"
login_url = "http://localhost:9000/login"
key = "a key of thirty-two letters or more"
new_accounts = false
link_accounts = true
sign_out_url = "https://desk.example.com/out"
"#;

fn sign_in(text: &str) -> Result<SignInPolicy, String> {
    let config = parse(&format!("{RIGHT}{text}"))?;
    Ok(config.policy_without_credentials().sign_in.clone())
}

#[test]
fn without_a_word_users_sign_in_with_a_password() {
    let plain = sign_in("").unwrap();
    assert!(plain.password && plain.providers.is_empty());
}

#[test]
fn providers_mean_what_the_file_says() {
    let policy = sign_in(PROVIDERS).unwrap();
    let [company, desk] = &policy.providers[..] else { panic!("{policy:?}") };
    assert!(!policy.password && policy.only_provider().is_none());
    // An issuer is compared as text: nothing of it is tidied up.
    assert_eq!(company.issuer, "https://login.example.com/tenant/");
    let Way::OpenId { client_secret, scopes, .. } = &company.way else { panic!("{company:?}") };
    assert_eq!(client_secret.as_ref().unwrap().expose(), "very secret");
    assert_eq!(scopes, "openid email");
    assert!(company.creates_accounts && !company.links_accounts && !company.verifies_emails);
    assert!(company.second_factor.on_request);
    assert_eq!(company.second_factor.acr, ["gold"]);
    assert_eq!(company.second_factor.amr, ["mfa"]);
    assert!(
        matches!(&desk.way, Way::SignedRedirect { url, .. } if url == "http://localhost:9000/login")
    );
    assert_eq!((desk.title.as_str(), desk.issuer.as_str()), ("desk", "desk"));
    assert!(!desk.creates_accounts && desk.links_accounts);
    assert!(!format!("{policy:?}").contains("secret\""), "secrets are not printed");
}

#[test]
fn a_secret_may_come_from_the_environment() {
    let name = "CONSENTRY_SIGN_IN__PROVIDER__0__CLIENT_SECRET";
    let environment = Environment::default().with(name, "from outside");
    let config = parse_with(&format!("{RIGHT}{PROVIDERS}"), &environment).unwrap();
    let policy = config.policy_without_credentials();
    let Way::OpenId { client_secret, .. } = &policy.sign_in.providers[0].way else { panic!() };
    assert_eq!(client_secret.as_ref().unwrap().expose(), "from outside");
    let environment = Environment::default().with(name.replace('0', "7"), "for nobody");
    let error = parse_with(&format!("{RIGHT}{PROVIDERS}"), &environment).unwrap_err();
    assert!(error.contains("no [[sign_in.provider]] number 7"), "{error}");
}

#[test]
fn every_mistake_of_a_provider_is_told_with_its_place() {
    let wrong = r#"
[sign_in]
password = "no"
[[sign_in.provider]]
name = "Company Login"
issuer = "http://login.example.com"
client_id = "consentry"
client_secret = "a"
client_secret_file = "b"
scopes = ["email"]
login_url = "https://x.example"
step_up = true
second_factor_amr = []
[[sign_in.provider]]
name = "desk"
kind = "signed-redirect"
issuer = "desk"
login_url = "https://me:pass@desk.example/"
key = "short"
client_id = "x"
[[sign_in.provider]]
name = "desk"
kind = "saml"
issuer = "https://a.example#x"
"#;
    insta::assert_snapshot!(sign_in(wrong).unwrap_err(), @r#"
    etc/consentry.toml:50:12: `password` is string, it must be: true or false
    etc/consentry.toml:52:8: `name` cannot be `Company Login`
        Use lower-case letters, digits and -, such as company-login.
    etc/consentry.toml:53:10: `issuer` cannot be `http://login.example.com`
        Who signs in there would be seen on the way. Use https://, or for a trial on one machine http://localhost.
    etc/consentry.toml:56:22: there are both `client_secret` and `client_secret_file`
        Remove one.
    etc/consentry.toml:57:10: `openid` is not among the scopes
        Without `openid` there is no ID token: add it.
    etc/consentry.toml:58:13: `login_url` is of the other kind of provider
        Remove it, or write kind = "signed-redirect".
    etc/consentry.toml:59:11: nothing would tell that a second factor was given
        Name what means one in `second_factor_amr` or `second_factor_acr`.
    etc/consentry.toml:65:13: `login_url` cannot be `https://me:pass@desk.example/`
        Write it without a user, a password and a fragment.
    etc/consentry.toml:66:7: the key is too short
        Use at least 32 characters; `openssl rand -hex 32` makes good ones.
    etc/consentry.toml:67:13: `client_id` is of the other kind of provider
        Remove it, or write kind = "oidc".
    etc/consentry.toml:68:1: `client_id` is missing in [sign_in.provider]
        `oidc`: our client id there.
    etc/consentry.toml:69:8: two providers have the name `desk`
        Each has its own.
    etc/consentry.toml:70:8: `kind` cannot be `saml`
        It is one of: oidc, signed-redirect.
    etc/consentry.toml:71:10: `issuer` cannot be `https://a.example#x`
        Write it without a user, a password and a fragment.
    "#);
    let nobody = sign_in("\n[sign_in]\npassword = false\n").unwrap_err();
    assert!(nobody.contains("nobody could sign in"), "{nobody}");
    let keyless = "\n[[sign_in.provider]]\nname = \"d\"\nkind = \"signed-redirect\"\nissuer = \"d\"\n\
                   login_url = \"https://d.example\"\n";
    let error = sign_in(keyless).unwrap_err();
    assert!(error.contains("the login page has no key"), "{error}");
}
