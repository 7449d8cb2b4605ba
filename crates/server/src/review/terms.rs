//! What a reviewer binds an approval of one scope to: read from the form, and in words.

use std::time::Duration;

use domain::condition::ScopeCondition;
use domain::time::Timestamp;
use protocol::params::Params;

use crate::display;
use crate::error::PageError;

/// More is no limit.
const USERS_MAX: u32 = 10_000_000;
/// Of a note to one scope, in characters.
pub(super) const NOTE_MAX: usize = 1000;

/// As it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TypedTerms {
    pub note: String,
    pub users: String,
    /// `2027-05-03`: the last day.
    pub until: String,
    pub tests_only: bool,
}

impl TypedTerms {
    pub(super) fn read(params: &Params, scope: &str) -> Result<Self, PageError> {
        let text = |name: &str| -> Result<String, PageError> {
            let typed = params.one(&format!("{name}.{scope}"))?.unwrap_or_default();
            Ok(typed.trim().to_owned())
        };
        Ok(Self {
            note: text("condition")?,
            users: text("users")?,
            until: text("until")?,
            tests_only: text("tests")? == "yes",
        })
    }

    /// As the form shows what holds now.
    pub(super) fn of(condition: &ScopeCondition) -> Self {
        let users = condition.user_max.map(|users| users.to_string());
        Self {
            note: condition.note.clone(),
            users: users.unwrap_or_default(),
            until: condition.until.map(|at| display::iso_date(last_day(at))).unwrap_or_default(),
            tests_only: condition.tests_only,
        }
    }

    /// `Err` holds what is wrong, in words for the reviewer.
    pub(super) fn condition(&self, now: Timestamp) -> Result<ScopeCondition, &'static str> {
        if self.note.chars().count() > NOTE_MAX {
            return Err("Use at most 1000 characters for a note or a condition.");
        }
        let user_max = match self.users.as_str() {
            "" => None,
            text => match text.parse::<u32>() {
                Ok(users) if (1..=USERS_MAX).contains(&users) => Some(users),
                _ => return Err("Write the number of users as a whole number from 1 on."),
            },
        };
        let until = match self.until.as_str() {
            "" => None,
            text => {
                let (_, end) = display::day(text).ok_or("Write the last day as 2027-05-03.")?;
                if end <= now {
                    return Err("The last day is over already.");
                }
                Some(end)
            }
        };
        let (tests_only, note) = (self.tests_only, self.note.clone());
        Ok(ScopeCondition { user_max, until, tests_only, by_policy: false, note })
    }
}

fn last_day(until: Timestamp) -> Timestamp {
    until.before(Duration::from_millis(1))
}

/// Until when, as people say it: the last day.
pub(crate) fn until_words(until: Timestamp) -> String {
    display::date(last_day(until))
}

/// For the developer and for the trail. Empty: it is bound to nothing.
pub(crate) fn words(condition: &ScopeCondition) -> String {
    let mut parts = Vec::new();
    if condition.tests_only {
        parts.push("For tests only.".to_owned());
    }
    if let Some(users) = condition.user_max {
        parts.push(match users {
            1 => "For one user.".to_owned(),
            users => format!("For {users} users at most."),
        });
    }
    if let Some(until) = condition.until {
        parts.push(format!("Until {}.", until_words(until)));
    }
    if condition.by_policy {
        parts.push("Approved by policy; nobody at staff looked at it.".to_owned());
    }
    if !condition.note.is_empty() {
        parts.push(condition.note.clone());
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_775_000_000);

    fn typed(users: &str, until: &str) -> TypedTerms {
        TypedTerms { users: users.into(), until: until.into(), ..TypedTerms::default() }
    }

    #[test]
    fn a_condition_says_its_last_day_and_holds_through_it() {
        let condition = typed("100", "2027-05-03").condition(NOW).unwrap();
        assert_eq!(words(&condition), "For 100 users at most. Until 3 May 2027.");
        assert_eq!(TypedTerms::of(&condition), typed("100", "2027-05-03"));
        assert_eq!(condition.until.unwrap().as_seconds(), 1_809_388_800);
        assert_eq!(typed("", "").condition(NOW), Ok(ScopeCondition::default()));
    }

    #[test]
    fn what_is_no_number_and_no_day_to_come_is_refused() {
        for (users, until) in
            [("0", ""), ("-1", ""), ("many", ""), ("", "soon"), ("", "2020-01-01")]
        {
            assert!(typed(users, until).condition(NOW).is_err(), "{users} {until}");
        }
    }
}
