//! Bodies that clients of dialects send: forms, JSON, and JSON that says it is a form.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::params::{BYTES_MAX, Params, ParamsError};

/// What a token endpoint reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`
    Form,
    /// `application/json`: one object of texts, numbers and truth values.
    Json,
    /// JSON under the content type of a form, as a published client sends it.
    JsonAsForm,
}

impl BodyFormat {
    pub const ALL: [Self; 3] = [Self::Form, Self::Json, Self::JsonAsForm];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Json => "json",
            Self::JsonAsForm => "json_as_form",
        }
    }
}

/// Why a body is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body must be sent as {0}")]
    ContentType(&'static str),
    #[error("the body is not one flat JSON object: {0}")]
    Json(String),
    #[error(transparent)]
    Params(#[from] ParamsError),
}

/// Read a body under one of `formats`.
pub(super) fn read(
    formats: &[BodyFormat],
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Params, BodyError> {
    let takes = |format| formats.contains(&format);
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") && takes(BodyFormat::Json) {
        return json(body);
    }
    let is_form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let wrong_type =
        BodyError::ContentType(match (takes(BodyFormat::Form), takes(BodyFormat::Json)) {
            (true, true) => "application/x-www-form-urlencoded or application/json",
            (false, true) => "application/json",
            (_, false) => "application/x-www-form-urlencoded",
        });
    // No parameter name begins like this.
    let looks_like_json = body.trim_ascii_start().first() == Some(&b'{');
    if is_form && looks_like_json && takes(BodyFormat::JsonAsForm) {
        return json(body);
    }
    match is_form && takes(BodyFormat::Form) {
        true => Ok(Params::parse(body)?),
        false => Err(wrong_type),
    }
}

fn json(body: &[u8]) -> Result<Params, BodyError> {
    if body.len() > BYTES_MAX {
        return Err(ParamsError::TooLong.into());
    }
    let Flat(pairs) =
        serde_json::from_slice(body).map_err(|error| BodyError::Json(error.to_string()))?;
    Ok(Params::from_pairs(pairs)?)
}

/// The members of a flat object, in order, doubled ones kept: whoever reads them refuses them.
struct Flat(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FlatVisitor)
    }
}

struct FlatVisitor;

impl<'de> Visitor<'de> for FlatVisitor {
    type Value = Flat;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Flat, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, Scalar(value))) = members.next_entry::<String, Scalar>()? {
            pairs.extend(value.map(|value| (name, value)));
        }
        Ok(Flat(pairs))
    }
}

/// A value as a form would say it; `None` for null.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

/// Lists and objects are refused by the default methods, before anything recurses (attack X1).
impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a whole number, true, false or null")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_owned())))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }
}
