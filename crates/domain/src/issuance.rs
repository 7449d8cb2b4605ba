//! What one access token gets of what its grant has: a subset of scopes, one audience.

use protocol::error::OAuthError;
use protocol::scope::ScopeSet;

use crate::app::App;
use crate::time::Timestamp;

/// The scopes of a token: what was asked for, else everything there is. Asking for more than there
/// is fails as a whole (RFC 6749 §6, attack T2).
pub fn narrow_scopes(
    requested: Option<&ScopeSet>,
    granted: &ScopeSet,
) -> Result<ScopeSet, OAuthError> {
    let Some(requested) = requested else { return Ok(granted.clone()) };
    let excess = requested.difference(granted);
    if excess.is_empty() {
        return Ok(requested.clone());
    }
    Err(OAuthError::invalid_scope(format!("not part of what was granted: {excess}")))
}

/// The one resource a token is for: the one that was asked for, else the first (RFC 8707 §2.2).
pub fn pick_audience(requested: &[String], granted: &[String]) -> Result<String, OAuthError> {
    let one = match requested {
        [] => granted.first().cloned(),
        [one] => granted.iter().find(|resource| *resource == one).cloned(),
        _ => return Err(OAuthError::invalid_target("a token is for one resource at a time")),
    };
    one.ok_or_else(|| OAuthError::invalid_target("resource is not part of what was granted"))
}

/// What `app` may do for itself. Fails when it may do nothing.
pub fn service_ceiling(app: &App, now: Timestamp) -> Result<ScopeSet, OAuthError> {
    let ceiling = app.service_scopes.intersection(&app.approved_at(now));
    if ceiling.is_empty() {
        return Err(OAuthError::unauthorized_client(
            "this app is not approved to act for itself (client_credentials)",
        ));
    }
    Ok(ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_gets_what_it_asks_for_and_never_more_than_was_granted() {
        let granted = set("a b");
        assert_eq!(narrow_scopes(None, &granted).unwrap(), granted);
        assert_eq!(narrow_scopes(Some(&set("a")), &granted).unwrap(), set("a"));
        let error = narrow_scopes(Some(&set("a c")), &granted).unwrap_err();
        assert_eq!(error.kind().as_str(), "invalid_scope");
        assert!(error.description().contains('c'));
    }

    #[test]
    fn a_token_is_for_one_resource_of_the_grant() {
        let granted = ["https://one.example".to_owned(), "https://two.example".to_owned()];
        let pick = |requested: &[&str]| {
            let requested: Vec<_> = requested.iter().map(|text| (*text).to_owned()).collect();
            pick_audience(&requested, &granted)
        };
        assert_eq!(pick(&[]).unwrap(), "https://one.example");
        assert_eq!(pick(&["https://two.example"]).unwrap(), "https://two.example");
        for requested in [&["https://three.example"][..], &["https://one.example", "x:y"]] {
            assert_eq!(pick(requested).unwrap_err().kind().as_str(), "invalid_target");
        }
    }
}
