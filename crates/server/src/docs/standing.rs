//! Whether an app may call an endpoint: what review has said about the scopes that it needs.

use domain::app::App;
use domain::policy::RouteAccess;
use protocol::scope::ScopeSet;

use crate::pages::views::DocsStanding;

/// Of the scopes that one of the endpoint's alternatives needs. `None`: it needs none of them.
pub(super) fn of_endpoint(app: &App, access: &RouteAccess) -> Option<DocsStanding> {
    match access {
        RouteAccess::Public => None,
        RouteAccess::AnyOf(_) => Some(standing(app, access.missing(&held(app)))),
    }
}

pub(super) fn of_scope(app: &App, scope: &str) -> DocsStanding {
    let asked = scope.parse::<ScopeSet>().unwrap_or_default();
    standing(app, asked.difference(&held(app)))
}

/// A service acts with scopes that were approved for that.
fn held(app: &App) -> ScopeSet {
    app.approved.iter().chain(app.service_scopes.iter()).cloned().collect()
}

fn standing(app: &App, missing: ScopeSet) -> DocsStanding {
    let names = |scopes: &ScopeSet| scopes.iter().map(ToString::to_string).collect();
    if missing.is_empty() {
        return DocsStanding::Approved;
    }
    let never_asked = missing.difference(&app.requested_scopes());
    if never_asked.is_empty() {
        return DocsStanding::Waiting { scopes: names(&missing) };
    }
    DocsStanding::Missing {
        scopes: names(&never_asked),
        request_path: format!("/apps/{}/scopes#request-scopes", app.id),
    }
}
