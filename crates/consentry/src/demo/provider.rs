//! One of the demo's two providers: its own folder, keys, database and practice API.

use std::io;
use std::path::Path;

use domain::keyring::MasterKey;
use domain::policy::{AccountPolicy, Developers};
use tokio_util::sync::CancellationToken;

use super::apps::{self, AppScript};
use super::cast;
use super::mailbox::Mailbox;
use super::ports::Bound;
use super::upstream::{Api, Upstream};
use crate::cli::{Failure, init::write_new};
use crate::config::{Config, Environment, master_key_text};
use crate::serve::{Instance, Running, Sockets, create_private_folder};
use crate::system::SystemEntropy;

/// What makes one provider different from the other.
pub(super) struct Script {
    /// In `demo.json` and of its folder.
    pub(super) name: &'static str,
    /// As its config names the brand.
    pub(super) title: &'static str,
    config: &'static str,
    /// What the config calls the OpenAPI document, and its text.
    openapi: (&'static str, &'static str),
    api: Api,
    apps: &'static [AppScript],
}

pub(super) static EXCHANGE: Script = Script {
    name: "exchange",
    title: "Practice Exchange",
    config: include_str!("exchange.toml"),
    openapi: ("exchange.yaml", sandbox::exchange::OPENAPI),
    api: Api::Exchange,
    apps: &apps::EXCHANGE,
};

const DRIVE_OF_LISTS: Script = Script {
    name: "drive",
    title: "Practice Drive",
    config: include_str!("drive.toml"),
    openapi: ("drive.yaml", sandbox::drive::OPENAPI),
    api: Api::Drive { me_is_object: false },
    apps: &apps::DRIVE,
};

pub(super) static DRIVE: Script = DRIVE_OF_LISTS;
/// For Bitport clients of 2026, which read an object where all others read a list of one.
pub(super) static DRIVE_OF_2026: Script =
    Script { api: Api::Drive { me_is_object: true }, ..DRIVE_OF_LISTS };

pub(super) struct DemoProvider {
    pub(super) script: &'static Script,
    pub(super) issuer: String,
    pub(super) apps: Vec<cast::Seeded>,
    running: Running,
    upstream: Upstream,
    /// The same API with data of its own, for test tokens.
    test_upstream: Upstream,
}

/// What both providers stand in.
pub(super) struct Surroundings<'a> {
    pub(super) folder: &'a Path,
    pub(super) app_origin: &'a str,
    pub(super) mailbox: &'a Mailbox,
}

impl DemoProvider {
    /// Everything is made at the first start and found again at later ones.
    pub(super) async fn start(
        script: &'static Script,
        around: &Surroundings<'_>,
        bound: Bound,
    ) -> Result<Self, Failure> {
        let folder = around.folder.join(script.name);
        create_private_folder(&folder)?;
        let issuer = format!("http://localhost:{}", bound.port);
        let test_folder = folder.join("test");
        create_private_folder(&test_folder)?;
        let (upstream, test_upstream) = (Upstream::bind().await?, Upstream::bind().await?);
        let config =
            read_config(script, &folder, &issuer, (&upstream.url(), &test_upstream.url()))?;
        let accounts =
            AccountPolicy { sign_up: true, developers: Developers::Verified, sends_mail: true };
        let post = around.mailbox.slot(script.title);
        let instance = Instance::open_with(&config, Some(post), accounts).await?;
        bound.keep()?;
        let apps = cast::seed(&instance.provider, script.apps, around.app_origin).await?;
        let upstream = upstream.start(script.api, &folder, &instance.provider)?;
        let test_upstream = test_upstream.start(script.api, &test_folder, &instance.provider)?;
        let sockets = Sockets { public: bound.listeners, internal: None };
        let running = Running::start(instance, sockets, &config)?;
        Ok(Self { script, issuer, apps, running, upstream, test_upstream })
    }

    pub(super) async fn stop(self, hurry: &CancellationToken) {
        self.running.stop(hurry).await;
        self.upstream.stop();
        self.test_upstream.stop();
    }
}

fn read_config(
    script: &Script,
    folder: &Path,
    issuer: &str,
    (upstream, test_upstream): (&str, &str),
) -> Result<Config, Failure> {
    let key_file = folder.join("master.key");
    if !key_file.exists() {
        let key = MasterKey::generate(&SystemEntropy);
        write_new(&key_file, master_key_text(&key).as_bytes(), 0o600)?;
    }
    let environment = Environment::default()
        .with("CONSENTRY_ISSUER", issuer)
        .with("CONSENTRY_DATA_DIR", folder.to_string_lossy())
        .with("CONSENTRY_MASTER_KEY_FILE", key_file.to_string_lossy())
        .with("CONSENTRY_RESOURCE__0__UPSTREAM__URL", upstream)
        .with("CONSENTRY_RESOURCE__0__TEST_UPSTREAM", test_upstream)
        // Enough for a call under way; nobody waits longer for a demo to stop.
        .with("CONSENTRY_LISTEN__DRAIN", "3s");
    let (document_name, document) = script.openapi;
    let read = |path: &Path| -> io::Result<Vec<u8>> {
        if path == Path::new(document_name) {
            return Ok(document.as_bytes().to_vec());
        }
        std::fs::read(path)
    };
    let file = format!("{}.toml", script.name);
    Ok(Config::parse(Path::new(&file), script.config, &environment, &read)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_configs_are_right_and_leave_no_operation_unreachable() {
        for script in [&EXCHANGE, &DRIVE] {
            let folder = tempfile::tempdir().unwrap();
            let upstreams = ("http://127.0.0.1:1", "http://127.0.0.1:2");
            let config =
                read_config(script, folder.path(), "http://localhost:8400", upstreams).unwrap();
            assert_eq!(config.warnings, [], "{}", script.name);
        }
    }
}
