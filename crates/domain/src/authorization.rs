//! What happens at the authorization endpoint once a request was understood: sign-in, the consent
//! page, straight to the code, or a refusal; and the code itself. Pure.

use aws_lc_rs::digest;
use protocol::authorize::{AuthorizeErrorCode, AuthorizeRequest, Prompt};
use protocol::dialect::Relaxed;
use protocol::redirect_uri::DestinationKind;
use protocol::scope::ScopeSet;

use crate::app::App;
use crate::authentication::Acr;
use crate::consent::Consent;
use crate::id::{CodeId, GrantId, SessionId};
use crate::keyring::Keyring;
use crate::session::Session;
use crate::time::Timestamp;
use crate::token::{AuthorizationCode, CODE_LIFETIME};

/// An authorization request on its way through sign-in and consent.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    pub app: &'a App,
    pub request: &'a AuthorizeRequest,
    /// When the request first came in.
    pub started_at: Timestamp,
    pub sign_in: SignInAsked,
    /// The decision about these scopes takes a fresh second factor.
    pub asks_second_factor: bool,
    pub wire: Wire<'a>,
}

/// The wire format of the endpoint it came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wire<'a> {
    /// `None`: the standard.
    pub dialect: Option<&'a str>,
    pub relaxed: Relaxed,
    /// The user has let the app in through this very dialect, and that grant stands. What was
    /// told of another format, its lifetimes above all, is no consent to this one.
    pub has_grant: bool,
}

/// What a consent page asks, whichever way the answer goes.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub app: &'a App,
    pub scopes: &'a ScopeSet,
    /// The dialect in which the app asks; `None`: the standard.
    pub dialect: Option<&'a str>,
}

impl Question<'_> {
    /// The scopes that the user cannot untick.
    pub fn required_scopes(&self) -> ScopeSet {
        self.app.required_scopes().intersection(self.scopes)
    }

    /// What a decision on the consent page allows: what was ticked of what was asked, and always
    /// what is required (attack S5: nothing that the page did not offer).
    pub fn allowed(&self, ticked: &ScopeSet) -> ScopeSet {
        self.scopes.intersection(&ticked.union(&self.required_scopes()))
    }
}

/// Whether this request has sent the user to the sign-in page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInAsked {
    NotYet,
    /// The session there was then is not good enough, whatever the browser does (attack S3).
    Asked {
        refused_session: Option<SessionId>,
    },
}

/// What the authorization endpoint does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    SignIn,
    /// The user is known, but has to give a (fresh) second factor.
    StepUp,
    Consent,
    /// A remembered consent covers the request: a code with these scopes.
    Code(ScopeSet),
    Refuse {
        code: AuthorizeErrorCode,
        description: &'static str,
    },
}

impl Visit<'_> {
    /// `consent` is what the user of `session` decided about this app before.
    pub fn next_step(
        &self,
        session: Option<&Session>,
        consent: Option<&Consent>,
        now: Timestamp,
    ) -> NextStep {
        let silent = self.request.prompts.contains(Prompt::None);
        let Some(least) = self.least_acr() else {
            // RFC 9470 §5: of what cannot be met, the client hears.
            return NextStep::Refuse {
                code: AuthorizeErrorCode::UnmetAuthenticationRequirements,
                description: "acr_values names nothing that is supported here",
            };
        };
        if !session.is_some_and(|session| self.accepts(session, now)) {
            return if silent {
                NextStep::Refuse {
                    code: AuthorizeErrorCode::LoginRequired,
                    description: "the user is not signed in, or not recently enough",
                }
            } else {
                NextStep::SignIn
            };
        }
        if session.is_some_and(|session| session.methods.acr() < least) {
            return if silent {
                NextStep::Refuse {
                    code: AuthorizeErrorCode::InteractionRequired,
                    description: "the user has to prove better who they are",
                }
            } else {
                NextStep::StepUp
            };
        }
        let is_fresh = session.is_some_and(|session| session.has_fresh_second_factor(now));
        match self.remembered(consent) {
            Some(scopes) => NextStep::Code(scopes),
            None if silent => NextStep::Refuse {
                code: AuthorizeErrorCode::ConsentRequired,
                description: "the user has to be asked",
            },
            None if self.asks_second_factor && !is_fresh => NextStep::StepUp,
            None => NextStep::Consent,
        }
    }

    /// What the sign-in must be worth at least; `None`: only what is not known here was asked.
    fn least_acr(&self) -> Option<Acr> {
        if self.request.acr_values.is_empty() {
            return Some(Acr::OneFactor);
        }
        Acr::least_of(self.request.acr_values.iter().map(String::as_str))
    }

    /// Is this sign-in good enough (OpenID Connect Core §3.1.2.1, `prompt` and `max_age`)?
    pub fn accepts(&self, session: &Session, now: Timestamp) -> bool {
        let for_this_request = match self.sign_in {
            SignInAsked::NotYet => false,
            SignInAsked::Asked { refused_session } if refused_session == Some(session.id) => {
                return false;
            }
            SignInAsked::Asked { .. } => session.auth_time >= self.started_at,
        };
        if self.request.prompts.contains(Prompt::Login) && !for_this_request {
            return false;
        }
        let max_age = self.request.max_age_seconds.map(u64::from);
        for_this_request
            || max_age.is_none_or(|seconds| now.since(session.auth_time).as_secs() <= seconds)
    }

    /// The scopes of a remembered consent, when asking again would ask nothing new.
    fn remembered(&self, consent: Option<&Consent>) -> Option<ScopeSet> {
        let consent = consent.filter(|consent| consent.is_given())?;
        // RFC 8252 §8.6, attack S4: anyone can pose as a public client.
        if !self.app.kind.is_confidential() {
            return None;
        }
        if self.wire.dialect.is_some() && !self.wire.has_grant {
            return None;
        }
        // With its port free, a loopback address is whoever listens there, and the secret of an
        // app that runs on users' devices is no secret (RFC 8252 §8.6).
        let is_on_the_web = self.request.redirect_uri.destination().kind == DestinationKind::Https;
        if self.wire.relaxed.loopback_port && !is_on_the_web {
            return None;
        }
        // `select_account` is answered by the page, which shows the account and how to switch.
        let prompts = &self.request.prompts;
        if prompts.contains(Prompt::Consent) || prompts.contains(Prompt::SelectAccount) {
            return None;
        }
        let allowed = consent.scopes.intersection(&self.request.scopes);
        let required = self.question().required_scopes();
        let asks_nothing_new = self.request.scopes.is_subset(&consent.asked);
        (asks_nothing_new && required.is_subset(&allowed) && !allowed.is_empty()).then_some(allowed)
    }

    /// What the consent page asks.
    pub fn question(&self) -> Question<'_> {
        Question { app: self.app, scopes: &self.request.scopes, dialect: self.wire.dialect }
    }

    /// The grant that `session`'s user gives, not inserted yet.
    pub fn code(
        &self,
        ids: (CodeId, GrantId),
        session: &Session,
        consent: &Consent,
        given: Given,
        now: Timestamp,
    ) -> AuthorizationCode {
        AuthorizationCode {
            code_id: ids.0,
            grant_id: ids.1,
            app_id: self.app.id,
            user_id: consent.user_id,
            consent_id: consent.id,
            consent_epoch: consent.epoch,
            scopes: given.scopes,
            resources: given.resources,
            mode: self.app.mode,
            dialect: self.wire.dialect.map(str::to_owned),
            redirect_uri_hash: redirect_uri_hash(self.request.redirect_uri.as_str()),
            redirect_uri_given: self.request.redirect_uri_was_sent,
            challenge: self.request.code_challenge.map(|challenge| challenge.to_string()),
            session_id: session.id,
            auth_time: session.auth_time,
            methods: session.methods,
            issued_at: now,
            expires_at: now.after(CODE_LIFETIME),
        }
    }
}

/// The id of the grant that a code becomes. It follows from the code's, so that whatever is pressed
/// or presented twice leads to the same grant.
pub fn grant_id_of(keyring: &Keyring, code: CodeId) -> GrantId {
    GrantId::from_bytes(keyring.derive_id("grant of request", code.as_bytes()))
}

/// What a code is good for.
#[derive(Clone, Debug)]
pub struct Given {
    pub scopes: ScopeSet,
    pub resources: Vec<String>,
}

/// How a code remembers the redirect URI it was sent to.
pub fn redirect_uri_hash(redirect_uri: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = digest::digest(&digest::SHA256, redirect_uri.as_bytes());
    hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    hash
}
