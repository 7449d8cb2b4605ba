//! What the last form did, told on the page that the browser is redirected to. The address carries
//! a code of a closed list (`?done=CODE`), never a text: nobody can put words into our mouth by a
//! link.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::Redirect;
use http::request::Parts;
use protocol::params::Params;

use crate::pages::views::Flash;

macro_rules! messages {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Done { $($name,)* }

        impl Done {
            pub const ALL: &[Done] = &[$(Done::$name,)*];

            pub const fn code(self) -> &'static str {
                match self { $(Done::$name => $code,)* }
            }

            const fn text(self) -> &'static str {
                match self { $(Done::$name => $text,)* }
            }
        }
    };
}

messages! {
    AccessRevoked = "access-revoked",
        "The app is out. Its next call will be refused.";
    ScopeTakenBack = "scope-taken-back",
        "The permission is taken back. It counts from the app’s next call on.";
    GrantEnded = "grant-ended",
        "That sign-in of the app is ended. Its next call will be refused.";
    KeyRemoved = "key-removed",
        "The key is removed. Calls that are signed with it are refused from now on.";
    Reported = "reported",
        "Thank you. Our staff will look at the app.";
    ReportedAndRevoked = "reported-and-revoked",
        "Thank you. The app is out, and our staff will look at it.";
    AccountCreated = "account-created",
        "Welcome. Your account is ready.";
    AccountSaved = "account-saved",
        "Saved.";
    AddressVerified = "address-verified",
        "This address is yours: it is confirmed.";
    PasswordChanged = "password-changed",
        "Your password is changed. Every other browser is signed out.";
    PasswordReset = "password-reset",
        "Your password is changed, and every browser is signed out. Sign in with the new one.";
    SessionEnded = "session-ended",
        "That browser is signed out.";
    SessionsEnded = "sessions-ended",
        "Every other browser is signed out.";
    FactorAdded = "factor-added",
        "Added. It is asked for from now on.";
    FactorRemoved = "factor-removed",
        "Removed. It opens nothing any more.";
    AppCreated = "app-created",
        "The app is registered.";
    AppSaved = "app-saved",
        "Saved.";
    AppToReview = "app-to-review",
        "Saved. The app is in review; until it is approved, its calls are refused.";
    RevisionToReview = "revision-to-review",
        "Saved. The change waits for review; what was approved stays live.";
    ProposalWithdrawn = "proposal-withdrawn",
        "Taken back. The app stays as it was approved.";
    SentAgain = "sent-again",
        "Sent. Our staff look at it again.";
    PlanAsked = "plan-asked",
        "Sent. Our staff answer here.";
    PlanDecided = "plan-decided",
        "Decided. The developer sees it.";
    MessageSent = "message-sent",
        "Sent.";
    ScopesRequested = "scopes-requested",
        "Asked for. The scopes wait for review; what was approved before stays live.";
    ScopeRemoved = "scope-removed",
        "The app no longer has that scope.";
    SecretRemoved = "secret-removed",
        "The secret is removed. Nobody can use it any more.";
    SecretEndSaved = "secret-end-saved",
        "Saved. From that day on the secret is refused.";
    SecretStays = "secret-stays",
        "Saved. The secret works until you remove it.";
    KeysSaved = "keys-saved",
        "Saved. The app proves itself with these keys from now on.";
    KeysRemoved = "keys-removed",
        "Saved. No key proves the app any more.";
    AppPaused = "app-paused",
        "Paused. Live calls of the app are refused from now on.";
    AppUnpaused = "app-unpaused",
        "The app goes on. Nothing of its access was lost.";
    WebhookSaved = "webhook-saved",
        "Saved.";
    WebhookPaused = "webhook-paused",
        "Paused. What happens waits for it, for a week at most.";
    WebhookOn = "webhook-on",
        "On. What waited is being sent.";
    WebhookTested = "webhook-tested",
        "The test event is on its way. Look at the page again in a moment.";
    WebhookRemoved = "webhook-removed",
        "The webhook is removed, with everything that waited for it.";
    SentToWebhook = "sent-to-webhook",
        "The message is on its way again.";
    AppDeleted = "app-deleted",
        "The app is deleted. All its access is ended.";
    TeamCreated = "team-created",
        "The team is there. Invite the people who work with you.";
    TeamSaved = "team-saved",
        "Saved.";
    TeamDeleted = "team-deleted",
        "The team is deleted.";
    InvitationSent = "invitation-sent",
        "Invited. It waits for an answer for a week.";
    InvitationEnded = "invitation-ended",
        "The invitation is taken back.";
    InvitationDeclined = "invitation-declined",
        "Declined.";
    TeamJoined = "team-joined",
        "Welcome. You can change the apps of this team from now on.";
    MemberRemoved = "member-removed",
        "They are out. None of the team’s apps is open to them any more.";
    TeamLeft = "team-left",
        "You left the team.";
    TransferAsked = "transfer-asked",
        "Asked. The app stays as it is until the other side accepts.";
    TransferEnded = "transfer-ended",
        "Taken back. The app stays where it is.";
    TransferDeclined = "transfer-declined",
        "Declined. The app stays where it is.";
    AppTaken = "app-taken",
        "The app is yours. Who had it before may still know its secrets: replace them.";
    AppApproved = "app-approved",
        "Approved.";
    ChangesAsked = "changes-asked",
        "Asked. The developer reads your note, and it is their turn.";
    AppRejected = "app-rejected",
        "Rejected. The developer reads your note.";
    AppSuspended = "app-suspended",
        "Suspended. All calls of the app are refused from now on.";
    Assigned = "assigned",
        "Noted who takes care of it.";
    BrandDecided = "brand-decided",
        "Noted, with what you have seen.";
    AppWoken = "app-woken",
        "The app is back, as it was approved.";
    AppResumed = "app-resumed",
        "Resumed. The app works again.";
}

impl Done {
    /// `303` to `path`, which must have no query.
    pub fn redirect(self, path: &str) -> Redirect {
        Redirect::to(&self.to(path))
    }

    /// `path`, which must have no query, with the message.
    pub fn to(self, path: &str) -> String {
        format!("{path}?done={}", self.code())
    }
}

/// The message that the request's address asks for.
#[derive(Clone, Debug)]
pub struct Told(pub Option<Flash>);

impl<S: Sync> FromRequestParts<S> for Told {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let params = Params::parse(query.as_bytes()).unwrap_or_default();
        let code = params.one("done").ok().flatten();
        let done = code.and_then(|code| Done::ALL.iter().find(|done| done.code() == code));
        Ok(Self(done.map(|done| Flash::done(done.text()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own_and_needs_no_encoding() {
        let mut codes: Vec<_> = Done::ALL.iter().map(|done| done.code()).collect();
        assert!(codes.iter().all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Done::ALL.len());
    }
}
