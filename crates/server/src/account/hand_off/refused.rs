//! Why somebody who comes back is not signed in: in the words of the audit trail, and in those of
//! the page.

use axum::response::Response;
use domain::sign_in::Refusal;
use http::StatusCode;

use crate::account::sign_in;
use crate::actor::Visitor;
use crate::error::PageError;
use crate::provider::Provider;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    /// Or the user took too long, or left again meanwhile.
    #[error("the answer is for another request, or came in another browser")]
    NotOurs,
    #[error("the answer was used before")]
    Used,
    /// One of the words of [`protocol::openid::known_error`].
    #[error("the provider refused: {0}")]
    Denied(&'static str),
    #[error("the answer is not good: {0}")]
    NotGood(String),
    #[error("the provider cannot be asked: {0}")]
    Unreachable(String),
    #[error("the provider did not ask the user again")]
    NotFresh,
    #[error("the provider has seen no second factor")]
    NoSecondFactor,
    #[error("the second factor is of another user")]
    SomebodyElse,
    #[error(transparent)]
    Account(#[from] Refusal),
}

impl Why {
    /// Worth a line in the audit trail, and no mere misfortune.
    pub(super) fn is_refusal(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unreachable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotOurs | Self::Used | Self::NotGood(_) => StatusCode::BAD_REQUEST,
            Self::Denied(_)
            | Self::NotFresh
            | Self::NoSecondFactor
            | Self::SomebodyElse
            | Self::Account(_) => StatusCode::FORBIDDEN,
        }
    }

    /// For the person in front of the page.
    fn words(&self, title: &str) -> String {
        match self {
            Self::NotOurs | Self::Used => {
                "This sign-in was started in another window, or took too \
                                           long. Please try again."
                    .to_owned()
            }
            Self::Denied(_) => format!("{title} did not sign you in. You can try again."),
            Self::NotGood(_) => {
                format!("We could not make sure that {title} signed you in. Please try again.")
            }
            Self::Unreachable(_) => {
                format!("{title} cannot be reached at the moment. Please try again in a minute.")
            }
            Self::NotFresh => {
                format!(
                    "You have to sign in once more, and {title} did not ask you. Sign out there."
                )
            }
            Self::NoSecondFactor => format!("{title} did not ask you for a second factor."),
            Self::SomebodyElse => {
                format!("At {title} somebody else is signed in. Sign out there first.")
            }
            Self::Account(Refusal::Blocked) => "This account is blocked.".to_owned(),
            Self::Account(Refusal::NoEmail) => {
                format!("{title} did not tell us an e-mail address, which an account here needs.")
            }
            Self::Account(Refusal::EmailNotVerified) => {
                format!("{title} has not checked your e-mail address yet. Confirm it there first.")
            }
            Self::Account(Refusal::AccountExists) => format!(
                "There is an account with this e-mail address already, and it is not linked to \
                 {title}. Sign in the way you did before."
            ),
            Self::Account(Refusal::NoNewAccounts) => {
                format!("There is no account here for what {title} told us about you.")
            }
        }
    }
}

/// The sign-in page once more.
pub(super) fn page(
    provider: &Provider,
    visitor: &Visitor,
    (title, why): (&str, &Why),
    continue_to: &str,
) -> Result<Response, PageError> {
    sign_in::show_again(provider, visitor, continue_to, (why.status(), why.words(title)))
}
