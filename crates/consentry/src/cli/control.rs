//! How commands reach a provider: over the control socket of the running server; over the internal
//! listener of a server elsewhere, with a token; or, when none runs, by opening the database
//! themselves. All of them are the admin API, answered by the same router.

use axum::body::{Body, to_bytes};
use axum::{Extension, Router};
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_MATCH};
use http::{Method, Request, Response, StatusCode};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use server::admin::PREFIX;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use url::Url;

use super::{ControlArgs, Failure};
use crate::config::{Config, Environment};
use crate::outbound;
use crate::serve::{Instance, control_socket};
use crate::system::own_uid;

/// Of one answer.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Things on a page: as many as the API gives.
const PAGE: usize = 1000;
const TOKEN: &str = "CONSENTRY_ADMIN_TOKEN";

pub(super) struct Control {
    reached: Reached,
    host: String,
    /// Of a server elsewhere.
    authorization: Option<HeaderValue>,
}

enum Reached {
    Server(SendRequest<Body>, JoinHandle<()>),
    Here(Box<Instance>, Router),
}

/// What a request was answered: JSON, and which state of a thing it is.
pub(super) struct Answer {
    pub(super) value: Value,
    pub(super) etag: Option<String>,
}

/// Why a request was refused: a document of RFC 9457.
pub(super) struct Refused(pub(super) StatusCode, pub(super) Value);

impl From<Refused> for Failure {
    fn from(Refused(status, problem): Refused) -> Self {
        let message = problem.get("detail").and_then(Value::as_str);
        Self::Failed(message.map_or_else(|| format!("refused: {status}"), str::to_owned))
    }
}

impl Control {
    pub(super) async fn open(
        arguments: &ControlArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        if let Some(server) = &arguments.server {
            return Self::elsewhere(server, arguments, environment).await;
        }
        let config = Config::load(&arguments.config.config, environment)?;
        if let Ok(stream) = UnixStream::connect(control_socket::path(&config.data_dir)).await {
            return Ok(Self::local(connect(TokioIo::new(stream)).await?));
        }
        let instance = Instance::open(&config).await?;
        let operator = control_socket::operator(own_uid().ok());
        let router = server::admin_router(instance.provider.clone()).layer(Extension(operator));
        Ok(Self::local(Reached::Here(Box::new(instance), router)))
    }

    fn local(reached: Reached) -> Self {
        Self { reached, host: "consentry".to_owned(), authorization: None }
    }

    async fn elsewhere(
        server: &str,
        arguments: &ControlArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let wrong = || {
            let text = "write http://HOST:PORT of an internal listener, or https:// of what is \
                        in front of it";
            Failure::Usage(format!("--server {server}: {text}"))
        };
        let url = Url::parse(server).map_err(|_| wrong())?;
        let is_right = matches!(url.scheme(), "http" | "https") && url.path() == "/";
        let host = url.host_str().filter(|_| is_right).ok_or_else(wrong)?;
        let port = url.port_or_known_default().ok_or_else(wrong)?;
        let token = match (&arguments.token_file, environment.find(TOKEN)) {
            (Some(file), _) => std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                Failure::Failed(format!("the token file {file} cannot be read: {error}"))
            })?,
            (None, Some(token)) => token.to_owned(),
            (None, None) => {
                let text = format!("--server needs a token: set {TOKEN}, or name --token-file");
                return Err(Failure::Usage(text));
            }
        };
        let no_token = |_| Failure::Usage("the token holds characters that no token has".into());
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(no_token)?;
        value.set_sensitive(true);
        let place = format!("{host}:{port}");
        // An IPv6 address keeps its brackets in a URL, and here too.
        let stream = TcpStream::connect(&place).await;
        let stream = stream
            .map_err(|error| Failure::Failed(format!("{server} cannot be reached: {error}")))?;
        let reached = match url.scheme() {
            "https" => {
                let no_tls = |error| {
                    let hint = "If its certificate is signed by a root of your own, name a file \
                                with that root in SSL_CERT_FILE.";
                    Failure::Failed(format!("{server} cannot be trusted: {error}. {hint}"))
                };
                let tls = outbound::connector().await.map_err(no_tls)?;
                let stream = outbound::secured(&tls, host, stream).await.map_err(no_tls)?;
                connect(TokioIo::new(stream)).await?
            }
            _ => connect(TokioIo::new(stream)).await?,
        };
        Ok(Self { reached, host: place, authorization: Some(value) })
    }

    /// The one request of a command. The JSON of the answer; a refusal becomes a [`Failure`] with
    /// its message.
    pub(super) async fn call(
        mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let answer = self.send(method, path, body).await;
        self.close().await;
        answer
    }

    /// As [`Control::call`], for one request of several.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        Ok(self.ask(method, path, body, None).await??.value)
    }

    /// All pages of a list.
    pub(super) async fn list(&mut self, path: &str) -> Result<Vec<Value>, Failure> {
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.page(path, cursor.as_deref()).await?;
            let more = page.get("items").and_then(Value::as_array).cloned();
            items.extend(more.unwrap_or_default());
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    /// One page. Cursors need no encoding.
    pub(super) async fn page(
        &mut self,
        path: &str,
        cursor: Option<&str>,
    ) -> Result<Value, Failure> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let path = format!("{path}{separator}limit={PAGE}{cursor}");
        self.send(Method::GET, &path, None).await
    }

    /// Change what was just read, unless somebody else changed it meanwhile.
    pub(super) async fn change(
        &mut self,
        thing: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let read = self.ask(Method::GET, thing, None, None).await??;
        Ok(self.ask(method, path, body, read.etag.as_deref()).await??.value)
    }

    /// `path` is what comes behind the prefix of the API.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Value>,
        if_match: Option<&str>,
    ) -> Result<Result<Answer, Refused>, Failure> {
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{PREFIX}{path}"))
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(etag) = if_match {
            request = request.header(IF_MATCH, etag);
        }
        let request = request
            .body(Body::from(text))
            .map_err(|error| Failure::Failed(format!("the request cannot be made: {error}")))?;
        let answer = match &mut self.reached {
            Reached::Server(sender, _) => {
                sender.ready().await.map_err(|error| no_answer(&error))?;
                let answer = sender.send_request(request).await;
                answer.map_err(|error| no_answer(&error))?.map(Body::new)
            }
            Reached::Here(_, router) => match router.clone().oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            },
        };
        read(answer).await
    }

    pub(super) async fn close(self) {
        match self.reached {
            Reached::Server(_, driver) => driver.abort(),
            Reached::Here(instance, _) => instance.close().await,
        }
    }
}

async fn connect<I>(stream: I) -> Result<Reached, Failure>
where
    I: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(stream).await.map_err(|error| no_answer(&error))?;
    // Errors reach whoever sends.
    let driver = tokio::spawn(async { _ = connection.await });
    Ok(Reached::Server(sender, driver))
}

fn no_answer(error: &hyper::Error) -> Failure {
    Failure::Failed(format!("the server does not answer: {error}"))
}

async fn read(answer: Response<Body>) -> Result<Result<Answer, Refused>, Failure> {
    let status = answer.status();
    let etag = answer.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX)
        .await
        .map_err(|error| Failure::Failed(format!("the answer broke off: {error}")))?;
    let value = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(if status.is_success() { Ok(Answer { value, etag }) } else { Err(Refused(status, value)) })
}

/// What a list is printed as: `{"apps": […]}`.
pub(super) fn named(name: &str, items: Vec<Value>) -> Value {
    json!({ name: items })
}

/// A path of encoded segments.
pub(super) fn path(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    path
}
