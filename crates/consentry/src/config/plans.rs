//! The plans and perks that the operator offers to developers.

use std::collections::BTreeSet;

use domain::plan::{Perk, Plan};

use super::quantity;
use super::reader::Section;

/// In bytes; names travel in forms and in the audit trail.
const NAME_MAX: usize = 40;

pub(super) fn plans(root: &Section<'_>) -> Vec<Plan> {
    let sections = root.sections("plans");
    let (mut names, mut plans) = (BTreeSet::new(), Vec::new());
    for section in &sections {
        if let Some(plan) = plan(section) {
            refuse_twice(section, &mut names, &plan.name);
            plans.push(plan);
        }
    }
    let defaults = plans.iter().filter(|plan| plan.is_default).count();
    if let (Some(first), true) = (sections.first(), defaults != 1 && plans.len() == sections.len())
    {
        first.document.problem(
            &first.spot,
            format!("{defaults} of the plans are the default"),
            "Write `default = true` into exactly one: apps have it that were given none.",
        );
    }
    plans
}

pub(super) fn perks(root: &Section<'_>) -> Vec<Perk> {
    let mut names = BTreeSet::new();
    let mut perks = Vec::new();
    for section in root.sections("perks") {
        let (name, title, text) =
            (name(&section), section.required("title"), section.required("text"));
        if let (Some(name), Some(title), Some(text)) = (name, title, text) {
            refuse_twice(&section, &mut names, &name);
            perks.push(Perk { name, title: title.value, text: text.value });
        }
    }
    perks
}

fn plan(section: &Section<'_>) -> Option<Plan> {
    let (name, title, text) = (name(section), section.required("title"), section.required("text"));
    let number = |key: &str| {
        let read = |text: &str| match text.parse::<u64>() {
            Ok(0) | Err(_) => Err("Write a whole number from 1 on, or leave it out for no limit."),
            Ok(number) => Ok(number),
        };
        section.parsed(key, read).map(|at| at.value)
    };
    Some(Plan {
        rate: section.parsed("rate", quantity::rate).map(|at| at.value),
        calls_per_day: number("calls_per_day"),
        calls_per_month: number("calls_per_month"),
        users_max: number("users_max"),
        is_default: section.switch("default").unwrap_or_default(),
        name: name?,
        title: title?.value,
        text: text?.value,
    })
}

fn name(section: &Section<'_>) -> Option<String> {
    let text = section.required("name")?;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let read = |text: &str| match text.len() <= NAME_MAX && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("Use at most 40 small letters, digits, `-` and `_`."),
    };
    section.meaning("name", text, read).map(|at| at.value)
}

fn refuse_twice(section: &Section<'_>, names: &mut BTreeSet<String>, name: &str) {
    if !names.insert(name.to_owned()) {
        let what = format!("`{name}` is there twice");
        section.document.problem(&section.spot_of("name"), what, "Remove one of them.");
    }
}
