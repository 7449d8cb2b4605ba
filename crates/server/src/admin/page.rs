//! Lists in pages: a page is asked for with `limit` and the sealed `cursor` of the page before. A
//! cursor names a place and belongs to one list with its filters.

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::seal::Purpose;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::{Problem, ProblemKind};
use super::schema::{Components, Schema};
use crate::provider::Provider;

pub const LIMIT_DEFAULT: u32 = 100;
pub const LIMIT_MAX: u32 = 1000;

/// One page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; `None`: this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T: Schema> Schema for Page<T> {
    fn schema(of: &mut Components) -> Value {
        let next = "Send it as `cursor` for the next page. Absent: this is the last one.";
        json!({
            "type": "object",
            "properties": {
                "items": { "type": "array", "items": T::schema(of) },
                "next_cursor": { "type": "string", "description": next },
            },
            "required": ["items"],
        })
    }
}

/// What asks for a page: its filters are what it serializes.
pub trait Query: Serialize {
    fn limit(&self) -> Option<u32>;
    fn cursor(&self) -> Option<&str>;
}

macro_rules! query {
    ($name:ty) => {
        impl $crate::admin::page::Query for $name {
            fn limit(&self) -> Option<u32> {
                self.limit
            }

            fn cursor(&self) -> Option<&str> {
                self.cursor.as_deref()
            }
        }
    };
}
pub(crate) use query;

#[derive(Deserialize)]
struct Sealed<P> {
    list: String,
    place: P,
}

/// What a request asks of a list.
#[derive(Debug)]
pub struct Asked<P> {
    /// One more than fits on the page: whether there is a next one.
    pub fetch: i64,
    /// The last of the page before.
    pub after: Option<P>,
    limit: usize,
    list: String,
}

impl<P: Serialize + DeserializeOwned> Asked<P> {
    /// `name`: of the list, with whatever its address holds.
    pub fn of(provider: &Provider, name: &str, query: &impl Query) -> Result<Self, Problem> {
        let limit = query.limit().unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Problem::one_invalid("limit", &format!("say 1 to {LIMIT_MAX}")));
        }
        let filters = serde_json::to_string(query).unwrap_or_default();
        let hash = digest(&SHA256, format!("{name}\0{filters}").as_bytes());
        let list = URL_SAFE_NO_PAD.encode(hash.as_ref());
        let after = query.cursor().map(|text| open(provider, &list, text)).transpose()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self { fetch: i64::try_from(limit).unwrap_or(i64::MAX) + 1, after, limit, list })
    }

    /// The page of what was fetched. `place`: where something stands in the list.
    pub fn page<R, T>(
        &self,
        provider: &Provider,
        mut rows: Vec<R>,
        place: impl FnOnce(&R) -> P,
        mut record: impl FnMut(R) -> T,
    ) -> Result<Json<Page<T>>, Problem> {
        let has_more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| has_more).map(place);
        let next_cursor = last.map(|place| self.seal(provider, &place)).transpose()?;
        Ok(Json(Page { items: rows.drain(..).map(&mut record).collect(), next_cursor }))
    }

    fn seal(&self, provider: &Provider, place: &P) -> Result<String, Problem> {
        let content = json!({ "list": self.list, "place": place }).to_string();
        let keyring = provider.keyring();
        let sealed = keyring.seal_bytes(Purpose::Cursor, content.as_bytes(), &*provider.entropy);
        sealed.ok_or_else(|| Problem::new(ProblemKind::Internal, "a cursor could not be sealed"))
    }
}

fn open<P: DeserializeOwned>(provider: &Provider, list: &str, text: &str) -> Result<P, Problem> {
    let opened = provider.keyring().open_bytes(Purpose::Cursor, text).ok();
    let sealed = opened.and_then(|bytes| serde_json::from_slice::<Sealed<P>>(&bytes).ok());
    match sealed {
        Some(sealed) if sealed.list == list => Ok(sealed.place),
        _ => Err(Problem::new(ProblemKind::Cursor, "cursor: it is not one of this list")),
    }
}
