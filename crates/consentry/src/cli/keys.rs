//! `consentry keys …`.

use clap::{Args, Subcommand};
use http::Method;

use super::control::Control;
use super::{ControlArgs, Failure, block_on, output};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make new keys now. Old ones still open and verify what they made until it has expired
    Rotate,
}

pub fn run(arguments: &KeysArgs, environment: &Environment) -> Result<(), Failure> {
    let KeysCommand::Rotate = arguments.command;
    let answer = block_on(async {
        let control = Control::open(&arguments.control.config, environment).await?;
        control.call(Method::POST, "/keys/rotate", None).await
    })?;
    if arguments.control.json {
        return output::json(&answer);
    }
    let fields: Vec<(&str, String)> = answer
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value.to_string().trim_matches('"').to_owned()))
        .collect();
    output::line(format!("Keys were rotated.\n{}", output::record(&fields)).trim_end())
}
