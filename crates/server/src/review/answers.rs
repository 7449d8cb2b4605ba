//! Answers that staff insert instead of writing them anew. Without a script: a button sends the
//! form, which comes back with the text in it.

use domain::policy::ReviewPolicy;
use protocol::params::Params;

use crate::error::PageError;

/// The titles, for the select.
pub(super) fn titles(review: &ReviewPolicy) -> Vec<String> {
    review.answers.iter().map(|answer| answer.title.clone()).collect()
}

/// `text` with the chosen answer behind it, if the button for that was pressed.
pub(super) fn inserted(
    review: &ReviewPolicy,
    params: &Params,
    text: &str,
) -> Result<Option<String>, PageError> {
    if params.one("insert")?.is_none() {
        return Ok(None);
    }
    let title = params.one("answer")?.unwrap_or_default();
    let answer = review.answers.iter().find(|answer| answer.title == title);
    let added = answer.map(|answer| answer.text.as_str()).unwrap_or_default();
    let apart = if text.is_empty() || added.is_empty() { "" } else { "\n\n" };
    Ok(Some(format!("{text}{apart}{added}")))
}
