//! `POST /oauth/device_authorization` (RFC 8628 §3.1): a device without a browser asks for a code
//! that its user types at `/device`.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::app::App;
use domain::entropy::random_bytes;
use domain::grant::Mode;
use domain::id::CodeId;
use domain::issuance::narrow_scopes;
use domain::policy::{Policy, Rate};
use domain::time::Timestamp;
use domain::user_code::{
    AskingDevice, POLL_INTERVAL, PollPace, USER_CODE_LIFETIME, UserCode, UserCodeStatus,
    UserCodeText, device_code_mac,
};
use http::{HeaderMap, StatusCode};
use protocol::device::{DeviceAuthorizationRequest, DeviceAuthorizationResponse};
use protocol::error::OAuthError;
use protocol::scope::ScopeSet;
use store::user_codes::Macs;
use store::{DbError, Tx, user_codes};

use crate::address::{network_of, user_agent};
use crate::error::form_query;
use crate::oauth::answer::{self, TokenError};
use crate::oauth::authorize::resources;
use crate::oauth::client::{AppCall, AuthenticatedClient};
use crate::provider::{Provider, Shared};

/// Of one app from one address: the codes are rows, and whoever asks may be anybody. Per node.
const REQUESTS: Rate = Rate { requests: 30, period: Duration::from_secs(60) };
/// Other codes have the same letters; so often in a row that does not happen.
const DRAWS_MAX: usize = 3;

pub async fn authorize(
    State(provider): State<Shared>,
    headers: HeaderMap,
    AppCall { client, params, .. }: AppCall,
) -> Result<Response, TokenError> {
    let request = DeviceAuthorizationRequest::decode(&params)?;
    let policy = provider.policy();
    let asked = asked_scopes(&client.app, &request, &policy, provider.now())?;
    let network = network_of(client.address, 32, 64);
    let key = format!("device codes of {} from {network}", client.app.client_id);
    provider.paces.admit(&key, REQUESTS, provider.now()).map_err(|wait| {
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        OAuthError::slow_down(seconds)
    })?;
    let device = AskingDevice {
        address: client.address,
        user_agent: user_agent(&headers),
        pace: PollPace::FIRST,
    };
    let resources = resources(&request.resources, &policy);
    for _ in 0..DRAWS_MAX {
        let drawn = Drawn::new(&provider, &client, &asked, &resources, &device);
        if drawn.store(&provider).await? {
            let answer = drawn.answer(&policy.issuer);
            return Ok(answer::json(StatusCode::OK, answer.to_json()));
        }
    }
    Err(TokenError::Internal("no user code was free"))
}

/// What the user will be asked.
fn asked_scopes(
    app: &App,
    request: &DeviceAuthorizationRequest,
    policy: &Policy,
    now: Timestamp,
) -> Result<ScopeSet, OAuthError> {
    if !app.kind.may_use_device_codes() {
        return Err(OAuthError::unauthorized_client("apps of this kind have no device codes"));
    }
    let known: Vec<_> = policy.resources.iter().map(|resource| &resource.identifier).collect();
    if request.resources.iter().any(|resource| !known.contains(&resource)) {
        return Err(OAuthError::invalid_target("resource is not an API known here"));
    }
    let mut allowed = app.approved_at(now).intersection(&policy.scope_names());
    // A partner key is for the real API, whoever made it.
    if let (Mode::Test, Some(terms)) = (app.mode, &policy.partner_keys) {
        allowed.remove(terms.create.as_str());
    }
    let default = app.default_scopes(now).intersection(&allowed);
    let asked = match &request.scopes {
        None => default,
        some => narrow_scopes(some.as_ref(), &allowed)?,
    };
    if asked.is_empty() {
        return Err(OAuthError::invalid_scope("the app has no scopes to ask for"));
    }
    Ok(asked)
}

/// Codes as they were drawn.
struct Drawn {
    row: UserCode,
    macs: Macs,
    device_code: String,
    user_code: UserCodeText,
}

impl Drawn {
    fn new(
        provider: &Provider,
        client: &AuthenticatedClient,
        asked: &ScopeSet,
        resources: &[String],
        device: &AskingDevice,
    ) -> Self {
        let (keyring, now) = (provider.keyring(), provider.now());
        let id = CodeId::random(&*provider.entropy);
        let user_code = UserCodeText::of(&keyring, id);
        let device_code = URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*provider.entropy));
        let macs = Macs {
            user_code: user_code.mac(&keyring),
            device_code: Some(device_code_mac(&keyring, &device_code)),
        };
        let row = UserCode {
            id,
            app_id: client.app.id,
            mode: client.app.mode,
            dialect: None,
            asked: asked.clone(),
            resources: resources.to_vec(),
            device: Some(device.clone()),
            status: UserCodeStatus::Waiting,
            created_at: now,
            expires_at: now.after(USER_CODE_LIFETIME),
        };
        Self { row, macs, device_code, user_code }
    }

    async fn store(&self, provider: &Provider) -> Result<bool, DbError> {
        let (row, macs) = (self.row.clone(), self.macs);
        let insert = async move |tx: &mut Tx<'_>| user_codes::insert(tx, &row, &macs).await;
        provider.store.db.write_one(insert).await
    }

    fn answer(self, issuer: &str) -> DeviceAuthorizationResponse {
        let verification_uri = format!("{issuer}/device");
        let user_code = self.user_code.to_string();
        let query = form_query(&[("user_code", &user_code)]);
        DeviceAuthorizationResponse {
            device_code: self.device_code,
            verification_uri_complete: format!("{verification_uri}?{query}"),
            verification_uri,
            user_code,
            expires_in: USER_CODE_LIFETIME.as_secs(),
            interval: POLL_INTERVAL.as_secs(),
        }
    }
}
