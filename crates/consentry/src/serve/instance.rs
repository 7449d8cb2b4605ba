//! A provider made from its config: the data directory held, the database open, no connection
//! accepted yet.

use std::fs::File;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::entropy::Entropy;
use domain::mail::Post;
use domain::policy::{AccountPolicy, Policy};
use domain::time::Clock;
use gateway::Gateway;
use server::Shared;
use server::known_passwords::KnownPasswords;
use server::mail::Mails;
use server::pages::Pages;
use server::provider::{Provider, ProviderParts};
use store::{Store, StoreConfig};

use super::data_dir::hold;
use super::smtp::Smtp;
use crate::cli::Failure;
use crate::config::Config;
use crate::outbound::Network;
use crate::system::{SystemClock, SystemEntropy};

pub struct Instance {
    pub provider: Shared,
    pub gateway: Gateway<Store>,
    /// Who takes messages; `None`: they wait, and nobody is told.
    pub post: Option<Arc<dyn Post>>,
    /// Held until the end of the process or of this value, whichever comes first.
    _data_dir: File,
}

impl Instance {
    pub async fn open(config: &Config) -> Result<Self, Failure> {
        let smtp = config.mail.as_ref().map(Smtp::new).transpose();
        let smtp = smtp.map_err(|error| Failure::Usage(format!("[mail]: {error}")))?;
        let post = smtp.map(|smtp| Arc::new(smtp) as Arc<dyn Post>);
        Self::open_with(config, post, config.accounts.policy).await
    }

    /// With another post, and what people may then do with accounts.
    pub async fn open_with(
        config: &Config,
        post: Option<Arc<dyn Post>>,
        accounts: AccountPolicy,
    ) -> Result<Self, Failure> {
        let data_dir = hold(&config.data_dir)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let pages = Pages::new(config.brand.clone(), config.templates_dir.clone())
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let store_config = StoreConfig {
            url: config.database_url.clone(),
            issuer: config.issuer().to_owned(),
            master: config.master_key.clone(),
        };
        let store = Store::open(store_config, Arc::clone(&clock), Arc::clone(&entropy))
            .await
            .map_err(|error| Failure::Failed(error.to_string()))?;
        let mails = Mails::new(config.mails_dir().as_deref(), &config.accounts.language)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let known_passwords = KnownPasswords::new(config.accounts.breached_passwords.clone());
        let policy = Policy { accounts, ..config.policy(&store.keyring()) };
        store.look_at_policy(&policy).await.map_err(|error| Failure::Failed(error.to_string()))?;
        let policy = Arc::new(ArcSwap::from_pointee(policy));
        let gateway = Gateway::new(
            store.clone(),
            Arc::clone(&policy),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let outbound = Arc::new(Network::default());
        let provider = Provider::new(ProviderParts {
            policy,
            store,
            pages,
            mails,
            known_passwords,
            clock,
            entropy,
            outbound,
        });
        server::webhooks::save_operators(&provider, config.webhooks().to_vec())
            .await
            .map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Self { provider, gateway, post, _data_dir: data_dir })
    }

    /// Write what is only in memory and let the database go.
    pub async fn close(self) {
        if let Err(error) = self.provider.store.close().await {
            tracing::error!(%error, "the last call counts could not be written");
        }
    }
}
