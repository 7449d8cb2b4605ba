//! What deserves a reviewer's second look. Pure.

use domain::app::App;
use domain::audit::AuditEvent;
use domain::look_alike::skeleton;
use domain::policy::{Policy, ScopeDefinition, ScopeTier};
use domain::revision::Revision;
use protocol::redirect_uri::{DestinationKind, RedirectUri};
use protocol::scope::ScopeName;

use crate::pages::views::RiskFlag;

/// Reports that are quoted; more are only counted.
const QUOTED_MAX: usize = 3;

/// What an app is compared with.
pub struct Surroundings<'a> {
    pub policy: &'a Policy,
    /// Names of the other live apps.
    pub live_names: &'a [String],
    /// What users told about this app, newest first.
    pub reports: &'a [AuditEvent],
    /// What was approved before; `None`: nothing.
    pub stands: Option<&'a Revision>,
    /// Whether whoever registered it has proven to read mail at their address.
    pub publisher_is_verified: bool,
}

pub fn flags(app: &App, around: &Surroundings<'_>) -> Vec<RiskFlag> {
    let mut flags = Vec::new();
    flags.extend(reports(around.reports, around.policy.review.reports_max));
    flags.extend(look_alike(app, around.live_names));
    flags.extend(high_tier(app, around.policy));
    flags.extend(newly_sensitive(app, around));
    flags.extend(around.stands.and_then(|stands| new_host(app, stands)));
    flags.extend(app.redirect_uris.iter().filter_map(destination));
    if !around.publisher_is_verified {
        flags.push(RiskFlag {
            label: "Self-declared publisher".to_owned(),
            detail: "Whoever registered it has not proven to read mail at their address."
                .to_owned(),
            serious: false,
        });
    }
    if app.homepage.is_none() {
        flags.push(RiskFlag {
            label: "No homepage".to_owned(),
            detail: "There is no page that says who is behind the app.".to_owned(),
            serious: false,
        });
    }
    flags
}

fn reports(reports: &[AuditEvent], reports_max: u32) -> Option<RiskFlag> {
    let count = reports.len();
    let texts = reports.iter().take(QUOTED_MAX).filter_map(report_text);
    let quoted: Vec<_> = texts.map(|text| format!("“{text}”")).collect();
    (count > 0).then(|| RiskFlag {
        label: match count {
            1 => "1 report".to_owned(),
            count if count > reports_max as usize => format!("Many reports: {count}"),
            count => format!("{count} reports"),
        },
        detail: format!("Users wrote: {}", quoted.join(" ")),
        serious: true,
    })
}

/// What the user wrote.
pub fn report_text(event: &AuditEvent) -> Option<&str> {
    event.detail.get("text")?.as_str()
}

fn look_alike(app: &App, live_names: &[String]) -> Option<RiskFlag> {
    let own = skeleton(&app.name);
    let other = live_names.iter().find(|name| skeleton(name) == own)?;
    Some(RiskFlag {
        label: "Look-alike name".to_owned(),
        detail: format!("Reads like “{other}”, which is live."),
        serious: true,
    })
}

fn high_tier(app: &App, policy: &Policy) -> Option<RiskFlag> {
    let is_high = |definition: &&ScopeDefinition| definition.tier == ScopeTier::High;
    let scopes = app.requested.iter().filter_map(|request| policy.scope(&request.scope));
    let lines: Vec<_> =
        scopes.filter(is_high).map(|scope| format!("{}: {}.", scope.name, scope.text)).collect();
    (!lines.is_empty()).then(|| RiskFlag {
        label: "High-tier scope".to_owned(),
        detail: lines.join(" "),
        serious: true,
    })
}

/// A live app that wants what it never had, of the tier below the highest.
fn newly_sensitive(app: &App, around: &Surroundings<'_>) -> Option<RiskFlag> {
    around.stands?;
    let is_sensitive = |name: &&ScopeName| {
        around.policy.scope(name).is_some_and(|scope| scope.tier == ScopeTier::Sensitive)
    };
    let pending = app.pending_scopes();
    let names: Vec<_> = pending.iter().filter(is_sensitive).map(ScopeName::as_str).collect();
    (!names.is_empty()).then(|| RiskFlag {
        label: "Sensitive scope newly asked".to_owned(),
        detail: format!("It did not have {} before.", names.join(", ")),
        serious: false,
    })
}

/// Users whom the app knows would be sent somewhere new: what a stolen developer account is good
/// for.
fn new_host(app: &App, stands: &Revision) -> Option<RiskFlag> {
    let known: Vec<_> = stands.redirect_uris.iter().map(|uri| &uri.destination().host).collect();
    let hosts = app.redirect_uris.iter().map(|uri| &uri.destination().host);
    let new: Vec<_> =
        hosts.filter(|host| !known.contains(host)).map(|host| host.as_str()).collect();
    (!new.is_empty()).then(|| RiskFlag {
        label: "New redirect host".to_owned(),
        detail: format!("Users would be sent to {} for the first time.", new.join(", ")),
        serious: true,
    })
}

fn destination(uri: &RedirectUri) -> Option<RiskFlag> {
    let place = &uri.destination().host;
    let (label, detail) = match uri.destination().kind {
        DestinationKind::Https => return None,
        DestinationKind::Loopback => (
            "Loopback redirect",
            format!("{place} is the user’s own machine: any program there could be listening."),
        ),
        DestinationKind::CustomScheme => {
            ("Custom scheme", format!("Another app on the same device could claim {place}."))
        }
    };
    Some(RiskFlag { label: label.to_owned(), detail, serious: false })
}
