//! The practice drive: an account, folders, files with real bytes and signed download links, with
//! the paths and shapes of Bitport's v2. Handlers are thin; `tree` shows, `rows` keeps.

use std::path::Path;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use rusqlite::Transaction;

use self::error::DriveError;
use self::link::LinkSigner;
use self::rows::User;
use crate::Clock;
use crate::assertion::{AssertionVerifier, Caller};
use crate::routes::{self, Route};
use crate::storage::{Database, StorageError, migrate};

mod cloud;
pub(crate) mod content;
mod download;
mod error;
mod files;
mod link;
pub(crate) mod range;
mod rows;
mod tree;

/// The API's description; its `security` entries name the scopes that each route needs.
pub const OPENAPI: &str = include_str!("../../openapi/drive.yaml");

const SCHEMA: &str = include_str!("schema.sql");

/// A running drive. Cheap to clone; the clones are the same drive.
#[derive(Clone)]
pub struct Drive {
    database: Database,
    verifier: AssertionVerifier,
    clock: Clock,
    links: LinkSigner,
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
        Ok(Self { database, verifier, clock, links: LinkSigner::new(link_secret) })
    }

    /// Runs `job` for the caller in one transaction; a new caller gets a drive first.
    async fn as_user<T: Send + 'static>(
        &self,
        Caller(assertion): Caller,
        job: impl FnOnce(&Transaction<'_>, User) -> Result<T, DriveError> + Send + 'static,
    ) -> Result<T, DriveError> {
        let now = (self.clock)();
        self.database
            .run(move |tx| {
                let user = rows::find_or_welcome(tx, &assertion.subject, now)?;
                job(tx, user)
            })
            .await
    }
}

pub fn router(drive: Drive) -> Router {
    routes::router(routes())
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
        Route::get("/v2/search/{term}", cloud::search),
        Route::get("/v2/files/{code}", files::show),
        Route::delete("/v2/files/{code}", files::delete),
        Route::get("/v2/files/{code}/download", files::download),
        Route::get("/v2/files/{code}/stream", files::stream),
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
