//! What a reviewer decides about an app, said by a program. It goes through what the review page
//! does: the same words, the same rules, the same rows.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use domain::app_message::AppMessage;
use domain::id::AppMessageId;
use protocol::params::Params;
use protocol::scope::{ScopeName, ScopeSet};
use serde::Deserialize;
use store::Tx;

use super::actor::{Admin, is_not_own};
use super::apps::{AppRecord, named, record};
use super::body::Body;
use super::problem::Problem;
use super::schema::{choices, wire};
use super::version::{Found, IfMatch, Versioned as _};
use super::write;
use crate::provider::Shared;
use crate::review::queue;
use crate::review::verdict::Verdict;

choices! {
    /// What is decided.
    pub enum Decided { Approve = "approve", Ask = "ask", Reject = "reject", }
}

wire! {
    /// What the approval of a scope is bound to.
    #[derive(Clone, Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewCondition {
        /// In words, for the developer.
        #[serde(default)]
        pub note: String,
        /// At most so many users can allow it.
        pub users_max: Option<u32>,
        /// The last day, in UTC: `2027-05-03`.
        pub until: Option<String>,
        /// For tests; outside of them the scope is not approved.
        #[serde(default)]
        pub tests_only: bool,
    }

    /// A decision about everything of an app that waits for staff.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct NewDecision {
        /// Approve, ask the developer for changes, or reject.
        pub decision: Decided,
        /// What to approve, separated by spaces; what is asked for and not named is refused.
        #[serde(default)]
        pub scopes: ScopeSet,
        /// What approvals are bound to, by scope.
        #[serde(default)]
        pub conditions: BTreeMap<ScopeName, NewCondition>,
        /// To the developer. Needed to reject and to ask.
        #[serde(default)]
        pub note: String,
        /// Over the socket: the e-mail address of the member of staff who decides.
        pub by: Option<String>,
    }
}

impl NewDecision {
    /// As the form of the page says it.
    fn params(&self, revision: i64) -> Result<Params, Problem> {
        let mut pairs = vec![
            ("decision".to_owned(), self.decision.as_str().to_owned()),
            ("note".to_owned(), self.note.clone()),
            ("revision".to_owned(), revision.to_string()),
        ];
        pairs.extend(self.scopes.iter().map(|scope| ("scope".to_owned(), scope.to_string())));
        for (scope, terms) in &self.conditions {
            let users = terms.users_max.map(|users| users.to_string());
            let tests = if terms.tests_only { "yes" } else { "" };
            pairs.push((format!("condition.{scope}"), terms.note.clone()));
            pairs.push((format!("users.{scope}"), users.unwrap_or_default()));
            pairs.push((format!("until.{scope}"), terms.until.clone().unwrap_or_default()));
            pairs.push((format!("tests.{scope}"), tests.to_owned()));
        }
        Params::from_pairs(pairs).map_err(|error| Problem::invalid(&[error.to_string()]))
    }
}

pub async fn decide(
    State(provider): State<Shared>,
    admin: Admin,
    Path(client_id): Path<String>,
    if_match: IfMatch,
    Body(new): Body<NewDecision>,
) -> Result<Found<AppRecord>, Problem> {
    let (now, note_id) = (provider.now(), AppMessageId::random(&*provider.entropy));
    let work = async move |tx: &mut Tx<'_>| {
        let app = named(tx, &client_id).await?;
        let by = admin.staff(tx, new.by.as_deref()).await?;
        if_match.check(&record(tx, app.clone()).await?.etag())?;
        is_not_own(tx, &app, &by).await?;
        if !app.awaits_review() {
            return Err(Problem::conflict("nothing of this app waits for staff"));
        }
        let unknown = new.scopes.difference(&app.requested_scopes());
        if let Some(scope) = unknown.iter().next() {
            return Err(Problem::one_invalid("scopes", &format!("{scope} is not asked for")));
        }
        let verdict = Verdict::read(&new.params(app.changed_at.as_millis())?, &app, false)?;
        if let Some(error) = verdict.error(&app, now) {
            return Err(Problem::invalid(&[error.to_owned()]));
        }
        let note = (!verdict.note.is_empty()).then(|| AppMessage {
            id: note_id,
            app_id: app.id,
            author_id: by.id,
            by_staff: true,
            text: verdict.note.clone(),
            written_at: now,
        });
        let sign = |event| admin.sign(event);
        let app = queue::settle(tx, app, &verdict, (by.id, now), note.as_ref(), &sign).await??;
        record(tx, app).await
    };
    Ok(Found(write(&provider, work).await?))
}
