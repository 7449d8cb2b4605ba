//! Messages to people: what each is about, until when it is worth sending, and when a failed one
//! is tried again. The words are made when it is sent (`server::mail`); links in it are sealed
//! then, so that the table of waiting messages opens nothing.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{AppId, InvitationId, LinkId, UserId};
use crate::password::PasswordHash;
use crate::time::Timestamp;

/// Notices that come later than this confuse more than they tell.
pub const NOTICE_LIFETIME: Duration = Duration::from_secs(3 * 24 * 3600);
/// Of a link that changes a password: long enough for slow mail, short enough for a lost phone.
pub const RESET_LINK_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Of a link that proves an address.
pub const ADDRESS_LINK_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How long to wait after each failure; after the last the message is given up.
const WAITS: [u64; 9] = [5, 60, 300, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600];

/// A message that is to be sent. Queue it with `store::mails::queue`, in the transaction of what it
/// tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub to: MailTo,
    pub kind: MailKind,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailTo {
    /// The address and the language are those that the account has when the message is queued.
    User(UserId),
    /// Whoever reads this address; perhaps nobody of ours.
    Address { address: String, locale: Option<String> },
}

impl Mail {
    pub fn to_user(user: UserId, kind: MailKind, now: Timestamp) -> Self {
        Self { to: MailTo::User(user), kind, created_at: now }
    }

    pub fn to_address(
        address: String,
        locale: Option<String>,
        kind: MailKind,
        now: Timestamp,
    ) -> Self {
        Self { to: MailTo::Address { address, locale }, kind, created_at: now }
    }

    /// From then on it is dropped instead of sent.
    pub fn expires_at(&self) -> Timestamp {
        let asked = match &self.kind {
            MailKind::AddressToVerify(asked) | MailKind::PasswordReset(asked) => Some(asked),
            MailKind::SignUp { asked, .. } | MailKind::TeamInvitation { asked, .. } => Some(asked),
            _ => None,
        };
        asked.map_or_else(|| self.created_at.after(NOTICE_LIFETIME), |asked| asked.expires_at)
    }
}

/// What a message is about, with all that its text tells. The words are the file
/// `mails/LANGUAGE/NAME.txt` of each kind, where the data is known by the names of its fields.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MailKind {
    /// Somebody wants to have an account under this address. Whether it is free is looked up when
    /// the message is sent, so that answering takes equally long.
    SignUp {
        asked: Asked,
        name: String,
        password: StoredHash,
    },
    /// An account is to be known under this address.
    AddressToVerify(Asked),
    /// The account's address became another one; goes to the old one.
    AddressChanged {
        new_address: String,
        seen: Seen,
    },
    /// Somebody has forgotten the password of this address, if it has an account.
    PasswordReset(Asked),
    PasswordChanged {
        seen: Seen,
        by_link: bool,
    },
    /// A browser that was not seen before has signed in.
    NewDevice {
        seen: Seen,
    },
    /// An app was let in, or may do more than before.
    NewGrant {
        app: String,
        permissions: Vec<String>,
        seen: Seen,
    },
    /// Somebody used a copy of what an app holds; its access was ended.
    TheftDetected {
        app: String,
    },
    PartnerKeyIssued {
        app: String,
        permissions: Vec<String>,
        seen: Seen,
    },
    /// `why` is a word of the list that the text knows: `user`, `unused`, `password`, `blocked`,
    /// `app`.
    PartnerKeyEnded {
        app: String,
        why: String,
    },
    /// `factor`: `totp`, `passkey` or `recovery_codes`; `label` as the user named it.
    SecondFactorAdded {
        factor: String,
        label: String,
        seen: Seen,
    },
    SecondFactorRemoved {
        factor: String,
        label: String,
        seen: Seen,
    },
    /// All of them, by the operator.
    SecondFactorsRemovedByStaff,
    /// So many are left.
    RecoveryCodeUsed {
        left: u64,
        seen: Seen,
    },
    /// Somebody is asked to join a team of developers. The link is for whoever reads the address.
    TeamInvitation {
        asked: Asked,
        invitation: InvitationId,
        team: String,
        inviter: String,
    },
    /// An app is offered to a person, or to a team that they are an owner of.
    AppTransfer {
        app: String,
        app_id: AppId,
        giver: String,
    },
    /// To an app's developer. `decision`: `approved`, `changes_asked` or `rejected`.
    AppDecided {
        app: String,
        app_id: String,
        decision: String,
        note: String,
    },
    AppSuspended {
        app: String,
        app_id: String,
        reason: String,
    },
    AppResumed {
        app: String,
        app_id: String,
        reason: String,
    },
    /// To an app's developer, about a plan or a perk, which `wish` names as people do. `decision`:
    /// `granted`, `refused`, or `given` if nobody had asked.
    WishDecided {
        app: String,
        app_id: String,
        wish: String,
        decision: String,
        note: String,
    },
    /// Staff wrote about the app.
    StaffWrote {
        app: String,
        app_id: String,
    },
    /// `ends_with`: its last characters, if they are known. `days`: at most so many are left.
    SecretExpiring {
        app: String,
        app_id: String,
        ends_with: String,
        days: u64,
    },
    /// Nothing got through to it.
    WebhookDisabled {
        app: String,
        app_id: String,
        url: String,
    },
    /// To staff: an app, or a change of one, waits for them.
    AppSubmitted {
        app: String,
        app_id: String,
    },
    /// To staff: its developer wrote.
    DeveloperWrote {
        app: String,
        app_id: String,
    },
    /// To a user of the app.
    AppUnavailable {
        app: String,
    },
    /// Nobody used an app of theirs for so many days; it will be retired, or is.
    AppUnused {
        app: String,
        id: String,
        days: u64,
        is_retired: bool,
    },
    /// The operator tries the settings.
    Test,
}

impl MailKind {
    /// As its text files, metrics and the command line call it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SignUp { .. } => "sign_up",
            Self::AddressToVerify(_) => "address_to_verify",
            Self::AddressChanged { .. } => "address_changed",
            Self::PasswordReset(_) => "password_reset",
            Self::PasswordChanged { .. } => "password_changed",
            Self::NewDevice { .. } => "new_device",
            Self::NewGrant { .. } => "new_grant",
            Self::TheftDetected { .. } => "theft_detected",
            Self::PartnerKeyIssued { .. } => "partner_key_issued",
            Self::PartnerKeyEnded { .. } => "partner_key_ended",
            Self::SecondFactorAdded { .. } => "second_factor_added",
            Self::SecondFactorRemoved { .. } => "second_factor_removed",
            Self::SecondFactorsRemovedByStaff => "second_factors_removed_by_staff",
            Self::RecoveryCodeUsed { .. } => "recovery_code_used",
            Self::TeamInvitation { .. } => "team_invitation",
            Self::AppTransfer { .. } => "app_transfer",
            Self::AppDecided { .. } => "app_decided",
            Self::AppSuspended { .. } => "app_suspended",
            Self::AppResumed { .. } => "app_resumed",
            Self::WishDecided { .. } => "wish_decided",
            Self::StaffWrote { .. } => "staff_wrote",
            Self::SecretExpiring { .. } => "secret_expiring",
            Self::WebhookDisabled { .. } => "webhook_disabled",
            Self::AppSubmitted { .. } => "app_submitted",
            Self::DeveloperWrote { .. } => "developer_wrote",
            Self::AppUnavailable { .. } => "app_unavailable",
            Self::AppUnused { .. } => "app_unused",
            Self::Test => "test",
        }
    }
}

/// A hash of a password is in some, so only the name is printed.
impl fmt::Debug for MailKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailKind({})", self.name())
    }
}

/// Where something happened, for the person to recognise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub address: IpAddr,
    /// As the browser called itself; shown shortened.
    pub user_agent: String,
}

/// What a link in a message is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub link: LinkId,
    /// The account, where somebody of it asked.
    pub user: Option<UserId>,
    /// [`crate::session::browser_mark`] of the browser that asked.
    pub browser: String,
    pub seen: Seen,
    pub expires_at: Timestamp,
}

/// A password hash on its way through the queue. Not printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredHash(String);

impl From<&PasswordHash> for StoredHash {
    fn from(hash: &PasswordHash) -> Self {
        Self(hash.as_phc().to_owned())
    }
}

impl From<StoredHash> for PasswordHash {
    fn from(hash: StoredHash) -> Self {
        Self::from_phc(hash.0)
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash(…)")
    }
}

/// When a message that failed `attempts` times is tried again. `None`: it is given up.
pub fn next_attempt_at(attempts: u64, now: Timestamp) -> Option<Timestamp> {
    let index = usize::try_from(attempts.saturating_sub(1)).ok()?;
    WAITS.get(index).map(|seconds| now.after(Duration::from_secs(*seconds)))
}

/// A message in words, ready to be handed to the next server.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Stays the same when it is sent again, so that a receiver can tell.
    pub message_id: String,
    pub to: String,
    /// One line without control characters.
    pub subject: String,
    pub text: String,
    pub html: String,
    pub language: String,
}

/// Links that open an account may be in it.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

/// Why a letter did not go out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// Worth trying again.
    #[error("{0}")]
    Later(String),
    /// The address or the message is refused for good.
    #[error("{0}")]
    Never(String),
}

pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), NotSent>> + Send + 'a>>;

/// Who takes letters: an SMTP server, the demo's mailbox, a test.
pub trait Post: Send + Sync + fmt::Debug {
    fn send(&self, letter: Letter) -> Sending<'_>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_ten_times_within_three_days_and_then_given_up() {
        let now = Timestamp::from_seconds(1_775_120_400);
        let waits: Vec<_> = (1..).map_while(|n| next_attempt_at(n, now)).collect();
        assert_eq!(waits.len(), 9);
        assert!(waits.is_sorted());
        let total: Duration = waits.iter().map(|at| at.since(now)).sum();
        assert!(total < NOTICE_LIFETIME);
    }

    #[test]
    fn what_is_printed_of_a_message_has_no_hash_and_no_text() {
        let kind = MailKind::SignUp {
            asked: Asked {
                link: LinkId::from_bytes([1; 16]),
                user: None,
                browser: String::new(),
                seen: Seen { address: IpAddr::from([127, 0, 0, 1]), user_agent: String::new() },
                expires_at: Timestamp::default(),
            },
            name: "Ada".to_owned(),
            password: StoredHash("$argon2id$secret".to_owned()),
        };
        assert_eq!(format!("{kind:?}"), "MailKind(sign_up)");
        let tag = serde_json::to_value(&kind).unwrap();
        assert_eq!(tag["kind"], kind.name());
    }
}
