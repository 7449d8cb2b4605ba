//! Errors of the token endpoint.

use super::*;

#[test]
fn every_error_has_its_word_and_status() {
    for (error, word, status) in [
        (OAuthError::invalid_request("x"), "invalid_request", 400),
        (OAuthError::invalid_client(), "invalid_client", 401),
        (OAuthError::invalid_grant("x"), "invalid_grant", 400),
        (OAuthError::unauthorized_client("x"), "unauthorized_client", 400),
        (OAuthError::unsupported_grant_type(), "unsupported_grant_type", 400),
        (OAuthError::invalid_scope("x"), "invalid_scope", 400),
        (OAuthError::invalid_target("x"), "invalid_target", 400),
        (OAuthError::slow_down(3), "slow_down", 429),
        (OAuthError::temporarily_unavailable(5), "temporarily_unavailable", 503),
        (OAuthError::server_error(), "server_error", 500),
    ] {
        let body: serde_json::Value = serde_json::from_str(&error.to_json()).unwrap();
        assert_eq!(body["error"], word);
        assert_eq!(body["error_description"], error.description());
        assert_eq!(error.status().as_u16(), status, "{word}");
        assert_eq!(error.www_authenticate().is_some(), status == 401);
        assert_eq!(error.retry_after_seconds().is_some(), status == 429 || status == 503);
    }
}

#[test]
fn a_description_has_only_the_characters_of_the_rfc() {
    let error = OAuthError::invalid_scope("a\"b\\c\nd é".to_owned());
    assert_eq!(error.description(), "a'b?c?d ?");
    assert_eq!(error.to_string(), "invalid_scope: a'b?c?d ?");
}

#[test]
fn x2_why_a_client_was_not_authenticated_is_not_told() {
    for cause in [ClientAuthError::Missing, ClientAuthError::Unreadable, ClientAuthError::Assertion]
    {
        assert_eq!(OAuthError::from(cause), OAuthError::invalid_client());
    }
}

#[test]
fn x4_a_wrong_way_of_authentication_is_an_invalid_request() {
    for cause in [ClientAuthError::Several, ClientAuthError::InUrl, ClientAuthError::Contradiction]
    {
        assert_eq!(OAuthError::from(cause).kind(), OAuthErrorKind::InvalidRequest);
    }
    let duplicate = Duplicate { name: "code".to_owned() };
    assert_eq!(OAuthError::from(duplicate).kind(), OAuthErrorKind::InvalidRequest);
    assert_eq!(OAuthError::from(ParamsError::NotUtf8).kind(), OAuthErrorKind::InvalidRequest);
}
