//! `consentry check`: every mistake of a config file at once.

use std::io::Write as _;

use clap::Args;
use server::mail::Mails;
use server::pages::Pages;

use super::{ConfigArgs, Failure, output};
use crate::config::{Config, ConfigErrors, Environment, Place, Problem, reference};

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the reference of all keys as Markdown instead
    #[arg(long)]
    reference: bool,
    /// Print the reference of dialect files as Markdown instead
    #[arg(long, conflicts_with = "reference")]
    dialect_reference: bool,
}

pub fn run(arguments: &CheckArgs, environment: &Environment) -> Result<(), Failure> {
    if arguments.reference {
        return Ok(write!(std::io::stdout().lock(), "{}", reference::markdown())?);
    }
    if arguments.dialect_reference {
        return Ok(write!(std::io::stdout().lock(), "{}", reference::dialect_markdown())?);
    }
    let config = Config::load(&arguments.config.config, environment)?;
    check_pages(&config)?;
    check_mails(&config)?;
    for warning in &config.warnings {
        output::line(&format!("warning: {warning}"))?;
    }
    let policy = config.policy_without_credentials();
    output::line(&format!(
        "{} is right. Scopes: {}, APIs: {}, issuer: {}",
        config.file.display(),
        policy.scopes.len(),
        policy.resources.len(),
        policy.issuer,
    ))
}

/// Templates of the operator are tried with every sample.
fn check_pages(config: &Config) -> Result<(), ConfigErrors> {
    let pages = Pages::new(config.brand.clone(), config.templates_dir.clone());
    pages.map(drop).map_err(|error| of_file(config, &error))
}

/// So are texts of messages.
fn check_mails(config: &Config) -> Result<(), ConfigErrors> {
    let mails = Mails::new(config.mails_dir().as_deref(), &config.accounts.language);
    mails.map(drop).map_err(|error| of_file(config, &error))
}

fn of_file(config: &Config, error: &dyn std::fmt::Display) -> ConfigErrors {
    ConfigErrors(vec![Problem {
        place: Place::Inside { file: config.file.clone(), path: String::new() },
        what: error.to_string(),
        to_do: String::new(),
    }])
}
