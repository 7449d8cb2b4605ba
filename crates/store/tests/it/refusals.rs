//! Attack K2: what a refusal must leave behind (the revocation, the count, the audit row) is there.

use domain::audit::{AuditActor, AuditEvent, AuditKind};
use domain::change::Change;
use domain::grant::{GrantStatus, RevokeReason};
use domain::throttle::{PER_ACCOUNT, ThrottleOutcome};
use store::testing::TestDb;
use store::{DbError, Tx, audit, changes, grants, on_both, throttles};

use crate::support::{Case, NOW};

#[derive(Debug, PartialEq)]
enum Outcome {
    Refused,
}

on_both! {
    async fn k2_a_theft_that_is_refused_leaves_the_grant_revoked_and_audited(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 1).await;
        let (id, app) = (case.grant.id, case.app.id);
        let refuse = async move |tx: &mut Tx<'_>| {
            let kind = AuditKind::RefreshTheft;
            let event = AuditEvent::new(NOW, kind, AuditActor::App(app)).grant(id);
            assert!(grants::revoke(tx, id, RevokeReason::RefreshTheft, NOW).await?);
            changes::record(tx, Change::Grant(id)).await?;
            audit::record(tx, &event).await?;
            Ok::<_, DbError>(Outcome::Refused)
        };
        assert_eq!(db.write(refuse).await, Ok(Outcome::Refused));
        let left = async move |tx: &mut Tx<'_>| {
            Ok::<_, DbError>((
                grants::find(tx, id).await?.map(|grant| grant.status),
                audit::list_of_app(tx, app, 10).await?.iter().map(|e| e.kind).collect::<Vec<_>>(),
                changes::list_after(tx, 0).await?.iter().map(|(_, c)| *c).collect::<Vec<_>>(),
            ))
        };
        let revoked = GrantStatus::Revoked { at: NOW, reason: RevokeReason::RefreshTheft };
        let expected = (Some(revoked), vec![AuditKind::RefreshTheft], vec![Change::Grant(id)]);
        assert_eq!(db.read(left).await, Ok(expected));
    }

    async fn k2_parallel_wrong_guesses_are_all_counted(database: TestDb) {
        let db = database.open().await;
        let mut guesses = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let db = db.clone();
            guesses.spawn(async move {
                let guess = async |tx: &mut Tx<'_>| {
                    let state = throttles::find(tx, "alice").await?.unwrap_or_default();
                    let admitted = match state.attempt(&PER_ACCOUNT, NOW) {
                        ThrottleOutcome::Admitted(next) => {
                            throttles::save(tx, "alice", &next, NOW).await?;
                            true
                        }
                        ThrottleOutcome::Wait(_) => false,
                    };
                    Ok::<_, DbError>(admitted)
                };
                loop {
                    match db.write(guess).await {
                        Ok(admitted) => return admitted,
                        Err(error) => assert!(matches!(error, DbError::Conflict(_)), "{error}"),
                    }
                }
            });
        }
        let admitted = guesses.join_all().await.into_iter().filter(|admitted| *admitted).count();
        assert_eq!(admitted, 5);
    }

    async fn an_infrastructure_error_leaves_nothing_behind(database: TestDb) {
        let db = database.open().await;
        let case = Case::insert(&db, 2).await;
        let id = case.grant.id;
        let fail = async move |tx: &mut Tx<'_>| {
            grants::revoke(tx, id, RevokeReason::User, NOW).await?;
            changes::record(tx, Change::Grant(id)).await?;
            Err::<(), _>(DbError::Bug("half-way".to_owned()))
        };
        assert!(db.write(fail).await.is_err());
        let left = async move |tx: &mut Tx<'_>| {
            let status = grants::find(tx, id).await?.map(|grant| grant.status);
            Ok::<_, DbError>((status, changes::list_after(tx, 0).await?.len()))
        };
        assert_eq!(db.read(left).await, Ok((Some(GrantStatus::Live), 0)));
    }
}
