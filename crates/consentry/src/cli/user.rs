//! `consentry user …`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::control::{Control, named, path};
use super::output::{self, field};
use super::{ControlArgs, Failure, block_on, init};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Create an account; its password is asked for, or read from a file
    Create {
        /// The e-mail address to sign in with
        email: String,
        /// What others read; without it, what stands before the @
        #[arg(long)]
        name: Option<String>,
        /// What the user may do besides letting apps in. Repeat for more
        #[arg(long = "role", value_enum)]
        roles: Vec<RoleName>,
        /// File that holds the password, instead of asking
        #[arg(long, value_name = "FILE", alias = "admin-password-file")]
        password_file: Option<PathBuf>,
    },
    /// List all users
    List,
    /// Keep a user out: sessions end, no token of theirs is good from the next request on
    Block {
        /// The e-mail address of the user
        email: String,
        /// Kept in the audit trail
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: String,
    },
    /// Remove every second factor of a user who has lost them all; their sessions end
    RemoveSecondFactors {
        /// The e-mail address of the user
        email: String,
        /// How they have proven who they are; kept in the audit trail
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: String,
    },
    /// Let a blocked user in again; what they let apps do holds again from the next request on
    Unblock {
        /// The e-mail address of the user
        email: String,
        /// Kept in the audit trail
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    /// Registers apps
    Developer,
    /// Approves and suspends apps
    Reviewer,
    /// Everything
    Admin,
}

impl RoleName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Reviewer => "reviewer",
            Self::Admin => "admin",
        }
    }
}

pub fn run(arguments: &UserArgs, environment: &Environment) -> Result<(), Failure> {
    let control = &arguments.control;
    let (method, path, body) = match &arguments.command {
        UserCommand::Create { email, name, roles, password_file } => {
            let password = init::password(email, password_file.as_deref(), "--password-file")?;
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            let body = json!({
                "email": email, "name": name, "roles": roles, "password": password.as_str(),
            });
            (Method::POST, "/users".to_owned(), Some(body))
        }
        UserCommand::List => (Method::GET, "/users".to_owned(), None),
        UserCommand::Block { email, reason } => {
            let body = json!({ "reason": reason });
            (Method::POST, path(&["users", email, "block"]), Some(body))
        }
        UserCommand::RemoveSecondFactors { email, reason } => {
            let body = json!({ "reason": reason });
            (Method::POST, path(&["users", email, "second-factors", "remove"]), Some(body))
        }
        UserCommand::Unblock { email, reason } => {
            let body = json!({ "reason": reason });
            (Method::POST, path(&["users", email, "unblock"]), Some(body))
        }
    };
    let answer = block_on(async {
        let mut control = Control::open(control, environment).await?;
        let answer = match &arguments.command {
            UserCommand::List => control.list(&path).await.map(|users| named("users", users)),
            _ => control.send(method, &path, body).await,
        };
        control.close().await;
        answer
    })?;
    match &arguments.command {
        _ if control.json => output::json(&answer),
        UserCommand::List => output::line(&list(&answer)),
        _ => output::line(&show(&answer)),
    }
}

fn list(answer: &Value) -> String {
    let users =
        answer.get("users").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let columns = ["email", "name", "roles", "status", "created_at"];
    let row = |user: &Value| columns.iter().map(|column| field(user, column)).collect();
    let rows: Vec<Vec<String>> = users.iter().map(row).collect();
    output::table(&["EMAIL", "NAME", "ROLES", "STATUS", "CREATED"], &rows)
}

fn show(user: &Value) -> String {
    let names = ["email", "name", "roles", "status", "reason"];
    let fields: Vec<(&str, String)> = names
        .iter()
        .map(|name| (*name, field(user, name)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    output::record(&fields)
}
