//! The server that sends messages, and what people may do with accounts.

use std::path::PathBuf;

use domain::policy::{AccountPolicy, Developers};
use lettre::message::Mailbox;
use server::known_passwords;
use zeroize::Zeroizing;

use super::reader::{At, Section};
use super::{ReadFile, quantity, read_text};

/// `[mail]`
#[derive(Clone, Debug)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    /// PEM.
    pub ca: Option<Vec<u8>>,
    pub credentials: Option<MailCredentials>,
    pub from: Mailbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    Wrapped,
    StartTls,
    Off,
}

#[derive(Clone)]
pub struct MailCredentials {
    pub username: String,
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for MailCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailCredentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// `[accounts]`
#[derive(Clone, Debug)]
pub struct Accounts {
    pub policy: AccountPolicy,
    pub language: String,
    pub breached_passwords: Option<PathBuf>,
}

/// `None` when there is no such section, or a problem was reported.
pub(super) fn read(section: &Section<'_>, read: ReadFile<'_>) -> Option<MailServer> {
    if !section.exists() {
        return None;
    }
    let (host, from) = (section.required("host"), section.required("from"));
    let from = from.and_then(|from| section.meaning("from", from, mailbox));
    let tls = match section.choice("tls").map(|at| at.value) {
        Some("starttls") => MailTls::StartTls,
        Some("none") => MailTls::Off,
        _ => MailTls::Wrapped,
    };
    let usual = match tls {
        MailTls::Wrapped => 465,
        MailTls::StartTls => 587,
        MailTls::Off => 25,
    };
    let port = section.parsed("port", port).map_or(usual, |at| at.value);
    let ca = section.path("ca_file").map(|path| file(section, &path, read));
    let credentials = credentials(section, read);
    let host = host?;
    let is_local = ["localhost", "127.0.0.1", "::1"].contains(&host.value.as_str());
    if tls == MailTls::Off && !is_local {
        let document = section.document;
        document.warn(
            document.place(&section.spot_of("tls")),
            "messages with links that open accounts travel without TLS",
            "Use `tls` or `starttls` unless the server is on this machine.",
        );
    }
    Some(MailServer {
        host: host.value,
        port,
        tls,
        ca: ca.map(Option::unwrap_or_default),
        credentials: credentials?,
        from: from?.value,
    })
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let hint = |error| format!("Write NAME <ADDRESS> or an address ({error}).");
    text.parse().map_err(hint)
}

fn port(text: &str) -> Result<u16, &'static str> {
    let port = quantity::count(text).ok().and_then(|port| u16::try_from(port).ok());
    port.filter(|port| *port > 0).ok_or("It is a port: 465, 587 or 25.")
}

fn file(section: &Section<'_>, path: &At<PathBuf>, read: ReadFile<'_>) -> Option<Vec<u8>> {
    match read(&path.value) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let what = format!("{} cannot be read: {error}", path.value.display());
            section.document.problem(&path.spot, what, "Name a file with certificates (PEM).");
            None
        }
    }
}

/// `Some(None)`: there are none. `None` when a problem was reported.
fn credentials(section: &Section<'_>, read: ReadFile<'_>) -> Option<Option<MailCredentials>> {
    let document = section.document;
    let username = section.text("username");
    let password = match (section.text("password"), section.path("password_file")) {
        (Some(_), Some(path)) => {
            let what = "there are both `password` and `password_file`";
            document.problem(&path.spot, what, "Remove one.");
            return None;
        }
        (Some(inline), None) => Some((Zeroizing::new(inline.value), inline.spot)),
        (None, Some(path)) => match read_text(read, &path.value) {
            Ok(text) => {
                Some((Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()), path.spot))
            }
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.value.display());
                document.problem(&path.spot, what, "Write the password into that file.");
                return None;
            }
        },
        (None, None) => None,
    };
    match (username, password) {
        (None, None) => Some(None),
        (Some(username), Some((password, _))) => {
            Some(Some(MailCredentials { username: username.value, password }))
        }
        (Some(username), None) => {
            document.problem(&username.spot, "the user has no password", "Add `password_file`.");
            None
        }
        (None, Some((_, spot))) => {
            document.problem(&spot, "the password has no user", "Add `username`.");
            None
        }
    }
}

/// `sends_mail`: whether there is a server to send with.
pub(super) fn accounts(section: &Section<'_>, sends_mail: bool) -> Accounts {
    let document = section.document;
    let sign_up = section.choice("sign_up").is_some_and(|at| at.value == "on");
    if sign_up && !sends_mail {
        let to_do = "Add [mail], or leave `sign_up` off.";
        let what = "people sign up by a link in a message, and there is no [mail] to send it";
        document.problem(&section.spot_of("sign_up"), what, to_do);
    }
    let developers = match section.choice("developers").map(|at| at.value) {
        Some("verified") => Developers::Verified,
        Some("anyone") => Developers::Anyone,
        Some("staff_only") => Developers::StaffOnly,
        _ => Developers::Invited,
    };
    let breached = section.path("breached_passwords");
    if let Some(path) = &breached
        && let Err(error) = known_passwords::check_file(&path.value)
    {
        let what = format!("{} cannot be used: {error}", path.value.display());
        let to_do =
            "Name a file with one SHA-1 hash per line, sorted, as Have I Been Pwned gives it.";
        document.problem(&path.spot, what, to_do);
    }
    Accounts {
        policy: AccountPolicy { sign_up, developers, sends_mail },
        language: section.text("language").map_or_else(|| "en".to_owned(), |at| at.value),
        breached_passwords: breached.map(|path| path.value),
    }
}
