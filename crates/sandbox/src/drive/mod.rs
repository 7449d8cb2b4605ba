//! The practice drive: an account, folders, files with real bytes, signed download links and
//! transfers, with the paths and shapes of Bitport's v2. Handlers are thin; `tree` shows, `rows`
//! and `transfer_rows` keep.

use std::path::Path;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use rusqlite::Transaction;

use self::error::DriveError;
use self::link::LinkSigner;
use self::rows::User;
use crate::Clock;
use crate::assertion::{AssertionVerifier, Caller};
use crate::routes::{self, Route};
use crate::storage::{Database, StorageError, migrate};

pub(crate) mod catalogue;
mod cloud;
pub(crate) mod content;
mod download;
mod error;
mod files;
mod link;
mod parts;
pub(crate) mod progress;
pub(crate) mod range;
mod rows;
mod transfer_rows;
mod transfers;
mod tree;
pub(crate) mod zip;

/// The API's description; its `security` entries name the scopes that each route needs.
pub const OPENAPI: &str = include_str!("../../openapi/drive.yaml");

const SCHEMA: &str = include_str!("schema.sql");
const BODY_BYTES_MAX: usize = 65_536;

/// A running drive. Cheap to clone; the clones are the same drive.
#[derive(Clone)]
pub struct Drive {
    database: Database,
    verifier: AssertionVerifier,
    clock: Clock,
    links: LinkSigner,
    me_is_object: bool,
}

impl Drive {
    /// Opens the drive in the SQLite file at `path`; a new file gets its sample contents.
    /// `link_secret` signs download links: keep it, and links survive a restart.
    pub fn open(
        path: &Path,
        verifier: AssertionVerifier,
        clock: Clock,
        link_secret: &[u8; 32],
    ) -> Result<Self, StorageError> {
        let database = Database::open(path, |tx| {
            if migrate(tx, SCHEMA)? {
                rows::create_contents(tx)?;
            }
            Ok(())
        })?;
        let links = LinkSigner::new(link_secret);
        Ok(Self { database, verifier, clock, links, me_is_object: false })
    }

    /// Answers `/v2/me` with an object in `data`, as a client of 2026 reads it, instead of the
    /// list of one that all others read.
    #[must_use]
    pub fn with_me_as_object(self) -> Self {
        Self { me_is_object: true, ..self }
    }

    /// Runs `job` for the caller in one transaction; a new caller gets a drive first, and what
    /// transfers have brought by now is there.
    async fn as_user<T: Send + 'static>(
        &self,
        Caller(assertion): Caller,
        job: impl FnOnce(&Transaction<'_>, User) -> Result<T, DriveError> + Send + 'static,
    ) -> Result<T, DriveError> {
        let now = (self.clock)();
        self.database
            .run(move |tx| {
                let user = rows::find_or_welcome(tx, &assertion.subject, now)?;
                transfer_rows::store_finished(tx, user, now)?;
                job(tx, user)
            })
            .await
    }
}

pub fn router(drive: Drive) -> Router {
    routes::router(routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .fallback(async || DriveError::NoSuchMethod)
        .method_not_allowed_fallback(async || DriveError::NoSuchMethod)
        .with_state(drive)
}

pub(crate) fn routes() -> Vec<Route<Drive>> {
    vec![
        Route::get("/v2/me", cloud::show_me),
        Route::get("/v2/cloud", cloud::show_top),
        Route::get("/v2/cloud/byPath", cloud::show_by_path),
        Route::get("/v2/cloud/{code}", cloud::show_folder),
        Route::delete("/v2/cloud/{code}", cloud::delete_folder),
        Route::get("/v2/cloud/{code}/download-as-zip", cloud::download_folder),
        Route::get("/v2/search/{term}", cloud::search),
        Route::get("/v2/files/{code}", files::show),
        Route::delete("/v2/files/{code}", files::delete),
        Route::get("/v2/files/{code}/download", files::download),
        Route::get("/v2/files/{code}/stream", files::stream),
        Route::get("/v2/transfers", transfers::list),
        Route::post("/v2/transfers", transfers::start),
        Route::get("/v2/transfers/{token}", transfers::show),
        Route::delete("/v2/transfers/{token}", transfers::delete),
        Route::get("/v2/dl/{code}", download::send),
    ]
}

impl FromRequestParts<Drive> for Caller {
    type Rejection = DriveError;

    async fn from_request_parts(parts: &mut Parts, api: &Drive) -> Result<Self, DriveError> {
        Ok(Self(api.verifier.verify(&parts.headers, (api.clock)()).await?))
    }
}

/// The one variable part of a path, whatever it is called; `None` when it is not UTF-8.
struct Segment(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let found = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(found.ok().map(|axum::extract::Path(text)| text)))
    }
}
