//! What a console knows between two of its steps. It travels in the forms of its pages, sealed and
//! bound to the session, so that nothing of it is stored; on the way over the consent page it is
//! the `state` of the request.

use std::time::Duration;

use domain::app::AppKind;
use domain::id::{AppId, SessionId};
use domain::seal::Purpose;
use domain::time::Timestamp;
use protocol::scope::ScopeSet;
use serde::{Deserialize, Serialize};

use crate::actor::AppOwner;
use crate::error::PageError;
use crate::pages::views::TryStep;
use crate::provider::Provider;

/// As long as the console's own secret lives.
pub(super) const LIFETIME: Duration = Duration::from_secs(3600);

/// How an app of this kind comes to its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Code,
    Device,
    Service,
}

impl Flow {
    pub(super) const fn of(kind: AppKind) -> Self {
        match kind {
            AppKind::Service => Self::Service,
            AppKind::Device => Self::Device,
            _ => Self::Code,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    Ask,
    Token,
    Call,
    Refresh,
    Revoke,
    Again,
}

/// Tokens, a code and perhaps a secret: it is never printed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Run {
    app: AppId,
    session: SessionId,
    ends_at: Timestamp,
    pub(super) done: Vec<Step>,
    /// The API that the token is for.
    pub(super) resource: String,
    /// Of PKCE.
    pub(super) verifier: Option<String>,
    pub(super) code: Option<String>,
    /// What the device polls with, and what its user is told to type.
    pub(super) device: Option<(String, String)>,
    pub(super) secret: Option<String>,
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) scopes: ScopeSet,
}

impl Run {
    pub(super) fn new(owner: &AppOwner, resource: String, now: Timestamp) -> Self {
        Self {
            app: owner.app.id,
            session: owner.user.session.id,
            ends_at: now.after(LIFETIME),
            done: Vec::new(),
            resource,
            verifier: None,
            code: None,
            device: None,
            secret: None,
            access_token: None,
            refresh_token: None,
            scopes: ScopeSet::new(),
        }
    }

    pub(super) fn seal(&self, provider: &Provider) -> Result<String, PageError> {
        let failed = || PageError::Internal("a console could not be sealed".to_owned());
        let bytes = serde_json::to_vec(self).map_err(|_| failed())?;
        if bytes.len() > Purpose::Console.content_bytes_max() {
            let text = "The tokens are too long for the console.";
            return Err(PageError::Conflict(text.into()));
        }
        let sealed = provider.keyring().seal_bytes(Purpose::Console, &bytes, &*provider.entropy);
        sealed.ok_or_else(failed)
    }

    /// Made in this session, for this app, and not over.
    pub(super) fn open(
        provider: &Provider,
        owner: &AppOwner,
        sealed: &str,
    ) -> Result<Self, PageError> {
        let bytes = provider.keyring().open_bytes(Purpose::Console, sealed).ok();
        let run = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        run.filter(|run| {
            run.app == owner.app.id
                && run.session == owner.user.session.id
                && provider.now() < run.ends_at
        })
        .ok_or(PageError::StaleForm)
    }

    pub(super) fn did(&mut self, step: Step) {
        if !self.done.contains(&step) {
            self.done.push(step);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.done.contains(&Step::Revoke)
    }

    /// What is masked where it is shown.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let device = self.device.as_ref().map(|(code, _)| code);
        [
            self.secret.as_ref(),
            self.verifier.as_ref(),
            self.code.as_ref(),
            device,
            self.access_token.as_ref(),
            self.refresh_token.as_ref(),
        ]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect()
    }
}

/// The way of a flow, with what is behind.
pub(super) fn steps(flow: Flow, run: Option<&Run>) -> Vec<TryStep> {
    let first: &[(Step, &str, &str)] = match flow {
        Flow::Code => &[
            (Step::Ask, "Ask the user", "The authorization request, with PKCE."),
            (Step::Token, "Trade the code", "For an access token and a refresh token."),
        ],
        Flow::Device => &[
            (Step::Ask, "Ask for a code", "That the user types elsewhere."),
            (Step::Token, "Wait for the user", "Until there is a token."),
        ],
        Flow::Service => &[(Step::Token, "Ask for a token", "With the client credentials.")],
    };
    let refresh = (Step::Refresh, "Refresh", "The old refresh token is over then.");
    let rest = [
        (Step::Call, "Call the API", "Any endpoint, with the access token."),
        (Step::Revoke, "Give it back", "The user’s access ends at once."),
        (Step::Again, "Call again", "The same call is refused."),
    ];
    let [call, revoke, again] = rest;
    let rest = match flow {
        Flow::Service => vec![call, revoke, again],
        _ => vec![call, refresh, revoke, again],
    };
    let told = |(step, title, text)| TryStep {
        title,
        text,
        done: run.is_some_and(|run| run.done.contains(&step)),
    };
    first.iter().copied().chain(rest).map(told).collect()
}
