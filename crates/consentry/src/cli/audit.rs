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
    let mut after = 0;
    loop {
        let answer = call(arguments, environment, &format!("/audit?after={after}"))?;
        let events = answer.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(last) = events.last().and_then(|event| event.get("position")?.as_i64()) else {
            return Ok(());
        };
        for event in &events {
            output::line(&event.to_string())?;
        }
        after = last;
    }
}

fn verify(arguments: &AuditArgs, environment: &Environment) -> Result<(), Failure> {
    let answer = call(arguments, environment, "/audit/verify")?;
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

fn call(arguments: &AuditArgs, environment: &Environment, path: &str) -> Result<Value, Failure> {
    block_on(async {
        let control = Control::open(&arguments.control.config, environment).await?;
        control.call(Method::GET, path, None).await
    })
}
