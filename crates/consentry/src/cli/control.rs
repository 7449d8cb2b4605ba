//! How commands reach a provider: over the control socket of the running server, or, when none
//! runs, by opening the database themselves. Both answer through the same router.

use axum::body::{Body, to_bytes};
use axum::{Extension, Router};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

use super::{ConfigArgs, Failure};
use crate::config::{Config, Environment};
use crate::serve::{Instance, control_socket};
use crate::system::own_uid;

/// Answers are lists of apps and users.
const ANSWER_BYTES_MAX: usize = 256 << 20;

pub(super) enum Control {
    Server(SendRequest<Body>, JoinHandle<()>),
    Here(Box<Instance>, Router),
}

impl Control {
    pub(super) async fn open(
        arguments: &ConfigArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let config = Config::load(&arguments.config, environment)?;
        if let Ok(stream) = UnixStream::connect(control_socket::path(&config.data_dir)).await {
            let (sender, connection) =
                handshake(TokioIo::new(stream)).await.map_err(|error| no_answer(&error))?;
            // Errors reach whoever sends.
            let driver = tokio::spawn(async { _ = connection.await });
            return Ok(Self::Server(sender, driver));
        }
        let instance = Instance::open(&config).await?;
        let operator = control_socket::operator(own_uid().ok());
        let router = server::control_router(instance.provider.clone()).layer(Extension(operator));
        Ok(Self::Here(Box::new(instance), router))
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
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "consentry")
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(text))
            .map_err(|error| Failure::Failed(format!("the request cannot be made: {error}")))?;
        let (status, bytes) = match self {
            Self::Server(sender, _) => {
                sender.ready().await.map_err(|error| no_answer(&error))?;
                let answer = sender.send_request(request).await;
                read(answer.map_err(|error| no_answer(&error))?.map(Body::new)).await?
            }
            Self::Here(_, router) => match router.clone().oneshot(request).await {
                Ok(answer) => read(answer).await?,
                Err(never) => match never {},
            },
        };
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        let message = value.get("message").and_then(Value::as_str);
        Err(Failure::Failed(message.map_or_else(|| format!("refused: {status}"), str::to_owned)))
    }

    pub(super) async fn close(self) {
        match self {
            Self::Server(_, driver) => driver.abort(),
            Self::Here(instance, _) => instance.close().await,
        }
    }
}

fn no_answer(error: &hyper::Error) -> Failure {
    Failure::Failed(format!("the server does not answer: {error}"))
}

async fn read(answer: Response<Body>) -> Result<(StatusCode, Vec<u8>), Failure> {
    let status = answer.status();
    let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX)
        .await
        .map_err(|error| Failure::Failed(format!("the answer broke off: {error}")))?;
    Ok((status, bytes.to_vec()))
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
