//! The console of an app: its developer goes through the whole flow with the test credentials, as
//! the app would, and sees each request and answer. What is sent goes to this issuer and to the
//! routes of its policy and nowhere else, by a request like everybody's.

mod calls;
mod endpoint;
mod exchange;
mod run;
mod secret;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::app::App;
use domain::entropy::random_bytes;
use domain::policy::{Policy, Resource};
use http::Method;
use protocol::authorize::TEXT_BYTES_MAX;
use protocol::params::Params;
use protocol::pkce::CodeVerifier;
use protocol::scope::{ScopeName, ScopeSet};
use protocol::token::DEVICE_CODE_GRANT;
use serde_json::Value;

use self::exchange::{Ask, Body, oauth_reason};
use self::run::{Flow, Run, Step, steps};
use super::frame::frame;
use super::reasons;
use crate::actor::{AppOwner, SignedForm};
use crate::address::ClientAddress;
use crate::display;
use crate::error::{PageError, form_query};
use crate::oauth::test_mode::console_return;
use crate::outbound::Reply;
use crate::pages::views::{AppTab, Section, TryApi, TryExchange, TryIt, TryNext, TryScope};
use crate::provider::{Provider, Shared};
use crate::view;

pub async fn show(State(provider): State<Shared>, owner: AppOwner) -> Result<Response, PageError> {
    let console = Console::new(&provider, owner);
    console.page(None, None, console.begin(None))
}

/// The user comes back from the consent page.
pub async fn come_back(
    State(provider): State<Shared>,
    owner: AppOwner,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes())
        .map_err(|error| PageError::BadRequest(error.to_string().into()))?;
    let console = Console::new(&provider, owner);
    console.returned(&params)
}

/// Whatever a form of the console does.
pub async fn act(
    State(provider): State<Shared>,
    ClientAddress(address): ClientAddress,
    owner: AppOwner,
    SignedForm { params, .. }: SignedForm,
) -> Result<Response, PageError> {
    let console = Console::new(&provider, owner);
    if let Some(why) = console.blocked() {
        return console.page(None, None, TryNext::Blocked { why });
    }
    let sealed = params.one("run")?.filter(|text| !text.is_empty());
    let run = sealed.map(|sealed| Run::open(&provider, &console.owner, sealed)).transpose()?;
    match (params.one("do")?, run) {
        (Some("start"), _) => console.start(&params, address).await,
        (Some("token"), Some(run)) => console.token(run, &params, address).await,
        (Some("choose"), Some(run)) => console.choose(&run, &params),
        (Some("call"), Some(run)) => console.call(run, &params).await,
        (Some("refresh"), Some(run)) => console.refresh(run, &params).await,
        (Some("revoke"), Some(run)) => console.revoke(run, &params).await,
        _ => Err(PageError::BadRequest("The console cannot do that now.".into())),
    }
}

struct Console<'a> {
    provider: &'a Provider,
    policy: Arc<Policy>,
    owner: AppOwner,
    /// The app as it is tried.
    tests: App,
    flow: Flow,
}

/// What the start form asks for.
struct Asked {
    scopes: ScopeSet,
    resource: String,
}

impl<'a> Console<'a> {
    fn new(provider: &'a Provider, owner: AppOwner) -> Self {
        let tests = owner.app.clone().in_test_mode();
        let flow = Flow::of(tests.kind);
        Self { provider, policy: provider.policy(), owner, tests, flow }
    }

    fn blocked(&self) -> Option<String> {
        if !self.tests.is_live() {
            return Some("Staff suspended this app, and its test credentials with it.".to_owned());
        }
        if !self.tests.speaks(None) {
            let text = "This app speaks a dialect only, and the console speaks the standard. The \
                        documentation has every step of the dialect.";
            return Some(text.to_owned());
        }
        self.policy.resources.is_empty().then(|| "There is no API to call.".to_owned())
    }

    fn page(
        &self,
        run: Option<&Run>,
        exchange: Option<TryExchange>,
        next: TryNext,
    ) -> Result<Response, PageError> {
        let page = TryIt {
            layout: self.owner.user.layout().in_section(Section::Apps),
            frame: frame(&self.owner.app, AppTab::TryIt),
            id: self.owner.app.id.to_string(),
            client_id: self.tests.client_id.clone(),
            steps: steps(self.flow, run),
            run: run.map(|run| run.seal(self.provider)).transpose()?.unwrap_or_default(),
            exchange,
            next,
            limits_addresses: !self.tests.addresses.is_empty(),
        };
        view::page(self.provider, &page)
    }

    /// What may be asked for in tests.
    fn offered(&self) -> ScopeSet {
        let own = match self.flow {
            Flow::Service => &self.tests.service_scopes,
            _ => &self.tests.approved,
        };
        let mut offered = own.intersection(&self.policy.scope_names());
        if let Some(terms) = &self.policy.partner_keys {
            offered.remove(terms.create.as_str());
        }
        offered
    }

    fn asks_secret(&self) -> bool {
        self.tests.kind.is_confidential()
    }

    /// The first form, as it is offered or as it was typed.
    fn begin(&self, typed: Option<&Params>) -> TryNext {
        if let Some(why) = self.blocked() {
            return TryNext::Blocked { why };
        }
        let offered = self.offered();
        let is_ticked = |name: &ScopeName| {
            typed.is_none_or(|typed| typed.all("scope").any(|text| text == name.as_str()))
        };
        let scope = |name: &ScopeName| {
            let words = display::scope(&self.policy, name);
            TryScope {
                name: name.to_string(),
                text: words.text,
                tier: words.tier,
                ticked: is_ticked(name),
            }
        };
        let chosen = typed.and_then(|typed| typed.one("resource").ok().flatten());
        let api = |resource: &Resource| TryApi {
            identifier: resource.identifier.clone(),
            name: resource.name.clone(),
            takes_tests: resource.test_upstream.is_some(),
            chosen: chosen == Some(resource.identifier.as_str()),
        };
        let apis = match self.policy.resources.as_slice() {
            [_] => Vec::new(),
            many => many.iter().map(api).collect(),
        };
        TryNext::Start {
            scopes: offered.iter().map(scope).collect(),
            scopes_error: None,
            apis,
            asks_secret: self.flow == Flow::Service,
            secret_error: None,
        }
    }

    fn asked(&self, params: &Params) -> Result<Option<Asked>, PageError> {
        let offered = self.offered();
        let scopes = params.all("scope").filter_map(|text| text.parse::<ScopeName>().ok());
        let scopes: ScopeSet = scopes.filter(|name| offered.contains(name.as_str())).collect();
        let named = params.one("resource")?;
        let mut resources = self.policy.resources.iter();
        let resource = match named {
            None => resources.next(),
            Some(named) => resources.find(|resource| resource.identifier == named),
        };
        let resource = resource.ok_or_else(|| PageError::BadRequest("No such API.".into()))?;
        let asked = Asked { scopes, resource: resource.identifier.clone() };
        Ok((!asked.scopes.is_empty()).then_some(asked))
    }

    async fn start(&self, params: &Params, address: IpAddr) -> Result<Response, PageError> {
        let mut again = self.begin(Some(params));
        let Some(asked) = self.asked(params)? else {
            if let TryNext::Start { scopes_error, .. } = &mut again {
                *scopes_error = Some("Tick at least one.".to_owned());
            }
            return self.page(None, None, again);
        };
        let mut run = Run::new(&self.owner, asked.resource, self.provider.now());
        match self.flow {
            Flow::Code => self.ask_user(run, &asked.scopes),
            Flow::Device => self.ask_device_code(run, &asked.scopes, again).await,
            Flow::Service => {
                let pasted = params.one("secret")?.unwrap_or_default().trim();
                let found = secret::find(self.provider, &self.owner, pasted, address).await?;
                match found {
                    Err(text) => {
                        if let TryNext::Start { secret_error, .. } = &mut again {
                            *secret_error = Some(text);
                        }
                        self.page(None, None, again)
                    }
                    Ok(secret) => {
                        run.secret = Some(secret);
                        let grant = vec![
                            ("grant_type", "client_credentials".to_owned()),
                            ("scope", asked.scopes.to_string()),
                        ];
                        self.ask_tokens(run, grant, ("Ask for a token", again)).await
                    }
                }
            }
        }
    }

    fn return_uri(&self) -> String {
        console_return(&self.policy.issuer, self.tests.id)
    }

    /// The authorization request. The browser makes it, not we.
    fn ask_user(&self, mut run: Run, scopes: &ScopeSet) -> Result<Response, PageError> {
        let verifier = URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*self.provider.entropy));
        let proof = CodeVerifier::parse(&verifier)
            .map_err(|error| PageError::Internal(error.to_string()))?;
        run.verifier = Some(verifier);
        let state = run.seal(self.provider)?;
        if state.len() > TEXT_BYTES_MAX {
            return Err(PageError::Conflict("The name of the API is too long.".into()));
        }
        let (challenge, scopes) = (proof.challenge().to_string(), scopes.to_string());
        let uri = self.return_uri();
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &self.tests.client_id),
            ("redirect_uri", &uri),
            ("scope", &scopes),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if self.policy.resources.len() > 1 {
            fields.push(("resource", &run.resource));
        }
        let path = format!("/oauth/authorize?{}", form_query(&fields));
        let url = exchange::parse(&format!("{}{path}", self.policy.issuer))?;
        let ask = Ask { method: Method::GET, url, bearer: None, body: Body::None };
        let shown = ask.shown("The authorization request", None, &[]);
        self.page(Some(&run), Some(shown), TryNext::Visit { path })
    }

    /// RFC 9700 §4.4 and §4.7: `iss` and `state` first.
    fn returned(&self, params: &Params) -> Result<Response, PageError> {
        let state = params.one("state")?.ok_or(PageError::StaleForm)?;
        let mut run = Run::open(self.provider, &self.owner, state)?;
        if params.one("iss")? != Some(&self.policy.issuer) {
            return Err(PageError::StaleForm);
        }
        let given = ["code", "error", "error_description", "state", "iss"];
        let mut fields = Vec::new();
        for name in given {
            fields.extend(params.one(name)?.map(|value| (name, value)));
        }
        let url = exchange::parse(&format!("{}?{}", self.return_uri(), form_query(&fields)))?;
        let ask = Ask { method: Method::GET, url, bearer: None, body: Body::None };
        let Some(code) = params.one("code")? else {
            let error = params.one("error")?.unwrap_or("server_error");
            let mut shown = ask.shown("The user comes back", None, &[]);
            shown.reason = Some(reasons::words(error).to_owned());
            return self.page(None, Some(shown), self.begin(None));
        };
        run.code = Some(code.to_owned());
        run.did(Step::Ask);
        let shown = ask.shown("The user comes back with a code", None, &[code]);
        self.page(Some(&run), Some(shown), self.wait(&run, None))
    }

    /// The step before there is a token.
    fn wait(&self, run: &Run, secret_error: Option<String>) -> TryNext {
        let asks_secret = self.asks_secret() && run.secret.is_none();
        let device = run.device.as_ref().map(|(_, user_code)| {
            (format!("/device?{}", form_query(&[("user_code", user_code)])), user_code.clone())
        });
        TryNext::Token { asks_secret, secret_error, device }
    }

    async fn ask_device_code(
        &self,
        mut run: Run,
        scopes: &ScopeSet,
        again: TryNext,
    ) -> Result<Response, PageError> {
        let mut fields = vec![("scope", scopes.to_string())];
        self.add_resource(&run, &mut fields);
        let ask = self.ask("/oauth/device_authorization", fields, &run)?;
        let answered = ask.send(self.provider, self.tests.id).await;
        let mut shown = ask.shown("Ask for a code", Some(&answered), &run.secrets());
        let reply = answered.as_ref().ok();
        shown.reason = reply.and_then(oauth_reason);
        let text = |name: &str| reply.and_then(|reply| member(reply, name));
        let (Some(device), Some(user)) = (text("device_code"), text("user_code")) else {
            return self.page(None, Some(shown), again);
        };
        run.device = Some((device, user));
        run.did(Step::Ask);
        self.page(Some(&run), Some(shown), self.wait(&run, None))
    }

    async fn token(
        &self,
        mut run: Run,
        params: &Params,
        address: IpAddr,
    ) -> Result<Response, PageError> {
        if self.asks_secret() && run.secret.is_none() {
            let pasted = params.one("secret")?.unwrap_or_default().trim();
            match secret::find(self.provider, &self.owner, pasted, address).await? {
                Ok(secret) => run.secret = Some(secret),
                Err(text) => {
                    let next = self.wait(&run, Some(text));
                    return self.page(Some(&run), None, next);
                }
            }
        }
        let (grant, title) = match (&run.code, &run.verifier, &run.device) {
            (Some(code), Some(verifier), _) => (
                vec![
                    ("grant_type", "authorization_code".to_owned()),
                    ("code", code.clone()),
                    ("redirect_uri", self.return_uri()),
                    ("code_verifier", verifier.clone()),
                ],
                "Trade the code",
            ),
            (_, _, Some((device_code, _))) => (
                vec![
                    ("grant_type", DEVICE_CODE_GRANT.to_owned()),
                    ("device_code", device_code.clone()),
                ],
                "Ask for the token",
            ),
            _ => return Err(PageError::StaleForm),
        };
        let again = match run.device {
            Some(_) => self.wait(&run, None),
            // A code is good for one attempt.
            None => self.begin(None),
        };
        self.ask_tokens(run, grant, (title, again)).await
    }

    fn add_resource(&self, run: &Run, fields: &mut Vec<(&'static str, String)>) {
        if self.policy.resources.len() > 1 {
            fields.push(("resource", run.resource.clone()));
        }
    }

    /// A request to an endpoint of the issuer, with what proves the app.
    fn ask(
        &self,
        path: &str,
        mut fields: Vec<(&'static str, String)>,
        run: &Run,
    ) -> Result<Ask, PageError> {
        fields.push(("client_id", self.tests.client_id.clone()));
        fields.extend(run.secret.clone().map(|secret| ("client_secret", secret)));
        Ask::form(&self.policy.issuer, path, fields)
    }

    /// Where there is no token, `again` is next.
    async fn ask_tokens(
        &self,
        mut run: Run,
        mut grant: Vec<(&'static str, String)>,
        (title, again): (&str, TryNext),
    ) -> Result<Response, PageError> {
        self.add_resource(&run, &mut grant);
        let ask = self.ask("/oauth/token", grant, &run)?;
        let answered = ask.send(self.provider, self.tests.id).await;
        let mut shown = ask.shown(title, Some(&answered), &run.secrets());
        shown.reason = answered.as_ref().ok().and_then(oauth_reason);
        if !answered.is_ok_and(|reply| take_tokens(&mut run, &reply)) {
            let run = Some(&run).filter(|_| !matches!(again, TryNext::Start { .. }));
            return self.page(run, Some(shown), again);
        }
        (run.code, run.verifier, run.device) = (None, None, None);
        run.did(Step::Token);
        let next = self.draft(&run, None)?;
        self.page(Some(&run), Some(shown), next)
    }
}

fn member(reply: &Reply, name: &str) -> Option<String> {
    let json = serde_json::from_slice::<Value>(&reply.body).ok()?;
    json.get(name)?.as_str().map(str::to_owned)
}

/// `false`: there are none in the answer.
fn take_tokens(run: &mut Run, reply: &Reply) -> bool {
    let Some(access) = member(reply, "access_token").filter(|_| reply.status.is_success()) else {
        return false;
    };
    run.access_token = Some(access);
    // One that is not rotated stays.
    run.refresh_token = member(reply, "refresh_token").or_else(|| run.refresh_token.take());
    if let Some(scopes) = member(reply, "scope").and_then(|text| text.parse().ok()) {
        run.scopes = scopes;
    }
    true
}
