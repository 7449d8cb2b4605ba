//! A provider made from its config: the data directory held, the database open, no connection
//! accepted yet.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::entropy::Entropy;
use domain::time::Clock;
use gateway::Gateway;
use server::Shared;
use server::pages::Pages;
use server::provider::{Provider, ProviderParts};
use store::{Store, StoreConfig};

use super::create_private_folder;
use crate::cli::Failure;
use crate::config::Config;
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
        let provider = Provider::new(ProviderParts { policy, store, pages, clock, entropy });
        Ok(Self { provider, gateway, _data_dir: data_dir })
    }

    /// Write what is only in memory and let the database go.
    pub async fn close(self) {
        if let Err(error) = self.provider.store.close().await {
            tracing::error!(%error, "the last call counts could not be written");
        }
    }
}

/// One process each: two would fight over the control socket, and two SQLite writers over the
/// database. The lock goes with the process, however it ends.
fn hold(data_dir: &Path) -> Result<File, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::Failed(format!(
            "the data directory {} cannot be used: {error}",
            data_dir.display()
        ))
    };
    create_private_folder(data_dir).map_err(unusable)?;
    let path = data_dir.join("consentry.lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::Failed(format!(
            "another Consentry runs on the data directory {}. Stop it, or give this one another \
             `data_dir`.",
            data_dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_on_the_same_data_directory_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let first = hold(&data_dir).unwrap();
        let refused = hold(&data_dir).unwrap_err().to_string();
        assert!(refused.contains("another Consentry runs"), "{refused}");
        assert!(refused.contains(&data_dir.display().to_string()), "{refused}");
        drop(first);
        assert!(hold(&data_dir).is_ok());
    }
}
