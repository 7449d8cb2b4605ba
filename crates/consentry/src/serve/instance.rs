//! A provider made from its config: the data directory held, the database open, no connection
//! accepted yet.

use std::fs::File;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::entropy::Entropy;
use domain::time::Clock;
use gateway::Gateway;
use server::Shared;
use server::pages::Pages;
use server::provider::{Provider, ProviderParts};
use store::{Store, StoreConfig};

use super::data_dir::hold;
use crate::cli::Failure;
use crate::config::Config;
use crate::outbound::Network;
use crate::system::{SystemClock, SystemEntropy};

pub struct Instance {
    pub provider: Shared,
    pub gateway: Gateway<Store>,
    /// Held until the end of the process or of this value, whichever comes first.
    _data_dir: File,
}

impl Instance {
    pub async fn open(config: &Config) -> Result<Self, Failure> {
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
        let policy = Arc::new(ArcSwap::from_pointee(config.policy(&store.keyring())));
        let gateway = Gateway::new(
            store.clone(),
            Arc::clone(&policy),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let outbound = Arc::new(Network::default());
        let parts = ProviderParts { policy, store, pages, clock, entropy, outbound };
        let provider = Provider::new(parts);
        Ok(Self { provider, gateway, _data_dir: data_dir })
    }

    /// Write what is only in memory and let the database go.
    pub async fn close(self) {
        if let Err(error) = self.provider.store.close().await {
            tracing::error!(%error, "the last call counts could not be written");
        }
    }
}
