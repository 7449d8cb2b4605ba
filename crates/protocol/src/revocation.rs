//! Token revocation (RFC 7009). The answer is 200 with no body, also for a token nobody knows.

use crate::error::OAuthError;
use crate::introspection::TokenTypeHint;
use crate::params::Params;

#[derive(Clone, PartialEq, Eq)]
pub struct RevocationRequest {
    pub token: String,
    pub hint: Option<TokenTypeHint>,
}

impl RevocationRequest {
    pub fn decode(form: &Params) -> Result<Self, OAuthError> {
        let token = form.one("token")?.map(str::to_owned);
        Ok(Self {
            token: token.ok_or_else(|| OAuthError::invalid_request("token is missing"))?,
            hint: TokenTypeHint::decode(form)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(form: &str) -> Result<RevocationRequest, OAuthError> {
        RevocationRequest::decode(&Params::parse(form.as_bytes()).unwrap())
    }

    #[test]
    fn a_known_hint_is_kept_and_an_unknown_one_ignored() {
        let request = decode("token=t&token_type_hint=refresh_token").unwrap();
        assert_eq!(request.hint, Some(TokenTypeHint::RefreshToken));
        assert_eq!(decode("token=t&token_type_hint=magic").unwrap().hint, None);
        assert_eq!(decode("token=t").unwrap().token, "t");
    }

    #[test]
    fn a_missing_or_doubled_token_is_an_invalid_request() {
        for form in ["", "token=", "token=a&token=b", "token=a&token_type_hint=x&token_type_hint=y"]
        {
            let error = decode(form).err().unwrap();
            assert_eq!(error.kind().as_str(), "invalid_request", "{form}");
        }
    }
}
