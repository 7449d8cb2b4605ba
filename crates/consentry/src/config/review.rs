//! `[review]`: what staff look at, when they look again, and what they often answer.

use domain::policy::{CannedAnswer, ReviewPolicy, ScopeTier};
use domain::revision::RevisionField;

use super::problem::nearest;
use super::quantity;
use super::reader::Section;

const TIERS: [(&str, ScopeTier); 3] =
    [("low", ScopeTier::Low), ("sensitive", ScopeTier::Sensitive), ("high", ScopeTier::High)];

/// Who hears that something waits.
pub(super) fn mail(section: &Section<'_>) -> Vec<String> {
    let address = |text: &str| {
        let is_good = text.parse::<lettre::Address>().is_ok();
        is_good.then(|| text.to_owned()).ok_or("Write an address: reviews@example.com.")
    };
    let texts = section.texts("mail").unwrap_or_default();
    let read = texts.into_iter().filter_map(|text| section.meaning("mail", text, address));
    read.map(|at| at.value).collect()
}

pub(super) fn fields(section: &Section<'_>) -> Vec<RevisionField> {
    let Some(names) = section.texts("fields") else {
        return RevisionField::REVIEWED_BY_DEFAULT.to_vec();
    };
    let all = RevisionField::ALL.map(|field| (field.name(), field));
    let read = names
        .into_iter()
        .filter_map(|name| section.meaning("fields", name, |name| one_of(&all, name)));
    read.map(|at| at.value).collect()
}

pub(super) fn policy(section: &Section<'_>) -> ReviewPolicy {
    let default = ReviewPolicy::default();
    let tiers = section.texts("tiers").map(|names| {
        let read = names
            .into_iter()
            .filter_map(|name| section.meaning("tiers", name, |name| one_of(&TIERS, name)));
        read.map(|at| at.value).collect()
    });
    let duration = |name| section.parsed(name, quantity::duration).map(|at| at.value);
    let reports_max = section.parsed("reports_max", quantity::count).map(|at| at.value);
    let answer = |section: &Section<'_>| {
        let (title, text) = (section.required("title"), section.required("text"));
        Some(CannedAnswer { title: title?.value, text: text?.value.trim().to_owned() })
    };
    ReviewPolicy {
        tiers: tiers.unwrap_or(default.tiers),
        again_after: duration("again_after"),
        unused_after: duration("unused_after"),
        reports_max: reports_max.unwrap_or(default.reports_max),
        answers: section.sections("answers").iter().filter_map(answer).collect(),
    }
}

/// `Err` says which words there are.
fn one_of<T: Copy>(all: &[(&'static str, T)], name: &str) -> Result<T, String> {
    let found = all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let guess = nearest(name, all.iter().map(|(known, _)| *known))
            .map(|similar| format!("Did you mean `{similar}`? "));
        let names: Vec<_> = all.iter().map(|(known, _)| *known).collect();
        format!("{}It is one of: {}.", guess.unwrap_or_default(), names.join(", "))
    })
}
