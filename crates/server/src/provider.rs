//! One provider: an issuer with its policy, brand, keys, store and pages. Several live in one
//! process, so nothing here is global (ARCHITECTURE.md, invariant 6).

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::entropy::Entropy;
use domain::keyring::Keyring;
use domain::policy::Policy;
use domain::request_id::RequestIds;
use domain::time::{Clock, Timestamp};
use store::Store;

use crate::account::hand_off::OpenIdProviders;
use crate::cookie::CookieNames;
use crate::dialect::Paces;
use crate::docs::Manual;
use crate::foreign_hash::ForeignHashes;
use crate::known_passwords::KnownPasswords;
use crate::logo::LogoPlaces;
use crate::mail::{MailStats, Mails};
use crate::oauth::app_keys::KeySets;
use crate::oauth::failures::SeenFailures;
use crate::outbound::Outbound;
use crate::pages::Pages;
use crate::passwords::Passwords;
use crate::webhooks::WebhookStats;

/// The state of every handler.
pub type Shared = Arc<Provider>;

pub struct Provider {
    /// Swapped as a whole when the config is read again; the gateway holds the same pointer.
    pub policy: Arc<ArcSwap<Policy>>,
    pub store: Store,
    pub pages: Pages,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub passwords: Passwords,
    pub(crate) logos: LogoPlaces,
    pub known_passwords: Arc<KnownPasswords>,
    pub mails: Mails,
    pub mail_stats: MailStats,
    pub webhook_stats: WebhookStats,
    pub foreign_hashes: ForeignHashes,
    pub cookies: CookieNames,
    pub paces: Paces,
    pub seen_failures: SeenFailures,
    pub request_ids: RequestIds,
    pub outbound: Arc<dyn Outbound>,
    pub openid_providers: OpenIdProviders,
    pub manual: Manual,
    pub key_sets: KeySets,
}

/// What a provider is made from.
pub struct ProviderParts {
    pub policy: Arc<ArcSwap<Policy>>,
    pub store: Store,
    pub pages: Pages,
    pub mails: Mails,
    pub known_passwords: KnownPasswords,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub outbound: Arc<dyn Outbound>,
}

impl Provider {
    pub fn new(parts: ProviderParts) -> Shared {
        let cookies = CookieNames::of_issuer(&parts.policy.load().issuer);
        let request_ids = RequestIds::new(&*parts.entropy);
        let passwords = Passwords::new(Arc::clone(&parts.entropy));
        let ProviderParts {
            policy,
            store,
            pages,
            mails,
            known_passwords,
            clock,
            entropy,
            outbound,
        } = parts;
        let (paces, foreign_hashes) = (Paces::default(), ForeignHashes::default());
        Arc::new(Self {
            policy,
            store,
            pages,
            clock,
            entropy,
            passwords,
            logos: LogoPlaces::default(),
            known_passwords: Arc::new(known_passwords),
            mails,
            mail_stats: MailStats::default(),
            webhook_stats: WebhookStats::default(),
            foreign_hashes,
            cookies,
            paces,
            seen_failures: SeenFailures::default(),
            request_ids,
            outbound,
            openid_providers: OpenIdProviders::default(),
            manual: Manual::default(),
            key_sets: KeySets::default(),
        })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    pub fn keyring(&self) -> Arc<Keyring> {
        self.store.keyring()
    }

    /// The issuer as it appears in answers (RFC 8414 §2, RFC 9207). From the config, never from a
    /// request header.
    pub fn issuer(&self) -> String {
        self.policy.load().issuer.clone()
    }
}
