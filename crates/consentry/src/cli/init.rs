//! `consentry init`: a config file to start from, a master key, the database with its first admin.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use domain::keyring::MasterKey;
use domain::user::Role;
use server::admin::Admin;
use server::admin::users::{NewUser, register_by};
use zeroize::Zeroizing;

use super::{Failure, block_on, output};
use crate::config::{Config, Environment, master_key_text};
use crate::serve::{Instance, control_socket, create_private_folder};
use crate::system::{SystemEntropy, own_uid};

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder for the config file, the master key and the data
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// E-mail address of the first admin; asked for when it is not given
    #[arg(long, value_name = "EMAIL")]
    admin_email: Option<String>,
    /// File that holds the first admin's password, instead of asking
    #[arg(long, value_name = "FILE", alias = "password-file")]
    admin_password_file: Option<PathBuf>,
}

const EXAMPLE: &str = include_str!("init_example.toml");
const CONFIG_FILE: &str = "consentry.toml";
const KEY_FILE: &str = "master.key";

pub fn run(arguments: &InitArgs, environment: &Environment) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let (config, key) = (folder.join(CONFIG_FILE), folder.join(KEY_FILE));
    // Before anything is asked or written: a run that fails must not leave half of it.
    for path in [&config, &key] {
        if path.exists() {
            return Err(Failure::Failed(format!(
                "{} is there already and is not overwritten. Choose another folder, or remove it.",
                path.display()
            )));
        }
    }
    let email = match &arguments.admin_email {
        Some(email) => email.trim().to_owned(),
        None => ask("E-mail address of the first admin: ")?,
    };
    if !email.contains('@') {
        return Err(Failure::Usage(format!("`{email}` is not an e-mail address")));
    }
    let file = arguments.admin_password_file.as_deref();
    let password = password(&email, file, "--admin-password-file")?;

    create_private_folder(folder)?;
    let master = MasterKey::generate(&SystemEntropy);
    write_new(&key, master_key_text(&master).as_bytes(), 0o600)?;
    let written = write_new(&config, EXAMPLE.as_bytes(), 0o644).map_err(Failure::from);
    let done = written.and_then(|()| create_admin(&config, &email, &password, environment));
    if let Err(failure) = done {
        // A second try must find the folder as the first one did.
        let _ = std::fs::remove_file(&config);
        let _ = std::fs::remove_file(&key);
        return Err(failure);
    }
    output::line(&format!(
        "Wrote {config} and {key}, and created the admin {email}.\n\
         Keep a copy of {key} apart from the database: without it the database cannot be used.\n\
         \n\
         Next: adapt {config} (issuer, scopes, your API), then\n\
         \x20 consentry check -c {config}\n\
         \x20 consentry serve -c {config}",
        config = config.display(),
        key = key.display(),
    ))
}

fn create_admin(
    config: &Path,
    email: &str,
    password: &str,
    environment: &Environment,
) -> Result<(), Failure> {
    let config = Config::load(config, environment)?;
    block_on(async {
        let instance = Instance::open(&config).await?;
        let admin = NewUser {
            email: email.to_owned(),
            name: None,
            password: password.to_owned(),
            roles: vec![Role::Admin],
        };
        let operator = Admin::operator(control_socket::operator(own_uid().ok()));
        let created = register_by(&instance.provider, operator, admin).await;
        instance.close().await;
        created.map(drop).map_err(|error| Failure::Failed(error.to_string()))
    })
}

/// From `file`, or asked for twice on the terminal. `option` names the file.
pub(super) fn password(
    who: &str,
    file: Option<&Path>,
    option: &str,
) -> Result<Zeroizing<String>, Failure> {
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|error| {
            Failure::Failed(format!("the password file {} cannot be read: {error}", file.display()))
        })?;
        return Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "there is no terminal to ask for the password: name a file that holds it with {option}"
        )));
    }
    let ask = |prompt: String| rpassword::prompt_password(prompt).map(Zeroizing::new);
    let first = ask(format!("Password for {who}: "))?;
    let second = ask("Once more: ".to_owned())?;
    if first != second {
        return Err(Failure::Failed("the two passwords are not the same".into()));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("say who the first admin is with --admin-email".into()));
    }
    let mut stdout = io::stdout().lock();
    write!(stdout, "{prompt}")?;
    stdout.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Never overwrites; nobody else can open the file before it has its mode.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(mode);
    }
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
