//! A provider with users and apps, a browser with a cookie jar, and an app that calls.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use domain::app::{App, AppKind, ClientSecret, SecretProof};
use domain::audit::AuditKind;
use domain::authentication::Methods;
use domain::change::Change;
use domain::entropy::{random_alphanumeric, random_bytes};
use domain::grant::{Grant, Mode};
use domain::id::{AppId, CredentialId, GrantId, UserId};
use domain::keyring::MasterKey;
use domain::mail::Post;
use domain::password::PasswordHash;
use domain::policy::Policy;
use domain::session::{SESSION_LIFETIME_MAX, Session, session_id_of};
use domain::time::Clock as _;
use domain::user::{Role, User, UserStatus};
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use server::known_passwords::KnownPasswords;
use server::mail::Mails;
use server::outbound::{Call, Outbound, OutboundError, Reply};
use server::pages::{Brand, Pages};
use server::provider::ProviderParts;
use server::{ClientAddress, Provider, Shared};
use store::mails::QueuedMail;
use store::{DbError, Store, StoreConfig, Tx};
use tempfile::TempDir;
use testkit::{IdentityProvider, ManualClock, SeededEntropy};
use tokio::sync::OnceCell;
use tower::ServiceExt as _;
use url::form_urlencoded;

use crate::fixtures;

pub const ISSUER: &str = "http://localhost:8400";
pub const API: &str = "http://localhost:8400/api";
pub const OTHER_API: &str = "https://other.example/api";
pub const JWT_API: &str = "https://jwt.example/api";
pub const CALLBACK: &str = "https://bot.example.com/callback";
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Of every user that [`TestApp::add_user`] makes.
pub const PASSWORD: &str = "correct horse battery staple";
/// The introspection credentials of [`API`] and [`OTHER_API`].
pub const API_SECRET: &str = "api-secret";

// RFC 7636 appendix B
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A whole provider in this process.
pub struct TestApp {
    pub provider: Shared,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
    /// Another system that may sign users in.
    pub identity_provider: Arc<IdentityProvider>,
    router: Router,
    _folder: TempDir,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Start with a policy that `change` made another one: what the router is built from.
    pub async fn start_with(change: impl FnOnce(&mut Policy)) -> Self {
        Self::start_calling(None, change).await
    }

    /// The same with somebody else to ask than [`Neighbours`].
    pub async fn start_calling(
        outbound: Option<Arc<dyn Outbound>>,
        change: impl FnOnce(&mut Policy),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let entropy = Arc::new(SeededEntropy::new(1));
        let config = StoreConfig {
            url: format!("sqlite:{}", folder.path().join("test.db").display()),
            issuer: ISSUER.to_owned(),
            master: MasterKey::new([7; 32]),
        };
        let store = Store::open(config, clock.clone(), entropy.clone()).await.unwrap();
        let mut policy = fixtures::policy(store.keyring().secret_mac(API_SECRET.as_bytes()));
        change(&mut policy);
        let identity_provider = Arc::new(IdentityProvider::new("https://login.example"));
        let neighbours =
            Neighbours { identity_provider: identity_provider.clone(), clock: clock.clone() };
        let provider = Provider::new(ProviderParts {
            policy: Arc::new(ArcSwap::from_pointee(policy)),
            store,
            pages: Pages::new(Brand::named("Test Exchange"), None).unwrap(),
            mails: Mails::new(None, "en").unwrap(),
            known_passwords: KnownPasswords::default(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            outbound: outbound.unwrap_or_else(|| Arc::new(neighbours)),
        });
        let router = server::router(provider.clone());
        Self { provider, clock, entropy, identity_provider, router, _folder: folder }
    }

    /// Change the policy as reading the config again would.
    pub fn change_policy(&self, change: impl FnOnce(&mut Policy)) {
        let mut policy = (*self.provider.policy()).clone();
        change(&mut policy);
        self.provider.policy.store(Arc::new(policy));
    }

    /// Run `work` on the database.
    pub async fn write<T, F>(&self, work: F) -> T
    where
        F: AsyncFn(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static,
        T: Send + 'static,
    {
        self.provider.store.db.write(work).await.unwrap()
    }

    /// A user with the e-mail address `NAME@example.com` and [`PASSWORD`].
    pub async fn add_user(&self, name: &str, roles: &[Role]) -> User {
        let user = User {
            id: UserId::random(&*self.entropy),
            email: format!("{name}@example.com"),
            name: name.to_owned(),
            password: Some(self.password_hash().await),
            roles: roles.to_vec(),
            status: UserStatus::Active,
            created_at: self.provider.now(),
            locale: None,
            email_verified_at: None,
        };
        let stored = user.clone();
        assert!(
            self.write(async move |tx: &mut Tx<'_>| store::users::insert(tx, &stored).await).await
        );
        user
    }

    /// Hashing is slow on purpose: once for all tests.
    async fn password_hash(&self) -> PasswordHash {
        static HASH: OnceCell<PasswordHash> = OnceCell::const_new();
        let hash = || async { self.provider.passwords.hash(PASSWORD).await.unwrap() };
        HASH.get_or_init(hash).await.clone()
    }

    /// A live app of the user `dev` with the scopes `balances.read` (required), `orders.read` and
    /// `orders.create`, and a secret if it can keep one. `change` makes it another one.
    pub async fn add_app(
        &self,
        client_id: &str,
        kind: AppKind,
        change: impl FnOnce(&mut App),
    ) -> Client {
        let owner = self.developer().await;
        let mut app = fixtures::app(AppId::random(&*self.entropy), client_id, kind, &owner);
        app.created_at = self.provider.now();
        app.changed_at = self.provider.now();
        change(&mut app);
        let secret = kind.is_confidential().then(|| random_alphanumeric(&*self.entropy, 40));
        let stored_secret = secret.as_ref().map(|secret| ClientSecret {
            id: CredentialId::random(&*self.entropy),
            app_id: app.id,
            mode: Mode::Live,
            name: String::new(),
            proof: SecretProof::Mac(self.provider.keyring().secret_mac(secret.as_bytes())),
            hint: "test".to_owned(),
            created_at: self.provider.now(),
            last_used_at: None,
            expires_at: None,
        });
        let stored = app.clone();
        self.write(async move |tx: &mut Tx<'_>| {
            assert!(store::apps::insert(tx, &stored).await?);
            if let Some(secret) = &stored_secret {
                store::client_secrets::insert(tx, secret).await?;
            }
            Ok(())
        })
        .await;
        Client { app, secret }
    }

    async fn developer(&self) -> User {
        let find = async |tx: &mut Tx<'_>| store::users::find_by_email(tx, "dev@example.com").await;
        match self.write(find).await {
            Some(user) => user,
            None => self.add_user("dev", &[Role::Developer]).await,
        }
    }

    /// Store a changed app and tell the caches.
    pub async fn save_app(&self, app: App) {
        self.write(async move |tx: &mut Tx<'_>| {
            store::apps::save(tx, &app).await?;
            store::changes::record(tx, Change::App(app.id)).await
        })
        .await;
    }

    pub async fn save_user(&self, user: User) {
        self.write(async move |tx: &mut Tx<'_>| {
            store::users::save(tx, &user).await?;
            store::changes::record(tx, Change::User(user.id)).await
        })
        .await;
    }

    pub async fn find_grant(&self, id: GrantId) -> Option<Grant> {
        self.write(async move |tx: &mut Tx<'_>| store::grants::find(tx, id).await).await
    }

    /// Every grant of the app for the user that is live now.
    pub async fn live_grants(&self, user: &User, app: &App) -> Vec<Grant> {
        let (user, app, now) = (user.id, app.id, self.provider.now());
        self.write(async move |tx: &mut Tx<'_>| {
            store::grants::list_live_of(tx, user, app, now).await
        })
        .await
    }

    /// Hand on everything that waits and is due.
    pub async fn deliver(&self, post: &dyn Post) {
        while server::mail::deliver_due(&self.provider, post).await.unwrap() > 0 {}
    }

    /// What waits to be sent or was given up, newest first.
    pub async fn queued(&self) -> Vec<QueuedMail> {
        self.write(async |tx: &mut Tx<'_>| store::mails::list(tx, 100).await).await
    }

    /// The kinds of all audit rows, in order.
    pub async fn audited(&self) -> Vec<AuditKind> {
        let rows =
            self.write(async |tx: &mut Tx<'_>| store::audit::list(tx, 0, 10_000).await).await;
        rows.into_iter().map(|row| row.event.kind).collect()
    }

    /// Somebody with an empty cookie jar.
    pub fn browser(&self) -> Browser<'_> {
        self.browser_at(ADDRESS)
    }

    /// The same, behind another address.
    pub fn browser_at(&self, address: IpAddr) -> Browser<'_> {
        Browser { app: self, address, cookies: Mutex::default(), csrf: Mutex::default() }
    }

    /// A browser in which `user` has just signed in, without going through the page.
    pub async fn signed_in(&self, user: &User) -> Browser<'_> {
        let browser = self.browser();
        browser.sign_in_as(user).await;
        browser
    }

    /// One request, as the listener hands it over.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_from(ADDRESS, request).await
    }

    pub async fn send_from(&self, address: IpAddr, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ClientAddress(address));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A form without cookies, as an app sends one.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(HeaderName, &str)],
        fields: &[(&str, &str)],
    ) -> Answer {
        self.send(form_request(path, headers, fields)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header(HOST, "localhost:8400").body(Body::empty()).unwrap())
            .await
    }
}

/// Who answers when the provider asks.
#[derive(Debug)]
struct Neighbours {
    identity_provider: Arc<IdentityProvider>,
    clock: Arc<ManualClock>,
}

impl Outbound for Neighbours {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Reply, OutboundError>> {
        let authorization = call.headers.get(AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let body = String::from_utf8(call.body.to_vec()).unwrap();
        let now = self.clock.now().as_seconds();
        let answer = self.identity_provider.answer(call.url.as_str(), authorization, &body, now);
        Box::pin(async move {
            let (status, body) = answer.ok_or(OutboundError::Timeout)?;
            let status = StatusCode::from_u16(status).unwrap();
            Ok(Reply { status, headers: HeaderMap::new(), body: body.into() })
        })
    }
}

pub fn form_request(
    path: &str,
    headers: &[(HeaderName, &str)],
    fields: &[(&str, &str)],
) -> Request<Body> {
    let mut request = Request::post(path)
        .header(HOST, "localhost:8400")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(Body::from(encode(fields))).unwrap()
}

pub fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An answer as it left.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// The page without what is different in each: the tokens of its forms.
    pub fn text_for_anybody(&self) -> String {
        let page = self.text();
        let is_own =
            |line: &str| line.contains("name=\"csrf\"") || line.contains("name=\"passkey\" value=");
        page.lines().filter(|line| !is_own(line)).collect::<Vec<_>>().join("\n")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn location(&self) -> &str {
        self.header(LOCATION).unwrap_or_else(|| panic!("no Location: {self:?}"))
    }

    /// A parameter of the address in `Location`; it must be there at most once.
    pub fn redirected(&self, name: &str) -> Option<String> {
        let (_, query) = self.location().split_once('?')?;
        let mut values = form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} came twice: {}", self.location());
        value
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// The value of the first hidden field `name` of the page.
    pub fn hidden(&self, name: &str) -> String {
        let page = self.text();
        let named = format!("name=\"{name}\"");
        let tag = page
            .split('<')
            .find(|tag| tag.starts_with("input") && tag.contains(&named))
            .unwrap_or_else(|| panic!("no field {name} in: {page}"));
        let (_, value) = tag.split_once("value=\"").unwrap();
        value.split('"').next().unwrap().to_owned()
    }
}

/// A person's browser: it keeps cookies and follows nothing by itself.
pub struct Browser<'a> {
    app: &'a TestApp,
    address: IpAddr,
    cookies: Mutex<BTreeMap<String, String>>,
    csrf: Mutex<String>,
}

impl Browser<'_> {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A form of one of our pages, without adding anything.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(form_request(path, &[], fields)).await
    }

    /// The CSRF token of the signed-in session.
    pub fn csrf(&self) -> String {
        self.csrf.lock().unwrap().clone()
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        let jar = self.cookies.lock().unwrap().clone();
        if !jar.is_empty() {
            let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers_mut().insert(COOKIE, pairs.join("; ").parse().unwrap());
        }
        let answer = self.app.send_from(self.address, request).await;
        for header in answer.headers.get_all(SET_COOKIE) {
            let pair = header.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.set_cookie(name, value);
        }
        answer
    }

    /// A new session for `user`, as signing in makes one.
    pub async fn sign_in_as(&self, user: &User) {
        let provider = &self.app.provider;
        let secret = URL_SAFE_NO_PAD.encode(random_bytes::<32>(&*self.app.entropy));
        let now = provider.now();
        let session = Session {
            id: session_id_of(secret.as_bytes()),
            user_id: user.id,
            auth_time: now,
            methods: Methods::PASSWORD,
            second_factor_at: None,
            created_at: now,
            last_seen_at: now,
            expires_at: now.after(SESSION_LIFETIME_MAX),
            address: ADDRESS,
            user_agent: "test".to_owned(),
        };
        self.app
            .write(async move |tx: &mut Tx<'_>| store::sessions::insert(tx, &session).await)
            .await;
        self.set_cookie(&provider.cookies.session, &secret);
        *self.csrf.lock().unwrap() = server::csrf::token(&provider.keyring(), &secret);
    }

    /// The user shows a second factor.
    pub async fn prove(&self, user: &User) {
        let (user, now) = (user.id, self.app.provider.now());
        let sql = "UPDATE sessions SET second_factor_at = $2 WHERE user_id = $1";
        let set = async move |tx: &mut Tx<'_>| tx.execute(sql, store::bind![user, now]).await;
        self.app.write(set).await;
    }

    /// Send the consent page's form: `allow` with the ticked scopes, or `deny`.
    pub async fn decide(&self, page: &Answer, decision: &str, ticked: &[&str]) -> Answer {
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let (request, csrf) = (page.hidden("request"), page.hidden("csrf"));
        let mut fields = vec![("request", &*request), ("csrf", &*csrf), ("decision", decision)];
        fields.extend(ticked.iter().map(|scope| ("scope", *scope)));
        self.post("/oauth/consent", &fields).await
    }

    /// All the way to the code: the user allows everything that is asked.
    pub async fn authorize(&self, client: &Client) -> String {
        let mut answer = self.get(&client.authorize_path(&[])).await;
        // A remembered consent is not asked again.
        if answer.status == StatusCode::OK {
            let all = ["balances.read", "orders.read", "orders.create"];
            answer = self.decide(&answer, "allow", &all).await;
        }
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        answer.redirected("code").unwrap_or_else(|| panic!("no code: {}", answer.location()))
    }
}

/// An app and its secret.
#[derive(Clone)]
pub struct Client {
    pub app: App,
    pub secret: Option<String>,
}

impl Client {
    /// A good authorization request; `change` replaces, adds or (with an empty value) removes.
    pub fn authorize_path(&self, change: &[(&str, &str)]) -> String {
        let mut fields = BTreeMap::from([
            ("response_type", "code"),
            ("client_id", self.app.client_id.as_str()),
            ("redirect_uri", CALLBACK),
            ("scope", "balances.read orders.read orders.create"),
            ("state", "xyz"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        fields.extend(change.iter().copied());
        fields.retain(|_, value| !value.is_empty());
        let fields: Vec<_> = fields.into_iter().collect();
        format!("/oauth/authorize?{}", encode(&fields))
    }

    /// The credentials as fields of the body.
    pub fn credentials(&self) -> Vec<(&str, &str)> {
        let id = ("client_id", self.app.client_id.as_str());
        [id].into_iter().chain(self.secret.as_deref().map(|s| ("client_secret", s))).collect()
    }

    pub async fn post(&self, app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = self.credentials().into_iter().chain(fields.iter().copied()).collect();
        app.post(path, &[], &fields).await
    }

    /// Redeem a code with the whole proof.
    pub async fn redeem(&self, app: &TestApp, code: &str) -> Answer {
        self.redeem_with(app, code, &[]).await
    }

    /// As [`Client::redeem`], with fields replaced or (with an empty value) removed.
    pub async fn redeem_with(&self, app: &TestApp, code: &str, change: &[(&str, &str)]) -> Answer {
        let mut fields = BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]);
        fields.extend(change.iter().copied());
        fields.retain(|_, value| !value.is_empty());
        let fields: Vec<_> = fields.into_iter().collect();
        self.post(app, "/oauth/token", &fields).await
    }

    pub async fn refresh(&self, app: &TestApp, token: &str, more: &[(&str, &str)]) -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let fields: Vec<_> = fields.into_iter().chain(more.iter().copied()).collect();
        self.post(app, "/oauth/token", &fields).await
    }

    /// From nothing to tokens: `user` signs in and allows everything.
    pub async fn tokens(&self, app: &TestApp, user: &User) -> Tokens {
        let code = app.signed_in(user).await.authorize(self).await;
        Tokens::of(&self.redeem(app, &code).await)
    }
}

pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Tokens {
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let json = answer.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// One user, one app.
pub async fn start(kind: AppKind) -> (TestApp, User, Client) {
    let app = TestApp::start().await;
    let user = app.add_user("alice", &[]).await;
    let client = app.add_app("bot", kind, |_| {}).await;
    (app, user, client)
}

/// The one live grant that `client` has of `user`.
pub async fn only_grant(app: &TestApp, user: &User, client: &Client) -> Grant {
    let mut grants = app.live_grants(user, &client.app).await;
    assert_eq!(grants.len(), 1);
    grants.remove(0)
}

/// A request of another kind than GET and POST.
pub fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}
