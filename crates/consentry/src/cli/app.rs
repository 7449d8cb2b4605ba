//! `consentry app …`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};

use super::control::{Control, named, path};
use super::output::{self, field};
use super::{ControlArgs, Failure, block_on};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct AppArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(subcommand)]
    command: AppCommand,
}

#[derive(Debug, Subcommand)]
enum AppCommand {
    /// Create an app that is live at once; its secret is shown this one time
    Create(Box<CreateArgs>),
    /// List all apps
    List,
    /// Show one app
    Show {
        /// The client id of the app
        client_id: String,
    },
    /// Stop an app: none of its tokens is good from the next request on
    Suspend {
        /// The client id of the app
        client_id: String,
        /// Told to its developer
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: String,
    },
    /// Let a suspended app go on, from the next request on
    Resume {
        /// The client id of the app
        client_id: String,
        /// Kept in the audit trail
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Give an app a plan of the config, from its next call on; its developers hear of it
    Plan {
        /// The client id of the app
        client_id: String,
        /// The name of the plan; without one, the plan that apps have
        name: Option<String>,
        /// To its developers
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Delete an app after ending all access of it
    Delete {
        /// The client id of the app
        client_id: String,
    },
    /// Approve what waits for review: these scopes, and the new revision; the rest is refused
    Approve {
        #[command(flatten)]
        decision: DecisionArgs,
        /// A scope to approve. Repeat for more; without any, all that it asks for
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// A condition, in words: `orders.create=Up to 100 users`. Repeat for more
        #[arg(long = "condition", value_name = "SCOPE=TEXT")]
        conditions: Vec<String>,
    },
    /// Ask the developer for changes, with --note; what was approved stays as it is
    AskForChanges {
        #[command(flatten)]
        decision: DecisionArgs,
    },
    /// Reject what waits for review, with --note; what was approved stays as it is
    Reject {
        #[command(flatten)]
        decision: DecisionArgs,
    },
}

#[derive(Debug, Args)]
struct DecisionArgs {
    /// The client id of the app
    client_id: String,
    /// To the developer
    #[arg(long, default_value = "")]
    note: String,
    /// The member of staff who decides. With --server, the token says it
    #[arg(long, value_name = "EMAIL")]
    by: Option<String>,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What users read on the consent page. It may be the provider's own name
    #[arg(long)]
    name: String,
    /// Where it runs, and so whether it can keep a secret. It cannot be changed later
    #[arg(long, value_enum)]
    kind: Kind,
    /// E-mail address of its developer, who has an account
    #[arg(long)]
    owner: String,
    /// A scope, with what the app needs it for: `orders.read=Show your orders`. Repeat for more
    #[arg(long = "scope", value_name = "SCOPE=PURPOSE")]
    scopes: Vec<String>,
    /// One of its scopes that it cannot work without. Repeat for more
    #[arg(long = "required", value_name = "SCOPE")]
    required: Vec<String>,
    /// One of its scopes that it may use for itself, by client credentials. Repeat for more
    #[arg(long = "service-scope", value_name = "SCOPE")]
    service_scopes: Vec<String>,
    /// Where users are sent back to. Repeat for more
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// A network that it may call from; without any, from anywhere. Repeat for more
    #[arg(long = "address", value_name = "NETWORK")]
    addresses: Vec<String>,
    /// What it does, for users and reviewers
    #[arg(long, default_value = "")]
    description: String,
    /// A page that says who is behind it, https://…
    #[arg(long, value_name = "URL")]
    homepage: Option<String>,
    /// Who stands behind it; its developer's name otherwise
    #[arg(long)]
    publisher: Option<String>,
    /// A dialect that the config serves; the app is known at its endpoints only
    #[arg(long, value_name = "NAME")]
    dialect: Option<String>,
    /// With --dialect: it is known at the standard endpoints too
    #[arg(long, requires = "dialect")]
    also_standard: bool,
    /// Keep this client id, for an app that moves here from elsewhere
    #[arg(long)]
    client_id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Runs on the developer's servers and keeps a secret
    Web,
    /// Runs on the user's device
    Native,
    /// Runs in the user's browser
    SinglePage,
    /// Acts for itself only
    Service,
    /// Has no browser; users let it in by codes
    Device,
    /// An AI agent or its host
    Agent,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Native => "native",
            Self::SinglePage => "single_page",
            Self::Service => "service",
            Self::Device => "device",
            Self::Agent => "agent",
        }
    }
}

pub fn run(arguments: &AppArgs, environment: &Environment) -> Result<(), Failure> {
    let control = &arguments.control;
    let answer = block_on(async {
        let mut control = Control::open(control, environment).await?;
        let answer = ask(&mut control, &arguments.command).await;
        control.close().await;
        answer
    })?;
    match &arguments.command {
        AppCommand::Delete { client_id } => {
            output::line(&format!("The app {client_id} is deleted, and all access of it ended."))
        }
        _ if control.json => output::json(&answer),
        AppCommand::List => output::line(&list(&answer)),
        _ => output::line(&show(&answer)),
    }
}

async fn ask(control: &mut Control, command: &AppCommand) -> Result<Value, Failure> {
    match command {
        AppCommand::Create(create) => {
            control.send(Method::POST, "/apps", Some(new_app(create)?)).await
        }
        AppCommand::List => control.list("/apps").await.map(|apps| named("apps", apps)),
        AppCommand::Show { client_id } => {
            control.send(Method::GET, &path(&["apps", client_id]), None).await
        }
        AppCommand::Suspend { client_id, reason } => {
            let body = Some(json!({ "reason": reason }));
            control.send(Method::POST, &path(&["apps", client_id, "suspend"]), body).await
        }
        AppCommand::Resume { client_id, reason } => {
            let body = Some(json!({ "reason": reason }));
            control.send(Method::POST, &path(&["apps", client_id, "resume"]), body).await
        }
        AppCommand::Plan { client_id, name, note } => {
            let app = path(&["apps", client_id]);
            let body = Some(json!({ "plan": name, "note": note }));
            control.change(&app, Method::PUT, &format!("{app}/plan"), body).await
        }
        AppCommand::Delete { client_id } => {
            let app = path(&["apps", client_id]);
            control.change(&app, Method::DELETE, &app, None).await
        }
        AppCommand::Approve { decision, scopes, conditions } => {
            let note = |(scope, text): (String, Value)| (scope, json!({ "note": text }));
            let conditions = pairs("--condition", conditions)?.into_iter().map(note).collect();
            let said = (scopes.join(" "), conditions);
            decide(control, "approve", decision, Some(said)).await
        }
        AppCommand::AskForChanges { decision } => decide(control, "ask", decision, None).await,
        AppCommand::Reject { decision } => decide(control, "reject", decision, None).await,
    }
}

/// About the app as it is now: whoever decides has just looked at it.
async fn decide(
    control: &mut Control,
    decision: &str,
    arguments: &DecisionArgs,
    approved: Option<(String, Map<String, Value>)>,
) -> Result<Value, Failure> {
    let app = path(&["apps", &arguments.client_id]);
    let mut body = json!({ "decision": decision, "note": arguments.note, "by": arguments.by });
    if let (Some((scopes, conditions)), Some(members)) = (approved, body.as_object_mut()) {
        let scopes = match scopes.is_empty() {
            false => scopes,
            true => field(&control.send(Method::GET, &app, None).await?, "scopes_requested"),
        };
        members.insert("scopes".to_owned(), scopes.into());
        members.insert("conditions".to_owned(), conditions.into());
    }
    control.change(&app, Method::POST, &format!("{app}/decision"), Some(body)).await
}

/// `NAME=TEXT`, each name once.
fn pairs(option: &str, given: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut pairs = Map::new();
    for one in given {
        let (name, text) = one.split_once('=').unwrap_or((one, ""));
        if pairs.insert(name.trim().to_owned(), text.trim().into()).is_some() {
            return Err(Failure::Usage(format!("{option} {name} is there twice")));
        }
    }
    Ok(pairs)
}

fn new_app(create: &CreateArgs) -> Result<Value, Failure> {
    let scopes = pairs("--scope", &create.scopes)?;
    Ok(json!({
        "name": create.name,
        "kind": create.kind.as_str(),
        "owner": create.owner,
        "scopes": scopes,
        "required": create.required.join(" "),
        "service_scopes": create.service_scopes.join(" "),
        "redirect_uris": create.redirect_uris,
        "addresses": create.addresses,
        "description": create.description,
        "homepage": create.homepage,
        "publisher": create.publisher,
        "dialect": create.dialect,
        "also_standard": create.also_standard,
        "client_id": create.client_id,
    }))
}

fn list(answer: &Value) -> String {
    let apps = answer.get("apps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let columns = ["client_id", "name", "kind", "status", "owner"];
    let row = |app: &Value| columns.iter().map(|column| field(app, column)).collect();
    let rows: Vec<Vec<String>> = apps.iter().map(row).collect();
    output::table(&["CLIENT ID", "NAME", "KIND", "STATUS", "OWNER"], &rows)
}

fn show(app: &Value) -> String {
    const FIELDS: [(&str, &str); 16] = [
        ("client id", "client_id"),
        ("client secret", "client_secret"),
        ("name", "name"),
        ("kind", "kind"),
        ("status", "status"),
        ("reason", "reason"),
        ("owner", "owner"),
        ("plan", "plan"),
        ("test client id", "test_client_id"),
        ("redirect URIs", "redirect_uris"),
        ("asks for", "scopes_requested"),
        ("approved", "scopes_approved"),
        ("for itself", "service_scopes"),
        ("addresses", "addresses"),
        ("dialect", "dialect"),
        ("created", "created_at"),
    ];
    let fields: Vec<(&str, String)> = FIELDS
        .iter()
        .map(|(label, name)| (*label, field(app, name)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    output::record(&fields)
}
