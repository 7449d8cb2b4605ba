//! One file: shown, deleted, or handed over as a signed link that works without a token.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::error::{DriveError, success};
use super::link::Disposition;
use super::rows::File;
use super::{Drive, Segment, rows, tree};
use crate::assertion::Caller;

pub(super) async fn show(
    State(drive): State<Drive>,
    caller: Caller,
    code: Segment,
) -> Result<Json<Value>, DriveError> {
    let file = find(&drive, caller, code).await?;
    Ok(success(vec![tree::view_file(&file)]))
}

pub(super) async fn delete(
    State(drive): State<Drive>,
    caller: Caller,
    Segment(code): Segment,
) -> Result<Json<Value>, DriveError> {
    let code = code.ok_or(DriveError::NoSuchFile)?;
    let deleting = drive.as_user(caller, move |tx, user| Ok(rows::delete_file(tx, user, &code)?));
    if deleting.await? { Ok(success(Vec::new())) } else { Err(DriveError::NoSuchFile) }
}

pub(super) async fn download(
    State(drive): State<Drive>,
    caller: Caller,
    code: Segment,
) -> Result<Response, DriveError> {
    redirect(drive, caller, code, Disposition::Attachment).await
}

pub(super) async fn stream(
    State(drive): State<Drive>,
    caller: Caller,
    code: Segment,
) -> Result<Response, DriveError> {
    redirect(drive, caller, code, Disposition::Inline).await
}

async fn redirect(
    drive: Drive,
    caller: Caller,
    code: Segment,
    disposition: Disposition,
) -> Result<Response, DriveError> {
    let file = find(&drive, caller, code).await?;
    let location = drive.links.sign(&file.code, disposition, (drive.clock)());
    // The link is a key for a few minutes: no cache may keep it.
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::FOUND, headers).into_response())
}

async fn find(drive: &Drive, caller: Caller, Segment(code): Segment) -> Result<File, DriveError> {
    let code = code.ok_or(DriveError::NoSuchFile)?;
    let finding = drive.as_user(caller, move |tx, user| Ok(rows::find_file(tx, user, &code)?));
    finding.await?.ok_or(DriveError::NoSuchFile)
}
