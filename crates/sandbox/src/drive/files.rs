//! One file: shown, deleted, or handed over as a signed link that works without a token.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::error::{DriveError, Envelope, success};
use super::link::Delivery;
use super::rows::File;
use super::{Drive, Segment, rows, tree};
use crate::assertion::Caller;

pub(super) async fn show(
    State(drive): State<Drive>,
    caller: Caller,
    code: Segment,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let file = find(&drive, caller, code).await?;
    Ok(success(vec![tree::view_file(&file)]))
}

pub(super) async fn delete(
    State(drive): State<Drive>,
    caller: Caller,
    Segment(code): Segment,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let code = code.ok_or(DriveError::NoSuchFile)?;
    let deleting = drive.as_user(caller, move |tx, user| Ok(rows::delete_file(tx, user, &code)?));
    if deleting.await? { Ok(success(Vec::new())) } else { Err(DriveError::NoSuchFile) }
}

pub(super) async fn download(
    State(drive): State<Drive>,
    caller: Caller,
    code: Segment,
) -> Result<Response, DriveError> {
    redirect(drive, caller, code, Delivery::Attachment).await
}

pub(super) async fn stream(
    State(drive): State<Drive>,
    caller: Caller,
    code: Segment,
) -> Result<Response, DriveError> {
    redirect(drive, caller, code, Delivery::Inline).await
}

async fn redirect(
    drive: Drive,
    caller: Caller,
    code: Segment,
    delivery: Delivery,
) -> Result<Response, DriveError> {
    let file = find(&drive, caller, code).await?;
    Ok(link_to(&drive, &file.code, delivery))
}

/// The redirect to the bytes behind a code.
pub(super) fn link_to(drive: &Drive, code: &str, delivery: Delivery) -> Response {
    let location = drive.links.sign(code, delivery, (drive.clock)());
    // The link is a key for a few minutes: no cache may keep it.
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::FOUND, headers).into_response()
}

async fn find(drive: &Drive, caller: Caller, Segment(code): Segment) -> Result<File, DriveError> {
    let code = code.ok_or(DriveError::NoSuchFile)?;
    let finding = drive.as_user(caller, move |tx, user| Ok(rows::find_file(tx, user, &code)?));
    finding.await?.ok_or(DriveError::NoSuchFile)
}
