//! The account and its folders: who the user is, what lies where, and a search by name.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rusqlite::Transaction;
use serde_json::{Value, json};

use super::error::{DriveError, Envelope, success, success_of};
use super::link::Delivery;
use super::rows::User;
use super::tree::{Depth, Tree, date};
use super::{Drive, Segment, files, rows, zip};
use crate::assertion::Caller;

const DISK_BYTES: u64 = 10 * 1024 * 1024 * 1024;
/// A practice plan ends ten years after it began.
const PLAN_MS: i64 = 10 * 365 * 86_400_000;

/// Clients send either alphabet, with or without padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

pub(super) async fn show_me(
    State(drive): State<Drive>,
    caller: Caller,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let subject = caller.0.subject.clone();
    let now = (drive.clock)();
    let tree = tree_of(&drive, caller).await?;
    let used = tree.total_size();
    let ends_at = tree.created_at.saturating_add(PLAN_MS);
    let me = json!({
        // The assertion carries no address, and none is needed to tell two accounts apart.
        "email": format!("{subject}@drive.invalid"),
        "plan_name": "Practice",
        "plan_expired": now >= ends_at,
        "plan_expiration": date(ends_at),
        "disk": {
            "size": DISK_BYTES,
            "available": DISK_BYTES.saturating_sub(used),
            "used": used,
        },
    });
    // Bitport's older clients read a list of one, its newest an object.
    if drive.me_is_object {
        return Ok(success_of(me));
    }
    Ok(success(vec![me]))
}

pub(super) async fn show_top(
    State(drive): State<Drive>,
    caller: Caller,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let tree = tree_of(&drive, caller).await?;
    Ok(success(vec![tree.view(None, Depth::Shallow)]))
}

pub(super) async fn show_folder(
    State(drive): State<Drive>,
    caller: Caller,
    Segment(code): Segment,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let tree = tree_of(&drive, caller).await?;
    let code = code.ok_or(DriveError::NoSuchFolder)?;
    let folder = tree.find_folder(&code).ok_or(DriveError::NoSuchFolder)?;
    Ok(success(vec![tree.view(Some(folder), Depth::Shallow)]))
}

/// Deletes a folder with everything in it.
pub(super) async fn delete_folder(
    State(drive): State<Drive>,
    caller: Caller,
    Segment(code): Segment,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let code = code.ok_or(DriveError::NoSuchFolder)?;
    let deleting = drive.as_user(caller, move |tx, user| Ok(rows::delete_folder(tx, user, &code)?));
    if deleting.await? { Ok(success(Vec::new())) } else { Err(DriveError::NoSuchFolder) }
}

pub(super) async fn download_folder(
    State(drive): State<Drive>,
    caller: Caller,
    Segment(code): Segment,
) -> Result<Response, DriveError> {
    let tree = tree_of(&drive, caller).await?;
    let code = code.ok_or(DriveError::NoSuchFolder)?;
    let folder = tree.find_folder(&code).ok_or(DriveError::NoSuchFolder)?;
    // Said here, where the caller reads the envelope, and not behind the link.
    zip::layout(&tree.below(&folder.code)).ok_or(DriveError::TooLargeForZip)?;
    Ok(files::link_to(&drive, &folder.code, Delivery::Zip))
}

/// `scope=recursive` shows folders with their contents; `folderPath`, in Base64, names the folder
/// to start from, otherwise it is the top.
pub(super) async fn show_by_path(
    State(drive): State<Drive>,
    caller: Caller,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let Query(query) = query.map_err(|_| DriveError::Parameter("The query is not readable."))?;
    let depth = match single(&query, "scope")? {
        None => Depth::Shallow,
        Some("recursive") => Depth::Recursive,
        Some(_) => return Err(DriveError::Parameter("Parameter scope must be recursive.")),
    };
    let path = single(&query, "folderPath")?.map(decode_path).transpose()?.unwrap_or_default();
    let tree = tree_of(&drive, caller).await?;
    let folder = tree.find_by_path(&path).ok_or(DriveError::NoSuchFolder)?;
    Ok(success(vec![tree.view(folder, depth)]))
}

pub(super) async fn search(
    State(drive): State<Drive>,
    caller: Caller,
    Segment(term): Segment,
) -> Result<Json<Envelope<Value>>, DriveError> {
    let term = term.ok_or(DriveError::Parameter("Parameter term must be UTF-8."))?;
    let tree = tree_of(&drive, caller).await?;
    Ok(success(vec![tree.search(&term)]))
}

async fn tree_of(drive: &Drive, caller: Caller) -> Result<Tree, DriveError> {
    drive.as_user(caller, read_tree).await
}

pub(super) fn read_tree(tx: &Transaction<'_>, user: User) -> Result<Tree, DriveError> {
    Ok(Tree {
        folders: rows::list_folders(tx, user)?,
        files: rows::list_files(tx, user)?,
        created_at: user.created_at,
    })
}

/// A parameter that is given at most once.
fn single<'a>(query: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, DriveError> {
    let mut values = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(DriveError::Parameter("A parameter is given more than once.")),
    }
}

fn decode_path(text: &str) -> Result<String, DriveError> {
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    let path = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    path.ok_or(DriveError::Parameter("Parameter folderPath must be a path in Base64."))
}
