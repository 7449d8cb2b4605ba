//! The config file: one TOML document, overridden by environment variables, read in two steps.
//! `reader` takes it apart against `schema` and keeps every value's place; the other modules
//! turn values into what they mean. All mistakes are collected, none stops the reading.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::keyring::{Keyring, MasterKey};
use domain::policy::{DocsReaders, HighTierRule, IntrospectionCredentials, Policy, Registration};
use ipnet::IpNet;
use server::pages::Brand;
use server::webhooks::OperatorWebhook;
use toml::de::DeTable;
use zeroize::Zeroizing;

mod brand;
mod cors;
mod dialect;
mod dialect_partner_keys;
mod dialect_schema;
mod dialect_signed;
mod dialect_token;
mod environment;
mod issuer;
mod lifetimes;
mod listen;
mod mail;
mod openapi;
mod partner_keys;
mod partner_keys_schema;
mod plans;
mod plans_schema;
mod problem;
mod quantity;
mod reader;
pub mod reference;
mod resource;
mod resource_schema;
mod review;
mod review_schema;
mod route;
pub mod schema;
mod scope;
mod secret;
mod sign_in;
mod sign_in_schema;
mod telemetry;
#[cfg(test)]
mod tests;
mod webhooks;
mod webhooks_schema;

pub use environment::{Environment, LOG};
pub use listen::Listen;
pub use mail::{Accounts, MailCredentials, MailServer, MailTls};
pub use problem::{Place, Problem};
pub use secret::master_key_text;
pub use telemetry::{Otlp, Telemetry};

pub(crate) use problem::nearest;

use dialect::Dialects;
use problem::line_and_column;
use reader::{Document, Section, Spot};

/// Everything that the config says, checked.
#[derive(Debug)]
pub struct Config {
    pub file: PathBuf,
    pub listen: Listen,
    pub telemetry: Telemetry,
    /// `None`: no message is sent.
    pub mail: Option<MailServer>,
    pub accounts: Accounts,
    pub data_dir: PathBuf,
    /// `sqlite:PATH` with an absolute or resolved path, or `postgres://…`.
    pub database_url: String,
    pub master_key: MasterKey,
    pub templates_dir: Option<PathBuf>,
    pub brand: Brand,
    /// Things that work, but probably not as meant.
    pub warnings: Vec<Problem>,
    policy: Policy,
    issuer_host: String,
    introspection: BTreeMap<String, ClearCredentials>,
    webhooks: Vec<OperatorWebhook>,
}

/// An API's credentials as they are written in the config.
#[derive(Clone)]
struct ClearCredentials {
    id: String,
    secret: Zeroizing<String>,
}

impl fmt::Debug for ClearCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClearCredentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is wrong, in the order of the file.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<Problem>);

/// How files are read: from the disk, or, for the demo, out of the binary.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

fn read_text(read: ReadFile<'_>, path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

impl Config {
    /// Read `file` from the disk.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        let read = |path: &Path| std::fs::read(path);
        match read_text(&read, file) {
            Ok(text) => Self::parse(file, &text, environment, &read),
            Err(error) => Err(ConfigErrors(vec![Problem {
                place: Place::Inside { file: file.to_owned(), path: String::new() },
                what: format!("cannot be read: {error}"),
                to_do: "Name a config file with -c, or write one with `consentry init`.".into(),
            }])),
        }
    }

    /// Read a config from its text. `read` opens the files that it names.
    pub fn parse(
        file: &Path,
        text: &str,
        environment: &Environment,
        read: ReadFile<'_>,
    ) -> Result<Self, ConfigErrors> {
        let (table, syntax) = DeTable::parse_recoverable(text);
        if !syntax.is_empty() {
            // What a broken file means is a guess; first it must be TOML.
            return Err(ConfigErrors(
                syntax.iter().map(|e| syntax_problem(file, text, e)).collect(),
            ));
        }
        let (overrides, mut unknown) = environment.overrides();
        let document = Document::new(file, text, "the config", overrides);
        let root = Section::root(&document, table.get_ref(), &schema::ROOT);
        let config = Self::meaning(&root, environment, read);
        check_positions(&document, &root);
        drop(root);
        let (mut problems, warnings) = document.finish();
        problems.append(&mut unknown);
        match config {
            Some(config) if problems.is_empty() => Ok(Self { warnings, ..config }),
            _ => Err(ConfigErrors(problems)),
        }
    }

    /// `None` only if a problem was reported. Every part is read even when an earlier one failed.
    fn meaning(root: &Section<'_>, environment: &Environment, read: ReadFile<'_>) -> Option<Self> {
        let issuer = issuer::read(root);
        let data_dir =
            root.path("data_dir").map_or_else(|| root.document.resolve("data"), |at| at.value);
        let database_url = database_url(root, &data_dir);
        let templates_dir = root.path("templates_dir").map(|at| at.value);
        let master_key = secret::master_key(root, environment, read);
        let registration = match root.choice("registration").map(|at| at.value) {
            Some("live") => Registration::Live,
            Some("closed") => Registration::Closed,
            _ => Registration::Review,
        };
        let high_tier = match root.choice("high_tier").map(|at| at.value) {
            Some("second-factor-if-enrolled") => HighTierRule::IfEnrolled,
            Some("password") => HighTierRule::Never,
            _ => HighTierRule::Always,
        };
        let docs = match root.choice("docs").map(|at| at.value) {
            Some("developers") => DocsReaders::Developers,
            _ => DocsReaders::Everyone,
        };
        let review_section = root.section("review");
        let (reviewed, review) = (review::fields(&review_section), review::policy(&review_section));
        let review_mail = review::mail(&review_section);
        let webhooks = webhooks::read_all(root, read);
        let dialects = Dialects::read_all(root, read);
        let lifetimes = lifetimes::read(&root.section("lifetimes"));
        let brand = brand::read(&root.section("brand"), issuer.as_ref(), read);
        let listen = listen::read(&root.section("listen"), issuer.as_ref());
        let telemetry = telemetry::read(&root.section("telemetry"));
        let sign_in = sign_in::read(&root.section("sign_in"), read);
        let mail_section = root.section("mail");
        let mail = mail::read(&mail_section, read);
        let accounts = mail::accounts(&root.section("accounts"), mail_section.exists());
        let scopes = scope::read_all(root);
        let surroundings = resource::Surroundings {
            issuer: issuer.as_ref(),
            scopes: &scopes,
            brand: &brand,
            dialects: &dialects,
            read,
        };
        let (resources, introspection) = resource::read_all(root, &surroundings);
        let partner_keys = partner_keys::read(root, &scopes, &resources);
        dialects.refuse_covered(root, &resources);
        dialects.refuse_ambiguous_scopes(root, &scopes);
        let issuer = issuer?;
        let policy = Policy {
            issuer: issuer.text,
            scopes,
            resources,
            lifetimes: lifetimes?,
            registration,
            sign_in,
            accounts: accounts.policy,
            high_tier,
            reviewed,
            review_mail,
            review,
            dialects: dialects.served,
            partner_keys,
            docs,
            plans: plans::plans(root),
            perks: plans::perks(root),
        };
        Some(Self {
            file: root.document.file.to_owned(),
            listen: listen?,
            telemetry,
            mail,
            accounts,
            data_dir,
            database_url: database_url?,
            master_key: master_key?,
            templates_dir,
            brand,
            warnings: Vec::new(),
            policy,
            issuer_host: issuer.host,
            introspection,
            webhooks,
        })
    }

    pub fn issuer(&self) -> &str {
        &self.policy.issuer
    }

    /// Servers of the operator that hear of events.
    pub fn webhooks(&self) -> &[OperatorWebhook] {
        &self.webhooks
    }

    /// Where the operator's texts of messages are, if anywhere.
    pub fn mails_dir(&self) -> Option<PathBuf> {
        self.templates_dir.as_ref().map(|folder| folder.join("mails"))
    }

    /// Without port.
    pub fn issuer_host(&self) -> &str {
        &self.issuer_host
    }

    /// The policy without the credentials of resource servers, for whoever has no keys.
    pub fn policy_without_credentials(&self) -> &Policy {
        &self.policy
    }

    /// The policy; `keyring` has the pepper under which secrets are kept.
    pub fn policy(&self, keyring: &Keyring) -> Policy {
        let mut policy = self.policy.clone();
        for resource in &mut policy.resources {
            resource.introspection = self.introspection.get(&resource.identifier).map(|clear| {
                IntrospectionCredentials {
                    id: clear.id.clone(),
                    secret_mac: keyring.secret_mac(clear.secret.as_bytes()),
                }
            });
        }
        policy
    }
}

fn syntax_problem(file: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
    Problem {
        place: Place::File { file: file.to_owned(), line, column },
        what: error.message().to_owned(),
        to_do: "This is not TOML; see https://toml.io for its grammar.".into(),
    }
}

/// `sqlite:` paths are relative to the config file, as all paths in it are.
fn database_url(root: &Section<'_>, data_dir: &Path) -> Option<String> {
    let Some(url) = root.text("database_url") else {
        return Some(format!("sqlite:{}", data_dir.join("consentry.db").display()));
    };
    let document = root.document;
    if url.value.starts_with("postgres://") || url.value.starts_with("postgresql://") {
        return Some(url.value);
    }
    match url.value.strip_prefix("sqlite:").map(str::trim) {
        Some(path) if !path.is_empty() => {
            Some(format!("sqlite:{}", document.resolve(path).display()))
        }
        _ => {
            // Not repeated: there may be a password in it.
            let to_do = "Write sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME.";
            document.problem(&url.spot, "this is no `database_url`", to_do);
            None
        }
    }
}

/// A variable may set a key of an existing `[[resource]]`; it cannot make a new one.
fn check_positions(document: &Document<'_>, root: &Section<'_>) {
    for (path, set) in &document.overrides {
        let mut parts = path.split('.');
        let (Some(name), Some(index)) = (parts.next(), parts.next()) else { continue };
        let Ok(index) = index.parse::<usize>() else { continue };
        let count = root.count(name);
        if index >= count {
            document.problem(
                &Spot::Variable(set.variable.clone()),
                format!("there is no [[{name}]] number {index} in the file"),
                format!("Positions count from 0, and the file has {count} of them."),
            );
        }
    }
}

/// Used where nothing else was said.
pub const DRAIN: Duration = Duration::from_secs(20);

/// Addresses to bind, and who is believed behind them.
pub(crate) type Networks = Vec<IpNet>;
pub(crate) type Addresses = Vec<SocketAddr>;
