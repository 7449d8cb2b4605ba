//! Other systems that sign our users in, and what becomes of somebody whom one of them vouches for.
//! An account is never handed over because of an e-mail address that one side has not verified.

use std::sync::Arc;
use std::time::Duration;

use protocol::identity::Identity;
use protocol::jose::SharedKey;
use protocol::secret::Secret;

use crate::time::Timestamp;
use crate::user::User;

/// A user has this long at the other system.
pub const HAND_OFF_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How far the other system's clock may be from ours when it says when a user signed in.
const SKEW: Duration = Duration::from_secs(60);

/// How users sign in.
#[derive(Clone, Debug)]
pub struct SignInPolicy {
    /// With an e-mail address and a password that we keep.
    pub password: bool,
    pub providers: Vec<Arc<SignInProvider>>,
}

impl Default for SignInPolicy {
    fn default() -> Self {
        Self { password: true, providers: Vec::new() }
    }
}

impl SignInPolicy {
    pub fn provider(&self, name: &str) -> Option<&Arc<SignInProvider>> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// The provider that everybody uses, because there is no other way.
    pub fn only_provider(&self) -> Option<&Arc<SignInProvider>> {
        match &self.providers[..] {
            [only] if !self.password => Some(only),
            _ => None,
        }
    }
}

/// A system that signs our users in.
#[derive(Clone, Debug)]
pub struct SignInProvider {
    /// In our addresses: `/sign-in/with/NAME`.
    pub name: String,
    /// On the button.
    pub title: String,
    /// Under which name its users are ours: (issuer, subject) is one person for ever.
    pub issuer: String,
    pub way: Way,
    /// People whom we do not know get an account.
    pub creates_accounts: bool,
    /// People whose address belongs to an account here get that account, if both sides have
    /// verified the address.
    pub links_accounts: bool,
    /// It verifies every address, also where it does not say so.
    pub verifies_emails: bool,
    pub second_factor: SecondFactor,
    /// Where a user signs out of it.
    pub sign_out_url: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Way {
    OpenId {
        client_id: String,
        client_secret: Option<Secret>,
        /// Separated by spaces, `openid` among them.
        scopes: String,
    },
    /// `protocol::hand_off`.
    SignedRedirect { url: String, key: SharedKey },
}

/// How it tells that it has seen a second factor, and whether it can be asked for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecondFactor {
    /// Values of `acr` that mean one. They are asked for with `acr_values`.
    pub acr: Vec<String>,
    /// Values of `amr` that mean one.
    pub amr: Vec<String>,
    pub on_request: bool,
}

impl SecondFactor {
    pub fn is_in(&self, identity: &Identity) -> bool {
        identity.acr.as_ref().is_some_and(|acr| self.acr.contains(acr))
            || identity.amr.iter().any(|method| self.amr.contains(method))
    }

    /// The value of `acr_values`; `None` when there is nothing to name.
    pub fn acr_values(&self) -> Option<String> {
        (!self.acr.is_empty()).then(|| self.acr.join(" "))
    }
}

/// What becomes of somebody whom a provider vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They are this user, whom the provider has brought before.
    Known,
    /// They are the user with this address, from now on.
    Link,
    /// They are new.
    Create {
        email: String,
    },
    Refuse(Refusal),
}

/// Why somebody is not signed in. Told to that person, who has proven at the provider who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the account is blocked")]
    Blocked,
    #[error("the provider told no e-mail address")]
    NoEmail,
    #[error("the provider has not verified the e-mail address")]
    EmailNotVerified,
    #[error("the e-mail address belongs to an account that is not linked")]
    AccountExists,
    #[error("the provider makes no accounts here")]
    NoNewAccounts,
}

impl SignInProvider {
    /// `known` is the user whom this provider has brought under this subject before, `same_email`
    /// the one who has the address.
    pub fn admit(
        &self,
        identity: &Identity,
        known: Option<&User>,
        same_email: Option<&User>,
    ) -> Admission {
        // The address may have changed hands since; the subject has not.
        if let Some(user) = known {
            return if user.is_active() {
                Admission::Known
            } else {
                Admission::Refuse(Refusal::Blocked)
            };
        }
        let Some(email) = &identity.email else { return Admission::Refuse(Refusal::NoEmail) };
        // Whoever typed a stranger's address there must not get or prepare the stranger's account.
        if !identity.email_verified && !self.verifies_emails {
            return Admission::Refuse(Refusal::EmailNotVerified);
        }
        match same_email {
            // Somebody may have made this account with the address of another (who comes now).
            Some(user) if !self.links_accounts || user.email_verified_at.is_none() => {
                Admission::Refuse(Refusal::AccountExists)
            }
            Some(user) if !user.is_active() => Admission::Refuse(Refusal::Blocked),
            Some(_) => Admission::Link,
            None if self.creates_accounts => Admission::Create { email: email.clone() },
            None => Admission::Refuse(Refusal::NoNewAccounts),
        }
    }
}

/// The user proved who they are too long ago, or the provider does not say when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider did not ask the user again")]
pub struct NotFresh;

/// When the user proved who they are. `since`: it must not have been before.
pub fn auth_time(
    identity: &Identity,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Timestamp, NotFresh> {
    let told = identity.auth_time.map(|seconds| Timestamp::from_seconds(seconds).min(now));
    match (told, since) {
        (told, None) => Ok(told.unwrap_or(now)),
        // Whole seconds of another clock: fresh within the skew is fresh.
        (Some(told), Some(since)) if told >= since.before(SKEW) => Ok(told.max(since).min(now)),
        _ => Err(NotFresh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UserId;
    use crate::user::UserStatus;

    fn provider() -> SignInProvider {
        SignInProvider {
            name: "staff".into(),
            title: "Staff".into(),
            issuer: "https://login.example".into(),
            way: Way::OpenId {
                client_id: "us".into(),
                client_secret: None,
                scopes: "openid".into(),
            },
            creates_accounts: true,
            links_accounts: true,
            verifies_emails: false,
            second_factor: SecondFactor { amr: vec!["mfa".into()], ..SecondFactor::default() },
            sign_out_url: None,
        }
    }

    fn identity() -> Identity {
        Identity {
            subject: "u1".into(),
            email: Some("ada@example.com".into()),
            email_verified: true,
            name: None,
            locale: None,
            auth_time: None,
            acr: None,
            amr: vec!["pwd".into()],
        }
    }

    fn user() -> User {
        User {
            id: UserId::from_bytes([1; 16]),
            email: "ada@example.com".into(),
            name: "Ada".into(),
            password: None,
            roles: Vec::new(),
            status: UserStatus::Active,
            created_at: Timestamp::from_seconds(0),
            locale: None,
            email_verified_at: Some(Timestamp::from_seconds(1)),
        }
    }

    const EXISTS: Admission = Admission::Refuse(Refusal::AccountExists);
    const BLOCKED: Admission = Admission::Refuse(Refusal::Blocked);

    #[test]
    fn s8_an_account_is_linked_only_if_both_sides_verified_the_address_and_the_config_allows_it() {
        let (provider, identity, user) = (provider(), identity(), user());
        let admit = |identity: &Identity, user: &User| provider.admit(identity, None, Some(user));
        assert_eq!(admit(&identity, &user), Admission::Link);
        let unverified_here = User { email_verified_at: None, ..user.clone() };
        assert_eq!(admit(&identity, &unverified_here), EXISTS);
        let unverified_there = Identity { email_verified: false, ..identity.clone() };
        let refused = Admission::Refuse(Refusal::EmailNotVerified);
        assert_eq!(admit(&unverified_there, &user), refused);
        assert_eq!(provider.admit(&unverified_there, None, None), refused);
        let strict = SignInProvider { links_accounts: false, ..provider.clone() };
        assert_eq!(strict.admit(&identity, None, Some(&user)), EXISTS);
        let trusting = SignInProvider { verifies_emails: true, ..provider.clone() };
        assert_eq!(trusting.admit(&unverified_there, None, Some(&user)), Admission::Link);
        assert_eq!(trusting.admit(&unverified_there, None, Some(&unverified_here)), EXISTS);
    }

    #[test]
    fn a_known_subject_is_its_user_whatever_the_address_says_now() {
        let other = Identity { email: None, email_verified: false, ..identity() };
        assert_eq!(provider().admit(&other, Some(&user()), None), Admission::Known);
    }

    #[test]
    fn t8_a_blocked_user_stays_blocked_whichever_way_they_come() {
        let blocked = user().block("abuse".into(), Timestamp::from_seconds(2));
        assert_eq!(provider().admit(&identity(), Some(&blocked), None), BLOCKED);
        assert_eq!(provider().admit(&identity(), None, Some(&blocked)), BLOCKED);
    }

    #[test]
    fn newcomers_get_an_account_only_with_an_address_and_where_that_is_allowed() {
        let create = Admission::Create { email: "ada@example.com".into() };
        assert_eq!(provider().admit(&identity(), None, None), create);
        let nameless = Identity { email: None, ..identity() };
        let refused = Admission::Refuse(Refusal::NoEmail);
        assert_eq!(provider().admit(&nameless, None, None), refused);
        let closed = SignInProvider { creates_accounts: false, ..provider() };
        let refused = Admission::Refuse(Refusal::NoNewAccounts);
        assert_eq!(closed.admit(&identity(), None, None), refused);
    }

    #[test]
    fn a_second_factor_is_what_the_config_names_and_nothing_else() {
        let named = SecondFactor { acr: vec!["gold".into()], ..provider().second_factor };
        assert!(!named.is_in(&identity()));
        assert!(named.is_in(&Identity { amr: vec!["pwd".into(), "mfa".into()], ..identity() }));
        assert!(named.is_in(&Identity { acr: Some("gold".into()), ..identity() }));
        assert!(!named.is_in(&Identity { acr: Some("mfa".into()), ..identity() }));
        assert!(!SecondFactor::default().is_in(&identity()));
    }

    #[test]
    fn s3_a_sign_in_that_must_be_fresh_is_not_taken_on_trust() {
        let (now, since) = (Timestamp::from_seconds(1_000), Timestamp::from_seconds(900));
        let at = |seconds| Identity { auth_time: Some(seconds), ..identity() };
        assert_eq!(auth_time(&identity(), None, now), Ok(now));
        assert_eq!(auth_time(&at(10), None, now), Ok(Timestamp::from_seconds(10)));
        assert_eq!(auth_time(&at(5_000), None, now), Ok(now), "never in the future");
        assert_eq!(auth_time(&identity(), Some(since), now), Err(NotFresh));
        assert_eq!(auth_time(&at(839), Some(since), now), Err(NotFresh));
        assert_eq!(auth_time(&at(840), Some(since), now), Ok(since));
        assert_eq!(auth_time(&at(950), Some(since), now), Ok(Timestamp::from_seconds(950)));
    }
}
