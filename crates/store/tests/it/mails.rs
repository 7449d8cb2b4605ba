//! Messages wait until they are handed on, whoever tells them and however often that fails.

use std::time::Duration;

use domain::id::LinkId;
use domain::mail::{Asked, Mail, MailKind, NOTICE_LIFETIME, Seen, StoredHash};
use domain::password::PasswordHash;
use domain::user::User;
use store::mails::QueuedMail;
use store::testing::TestDb;
use store::{DbError, Tx, mails, on_both, users};

use crate::support::{LATER, NOW, entropy, localhost, tx, user};

const LEASE: Duration = Duration::from_secs(300);

fn seen() -> Seen {
    Seen { address: localhost(), user_agent: "Mozilla/5.0 “x”".to_owned() }
}

fn sign_up() -> MailKind {
    let link = LinkId::from_bytes([3; 16]);
    let browser = "b".repeat(32);
    let asked = Asked { link, user: None, browser, seen: seen(), expires_at: LATER };
    let hash = PasswordHash::from_phc("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".to_owned());
    MailKind::SignUp { asked, name: "Zoë".to_owned(), password: StoredHash::from(&hash) }
}

on_both! {
    async fn a_message_comes_back_with_the_address_that_the_account_had(database: TestDb) {
        let db = database.open().await;
        let zoe = User { locale: Some("de".to_owned()), ..user(&*entropy(1), "zoe@example.com") };
        let id = zoe.id;
        let found = tx!(db, async move |tx| {
            assert!(users::insert(tx, &zoe).await?);
            let told = MailKind::NewDevice { seen: seen() };
            mails::queue(tx, &Mail::to_user(id, told, NOW)).await?;
            let moved = User { email: "z@example.org".to_owned(), ..zoe.clone() };
            assert!(users::save_email(tx, &moved).await?);
            let to = "new@example.com".to_owned();
            mails::queue(tx, &Mail::to_address(to, None, sign_up(), NOW)).await?;
            mails::list(tx, 10).await?
        });
        let waiting = QueuedMail {
            id: found[1].id,
            user_id: Some(id),
            address: "zoe@example.com".to_owned(),
            locale: Some("de".to_owned()),
            kind: MailKind::NewDevice { seen: seen() },
            created_at: NOW,
            expires_at: NOW.after(NOTICE_LIFETIME),
            attempts: 0,
            next_attempt_at: Some(NOW),
            last_error: None,
        };
        let to_nobody = QueuedMail {
            id: found[0].id,
            user_id: None,
            address: "new@example.com".to_owned(),
            locale: None,
            kind: sign_up(),
            expires_at: LATER,
            ..waiting.clone()
        };
        assert_eq!(found, [to_nobody, waiting]);
    }

    async fn nobody_is_told_of_an_account_that_is_gone(database: TestDb) {
        let db = database.open().await;
        let ghost = user(&*entropy(2), "ghost@example.com").id;
        let found = tx!(db, async move |tx| {
            mails::queue(tx, &Mail::to_user(ghost, MailKind::Test, NOW)).await?;
            mails::list(tx, 10).await?
        });
        assert_eq!(found, []);
    }

    async fn a_message_that_is_claimed_is_nobody_elses_until_the_lease_ends(database: TestDb) {
        let db = database.open().await;
        let (first, second, third) = tx!(db, async move |tx| {
            let to = "a@example.com".to_owned();
            mails::queue(tx, &Mail::to_address(to, None, MailKind::Test, NOW)).await?;
            assert!(!mails::is_any_due(tx, NOW.before(LEASE)).await?);
            assert!(mails::is_any_due(tx, NOW).await?);
            (
                mails::claim_due(tx, NOW, LEASE, 10).await?,
                mails::claim_due(tx, NOW, LEASE, 10).await?,
                mails::claim_due(tx, NOW.after(LEASE), LEASE, 10).await?,
            )
        });
        assert_eq!((first.len(), second.len(), third.len()), (1, 0, 1));
        assert_eq!((first[0].attempts, third[0].attempts), (1, 2));
    }

    async fn what_failed_waits_is_given_up_and_swept(database: TestDb) {
        let db = database.open().await;
        let (retried, given_up, swept, left) = tx!(db, async move |tx| {
            for address in ["a@example.com", "b@example.com", "c@example.com"] {
                let to = address.to_owned();
                mails::queue(tx, &Mail::to_address(to, None, MailKind::Test, NOW)).await?;
            }
            let claimed = mails::claim_due(tx, NOW, LEASE, 10).await?;
            mails::save_failure(tx, claimed[0].id, Some(LATER), "450 later").await?;
            mails::save_failure(tx, claimed[1].id, None, "550 never").await?;
            mails::delete(tx, claimed[2].id).await?;
            let due = mails::claim_due(tx, LATER, LEASE, 10).await?;
            let listed = mails::list(tx, 10).await?;
            let end = NOW.after(NOTICE_LIFETIME);
            (due, listed, mails::sweep(tx, end, 1).await?, mails::list(tx, 10).await?.len())
        });
        assert_eq!(retried.len(), 1);
        assert_eq!(retried[0].last_error.as_deref(), Some("450 later"));
        assert_eq!(given_up[0].next_attempt_at, None);
        assert_eq!(given_up[0].last_error.as_deref(), Some("550 never"));
        assert_eq!((swept, left), (1, 1));
    }

    async fn an_address_that_is_taken_is_not_given_to_another_account(database: TestDb) {
        let db = database.open().await;
        let random = entropy(3);
        let (ada, bob) = (user(&*random, "ada@example.com"), user(&*random, "bob@example.com"));
        let id = ada.id;
        let (taken, own, found) = tx!(db, async move |tx| {
            users::insert(tx, &ada).await?;
            users::insert(tx, &bob).await?;
            let wish = |email: &str| User {
                email: email.to_owned(),
                email_verified_at: Some(LATER),
                ..ada.clone()
            };
            let taken = users::save_email(tx, &wish("BOB@example.com")).await?;
            let own = users::save_email(tx, &wish("Ada@Example.com")).await?;
            (taken, own, users::find(tx, id).await?)
        });
        let found = found.unwrap();
        assert_eq!((taken, own), (false, true));
        assert_eq!((&*found.email, found.email_verified_at), ("Ada@Example.com", Some(LATER)));
    }
}
