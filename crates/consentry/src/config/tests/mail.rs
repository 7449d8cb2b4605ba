//! The mail server and what people may do with accounts.

use domain::policy::{AccountPolicy, Developers};

use super::*;

const MAIL: &str = r#"
[mail]
host = "smtp.example.com"
from = "Example <no-reply@example.com>"
"#;

fn with(more: &str) -> Result<Config, String> {
    parse(&format!("{RIGHT}{more}"))
}

#[test]
fn a_mail_server_has_the_port_of_its_tls_and_people_may_do_nothing_by_default() {
    let config = with(MAIL).unwrap();
    let server = config.mail.unwrap();
    assert_eq!((server.port, server.tls), (465, MailTls::Wrapped));
    assert_eq!(server.from.email.to_string(), "no-reply@example.com");
    assert!(server.credentials.is_none());
    let nothing = AccountPolicy { sends_mail: true, ..AccountPolicy::default() };
    assert_eq!(config.policy.accounts, nothing);
    let config = with("").unwrap();
    assert!(config.mail.is_none());
    assert_eq!(config.policy.accounts, AccountPolicy::default());
}

#[test]
fn what_people_may_do_is_read_and_the_password_is_not_printed() {
    let more = "tls = \"starttls\"\nport = 2525\nusername = \"mailer\"\npassword = \"hunter2-mail\"\n\
                [accounts]\nsign_up = \"on\"\ndevelopers = \"verified\"\n";
    let config = with(&format!("{MAIL}{more}")).unwrap();
    assert!(!format!("{config:?}").contains("hunter2-mail"));
    let server = config.mail.unwrap();
    assert_eq!((server.port, server.tls), (2525, MailTls::StartTls));
    assert_eq!(server.credentials.unwrap().password.as_str(), "hunter2-mail");
    let accounts =
        AccountPolicy { sign_up: true, developers: Developers::Verified, sends_mail: true };
    assert_eq!(config.policy.accounts, accounts);
}

#[test]
fn who_may_register_apps_is_one_of_four() {
    for (word, developers) in [
        ("invited", Developers::Invited),
        ("verified", Developers::Verified),
        ("anyone", Developers::Anyone),
        ("staff_only", Developers::StaffOnly),
    ] {
        let config = with(&format!("[accounts]\ndevelopers = \"{word}\"\n")).unwrap();
        assert_eq!(config.policy.accounts.developers, developers, "{word}");
    }
    let error = with("[accounts]\ndevelopers = \"everyone\"\n").unwrap_err().to_string();
    assert!(error.contains("invited, verified, anyone, staff_only"), "{error}");
}

#[test]
fn mistakes_about_mail_are_told_with_their_place() {
    let wrong = r#"
[mail]
tls = "ssl"
port = 70000
username = "mailer"
from = "no address"
[accounts]
sign_up = "maybe"
breached_passwords = "nowhere.txt"
"#;
    insta::assert_snapshot!(with(wrong).unwrap_err(), @r#"
    etc/consentry.toml:49:1: `host` is missing in [mail]
        Name of the SMTP server; its certificate must have it.
    etc/consentry.toml:50:7: `tls` cannot be `ssl`
        It is one of: tls, starttls, none.
    etc/consentry.toml:51:8: `port` cannot be `70000`
        It is a port: 465, 587 or 25.
    etc/consentry.toml:52:12: the user has no password
        Add `password_file`.
    etc/consentry.toml:53:8: `from` cannot be `no address`
        Write NAME <ADDRESS> or an address (Invalid input).
    etc/consentry.toml:55:11: `sign_up` cannot be `maybe`
        It is one of: off, on.
    etc/consentry.toml:56:22: etc/nowhere.txt cannot be used: No such file or directory (os error 2)
        Name a file with one SHA-1 hash per line, sorted, as Have I Been Pwned gives it.
    "#);
}

#[test]
fn sign_up_without_mail_is_a_mistake() {
    let error = with("[accounts]\nsign_up = \"on\"\n").unwrap_err();
    assert!(error.contains("there is no [mail] to send it"), "{error}");
}

#[test]
fn links_that_would_travel_without_tls_are_warned_of() {
    let elsewhere = with(&format!("{MAIL}tls = \"none\"\n")).unwrap();
    assert!(elsewhere.warnings.iter().any(|warning| warning.what.contains("without TLS")));
    let here = MAIL.replace("smtp.example.com", "localhost");
    let here = with(&format!("{here}tls = \"none\"\n")).unwrap();
    assert!(!here.warnings.iter().any(|warning| warning.what.contains("without TLS")));
}
