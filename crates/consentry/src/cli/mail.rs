//! `consentry mail …`.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::control::Control;
use super::output::{self, field};
use super::{ControlArgs, Failure, block_on};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct MailArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: MailCommand,
}

#[derive(Debug, Subcommand)]
enum MailCommand {
    /// List messages that wait to be sent or were given up, without their texts
    List,
    /// Send a message that says that it has arrived
    Test {
        /// Where to send it
        to: String,
    },
}

pub fn run(arguments: &MailArgs, environment: &Environment) -> Result<(), Failure> {
    let control = &arguments.control;
    let answer = block_on(async {
        let mut control = Control::open(control, environment).await?;
        let answer = ask(&mut control, &arguments.command).await;
        control.close().await;
        answer
    })?;
    if control.json {
        return output::json(&answer);
    }
    match &arguments.command {
        MailCommand::Test { to } => output::line(&format!(
            "A message to {to} is on its way, if the server runs. `consentry mail list` shows it \
             while it waits."
        )),
        MailCommand::List => list(&answer),
    }
}

async fn ask(control: &mut Control, command: &MailCommand) -> Result<Value, Failure> {
    match command {
        MailCommand::Test { to } => {
            control.send(Method::POST, "/mails/test", Some(json!({ "to": to }))).await
        }
        MailCommand::List => {
            let first = control.page("/mails", None).await?;
            let sends_mail = first.get("sends_mail").cloned();
            let mails = control.list("/mails").await?;
            Ok(json!({ "sends_mail": sends_mail, "mails": mails }))
        }
    }
}

fn list(answer: &Value) -> Result<(), Failure> {
    if answer.get("sends_mail") == Some(&Value::Bool(false)) {
        output::line("Nothing is sent: the config has no [mail].")?;
    }
    let mails = answer.get("mails").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rows = mails.iter().map(|mail| {
        let next = match mail.get("next_attempt_at") {
            Some(Value::String(at)) => at.clone(),
            _ => "given up".to_owned(),
        };
        let attempts = mail.get("attempts").map(ToString::to_string).unwrap_or_default();
        vec![
            field(mail, "created_at"),
            field(mail, "kind"),
            field(mail, "to"),
            attempts,
            next,
            field(mail, "last_error"),
        ]
    });
    let head = ["CREATED", "KIND", "TO", "ATTEMPTS", "NEXT", "ERROR"];
    output::line(&output::table(&head, &rows.collect::<Vec<_>>()))
}
