//! The audit trail: who did what to which authorization. Rows are appended in the transaction of
//! what they describe and chained by hash in `store::audit`, so that a missing row shows.

use std::net::IpAddr;

use serde_json::Value;

use crate::id::{AdminTokenId, AppId, ConsentId, GrantId, UserId};
use crate::time::Timestamp;

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditActor {
    User(UserId),
    App(AppId),
    /// A user of the machine, by its number there; `None` where the kernel does not tell.
    CommandLine {
        uid: Option<u32>,
    },
    /// A token of the admin API.
    AdminToken(AdminTokenId),
    /// A job, or somebody who is nobody yet.
    System,
}

impl AuditActor {
    /// As it is stored and exported: what it is, and which one.
    pub fn texts(self) -> (&'static str, Option<String>) {
        match self {
            Self::User(id) => ("user", Some(id.to_string())),
            Self::App(id) => ("app", Some(id.to_string())),
            Self::CommandLine { uid } => ("cli", uid.map(|uid| uid.to_string())),
            Self::AdminToken(id) => ("admin_token", Some(id.to_string())),
            Self::System => ("system", None),
        }
    }

    pub fn from_texts(kind: &str, id: Option<String>) -> Option<Self> {
        match (kind, id) {
            ("user", Some(id)) => Some(Self::User(id.parse().ok()?)),
            ("app", Some(id)) => Some(Self::App(id.parse().ok()?)),
            ("cli", id) => {
                let uid = id.map(|id| id.parse()).transpose().ok()?;
                Some(Self::CommandLine { uid })
            }
            ("admin_token", Some(id)) => Some(Self::AdminToken(id.parse().ok()?)),
            ("system", None) => Some(Self::System),
            _ => None,
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AuditKind { $($(#[$doc])* $name,)* }

        impl AuditKind {
            pub const ALL: &[AuditKind] = &[$(AuditKind::$name,)*];

            /// The stable name, as exported.
            pub const fn as_str(self) -> &'static str {
                match self { $(AuditKind::$name => $text,)* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
            }
        }
    };
}

kinds! {
    SignedIn = "user.signed_in",
    SignInFailed = "user.sign_in_failed",
    /// What came back from another system that signs users in was not taken.
    HandOffRefused = "user.hand_off_refused",
    /// Whom another system brings under this name is this user from now on.
    IdentityLinked = "user.identity_linked",
    SignedOut = "user.signed_out",
    SecondFactorAdded = "second_factor.added",
    SecondFactorRemoved = "second_factor.removed",
    /// A code or a passkey was wrong: at sign-in, after the password, or later.
    SecondFactorFailed = "second_factor.failed",
    /// A signed-in user gave a second factor.
    SteppedUp = "user.stepped_up",
    RecoveryCodesMade = "recovery_codes.made",
    RecoveryCodeUsed = "recovery_code.used",
    UserCreated = "user.created",
    /// Somebody wants an account; a message was sent to the address.
    SignUpAsked = "user.sign_up_asked",
    /// Somebody forgot a password, of an account that may not exist.
    PasswordResetAsked = "user.password_reset_asked",
    PasswordReset = "user.password_reset",
    PasswordChanged = "user.password_changed",
    /// A signed-in user was asked for the password, and it was wrong.
    PasswordCheckFailed = "user.password_check_failed",
    EmailChangeAsked = "user.email_change_asked",
    EmailChanged = "user.email_changed",
    /// A link of a message was presented that is over, was used, or is another browser's.
    LinkRefused = "user.link_refused",
    /// The user ended other sessions of theirs.
    SessionsEnded = "user.sessions_ended",
    UserBlocked = "user.blocked",
    UserUnblocked = "user.unblocked",
    ConsentGiven = "consent.given",
    ConsentDenied = "consent.denied",
    /// Somebody changed the form: it allowed what was not asked. Nothing was given.
    ConsentFormRefused = "consent.form_refused",
    ConsentNarrowed = "consent.narrowed",
    ConsentWithdrawn = "consent.withdrawn",
    GrantCreated = "grant.created",
    GrantRefreshed = "grant.refreshed",
    GrantRevoked = "grant.revoked",
    /// A user looked at what a device asks for; somebody typed its code.
    UserCodeEntered = "user_code.entered",
    /// Somebody typed what is no code, at the page or at the token endpoint.
    UserCodeWrong = "user_code.wrong",
    /// A code was shown to a user, to give to an app.
    UserCodeShown = "user_code.shown",
    /// A code was redeemed a second time by someone with everything it takes.
    CodeReplayed = "code.replayed",
    /// A refresh token older than its parent, or an orphan, was presented.
    RefreshTheft = "refresh.theft",
    TokenRevoked = "token.revoked",
    ServiceTokenIssued = "service_token.issued",
    AppCreated = "app.created",
    /// It came from another system with its id and secret.
    AppImported = "app.imported",
    AppChanged = "app.changed",
    AppApproved = "app.approved",
    /// Staff asked the developer for changes before they decide.
    AppChangesAsked = "app.changes_asked",
    /// The developer sent the app to staff again without a change.
    AppSentAgain = "app.sent_again",
    AppMessageSent = "app.message_sent",
    AppRejected = "app.rejected",
    AppSuspended = "app.suspended",
    AppResumed = "app.resumed",
    AppDeleted = "app.deleted",
    /// Its owner wants somebody else to have it.
    AppTransferAsked = "app.transfer_asked",
    /// The giver took it back, or the other side said no.
    AppTransferEnded = "app.transfer_ended",
    AppTransferred = "app.transferred",
    TeamCreated = "team.created",
    TeamRenamed = "team.renamed",
    TeamDeleted = "team.deleted",
    TeamMemberInvited = "team.member_invited",
    /// It was taken back, or declined.
    TeamInvitationEnded = "team.invitation_ended",
    TeamMemberJoined = "team.member_joined",
    TeamRoleChanged = "team.role_changed",
    TeamMemberLeft = "team.member_left",
    /// A reviewer takes care of it, or nobody does any more.
    AppAssigned = "app.assigned",
    /// Staff have seen that name, logo and publisher belong together; or take that back.
    AppBrandVerified = "app.brand_verified",
    AppBrandUnverified = "app.brand_unverified",
    /// The policy wants staff to look at it once more.
    AppDueAgain = "app.due_again",
    /// An approval of a scope reached its last day.
    AppApprovalEnded = "app.approval_ended",
    /// Its developer was told that nobody uses it.
    AppReminded = "app.reminded",
    AppRetired = "app.retired",
    /// Its developer wants a retired app back.
    AppWoken = "app.woken",
    /// A user told staff about an app.
    AppReported = "app.reported",
    /// A developer asked for another plan or a perk.
    PlanAsked = "plan.asked",
    /// Staff granted or refused it.
    PlanDecided = "plan.decided",
    /// The operator gave an app a plan.
    PlanSet = "plan.set",
    SecretCreated = "secret.created",
    SecretChanged = "secret.changed",
    SecretRemoved = "secret.removed",
    WebhookAdded = "webhook.added",
    /// Another address, other events, paused or on again.
    WebhookChanged = "webhook.changed",
    WebhookSecretRolled = "webhook.secret_rolled",
    WebhookRemoved = "webhook.removed",
    /// Somebody had a message sent once more.
    WebhookRedelivered = "webhook.redelivered",
    /// By us: nothing got through, or the endpoint said that it is gone.
    WebhookDisabled = "webhook.disabled",
    /// A user let an app have a key for signed calls.
    PartnerKeyIssued = "partner_key.issued",
    /// The app was told its secret, the one time.
    PartnerKeySecretRead = "partner_key.secret_read",
    /// It was not used for too long.
    PartnerKeyDisabled = "partner_key.disabled",
    PartnerKeyEnded = "partner_key.ended",
    /// Signed requests that named a key and were refused; a flood of them is one row.
    PartnerKeyRefused = "partner_key.refused",
    KeysRotated = "keys.rotated",
    /// The operator changed an account's name or roles.
    UserChanged = "user.changed",
    /// The operator tried the mail settings.
    MailTested = "mail.tested",
    AdminTokenCreated = "admin_token.created",
    AdminTokenRevoked = "admin_token.revoked",
    /// The server made keys that were due.
    KeysMade = "keys.made",
    /// The config says something else than the last time that a server looked at it.
    PolicyChanged = "policy.changed",
    /// Somebody took a copy of the trail, or of a part.
    AuditExported = "audit.exported",
}

#[derive(Clone, Debug)]
pub struct AuditEvent {
    pub at: Timestamp,
    pub kind: AuditKind,
    pub actor: AuditActor,
    pub app_id: Option<AppId>,
    pub user_id: Option<UserId>,
    pub consent_id: Option<ConsentId>,
    pub grant_id: Option<GrantId>,
    pub address: Option<IpAddr>,
    /// What else a reader needs, never a secret.
    pub detail: Value,
}

impl AuditEvent {
    pub fn new(at: Timestamp, kind: AuditKind, actor: AuditActor) -> Self {
        let (app_id, user_id) = match actor {
            AuditActor::User(id) => (None, Some(id)),
            AuditActor::App(id) => (Some(id), None),
            AuditActor::CommandLine { .. } | AuditActor::AdminToken(_) | AuditActor::System => {
                (None, None)
            }
        };
        Self {
            at,
            kind,
            actor,
            app_id,
            user_id,
            consent_id: None,
            grant_id: None,
            address: None,
            detail: Value::Null,
        }
    }

    #[must_use]
    pub fn app(mut self, id: AppId) -> Self {
        self.app_id = Some(id);
        self
    }

    #[must_use]
    pub fn user(mut self, id: UserId) -> Self {
        self.user_id = Some(id);
        self
    }

    #[must_use]
    pub fn consent(mut self, id: ConsentId) -> Self {
        self.consent_id = Some(id);
        self
    }

    #[must_use]
    pub fn grant(mut self, id: GrantId) -> Self {
        self.grant_id = Some(id);
        self
    }

    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}
