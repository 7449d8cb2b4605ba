//! `consentry audit …`: the trail for people who must show or check it.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::control::Control;
use super::{ControlArgs, Failure, block_on, output};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print every event in order, one JSON object a line
    Export,
    /// Recompute the hashes over the whole trail: does anything miss, was anything rewritten?
    Verify,
}

pub fn run(arguments: &AuditArgs, environment: &Environment) -> Result<(), Failure> {
    match arguments.command {
        AuditCommand::Export => export(arguments, environment),
        AuditCommand::Verify => verify(arguments, environment),
    }
}

fn export(arguments: &AuditArgs, environment: &Environment) -> Result<(), Failure> {
    block_on(async {
        let mut control = Control::open(&arguments.control, environment).await?;
        let done = print_all(&mut control).await;
        control.close().await;
        done
    })
}

/// Page by page: the trail may be longer than the memory.
async fn print_all(control: &mut Control) -> Result<(), Failure> {
    let mut cursor: Option<String> = None;
    loop {
        let page = control.page("/audit?order=oldest", cursor.as_deref()).await?;
        for event in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            output::line(&event.to_string())?;
        }
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn verify(arguments: &AuditArgs, environment: &Environment) -> Result<(), Failure> {
    let answer = block_on(async {
        let control = Control::open(&arguments.control, environment).await?;
        control.call(Method::GET, "/audit/verify", None).await
    })?;
    if arguments.control.json {
        return output::json(&answer);
    }
    let blocks = answer.get("blocks").and_then(Value::as_i64).unwrap_or_default();
    let hash = answer.get("hash").and_then(Value::as_str).unwrap_or_default();
    let blocks = match blocks {
        1 => "1 block".to_owned(),
        blocks => format!("{blocks} blocks"),
    };
    output::line(&format!(
        "The audit trail is whole: {blocks}.\nKeep the hash of the newest block elsewhere; \
         it proves later that nothing up to here was rewritten:\n{hash}"
    ))
}
