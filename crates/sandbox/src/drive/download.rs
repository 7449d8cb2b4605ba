//! The bytes behind a signed link. The signature is the permission; there is no token here.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::DriveError;
use super::link::{BadLink, Disposition};
use super::range::{self, Span};
use super::rows::File;
use super::{Drive, Segment, content, rows};

#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(rename = "as")]
    disposition: String,
    expires: i64,
    signature: String,
}

/// What to send of a file: the whole, a part, or the word that there is no such part.
struct Answer {
    status: StatusCode,
    first: u64,
    count: u64,
    content_range: Option<String>,
}

pub(super) async fn send(
    State(drive): State<Drive>,
    method: Method,
    headers: HeaderMap,
    Segment(code): Segment,
    link: Result<Query<Link>, QueryRejection>,
) -> Result<Response, DriveError> {
    let code = code.ok_or(DriveError::ForgedLink)?;
    let Query(link) = link.map_err(|_| DriveError::ForgedLink)?;
    let disposition = Disposition::from_text(&link.disposition).ok_or(DriveError::ForgedLink)?;
    let now = (drive.clock)();
    drive.links.verify(&code, disposition, link.expires, &link.signature, now)?;
    // RFC 9110 §14.2: a range is for GET only.
    let range = headers.get(header::RANGE).filter(|_| method == Method::GET);
    let range = range.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (file, answer, bytes) = drive
        .database
        .run(move |tx| {
            let file = rows::find_linked_file(tx, &code)?.ok_or(DriveError::DeadLink)?;
            let answer = plan(range.as_deref(), file.size);
            let bytes = rows::read_bytes(tx, &code, answer.first, answer.count)?;
            Ok::<_, DriveError>((file, answer, bytes))
        })
        .await?;
    Ok(write(&file, answer, Body::from(bytes), disposition))
}

fn plan(range: Option<&str>, size: u64) -> Answer {
    match range::read(range, size) {
        Span::Whole => {
            Answer { status: StatusCode::OK, first: 0, count: size, content_range: None }
        }
        Span::Part { first, last } => Answer {
            status: StatusCode::PARTIAL_CONTENT,
            first,
            count: last - first + 1,
            content_range: Some(format!("bytes {first}-{last}/{size}")),
        },
        Span::Unsatisfiable => Answer {
            status: StatusCode::RANGE_NOT_SATISFIABLE,
            first: 0,
            count: 0,
            content_range: Some(format!("bytes */{size}")),
        },
    }
}

fn write(file: &File, answer: Answer, body: Body, disposition: Disposition) -> Response {
    let (_, media_type, _) = content::kind_of(&file.name);
    let disposition = format!("{}; filename=\"{}\"", disposition.as_str(), file.name);
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        // What is behind a code never changes, so `If-Range` would always hold.
        (header::ETAG, format!("\"{}-{}\"", file.crc32, file.size)),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let range = answer.content_range.map(|range| [(header::CONTENT_RANGE, range)]);
    match range {
        Some(range) => (answer.status, headers, range, body).into_response(),
        None => (answer.status, headers, body).into_response(),
    }
}

impl From<BadLink> for DriveError {
    fn from(bad: BadLink) -> Self {
        match bad {
            BadLink::Forged => Self::ForgedLink,
            BadLink::Expired => Self::ExpiredLink,
        }
    }
}
