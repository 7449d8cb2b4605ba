//! The bytes behind a signed link. The signature is the permission; there is no token here.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rusqlite::Transaction;
use serde::Deserialize;

use super::error::DriveError;
use super::link::{BadLink, Delivery};
use super::parts::{self, Part};
use super::range::{self, Span};
use super::{Drive, Segment, cloud, content, rows, zip};

#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(rename = "as")]
    delivery: String,
    expires: i64,
    signature: String,
}

/// What a link leads to.
struct Package {
    name: String,
    parts: Vec<Part>,
    /// Tells one state of it from another.
    tag: String,
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
    let delivery = Delivery::from_text(&link.delivery).ok_or(DriveError::ForgedLink)?;
    let now = (drive.clock)();
    drive.links.verify(&code, delivery, link.expires, &link.signature, now)?;
    let package = drive
        .database
        .run(move |tx| match delivery {
            Delivery::Attachment | Delivery::Inline => find_file(tx, &code),
            Delivery::Zip => find_folder(tx, &code),
        })
        .await?;
    let span = match method {
        // RFC 9110 §14.2: a range is for GET only.
        Method::GET => {
            range::read(wanted_range(&headers, &package.tag), parts::total(&package.parts))
        }
        _ => Span::Whole,
    };
    Ok(answer(&drive, &package, span, delivery))
}

fn find_file(tx: &Transaction<'_>, code: &str) -> Result<Package, DriveError> {
    let file = rows::find_linked_file(tx, code)?.ok_or(DriveError::DeadLink)?;
    let tag = format!("\"{:08x}-{}\"", file.crc32, file.size);
    let parts = vec![Part::content(&file.content, file.size)];
    Ok(Package { name: file.name, parts, tag })
}

fn find_folder(tx: &Transaction<'_>, code: &str) -> Result<Package, DriveError> {
    let (owner, folder) = rows::find_linked_folder(tx, code)?.ok_or(DriveError::DeadLink)?;
    let tree = cloud::read_tree(tx, owner)?;
    let parts = zip::layout(&tree.below(&folder.code)).ok_or(DriveError::TooLargeForZip)?;
    // The directory at the end has every name, checksum and size.
    let directory = match parts.last() {
        Some(Part::Bytes(bytes)) => content::crc32(bytes),
        _ => 0,
    };
    let tag = format!("\"{directory:08x}-{}\"", parts::total(&parts));
    Ok(Package { name: format!("{}.zip", folder.name), parts, tag })
}

/// RFC 9110 §13.1.5: with another tag in `If-Range`, or a date, the whole is sent.
fn wanted_range<'a>(headers: &'a HeaderMap, tag: &str) -> Option<&'a str> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_same = headers.get(header::IF_RANGE).is_none_or(|condition| condition == tag);
    text(header::RANGE).filter(|_| is_same)
}

fn answer(drive: &Drive, package: &Package, span: Span, delivery: Delivery) -> Response {
    let size = parts::total(&package.parts);
    let (status, first, count, content_range) = match span {
        Span::Whole => (StatusCode::OK, 0, size, None),
        Span::Part { first, last } => {
            let range = format!("bytes {first}-{last}/{size}");
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1, Some(range))
        }
        Span::Unsatisfiable => {
            (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0, Some(format!("bytes */{size}")))
        }
    };
    let (_, media_type, _) = content::kind_of(&package.name);
    let disposition = if delivery == Delivery::Inline { "inline" } else { "attachment" };
    // Names are ours: they have no quotes in them.
    let disposition = format!("{disposition}; filename=\"{}\"", package.name);
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_LENGTH, count.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, package.tag.clone()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    let range = content_range.map(|range| [(header::CONTENT_RANGE, range)]);
    let slice = parts::slice(&package.parts, first, count);
    let body = parts::body(drive.database.clone(), slice);
    match range {
        Some(range) => (status, headers, range, body).into_response(),
        None => (status, headers, body).into_response(),
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
