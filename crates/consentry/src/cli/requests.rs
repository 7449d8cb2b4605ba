//! `consentry requests …`: plans and perks that developers ask for.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::control::{Control, named, path};
use super::output::{self, field};
use super::{ControlArgs, Failure, block_on};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct RequestsArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: RequestsCommand,
}

#[derive(Debug, Subcommand)]
enum RequestsCommand {
    /// List what waits for an answer, who waits longest first
    List,
    /// Grant a plan or a perk; a plan holds at once
    Approve {
        /// The id of the request
        id: String,
        /// To the developer
        #[arg(long, default_value = "")]
        note: String,
        /// The member of staff who decides. With --server, the token says it
        #[arg(long, value_name = "EMAIL")]
        by: Option<String>,
    },
    /// Refuse a plan or a perk
    Refuse {
        /// The id of the request
        id: String,
        /// Why, to the developer
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        note: String,
        /// The member of staff who decides. With --server, the token says it
        #[arg(long, value_name = "EMAIL")]
        by: Option<String>,
    },
}

pub fn run(arguments: &RequestsArgs, environment: &Environment) -> Result<(), Failure> {
    let control = &arguments.control;
    let answer = block_on(async {
        let mut control = Control::open(control, environment).await?;
        let answer = ask(&mut control, &arguments.command).await;
        control.close().await;
        answer
    })?;
    match &arguments.command {
        _ if control.json => output::json(&answer),
        RequestsCommand::List => output::line(&list(&answer)),
        RequestsCommand::Approve { .. } => said(&answer, "has"),
        RequestsCommand::Refuse { .. } => said(&answer, "does not get"),
    }
}

async fn ask(control: &mut Control, command: &RequestsCommand) -> Result<Value, Failure> {
    let (decision, id, note, by) = match command {
        RequestsCommand::List => {
            return control.list("/plan-requests").await.map(|all| named("requests", all));
        }
        RequestsCommand::Approve { id, note, by } => ("grant", id, note, by),
        RequestsCommand::Refuse { id, note, by } => ("refuse", id, note, by),
    };
    let body = json!({ "decision": decision, "note": note, "by": by });
    control.send(Method::POST, &path(&["plan-requests", id, "decision"]), Some(body)).await
}

fn said(request: &Value, verb: &str) -> Result<(), Failure> {
    let [app, kind, name] = ["app", "kind", "name"].map(|name| field(request, name));
    output::line(&format!("{app} {verb} the {kind} {name}."))
}

fn list(answer: &Value) -> String {
    let found = answer.get("requests").and_then(Value::as_array).map(Vec::as_slice);
    let columns = ["id", "app", "kind", "name", "asked_by", "asked_at", "reason"];
    let row = |request: &Value| columns.iter().map(|column| field(request, column)).collect();
    let rows: Vec<Vec<String>> = found.unwrap_or_default().iter().map(row).collect();
    output::table(&["ID", "APP", "KIND", "NAME", "ASKED BY", "SINCE", "REASON"], &rows)
}
