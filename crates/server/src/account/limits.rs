//! How often a sign-in or a user code may be tried. A browser that has signed in to the account
//! before is counted by itself alone; everyone else per account and network, per account, and per
//! address. Accounts that do not exist are counted like those that do (attack X2).

use std::net::IpAddr;
use std::time::Duration;

use domain::id::{AppId, LinkId, UserId};
use domain::throttle::{
    MAILS_PER_ADDRESS, PER_ACCOUNT, PER_ACCOUNT_EVERYWHERE, PER_ADDRESS, SECOND_FACTOR_EVERYWHERE,
    SteadyRule, ThrottleOutcome, ThrottleRule, USER_CODES_PER_APP, USER_CODES_PER_USER,
    WEBHOOKS_BY_HAND,
};
use domain::time::Timestamp;
use store::{DbError, Tx, throttles};

use crate::address::network_of;

/// What one attempt counts under.
#[derive(Clone, Debug)]
pub(crate) struct Limits(Vec<(String, Rule)>);

#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Forgotten when the password was right.
    Doubling(ThrottleRule),
    /// The attempt is given back when the password was right.
    Steady(SteadyRule),
}

impl Limits {
    /// `device`: the name of a device that has signed in to this account before. It is not counted
    /// with the others of its address either: a neighbour's guesses must not keep it out, and it
    /// can only guess at accounts whose password was known on it.
    pub(super) fn new(email: &str, address: IpAddr, device: Option<&str>) -> Self {
        // What somebody typed comes last, so that no two keys can be mistaken for one another.
        if let Some(device) = device {
            let key = format!("sign-in device {device} account {email}");
            return Self(vec![(key, Rule::Doubling(PER_ACCOUNT))]);
        }
        let network = network_of(address, 24, 56);
        Self(vec![
            (format!("sign-in network {network} account {email}"), Rule::Doubling(PER_ACCOUNT)),
            (format!("sign-in account {email}"), Rule::Steady(PER_ACCOUNT_EVERYWHERE)),
            // One IPv6 host has a whole /64 to itself.
            (format!("sign-in address {}", network_of(address, 32, 64)), Rule::Steady(PER_ADDRESS)),
        ])
    }

    /// People who come back from another system that signs users in.
    pub(super) fn of_returns(address: IpAddr) -> Self {
        let network = network_of(address, 32, 64);
        Self(vec![(format!("sign-in return address {network}"), Rule::Steady(PER_ADDRESS))])
    }

    /// Messages that strangers, or people who invite somebody, have sent to an address.
    pub(crate) fn of_mail(email: &str, address: IpAddr) -> Self {
        Self(vec![
            (format!("mail address {}", network_of(address, 32, 64)), Rule::Steady(PER_ADDRESS)),
            (format!("mail account {email}"), Rule::Steady(MAILS_PER_ADDRESS)),
        ])
    }

    /// The password that a signed-in user is asked again.
    pub(super) fn of_own_password(user: UserId) -> Self {
        Self(vec![(format!("own password {user}"), Rule::Doubling(PER_ACCOUNT))])
    }

    /// The password that was chosen together with a link.
    pub(super) fn of_link(link: LinkId) -> Self {
        Self(vec![(format!("link {link}"), Rule::Doubling(PER_ACCOUNT))])
    }

    /// Codes of a second factor, of somebody who has the password or a session.
    pub(super) fn of_second_factor(user: UserId, address: IpAddr, device: Option<&str>) -> Self {
        if let Some(device) = device {
            let key = format!("second-factor device {device} user {user}");
            return Self(vec![(key, Rule::Doubling(PER_ACCOUNT))]);
        }
        let network = network_of(address, 24, 56);
        Self(vec![
            (format!("second-factor network {network} user {user}"), Rule::Doubling(PER_ACCOUNT)),
            (format!("second-factor user {user}"), Rule::Steady(SECOND_FACTOR_EVERYWHERE)),
            (
                format!("second-factor address {}", network_of(address, 32, 64)),
                Rule::Steady(PER_ADDRESS),
            ),
        ])
    }

    /// Tokens of the admin API that are none.
    pub(crate) fn of_admin_tokens(address: IpAddr) -> Self {
        let network = network_of(address, 32, 64);
        Self(vec![(format!("admin-token address {network}"), Rule::Steady(PER_ADDRESS))])
    }

    /// Passkeys, which cannot be guessed: what counts is the work that wrong ones make.
    pub(super) fn of_passkeys(address: IpAddr) -> Self {
        let network = network_of(address, 32, 64);
        Self(vec![(format!("passkey address {network}"), Rule::Steady(PER_ADDRESS))])
    }

    /// User codes that a signed-in user types. Whoever has a good code of their own gets back one
    /// attempt for it and no more, so that guesses between good ones are counted like others.
    pub(crate) fn of_user_with_codes(user: UserId, address: IpAddr) -> Self {
        Self(vec![
            (format!("user-code user {user}"), Rule::Steady(USER_CODES_PER_USER)),
            (
                format!("user-code address {}", network_of(address, 32, 64)),
                Rule::Steady(PER_ADDRESS),
            ),
        ])
    }

    /// User codes that an app of a dialect shows.
    pub(crate) fn of_app_with_user_codes(app: AppId, address: IpAddr) -> Self {
        let network = network_of(address, 32, 64);
        Self(vec![
            (format!("user-code app {app} address {network}"), Rule::Steady(PER_ADDRESS)),
            (format!("user-code app {app}"), Rule::Steady(USER_CODES_PER_APP)),
        ])
    }

    /// Messages to webhooks that people of the app ask for.
    pub(crate) fn of_webhooks_by_hand(app: AppId) -> Self {
        Self(vec![(format!("webhook app {app}"), Rule::Steady(WEBHOOKS_BY_HAND))])
    }

    /// Count an attempt, or say how long to wait. What has to wait counts nowhere: an address that
    /// has used up its attempts cannot use up those of an account. The refusal is an `Ok`, so that
    /// what was counted is committed (attack K2).
    pub(crate) async fn count(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> Result<Option<Duration>, DbError> {
        let (mut counted, mut longest) = (Vec::new(), None);
        for (key, rule) in &self.0 {
            let state = throttles::find(tx, key).await?.unwrap_or_default();
            let outcome = match rule {
                Rule::Doubling(rule) => state.attempt(rule, now),
                Rule::Steady(rule) => state.attempt_steadily(rule, now),
            };
            match outcome {
                ThrottleOutcome::Wait(wait) => longest = longest.max(Some(wait)),
                ThrottleOutcome::Admitted(state) => counted.push((key, rule, state)),
            }
        }
        if longest.is_some() {
            return Ok(longest);
        }
        for (key, rule, state) in counted {
            let forgotten_at = match rule {
                Rule::Doubling(rule) => now.after(rule.forget_after),
                Rule::Steady(rule) => state.forgotten_at(rule),
            };
            throttles::save(tx, key, &state, forgotten_at).await?;
        }
        Ok(None)
    }

    /// The attempt was a sign-in. What others tried on the account from elsewhere stays counted.
    pub(crate) async fn give_back(&self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        for (key, rule) in &self.0 {
            let Rule::Steady(rule) = rule else {
                throttles::clear(tx, key).await?;
                continue;
            };
            let Some(state) = throttles::find(tx, key).await?.map(|state| state.give_back()) else {
                continue;
            };
            match state.attempts {
                0 => throttles::clear(tx, key).await?,
                _ => throttles::save(tx, key, &state, state.forgotten_at(rule)).await?,
            }
        }
        Ok(())
    }
}
