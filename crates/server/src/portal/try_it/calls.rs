//! The second half of the console: what is done with the tokens, from the first call to the one
//! that is refused.

use axum::response::Response;
use domain::grant::Mode;
use domain::policy::Resource;
use protocol::params::Params;

use super::endpoint::{self, Draft};
use super::exchange::{Known, api_reason, oauth_reason};
use super::run::{Run, Step};
use super::{Console, take_tokens};
use crate::docs::Callable;
use crate::error::PageError;
use crate::pages::views::{TryCall, TryNext};

impl Console<'_> {
    fn resource(&self, run: &Run) -> Result<&Resource, PageError> {
        self.policy.resource(&run.resource).ok_or(PageError::StaleForm)
    }

    pub(super) fn choose(&self, run: &Run, params: &Params) -> Result<Response, PageError> {
        let next = self.draft(run, Some((params, false)))?;
        self.page(Some(run), None, next)
    }

    /// The form of a call: of the endpoint that is named, as it was typed or with its examples.
    pub(super) fn draft(
        &self,
        run: &Run,
        typed: Option<(&Params, bool)>,
    ) -> Result<TryNext, PageError> {
        let resource = self.resource(run)?;
        let endpoints = self.provider.manual.callable(&self.policy, &run.resource);
        let nothing = Params::default();
        let params = typed.map_or(&nothing, |(params, _)| params);
        let chosen = endpoint::named(&endpoints, params)?;
        let draft = match (chosen, typed) {
            (Some(chosen), Some((params, true))) => Some(Draft::typed(chosen, params)?),
            (chosen, _) => chosen.map(Draft::example),
        };
        let options = endpoint::options(&endpoints, chosen, &run.scopes);
        let call = TryCall {
            api: resource.name.clone(),
            takes_tests: resource.test_upstream.is_some(),
            endpoints: options,
            endpoint: chosen.map(|chosen| chosen.id.clone()).unwrap_or_default(),
            method: chosen.map(|chosen| chosen.method.clone()).unwrap_or_default(),
            path: chosen.map(|chosen| chosen.path.clone()).unwrap_or_default(),
            fields: Vec::new(),
            query: String::new(),
            query_error: None,
            body: None,
            body_error: None,
            missing: chosen.map(|chosen| missing(chosen, run)).unwrap_or_default(),
            can_refresh: run.refresh_token.is_some(),
            is_over: run.is_over(),
        };
        Ok(TryNext::Call(match draft {
            None => call,
            Some(draft) => TryCall {
                fields: draft.fields,
                query: draft.query,
                query_error: draft.query_error,
                body: draft.body,
                body_error: draft.body_error,
                ..call
            },
        }))
    }

    pub(super) async fn call(&self, mut run: Run, params: &Params) -> Result<Response, PageError> {
        let resource = self.resource(&run)?;
        let endpoints = self.provider.manual.callable(&self.policy, &run.resource);
        let chosen = endpoint::named(&endpoints, params)?.ok_or(PageError::NotFound)?;
        let draft = Draft::typed(chosen, params)?;
        let token = run.access_token.clone().ok_or(PageError::StaleForm)?;
        if draft.is_wrong() {
            let next = self.draft(&run, Some((params, true)))?;
            return self.page(Some(&run), None, next);
        }
        let Some(ask) = draft.ask(&self.policy, resource, &token) else {
            return Err(PageError::BadRequest("This is no address of the endpoint.".into()));
        };
        let answered = ask.send(self.provider, self.tests.id).await;
        let is_over = run.is_over();
        let title = if is_over { "The same call again" } else { "The call" };
        let mut shown = ask.shown(title, Some(&answered), &run.secrets());
        let known =
            Known { mode: Mode::Test, takes_tests: resource.test_upstream.is_some(), is_over };
        shown.reason = answered.as_ref().ok().and_then(|reply| api_reason(reply, &known));
        if answered.is_ok() {
            run.did(if is_over { Step::Again } else { Step::Call });
        }
        let next = self.draft(&run, Some((params, true)))?;
        self.page(Some(&run), Some(shown), next)
    }

    pub(super) async fn refresh(
        &self,
        mut run: Run,
        params: &Params,
    ) -> Result<Response, PageError> {
        let token = run.refresh_token.clone().ok_or(PageError::StaleForm)?;
        let mut fields = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token)];
        self.add_resource(&run, &mut fields);
        let ask = self.ask("/oauth/token", fields, &run)?;
        let answered = ask.send(self.provider, self.tests.id).await;
        let mut shown = ask.shown("Refresh", Some(&answered), &run.secrets());
        shown.reason = answered.as_ref().ok().and_then(oauth_reason);
        if answered.is_ok_and(|reply| take_tokens(&mut run, &reply)) {
            run.did(Step::Refresh);
        }
        let next = self.draft(&run, Some((params, true)))?;
        self.page(Some(&run), Some(shown), next)
    }

    /// RFC 7009 §2: a refresh token takes its whole grant with it.
    pub(super) async fn revoke(
        &self,
        mut run: Run,
        params: &Params,
    ) -> Result<Response, PageError> {
        let token = run.refresh_token.clone().or_else(|| run.access_token.clone());
        let fields = vec![("token", token.ok_or(PageError::StaleForm)?)];
        let ask = self.ask("/oauth/revoke", fields, &run)?;
        let answered = ask.send(self.provider, self.tests.id).await;
        let mut shown = ask.shown("Give it back", Some(&answered), &run.secrets());
        shown.reason = answered.as_ref().ok().and_then(oauth_reason);
        if answered.is_ok_and(|reply| reply.status.is_success()) {
            run.did(Step::Revoke);
        }
        let next = self.draft(&run, Some((params, true)))?;
        self.page(Some(&run), Some(shown), next)
    }
}

fn missing(endpoint: &Callable, run: &Run) -> Vec<String> {
    endpoint.access.missing(&run.scopes).iter().map(ToString::to_string).collect()
}
