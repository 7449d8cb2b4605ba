//! How long tokens and grants live.

use std::time::Duration;

use domain::policy::Lifetimes;

use super::quantity;
use super::reader::Section;

/// `None` when a problem was reported.
pub(super) fn read(section: &Section<'_>) -> Option<Lifetimes> {
    let default = Lifetimes::default();
    let access_token =
        pair(section, "access_token", default.access_token, default.access_token_max);
    let refresh_idle =
        pair(section, "refresh_idle", default.refresh_idle, default.refresh_idle_max);
    let grant = pair(section, "grant", default.grant, default.grant_max);
    let ((access_token, access_token_max), (refresh_idle, refresh_idle_max), (grant, grant_max)) =
        (access_token?, refresh_idle?, grant?);
    Some(Lifetimes {
        access_token,
        access_token_max,
        refresh_idle,
        refresh_idle_max,
        grant,
        grant_max,
    })
}

/// A lifetime and its limit, which is not below it.
fn pair(
    section: &Section<'_>,
    name: &str,
    default: Duration,
    default_max: Duration,
) -> Option<(Duration, Duration)> {
    let name_max = format!("{name}_max");
    let read = |name: &str, default: Duration| match section.text(name) {
        None => Some(default),
        Some(text) => section.meaning(name, text, quantity::duration).map(|at| at.value),
    };
    let (usual, max) = (read(name, default), read(&name_max, default_max));
    let (usual, max) = (usual?, max?);
    if usual > max {
        section.document.problem(
            &section.spot_of(name),
            format!("`{name}` is longer than `{name_max}`"),
            format!("Raise `{name_max}` or lower `{name}`."),
        );
        return None;
    }
    Some((usual, max))
}
