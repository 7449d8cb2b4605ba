//! Registering an application: one question a step, or all on one page; and its logo.

use serde::Serialize;

use super::apps::{errors, filled_form, scope_choices};
use super::{AppForm, AppFormErrors, DialectChoice, Layout, Section, TeamChoice, View};

/// One question of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Kind,
    Format,
    Redirects,
    About,
    Links,
    Scopes,
    /// Everything once more, before it is sent.
    Check,
}

impl Step {
    pub const ALL: [Self; 7] = [
        Self::Kind,
        Self::Format,
        Self::Redirects,
        Self::About,
        Self::Links,
        Self::Scopes,
        Self::Check,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Format => "format",
            Self::Redirects => "redirects",
            Self::About => "about",
            Self::Links => "links",
            Self::Scopes => "scopes",
            Self::Check => "check",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// Of all that is wrong, what this question is about.
    pub fn errors(self, all: AppFormErrors) -> AppFormErrors {
        let none = AppFormErrors::default();
        match self {
            Self::Kind => AppFormErrors { kind: all.kind, ..none },
            Self::Format => AppFormErrors { wire: all.wire, ..none },
            Self::Redirects => AppFormErrors {
                redirect_uris: all.redirect_uris,
                redirect_lines: all.redirect_lines,
                ..none
            },
            Self::About => AppFormErrors { name: all.name, description: all.description, ..none },
            Self::Links => AppFormErrors {
                homepage: all.homepage,
                privacy_url: all.privacy_url,
                terms_url: all.terms_url,
                ..none
            },
            Self::Scopes => AppFormErrors { scopes: all.scopes, ..none },
            Self::Check => none,
        }
    }

    /// The first question with something wrong.
    pub fn of_errors(errors: &AppFormErrors) -> Option<Self> {
        let AppFormErrors { kind, wire, redirect_uris, redirect_lines, scopes, .. } = errors;
        let links = [&errors.homepage, &errors.privacy_url, &errors.terms_url];
        let is_wrong = |step: &Self| match step {
            Self::Kind => kind.is_some(),
            Self::Format => wire.is_some(),
            Self::Redirects => redirect_uris.is_some() || !redirect_lines.is_empty(),
            Self::About => errors.name.is_some() || errors.description.is_some(),
            Self::Links => links.iter().any(|error| error.is_some()),
            Self::Scopes => scopes.is_some(),
            Self::Check => false,
        };
        Self::ALL.into_iter().find(is_wrong)
    }
}

/// `GET /apps/new`.
///
/// Form `new-app`, POST `/apps/new`, multipart. Its fields are those of [`AppForm`], `owner` (`me`
/// or a team's id), the file `logo`, hidden `csrf`, `step` and `alike_seen`; its buttons are `go`.
///
/// `go` is `next`, `back`, `all` (on one page), `steps` or `register`. Answers to other questions
/// are hidden fields. Input ids equal field names; the radio buttons are `kind-web`,
/// `kind-single_page`, …, `wire-standard`, `owner-me`; checkboxes are `scope-{scope}`. Errors are
/// `{field}-error`; the button that registers is `submit`.
#[derive(Clone, Debug, Serialize)]
pub struct NewApp {
    pub layout: Layout,
    /// `None`: all questions on one page.
    pub step: Option<Step>,
    /// The question's number, and how many there are.
    pub number: u64,
    pub of: u64,
    pub form: AppForm,
    pub errors: AppFormErrors,
    /// New apps wait for a reviewer before they work.
    pub needs_review: bool,
    /// Wire formats besides the standard; empty: there is nothing to choose.
    pub dialects: Vec<DialectChoice>,
    pub owner: String,
    /// The developer, as users would read it.
    pub own_name: String,
    /// Whose it can be besides the developer's.
    pub teams: Vec<TeamChoice>,
    /// A live app whose name reads the same. Told once: the form sent again goes on.
    pub alike: Option<String>,
    /// `None`: the name that is shown now.
    pub alike_seen: Option<String>,
    pub logo_error: Option<String>,
}

impl View for NewApp {
    const TEMPLATE: &'static str = "new_app.html";

    fn sample() -> Vec<Self> {
        let layout = Layout::sample().in_section(Section::Apps);
        let dialects = vec![DialectChoice { name: "harbor-v1".into(), title: "Harbor v1".into() }];
        let empty = Self {
            layout: layout.clone(),
            step: None,
            number: 0,
            of: 7,
            form: AppForm { scopes: scope_choices(), ..AppForm::blank() },
            errors: AppFormErrors::default(),
            needs_review: true,
            dialects: dialects.clone(),
            owner: "me".into(),
            own_name: "Alice Moreau".into(),
            teams: vec![TeamChoice { id: "t1".into(), name: "Night Desk".into() }],
            alike: None,
            alike_seen: Some(String::new()),
            logo_error: None,
        };
        let refused = Self {
            form: filled_form(),
            errors: errors(),
            needs_review: false,
            alike: Some("The Bot".into()),
            alike_seen: None,
            logo_error: Some("Use a PNG, JPEG or WebP image.".into()),
            ..empty.clone()
        };
        let plain = Self { dialects: Vec::new(), teams: Vec::new(), of: 6, ..empty.clone() };
        let step = |(number, step): (u64, Step)| Self {
            step: Some(step),
            number,
            form: if step == Step::Kind { empty.form.clone() } else { filled_form() },
            errors: AppFormErrors::default(),
            ..empty.clone()
        };
        let wrong = |number, one: Step| Self {
            errors: one.errors(errors()),
            alike: (one == Step::About).then(|| "The Bot".into()),
            ..step((number, one))
        };
        let mut samples = vec![empty.clone(), refused, plain];
        samples.extend((1..).zip(Step::ALL).map(step));
        samples.extend([wrong(3, Step::Redirects), wrong(4, Step::About)]);
        samples
    }
}

/// `GET /apps/{id}/logo`.
///
/// | form `name`/`id` | method, action | fields |
/// |---|---|---|
/// | `app-logo` | POST `/apps/{id}/logo`, multipart | file `logo` |
/// | `remove-logo` | POST `/apps/{id}/logo` | hidden `remove` |
#[derive(Clone, Debug, Serialize)]
pub struct AppLogo {
    pub layout: Layout,
    pub id: String,
    pub name: String,
    /// As last chosen.
    pub logo_url: Option<String>,
    /// Another one is live until staff have looked at this.
    pub waits: bool,
    pub brand_verified: bool,
    /// Whether staff look at a new one.
    pub reviewed: bool,
    pub error: Option<String>,
}

impl View for AppLogo {
    const TEMPLATE: &'static str = "app_logo.html";

    fn sample() -> Vec<Self> {
        let none = Self {
            layout: Layout::sample().in_section(Section::Apps),
            id: "a1".into(),
            name: "Trading Bot".into(),
            logo_url: None,
            waits: false,
            brand_verified: false,
            reviewed: true,
            error: Some("Use a PNG, JPEG or WebP image.".into()),
        };
        let some = Self {
            logo_url: Some("/assets/consentry.svg".into()),
            waits: true,
            error: None,
            ..none.clone()
        };
        let verified = Self { waits: false, brand_verified: true, reviewed: false, ..some.clone() };
        vec![none, some, verified]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::views::LineError;

    #[test]
    fn each_mistake_belongs_to_one_question() {
        let told = |error: &str| Some(error.to_owned());
        let all = AppFormErrors {
            name: told("n"),
            kind: told("k"),
            wire: told("w"),
            redirect_uris: told("r"),
            redirect_lines: vec![LineError { line: 1, uri: "x".into(), reason: "y".into() }],
            homepage: told("h"),
            description: told("d"),
            privacy_url: told("p"),
            terms_url: told("t"),
            scopes: told("s"),
            addresses: None,
        };
        let asked = &Step::ALL[..6];
        for step in asked {
            assert_eq!(Step::of_errors(&step.errors(all.clone())), Some(*step));
        }
        assert_eq!(Step::of_errors(&Step::Check.errors(all)), None);
        for step in Step::ALL {
            assert_eq!(Step::from_name(step.name()), Some(step));
        }
    }
}
