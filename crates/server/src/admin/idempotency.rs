//! A POST that names an `Idempotency-Key` is carried out once. Whoever sends it again within a day,
//! to whatever node and after whatever crash, gets the first answer again, secrets included; the
//! database keeps them sealed.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::seal::Purpose;
use domain::time::Timestamp;
use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use serde::{Deserialize, Serialize};
use store::idempotent_answers::{self as answers, Earlier};
use store::{DbError, Tx};

use super::actor::Admin;
use super::problem::{Problem, ProblemKind};
use super::version::header;
use crate::provider::{Provider, Shared};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_BYTES_MAX: usize = 255;
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Whatever takes longer has broken off.
const RUNS_MAX: Duration = Duration::from_secs(300);

/// What is kept of an answer.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Carry the request out, unless it came before.
pub(super) async fn answer(
    provider: &Shared,
    admin: &Admin,
    request: Request,
    next: Next,
) -> Response {
    let Some(key) = header(request.headers(), &KEY) else { return next.run(request).await };
    match begin(provider, admin, key, request).await {
        Ok(Begun::Now(begun)) => {
            let (claim, request) = *begun;
            // A task of its own: whoever hangs up asks again, and must get what was done.
            let provider = Arc::clone(provider);
            let run = async move { claim.keep(&provider, next.run(request).await).await };
            tokio::spawn(run).await.unwrap_or_else(|_| {
                Problem::new(ProblemKind::Internal, "a handler broke off").into_response()
            })
        }
        Ok(Begun::Before(kept)) => kept.into_response(),
        Err(problem) => problem.into_response(),
    }
}

enum Begun {
    Now(Box<(Claim, Request)>),
    Before(Kept),
}

/// The right to carry a request out.
struct Claim {
    actor: String,
    key: String,
}

async fn begin(
    provider: &Provider,
    admin: &Admin,
    key: String,
    request: Request,
) -> Result<Begun, Problem> {
    let is_key = (1..=KEY_BYTES_MAX).contains(&key.len())
        && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_key {
        let text = format!("Idempotency-Key: use 1 to {KEY_BYTES_MAX} printable ASCII characters");
        return Err(Problem::new(ProblemKind::Invalid, text));
    }
    let (parts, body) = request.into_parts();
    // The gate has bounded it.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = parts.uri.path_and_query().map(|path| path.as_str()).unwrap_or_default();
    let hash = hash(path, &body);
    let request = Request::from_parts(parts, Body::from(body));
    let (claim, now) = (Claim { actor: admin.name(), key }, provider.now());
    let (actor, key) = (claim.actor.clone(), claim.key.clone());
    let write = async move |tx: &mut Tx<'_>| {
        let place = (actor.as_str(), key.as_str());
        match answers::claim(tx, place, &hash, now, now.after(KEPT)).await? {
            true => Ok::<_, DbError>(None),
            false => answers::find(tx, place).await,
        }
    };
    match provider.store.db.write(write).await? {
        None => Ok(Begun::Now(Box::new((claim, request)))),
        Some(earlier) => judge(provider, &earlier, &hash, now).map(Begun::Before),
    }
}

fn judge(
    provider: &Provider,
    earlier: &Earlier,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Kept, Problem> {
    if earlier.request_hash != *hash {
        let text = "the idempotency key was used for another request: take a new one";
        return Err(Problem::new(ProblemKind::KeyReused, text));
    }
    let Some(sealed) = &earlier.answer else {
        return Err(match now < earlier.begun_at.after(RUNS_MAX) {
            true => Problem::new(ProblemKind::InProgress, "the same request is being carried out"),
            false => Problem::new(
                ProblemKind::OutcomeUnknown,
                "the request broke off: look whether it was done, then take another key",
            ),
        });
    };
    let opened = provider.keyring().open_bytes(Purpose::Answer, sealed).ok();
    opened.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
        Problem::new(ProblemKind::OutcomeUnknown, "what was answered can no longer be read")
    })
}

/// Method and actor are the same for all of one key; lengths keep the parts apart.
fn hash(path: &str, body: &Bytes) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&(path.len() as u64).to_be_bytes());
    context.update(path.as_bytes());
    context.update(body);
    let mut hash = [0; 32];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

impl Claim {
    /// Keep the answer; of one that says that nothing was done and trying again may help, nothing.
    async fn keep(self, provider: &Provider, response: Response) -> Response {
        let status = response.status();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let names = [CONTENT_TYPE, ETAG, LOCATION];
        let text = |name: &HeaderName| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
        let kept = Kept {
            status: status.as_u16(),
            headers: names
                .iter()
                .filter_map(|name| Some((name.as_str().to_owned(), text(name)?)))
                .collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let content = serde_json::to_vec(&kept).unwrap_or_default();
        // One that is too long to be kept leaves the row without an answer: never done twice.
        let sealed = provider.keyring().seal_bytes(Purpose::Answer, &content, &*provider.entropy);
        let write = async move |tx: &mut Tx<'_>| {
            let place = (self.actor.as_str(), self.key.as_str());
            match &sealed {
                _ if again => answers::release(tx, place).await,
                Some(sealed) => answers::save_answer(tx, place, sealed).await,
                None => Ok(()),
            }
        };
        let done: Result<(), DbError> = provider.store.db.write_one(write).await;
        if let Err(error) = done {
            tracing::error!(%error, "the answer to a request with an idempotency key was not kept");
        }
        Response::from_parts(parts, Body::from(body))
    }
}

impl IntoResponse for Kept {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = (status, self.body).into_response();
        let headers = response.headers_mut();
        headers.remove(CONTENT_TYPE);
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            {
                headers.insert(name, value);
            }
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}
