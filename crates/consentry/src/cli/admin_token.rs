//! `consentry admin-token …`: tokens for programs that use the admin API.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::control::{Control, named, path};
use super::output::{self, field};
use super::{ControlArgs, Failure, block_on};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct AdminTokenArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: AdminTokenCommand,
}

#[derive(Debug, Subcommand)]
enum AdminTokenCommand {
    /// Make a token; it is shown this one time
    Create {
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it may do, as apps:read. Repeat for more
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// After how many days it expires
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// The member of staff in whose name it decides and writes to developers
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// List all tokens, never the tokens themselves
    List,
    /// Revoke a token; its next request is refused
    Revoke {
        /// Its id, as the list shows it
        id: String,
    },
}

pub fn run(arguments: &AdminTokenArgs, environment: &Environment) -> Result<(), Failure> {
    let control = &arguments.control;
    let answer = block_on(async {
        let mut control = Control::open(control, environment).await?;
        let answer = ask(&mut control, &arguments.command).await;
        control.close().await;
        answer
    })?;
    match &arguments.command {
        AdminTokenCommand::Revoke { id } => output::line(&format!("The token {id} is revoked.")),
        _ if control.json => output::json(&answer),
        AdminTokenCommand::List => output::line(&list(&answer)),
        AdminTokenCommand::Create { .. } => output::line(&show(&answer)),
    }
}

async fn ask(control: &mut Control, command: &AdminTokenCommand) -> Result<Value, Failure> {
    match command {
        AdminTokenCommand::Create { name, scopes, days, user } => {
            let body = json!({ "name": name, "scopes": scopes, "days": days, "user": user });
            control.send(Method::POST, "/tokens", Some(body)).await
        }
        AdminTokenCommand::List => {
            control.list("/tokens").await.map(|tokens| named("tokens", tokens))
        }
        AdminTokenCommand::Revoke { id } => {
            let token = path(&["tokens", id]);
            control.change(&token, Method::DELETE, &token, None).await
        }
    }
}

fn list(answer: &Value) -> String {
    let tokens = answer.get("tokens").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let columns = ["id", "name", "scopes", "expires_at", "last_used_at", "revoked_at"];
    let row = |token: &Value| columns.iter().map(|column| field(token, column)).collect();
    let rows: Vec<Vec<String>> = tokens.iter().map(row).collect();
    output::table(&["ID", "NAME", "SCOPES", "EXPIRES", "LAST USED", "REVOKED"], &rows)
}

fn show(token: &Value) -> String {
    let names = ["id", "name", "scopes", "expires_at", "token"];
    let fields: Vec<(&str, String)> =
        names.iter().map(|name| (*name, field(token, name))).collect();
    output::record(&fields)
}
