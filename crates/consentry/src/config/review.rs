//! `[review]`: what staff look at.

use domain::revision::RevisionField;

use super::problem::nearest;
use super::reader::Section;

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

pub(super) fn read(section: &Section<'_>) -> Vec<RevisionField> {
    let Some(names) = section.texts("fields") else {
        return RevisionField::REVIEWED_BY_DEFAULT.to_vec();
    };
    let field = |name: &str| {
        let all = RevisionField::ALL;
        all.into_iter().find(|field| field.name() == name).ok_or_else(|| {
            let guess = nearest(name, all.iter().map(|field| field.name()))
                .map(|similar| format!("Did you mean `{similar}`? "));
            let names = all.map(RevisionField::name).join(", ");
            format!("{}It is one of: {names}.", guess.unwrap_or_default())
        })
    };
    let read = names.into_iter().filter_map(|name| section.meaning("fields", name, field));
    read.map(|at| at.value).collect()
}
