//! A revision: what an app says about itself and where it sends users. While staff look at a new
//! revision of a live app, the approved one stays live. What an app may do (its scopes) waits in
//! `App::requested` beside `App::approved`.

use protocol::redirect_uri::RedirectUri;

use crate::app::{App, AppError, AppStatus, Turn};
use crate::id::LogoId;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub name: String,
    pub description: String,
    pub homepage: Option<String>,
    pub privacy_url: Option<String>,
    pub terms_url: Option<String>,
    pub redirect_uris: Vec<RedirectUri>,
    pub logo: Option<LogoId>,
}

/// A part of a revision, of which the operator says whether staff look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevisionField {
    Name,
    Description,
    Homepage,
    PrivacyUrl,
    TermsUrl,
    RedirectUris,
    Logo,
}

impl RevisionField {
    /// What users decide by.
    pub const REVIEWED_BY_DEFAULT: [Self; 3] = [Self::Name, Self::RedirectUris, Self::Logo];

    pub const ALL: [Self; 7] = [
        Self::Name,
        Self::Description,
        Self::Homepage,
        Self::PrivacyUrl,
        Self::TermsUrl,
        Self::RedirectUris,
        Self::Logo,
    ];

    /// As the config and the audit trail call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Description => "description",
            Self::Homepage => "homepage",
            Self::PrivacyUrl => "privacy_url",
            Self::TermsUrl => "terms_url",
            Self::RedirectUris => "redirect_uris",
            Self::Logo => "logo",
        }
    }

    /// As people read it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Description => "Description",
            Self::Homepage => "Homepage",
            Self::PrivacyUrl => "Privacy policy",
            Self::TermsUrl => "Terms of service",
            Self::RedirectUris => "Redirect URIs",
            Self::Logo => "Logo",
        }
    }
}

/// One field before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    pub field: RevisionField,
    pub before: String,
    pub after: String,
}

/// What became of a revision that a developer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revised {
    /// It holds, as far as anything of the app does.
    AtOnce,
    /// Staff look at the app as a whole: nothing of it has been approved.
    WithTheApp,
    /// Staff look at it while the app stays live as it was approved.
    WhileLive,
}

impl Revision {
    /// One line per field; URIs one per line.
    pub fn text(&self, field: RevisionField) -> String {
        let url = |url: &Option<String>| url.clone().unwrap_or_default();
        match field {
            RevisionField::Name => self.name.clone(),
            RevisionField::Description => self.description.clone(),
            RevisionField::Homepage => url(&self.homepage),
            RevisionField::PrivacyUrl => url(&self.privacy_url),
            RevisionField::TermsUrl => url(&self.terms_url),
            RevisionField::RedirectUris => {
                let uris: Vec<_> = self.redirect_uris.iter().map(RedirectUri::as_str).collect();
                uris.join("\n")
            }
            RevisionField::Logo => self.logo.map(|logo| logo.to_string()).unwrap_or_default(),
        }
    }

    /// What `to` changes.
    pub fn changes(&self, to: &Self) -> Vec<FieldChange> {
        let compare = |field: RevisionField| FieldChange {
            field,
            before: self.text(field),
            after: to.text(field),
        };
        RevisionField::ALL
            .map(compare)
            .into_iter()
            .filter(|change| change.before != change.after)
            .collect()
    }

    /// Take `field` from `from`.
    fn take(&mut self, field: RevisionField, from: &Self) {
        match field {
            RevisionField::Name => self.name.clone_from(&from.name),
            RevisionField::Description => self.description.clone_from(&from.description),
            RevisionField::Homepage => self.homepage.clone_from(&from.homepage),
            RevisionField::PrivacyUrl => self.privacy_url.clone_from(&from.privacy_url),
            RevisionField::TermsUrl => self.terms_url.clone_from(&from.terms_url),
            RevisionField::RedirectUris => self.redirect_uris.clone_from(&from.redirect_uris),
            RevisionField::Logo => self.logo = from.logo,
        }
    }

    /// What `to` changes of what staff look at.
    fn reviewed_changes(&self, to: &Self, reviewed: &[RevisionField]) -> Vec<RevisionField> {
        let changes = self.changes(to).into_iter().map(|change| change.field);
        let is_reviewed = |field: &RevisionField| match field {
            // Fewer places harm nobody, and nobody should wait to take one back.
            RevisionField::RedirectUris => self.sends_elsewhere(to) && reviewed.contains(field),
            RevisionField::Logo => to.logo.is_some() && reviewed.contains(field),
            _ => reviewed.contains(field),
        };
        changes.filter(is_reviewed).collect()
    }

    /// Whether `to` sends users anywhere that this one does not.
    fn sends_elsewhere(&self, to: &Self) -> bool {
        to.redirect_uris.iter().any(|uri| !self.redirect_uris.contains(uri))
    }
}

impl App {
    /// As it stands.
    pub fn revision(&self) -> Revision {
        Revision {
            name: self.name.clone(),
            description: self.description.clone(),
            homepage: self.homepage.clone(),
            privacy_url: self.privacy_url.clone(),
            terms_url: self.terms_url.clone(),
            redirect_uris: self.redirect_uris.clone(),
            logo: self.logo,
        }
    }

    /// As its developer last wrote it, approved or not.
    pub fn latest_revision(&self) -> Revision {
        self.proposed.clone().unwrap_or_else(|| self.revision())
    }

    /// The app as it would be if everything that waits were approved.
    #[must_use]
    pub fn as_proposed(mut self) -> Self {
        match self.proposed.take() {
            Some(proposed) => self.with_revision(proposed),
            None => self,
        }
    }

    #[must_use]
    pub fn with_revision(self, revision: Revision) -> Self {
        let Revision { name, description, homepage, privacy_url, terms_url, redirect_uris, logo } =
            revision;
        let mut review = self.review;
        // What was verified is that this name is theirs.
        review.brand = review.brand.filter(|_| name == self.name);
        Self {
            name,
            description,
            homepage,
            privacy_url,
            terms_url,
            redirect_uris,
            logo,
            review,
            ..self
        }
    }

    /// The developer writes a new revision. `reviewed`: what staff look at before it holds.
    pub fn revise(
        self,
        to: Revision,
        reviewed: &[RevisionField],
        now: Timestamp,
    ) -> Result<(Self, Revised), AppError> {
        if self.latest_revision() == to {
            return Ok((self, Revised::AtOnce));
        }
        if let AppStatus::InReview | AppStatus::Rejected { .. } = self.status {
            let app = self.with_revision(to).reopen_review(now)?;
            return Ok((app, Revised::WithTheApp));
        }
        let mut at_once = to.clone();
        let stands = self.revision();
        for field in stands.reviewed_changes(&to, reviewed) {
            at_once.take(field, &stands);
        }
        // Nobody has seen what it looks like from now on.
        let mut app = Self { turn: Turn::Staff, changed_at: now, ..self };
        // What was verified is that this logo is theirs.
        app.review.brand = app.review.brand.filter(|_| at_once.logo == app.logo);
        if at_once == to {
            return Ok((Self { proposed: None, ..app.with_revision(to) }, Revised::AtOnce));
        }
        if let AppStatus::Suspended { .. } = app.status {
            return Err(AppError::Suspended);
        }
        let app = app.with_revision(at_once);
        Ok((Self { proposed: Some(to), ..app }, Revised::WhileLive))
    }

    /// The same where the operator lets everything go live unseen: if it is something that staff
    /// would look at, the consent page says from now on that nobody did.
    pub fn revise_unreviewed(
        self,
        to: Revision,
        reviewed: &[RevisionField],
        now: Timestamp,
    ) -> Result<(Self, Revised), AppError> {
        let is_seen = self.revision().reviewed_changes(&to, reviewed).is_empty();
        let (app, revised) = self.revise(to, &[], now)?;
        match is_seen || !app.is_admitted() {
            true => Ok((app, revised)),
            false => Ok((app.change_unreviewed(now)?, revised)),
        }
    }

    /// The developer takes back what waits for review; the app stays as it was approved.
    #[must_use]
    pub fn withdraw_proposal(self, now: Timestamp) -> Self {
        Self { proposed: None, turn: Turn::Staff, changed_at: now, ..self }
    }
}

#[cfg(test)]
mod tests {
    use protocol::redirect_uri::RedirectPolicy;

    use super::*;
    use crate::app::tests::{NOW, STAFF, THEN, live, new, request, set};
    use crate::app::{AppKind, Approval};

    const REVIEWED: [RevisionField; 2] = [RevisionField::Name, RevisionField::RedirectUris];

    fn uris(texts: &[&str]) -> Vec<RedirectUri> {
        let register = |text: &&str| RedirectUri::register(RedirectPolicy::Web, text).unwrap();
        texts.iter().map(register).collect()
    }

    fn two_places() -> App {
        App { redirect_uris: uris(&["https://a.example/", "https://b.example/"]), ..live("read") }
    }

    fn renamed(app: &App) -> Revision {
        Revision { name: "Better Bot".into(), description: "More.".into(), ..app.revision() }
    }

    #[test]
    fn the_approved_name_stays_live_while_the_new_one_waits() {
        let to = renamed(&live("read"));
        let (app, revised) = live("read").revise(to.clone(), &REVIEWED, NOW).unwrap();
        assert_eq!((app.name.as_str(), app.description.as_str()), ("Bot", "More."));
        assert!(app.is_live() && app.awaits_review() && revised == Revised::WhileLive);
        assert_eq!(app.latest_revision(), to);
        let approved = app.clone().approve(&set("read"), STAFF, NOW).unwrap();
        assert_eq!((approved.revision(), approved.proposed.clone()), (to, None));
        assert!(approved.is_live() && !approved.awaits_review());
        let refused = app.refuse_pending(NOW).unwrap();
        assert_eq!((refused.name.as_str(), refused.awaits_review()), ("Bot", false));
    }

    #[test]
    fn what_the_operator_does_not_review_holds_at_once_and_keeps_the_approval() {
        let to = renamed(&live("read"));
        let (app, revised) = live("read").revise(to, &[], NOW).unwrap();
        assert_eq!((app.name.as_str(), revised), ("Better Bot", Revised::AtOnce));
        let approval = Approval::Reviewed { at: THEN, by: STAFF };
        assert_eq!(app.status, AppStatus::Live { since: THEN, approval });
    }

    #[test]
    fn a_place_is_given_up_at_once_and_a_new_one_waits() {
        let uri = uris(&["https://a.example/"]);
        let fewer = Revision { redirect_uris: uri, ..two_places().revision() };
        let (app, revised) = two_places().revise(fewer, &REVIEWED, NOW).unwrap();
        assert_eq!((app.redirect_uris.len(), revised), (1, Revised::AtOnce));
        let other = Revision { redirect_uris: uris(&["https://c.example/"]), ..app.revision() };
        let (app, revised) = app.revise(other, &REVIEWED, NOW).unwrap();
        assert_eq!(app.redirect_uris, uris(&["https://a.example/"]));
        assert_eq!(revised, Revised::WhileLive);
    }

    #[test]
    fn writing_the_approved_revision_again_takes_the_proposal_back() {
        let before = live("read");
        let (app, _) = before.clone().revise(renamed(&before), &REVIEWED, NOW).unwrap();
        let back = Revision { description: "More.".into(), ..before.revision() };
        let (app, revised) = app.revise(back, &REVIEWED, NOW).unwrap();
        assert_eq!((app.proposed.clone(), revised), (None, Revised::AtOnce));
        assert!(!app.awaits_review());
    }

    #[test]
    fn whatever_the_developer_changes_it_is_staffs_turn_again() {
        let asked = || {
            let (app, _) = live("read").revise(renamed(&live("read")), &REVIEWED, NOW).unwrap();
            let more = app.request_scopes(vec![request("trade")], NOW).unwrap();
            more.ask_for_changes("Why?".into(), NOW).unwrap()
        };
        let typo = Revision { description: "Less.".into(), ..asked().latest_revision() };
        assert!(asked().revise(typo, &REVIEWED, NOW).unwrap().0.awaits_review());
        let back = asked().withdraw_proposal(NOW);
        assert!(back.awaits_review() && back.proposed.is_none());
    }

    #[test]
    fn an_app_that_nobody_approved_is_looked_at_as_a_whole() {
        let app = new(AppKind::Web, "read");
        let to = renamed(&app);
        let (app, revised) = app.revise(to.clone(), &REVIEWED, NOW).unwrap();
        assert_eq!((app.revision(), revised), (to, Revised::WithTheApp));
        assert_eq!((app.status, app.proposed), (AppStatus::InReview, None));
    }

    #[test]
    fn a_new_logo_waits_and_one_that_nobody_reviews_is_no_verified_brand() {
        let logo = Some(crate::id::LogoId::from_bytes([8; 16]));
        let verified = || live("read").verify_brand(STAFF, THEN);
        let to = Revision { logo, ..verified().revision() };
        let reviewed = RevisionField::REVIEWED_BY_DEFAULT;
        let (app, revised) = verified().revise(to.clone(), &reviewed, NOW).unwrap();
        assert_eq!((app.logo, app.brand_is_verified(), revised), (None, true, Revised::WhileLive));
        let app = app.approve(&set("read"), STAFF, NOW).unwrap();
        assert_eq!((app.logo, app.brand_is_verified()), (logo, true));
        let without = Revision { logo: None, ..app.revision() };
        assert_eq!(app.revise(without, &reviewed, NOW).unwrap().1, Revised::AtOnce);
        let (app, revised) = verified().revise(to, &[], NOW).unwrap();
        assert_eq!((app.logo, app.brand_is_verified(), revised), (logo, false, Revised::AtOnce));
    }

    #[test]
    fn a_suspended_app_changes_nothing_that_staff_look_at() {
        let app = live("read").suspend("Phishing".into(), NOW).unwrap();
        let to = renamed(&app);
        assert_eq!(app.clone().revise(to, &REVIEWED, NOW).err(), Some(AppError::Suspended));
        let typo = Revision { description: "Less.".into(), ..app.revision() };
        assert_eq!(app.clone().revise(typo, &REVIEWED, NOW).unwrap().0.description, "Less.");
        let to = renamed(&app);
        assert_eq!(app.revise_unreviewed(to, &REVIEWED, NOW).unwrap().0.name, "Better Bot");
    }
}
