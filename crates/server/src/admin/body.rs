//! What a request says: a JSON body of bounded size, nothing in it that is not known, and a query
//! string of the same kind. A change is a JSON Merge Patch (RFC 7396).

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{FieldError, Problem, ProblemKind};

/// A JSON body that is a whole `T`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_type(request.headers(), &["application/json"])?;
        read(&bytes(request, state).await?).map(Self)
    }
}

/// What is to be changed of a thing; `null` takes a member away.
pub struct MergePatch(Value);

impl MergePatch {
    /// `current` with the changes, read as strictly as a new one.
    pub fn apply<T: Serialize + DeserializeOwned>(&self, current: &T) -> Result<T, Problem> {
        let mut value = serde_json::to_value(current)
            .map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))?;
        merge(&mut value, &self.0);
        serde_json::from_value(value).map_err(|error| unreadable(&error.to_string()))
    }
}

/// RFC 7396 §2. As deep as the patch is, and parsing has bounded that.
fn merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_type(request.headers(), &["application/merge-patch+json", "application/json"])?;
        let patch: Value = read(&bytes(request, state).await?)?;
        match patch.is_object() {
            true => Ok(Self(patch)),
            false => Err(Problem::new(ProblemKind::Invalid, "the change is not an object")),
        }
    }
}

/// The gate has read it, within the bounds of the route.
async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let read = Bytes::from_request(request, state).await;
    read.map_err(|error| Problem::new(ProblemKind::Invalid, error.body_text()))
}

fn check_type(headers: &HeaderMap, allowed: &[&str]) -> Result<(), Problem> {
    let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match allowed.contains(&essence.as_str()) {
        true => Ok(()),
        false => {
            let text = format!("send the body as Content-Type: {}", allowed.join(" or "));
            Err(Problem::new(ProblemKind::MediaType, text))
        }
    }
}

/// serde_json goes at most 128 levels deep.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(&error.to_string()))
}

/// What serde says, with a pointer to a field that does not exist or is missing.
fn unreadable(text: &str) -> Problem {
    let named = ["unknown field `", "missing field `", "duplicate field `"];
    let field = named.into_iter().find_map(|start| text.strip_prefix(start)?.split('`').next());
    let pointer = |name: &str| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let error = |name| FieldError { pointer: pointer(name), detail: text.to_owned() };
    Problem {
        errors: field.map(error).into_iter().collect(),
        ..Problem::new(ProblemKind::Invalid, format!("the body cannot be read: {text}"))
    }
}

/// A query string in which every parameter is known.
pub struct Asks<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asks<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let told = |error: QueryRejection| Problem::new(ProblemKind::Invalid, error.body_text());
        query.map(|Query(query)| Self(query)).map_err(told)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7396 Appendix A.
    #[test]
    fn the_examples_of_rfc_7396_hold() {
        for (original, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut target = original.clone();
            merge(&mut target, &patch);
            assert_eq!(target, result, "{original} {patch}");
        }
    }

    #[test]
    fn an_unknown_field_is_pointed_at() {
        let problem = unreadable("unknown field `a/b~c`, expected `name` at line 1");
        assert_eq!(problem.errors[0].pointer, "/a~1b~0c");
        assert!(unreadable("EOF while parsing").errors.is_empty());
    }
}
