//! Transfers of the calling user: started with a link, looked at while they progress, forgotten.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde_json::{Value, json};

use super::catalogue;
use super::error::{DriveError, Envelope, success};
use super::progress::Phase;
use super::transfer_rows::{self, Transfer};
use super::{Drive, Segment};
use crate::assertion::Caller;

/// Finished and failed ones included, until they are deleted.
const TRANSFERS_MAX: i64 = 100;
const LINK_BYTES_MAX: usize = 2_048;

pub(super) async fn list(
    State(drive): State<Drive>,
    caller: Caller,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let now = (drive.clock)();
    let found = drive.as_user(caller, |tx, user| Ok(transfer_rows::list(tx, user)?)).await?;
    Ok(success(found.iter().map(|transfer| view(transfer, now)).collect()))
}

pub(super) async fn show(
    State(drive): State<Drive>,
    caller: Caller,
    Segment(token): Segment,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let token = token.ok_or(DriveError::NoSuchTransfer)?;
    let now = (drive.clock)();
    let finding = drive.as_user(caller, move |tx, user| Ok(transfer_rows::find(tx, user, &token)?));
    let transfer = finding.await?.ok_or(DriveError::NoSuchTransfer)?;
    Ok(success(vec![view(&transfer, now)]))
}

pub(super) async fn start(
    State(drive): State<Drive>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let link = read_link(&headers, &body)?;
    let now = (drive.clock)();
    let started = drive
        .as_user(caller, move |tx, user| {
            if transfer_rows::count(tx, user)? >= TRANSFERS_MAX {
                return Err(DriveError::TooManyTransfers);
            }
            Ok(transfer_rows::create(tx, user, &link, now)?)
        })
        .await?;
    Ok(success(vec![view(&started, now)]))
}

pub(super) async fn delete(
    State(drive): State<Drive>,
    caller: Caller,
    Segment(token): Segment,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let token = token.ok_or(DriveError::NoSuchTransfer)?;
    let deleting =
        drive.as_user(caller, move |tx, user| Ok(transfer_rows::delete(tx, user, &token)?));
    if deleting.await? { Ok(success(Vec::new())) } else { Err(DriveError::NoSuchTransfer) }
}

/// The form field `torrent`: a URL or a magnet link.
fn read_link(headers: &HeaderMap, body: &[u8]) -> Result<String, DriveError> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    // Another kind of body carries no form fields.
    let form = if media_type.trim().eq_ignore_ascii_case(FORM) { body } else { b"" };
    let mut links = form_urlencoded::parse(form)
        .filter(|(name, _)| name == "torrent")
        .map(|(_, link)| link.trim().to_owned())
        .filter(|link| !link.is_empty());
    let link = links.next().ok_or(DriveError::Mandatory("Parameter torrent is mandatory."))?;
    if links.next().is_some() {
        return Err(DriveError::Parameter("A parameter is given more than once."));
    }
    let starts_with = |scheme: &str| {
        link.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let is_link = catalogue::is_magnet(&link) || starts_with("http://") || starts_with("https://");
    if !is_link || link.len() > LINK_BYTES_MAX || link.chars().any(char::is_control) {
        return Err(DriveError::Parameter("Parameter torrent must be url or magnet."));
    }
    Ok(link)
}

fn view(transfer: &Transfer, now: i64) -> Value {
    let torrent = transfer.torrent();
    let phase = Phase::at(torrent, transfer.started_at, now);
    let name = torrent
        .map(|torrent| torrent.name.to_owned())
        .or_else(|| catalogue::display_name(&transfer.source))
        .unwrap_or_else(|| transfer.source.clone());
    json!({
        "token": transfer.token,
        "name": name,
        "status": phase.status(),
        "substatus": "",
        "size": transfer.size,
        "message": phase.message(),
        "progress": phase.progress(),
        "folder_id": transfer.folder,
        "file_id": transfer.file,
        "src": transfer.source,
    })
}
