//! `consentry keys …`.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

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
        let control = Control::open(&arguments.control, environment).await?;
        control.call(Method::POST, "/keys/rotate", None).await
    })?;
    if arguments.control.json {
        return output::json(&answer);
    }
    let from = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    output::line(&format!(
        "Keys were rotated. What the old ones sealed and signed stays good until it expires.\n\
         New tokens are sealed with the new keys from {}.\n\
         JWTs are signed with the new keys from {}; they are published already.",
        from("sealing_keys_used_from"),
        from("signing_keys_used_from"),
    ))
}
