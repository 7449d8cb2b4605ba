//! From a dialect's parameters to the standard's. What a dialect has no name for does not reach us,
//! whatever the client sends.

use crate::params::{Duplicate, Params, ParamsError};

use super::body::{self, BodyError};
use super::{AuthorizeEndpoint, GrantType, TokenEndpoint};

/// One parameter of the standard in a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The standard's name.
    pub standard: String,
    /// The dialect's; `None`: its clients cannot send it.
    pub name: Option<String>,
    /// What a request without it means.
    pub default: Option<String>,
}

/// Why a request cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Own names of what is missing, in the order of the dialect's list.
    #[error("missing: {}", .0.join(", "))]
    Missing(Vec<String>),
    #[error("the grant type is not one of this endpoint's")]
    GrantType,
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error(transparent)]
    Duplicate(#[from] Duplicate),
}

impl AuthorizeEndpoint {
    /// The query as the standard would say it.
    pub fn decode(&self, query: &str) -> Result<Params, DecodeError> {
        rename(&Params::parse(query.as_bytes())?, &self.parameters, self.scope_separator)
    }
}

impl TokenEndpoint {
    /// The body as the standard would say it. `has_basic`: the client authenticates in a header, so
    /// its id and secret may be missing here.
    pub fn decode(
        &self,
        content_type: Option<&str>,
        body: &[u8],
        has_basic: bool,
    ) -> Result<Params, DecodeError> {
        let sent = body::read(&self.bodies, content_type, body)?;
        self.check_required(&sent, has_basic && self.takes_basic)?;
        let params = rename(&sent, &self.parameters, self.scope_separator)?;
        self.with_standard_grant_type(params)
    }

    fn check_required(&self, sent: &Params, has_basic: bool) -> Result<(), DecodeError> {
        let in_header = |name: &str| {
            has_basic && (self.is_named(name, "client_id") || self.is_named(name, "client_secret"))
        };
        let mut missing = Vec::new();
        for name in &self.required {
            if sent.one(name)?.is_none() && !in_header(name) {
                missing.push(name.clone());
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(DecodeError::Missing(missing)) }
    }

    pub(super) fn requires_secret(&self) -> bool {
        self.required.iter().any(|name| self.is_named(name, "client_secret"))
    }

    fn is_named(&self, name: &str, standard: &str) -> bool {
        self.parameters.iter().any(|parameter| {
            parameter.standard == standard && parameter.name.as_deref() == Some(name)
        })
    }

    /// The dialect's word for a grant type becomes the standard's. A word of the standard that the
    /// dialect does not use is no word at all here.
    fn with_standard_grant_type(&self, params: Params) -> Result<Params, DecodeError> {
        let Some(word) = params.one("grant_type")? else { return Ok(params) };
        let known = self.grant_types.iter().find(|(_, own)| own == word);
        let (grant_type, _): &(GrantType, String) = known.ok_or(DecodeError::GrantType)?;
        let standard = grant_type.as_str();
        let pairs = params
            .iter()
            .map(|(name, value)| (name, if name == "grant_type" { standard } else { value }));
        Ok(Params::from_pairs(pairs)?)
    }
}

/// Doubled parameters stay doubled, whether or not all of them have a value: the standard's decoder
/// refuses them (attack R7).
fn rename(
    sent: &Params,
    parameters: &[Parameter],
    scope_separator: char,
) -> Result<Params, DecodeError> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for parameter in parameters {
        let own = parameter.name.as_deref();
        let values: Vec<&str> =
            sent.iter().filter(|(name, _)| own == Some(*name)).map(|(_, value)| value).collect();
        match (values.as_slice(), &parameter.default) {
            ([] | [""], None) => {}
            ([] | [""], Some(default)) => pairs.push((&parameter.standard, default.clone())),
            (values, _) => pairs.extend(values.iter().map(|value| {
                let value = match parameter.standard.as_str() {
                    "scope" => value.replace(scope_separator, " "),
                    _ => (*value).to_owned(),
                };
                (parameter.standard.as_str(), value)
            })),
        }
    }
    Ok(Params::from_pairs(pairs)?)
}
