//! The command line: what can be said, and how the end of a command is told.
//! Passwords and secrets are never arguments: other users of the machine can read those.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigErrors, Environment};

pub mod admin_token;
pub mod app;
pub mod audit;
pub mod check;
mod control;
pub mod import;
pub mod init;
pub mod keys;
pub mod mail;
mod output;
pub mod requests;
pub mod user;

/// Opens a company's API to third-party apps: consent, tokens, a gateway, instant revocation.
#[derive(Debug, Parser)]
#[command(name = "consentry", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try it: two complete providers with practice APIs, users and apps, ready to click and curl
    Demo(crate::demo::DemoArgs),
    /// Run the server
    Serve(ConfigArgs),
    /// Write a config file to start from, a master key, and the first admin
    Init(init::InitArgs),
    /// Report every mistake of a config file, with its place and what to do
    Check(check::CheckArgs),
    /// Create, list, show, suspend, resume and delete apps, and decide about what waits for review
    App(app::AppArgs),
    /// List plans and perks that developers ask for, and grant or refuse them
    Requests(requests::RequestsArgs),
    /// Create, list, block and unblock users
    User(user::UserArgs),
    /// Bring apps here from another system, with their ids and secrets
    Import(import::ImportArgs),
    /// List what waits to be sent, and try the mail settings
    Mail(mail::MailArgs),
    /// Make, list and revoke tokens of the admin API
    AdminToken(admin_token::AdminTokenArgs),
    /// Rotate keys
    Keys(keys::KeysArgs),
    /// Export and verify the audit trail
    Audit(audit::AuditArgs),
}

#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The config file
    #[arg(short, long, value_name = "FILE", default_value = "consentry.toml", global = true)]
    pub config: PathBuf,
}

/// Arguments of the commands that speak to a server or to its database.
#[derive(Clone, Debug, Args)]
pub struct ControlArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Speak to the admin API at this address, http://HOST:PORT of a server's internal listener
    /// or https:// of a proxy in front of it, with the token in CONSENTRY_ADMIN_TOKEN or
    /// --token-file
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// File that holds the admin token for --server
    #[arg(long, global = true, value_name = "FILE", requires = "server")]
    pub token_file: Option<PathBuf>,
}

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 2: the config or the arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Whoever read what is printed has enough of it, as `head` has: no failure, nothing to say.
    #[error("nobody reads the output")]
    Unread,
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Usage(errors.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Tell how a command ended.
pub fn report(done: Result<(), Failure>, environment: &Environment) -> ExitCode {
    let failure = match done {
        Ok(()) | Err(Failure::Unread) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    let stderr = io::stderr();
    let colour = stderr.is_terminal() && environment.find("NO_COLOR").is_none_or(str::is_empty);
    let label = if colour { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
    // Nothing is left to tell a broken stderr to.
    let _ = writeln!(stderr.lock(), "{label}: {failure}");
    match failure {
        Failure::Usage(_) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

/// Run a command's asynchronous part. One thread is enough for it: a server has threads of its own
/// for connections (`serve::cores`), passwords and the database.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn without_help(command: &clap::Command, at: &str, found: &mut Vec<String>) {
        let at = format!("{at} {}", command.get_name());
        if command.get_about().is_none() {
            found.push(at.clone());
        }
        let arguments = command.get_arguments().filter(|argument| argument.get_help().is_none());
        found.extend(arguments.map(|argument| format!("{at} {}", argument.get_id())));
        command.get_subcommands().for_each(|inner| without_help(inner, &at, found));
    }

    #[test]
    fn every_command_and_every_option_says_what_it_is_for() {
        let mut found = Vec::new();
        without_help(&Cli::command(), "", &mut found);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_password_file_is_understood_under_both_names() {
        for option in ["--password-file", "--admin-password-file"] {
            for command in [&["init", "dir"][..], &["user", "create", "a@example.com"]] {
                let words = [&["consentry"], command, &[option, "file"]].concat();
                assert!(Cli::try_parse_from(words).is_ok(), "{command:?} {option}");
            }
        }
    }
}
