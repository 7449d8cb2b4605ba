//! Takes the messages that are due and hands them on. What depends on whether an account exists is
//! decided here and not where somebody asked, so that the answer there takes equally long whatever
//! is true (attack X2).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::mail::{Asked, Letter, MailKind, NotSent, Post, next_attempt_at};
use domain::mail_link::{LinkUse, MailLink, account_stamp};
use domain::time::Timestamp;
use domain::user::User;
use futures_util::future::join_all;
use store::mails::{self, QueuedMail};
use store::{DbError, Tx, users};

use super::words::Told;
use crate::error::form_query;
use crate::provider::Provider;

/// Messages that are sent at once.
const BATCH_MAX: i64 = 8;
/// One conversation with the next server.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// A node that breaks off leaves its messages to others after this.
const LEASE: Duration = Duration::from_secs(120);
/// Of what a server answered, in characters.
const ERROR_CHARACTERS_MAX: usize = 300;

/// What became of messages since the start.
#[derive(Debug, Default)]
pub struct MailStats {
    sent: AtomicU64,
    retried: AtomicU64,
    given_up: AtomicU64,
    /// There was nobody to tell.
    dropped: AtomicU64,
}

impl MailStats {
    /// With the words of the metric.
    pub fn counts(&self) -> [(&'static str, u64); 4] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("sent", read(&self.sent)),
            ("retried", read(&self.retried)),
            ("given_up", read(&self.given_up)),
            ("dropped", read(&self.dropped)),
        ]
    }
}

/// Hand on what is due, and remember what could not be. Small and repeated: a few messages each
/// time. How many were looked at; zero: nothing is due.
pub async fn deliver_due(provider: &Provider, post: &dyn Post) -> Result<usize, DbError> {
    let now = provider.now();
    let is_due = async move |tx: &mut Tx<'_>| mails::is_any_due(tx, now).await;
    if !provider.store.db.read(is_due).await? {
        return Ok(0);
    }
    let claim = async move |tx: &mut Tx<'_>| mails::claim_due(tx, now, LEASE, BATCH_MAX).await;
    let claimed = provider.store.db.write(claim).await?;
    let done = join_all(claimed.iter().map(|mail| deliver(provider, post, mail))).await;
    done.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(claimed.len())
}

async fn deliver(provider: &Provider, post: &dyn Post, mail: &QueuedMail) -> Result<(), DbError> {
    let (id, stats) = (mail.id, &provider.mail_stats);
    let outcome = match letter(provider, mail).await? {
        None => {
            stats.dropped.fetch_add(1, Ordering::Relaxed);
            None
        }
        Some(Err(error)) => Some(NotSent::Never(error)),
        Some(Ok(letter)) => {
            let sent = tokio::time::timeout(SEND_TIMEOUT, post.send(letter)).await;
            let slow = || Err(NotSent::Later("the mail server took too long".to_owned()));
            let outcome = sent.unwrap_or_else(|_| slow()).err();
            if outcome.is_none() {
                stats.sent.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(mail = id, kind = mail.kind.name(), "a message was sent");
            }
            outcome
        }
    };
    match outcome {
        None => {
            let delete = async move |tx: &mut Tx<'_>| mails::delete(tx, id).await;
            provider.store.db.write(delete).await
        }
        Some(error) => fail(provider, mail, &error).await,
    }
}

async fn fail(provider: &Provider, mail: &QueuedMail, error: &NotSent) -> Result<(), DbError> {
    let again = match error {
        NotSent::Never(_) => None,
        NotSent::Later(_) => next_attempt_at(mail.attempts, provider.now()),
    };
    let again = again.filter(|at| *at < mail.expires_at);
    let text: String = error.to_string().chars().take(ERROR_CHARACTERS_MAX).collect();
    let (id, kind, attempts, stats) =
        (mail.id, mail.kind.name(), mail.attempts, &provider.mail_stats);
    if again.is_some() {
        stats.retried.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(mail = id, kind, attempts, error = %text, "a message will be tried again");
    } else {
        stats.given_up.fetch_add(1, Ordering::Relaxed);
        tracing::error!(mail = id, kind, attempts, error = %text, "a message was given up");
    }
    let save = async move |tx: &mut Tx<'_>| mails::save_failure(tx, id, again, &text).await;
    provider.store.db.write(save).await
}

/// `None`: there is nobody to tell, or nothing any more.
async fn letter(
    provider: &Provider,
    mail: &QueuedMail,
) -> Result<Option<Result<Letter, String>>, DbError> {
    let written = match &mail.kind {
        MailKind::SignUp { asked, name, password } => {
            match find(provider, &mail.address).await? {
                // A blocked account is no better known than none.
                Some(user) if !user.is_active() => return Ok(None),
                Some(_) => write(provider, mail, "sign_up_taken", None),
                None => {
                    let purpose = LinkUse::SignUp {
                        email: mail.address.clone(),
                        name: name.clone(),
                        password: password.clone(),
                        locale: mail.locale.clone(),
                    };
                    with_link(provider, mail, "/sign-up/finish", asked, purpose)
                }
            }
        }
        MailKind::PasswordReset(asked) => {
            let user = find(provider, &mail.address).await?;
            let Some(user) = user.filter(|user| user.is_active() && user.password.is_some()) else {
                return Ok(None);
            };
            let stamp = account_stamp(&provider.keyring(), &user);
            let purpose = LinkUse::ResetPassword { user: user.id, stamp };
            with_link(provider, mail, "/reset-password", asked, purpose)
        }
        MailKind::AddressToVerify(asked) => {
            let Some((user, owner)) = parties(provider, mail, asked).await? else {
                return Ok(None);
            };
            // Somebody else's account has the address; who it is, nobody is told.
            if owner.is_some_and(|owner| owner.id != user.id) || !user.is_active() {
                return Ok(None);
            }
            let stamp = account_stamp(&provider.keyring(), &user);
            let (user, email) = (user.id, mail.address.clone());
            let purpose = LinkUse::VerifyAddress { user, email, stamp };
            with_link(provider, mail, "/account/email/confirm", asked, purpose)
        }
        MailKind::TeamInvitation { asked, invitation, .. } => {
            let purpose = LinkUse::JoinTeam { invitation: *invitation };
            with_link(provider, mail, "/teams/invitation", asked, purpose)
        }
        _ => write(provider, mail, mail.kind.name(), None),
    };
    Ok(Some(written))
}

async fn find(provider: &Provider, email: &str) -> Result<Option<User>, DbError> {
    let email = email.to_owned();
    let read = async move |tx: &mut Tx<'_>| users::find_by_email(tx, &email).await;
    provider.store.db.read(read).await
}

/// Whose account is to have the address, and whose has it.
async fn parties(
    provider: &Provider,
    mail: &QueuedMail,
    asked: &Asked,
) -> Result<Option<(User, Option<User>)>, DbError> {
    let Some(id) = asked.user else { return Ok(None) };
    let email = mail.address.clone();
    let read = async move |tx: &mut Tx<'_>| {
        let Some(user) = users::find(tx, id).await? else { return Ok(None) };
        Ok::<_, DbError>(Some((user, users::find_by_email(tx, &email).await?)))
    };
    provider.store.db.read(read).await
}

fn with_link(
    provider: &Provider,
    mail: &QueuedMail,
    path: &str,
    asked: &Asked,
    purpose: LinkUse,
) -> Result<Letter, String> {
    let link = MailLink { asked: asked.clone(), purpose };
    let sealed = link.seal(&provider.keyring(), &*provider.entropy);
    let sealed = sealed.ok_or("the link could not be sealed")?;
    let address = format!("{}{path}?{}", provider.issuer(), form_query(&[("link", &sealed)]));
    write(provider, mail, mail.kind.name(), Some((&address, asked.expires_at)))
}

fn write(
    provider: &Provider,
    mail: &QueuedMail,
    name: &str,
    link: Option<(&str, Timestamp)>,
) -> Result<Letter, String> {
    let issuer = provider.issuer();
    let told = Told {
        brand: provider.pages.brand_name(),
        issuer: &issuer,
        link: link.map(|(address, _)| address),
        when: in_words(mail.created_at),
        until: link.map(|(_, until)| in_words(until)).unwrap_or_default(),
    };
    let letter = provider.mails.write(name, &mail.kind, mail.locale.as_deref(), &told);
    let letter = letter.map_err(|error| error.to_string())?;
    let host = issuer.split("//").nth(1).and_then(|rest| rest.split(':').next());
    let message_id =
        format!("<{}.{}@{}>", mail.id, mail.created_at.as_millis(), host.unwrap_or("localhost"));
    Ok(Letter { message_id, to: mail.address.clone(), ..letter })
}

/// The same in every language.
fn in_words(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
