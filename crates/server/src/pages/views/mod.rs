//! What each page shows: plain structs of display data, one per template, filled by handlers.
//!
//! Nothing here decides anything and no domain type appears. A view names its template and can
//! produce samples; a test renders every sample, the gallery example writes them to disk, and
//! an operator's overridden template is tried against them before it is used.
//!
//! Every POST form but `form-post` carries `layout.csrf` as the hidden field `csrf`. Ids that
//! end up in an address (`id` fields) must be made of unreserved URL characters, as ours are.

use serde::Serialize;

mod account;
mod app_detail;
mod app_frame;
mod app_requests;
mod app_usage;
mod apps;
mod audit;
mod codes;
mod connected;
mod consent;
mod docs;
mod entry;
mod layout;
mod new_app;
mod security;
mod staff;
mod staff_apps;
mod system;
mod teams;
mod transfers;
mod try_it;
mod webhooks;

pub use account::{
    AccountSettings, ChangePassword, ConfirmReset, EmailForm, FinishSignUp, ForgottenPassword,
    LanguageChoice, MailSent, ResetPassword, SessionCard, SignUp, VerifyAddress,
};
pub use app_detail::{
    AppDetail, AppKey, AppScope, AppSecret, Asked, ChecklistStep, Endpoint, KeySetForm, Lifetimes,
    MessageForm, ScopeState, SecretError, ThreadMessage,
};
pub use app_frame::{AppFrame, AppTab, AppTabLink};
pub use app_requests::{AppRequests, LoggedRequest, PlanQueue, RequestFilter, WaitingWish};
pub use app_usage::{
    AppUsage, Bar, Chart, ChartRow, Charts, Meter, Offer, PlanForm, PlanView, WishView,
};
pub use apps::{
    AppCard, AppForm, AppFormErrors, AppGroup, AppKind, AppStatus, DeleteApp, DialectChoice,
    LineError, MyApps, STANDARD, ScopeChoice, SecretOnce,
};
pub use audit::{AuditEntry, AuditEventPage, AuditForm, AuditLog};
pub use codes::{ConfirmDevice, DeviceDone, EnterCode, FoundApp, GetAccess, UserCodeShown};
pub use connected::{
    CalledFamily, ConnectedApp, ConnectedApps, ConnectedCard, ConnectedKey, ConnectedScope,
    HistoryEntry, KeyPermissions, KeyState, LiveGrant, ReportApp,
};
pub use consent::{
    Consent, ConsentApp, ConsentChanges, ConsentKey, ConsentScope, Destination, DestinationKind,
    FullScope, KeyGroup, KeyPermission, Preview, Verification,
};
pub use docs::{
    Block, DocsAnswer, DocsApi, DocsApiCard, DocsApp, DocsArticle, DocsBody, DocsChapter,
    DocsEndpoint, DocsField, DocsFrame, DocsGroup, DocsGuideCard, DocsLink, DocsPage,
    DocsReference, DocsScope, DocsScopeName, DocsScopes, DocsSection, DocsStanding, DocsStart,
    Snippet, Span, SpanStyle,
};
pub use entry::{Home, SignIn, SignInChoice, SignedOut};
pub use layout::{Account, Flash, FlashKind, Layout, Moment, Roles, ScopeKind, Section, Tier};
pub use new_app::{AppLogo, NewApp, Step};
pub use security::{
    AddApp, AddPasskey, Factor, PasskeyQuestion, RecoveryCodes, SecondFactor, Security,
};
pub use staff::{
    CareForm, FieldChange, PastDecision, Question, QueueEntry, QueueForm, ReviewApp, ReviewQueue,
    ReviewScope, RiskFlag, StaffThread,
};
pub use staff_apps::{StaffApp, StaffApps, UserReport};
pub use system::{ErrorPage, FormField, FormPost};
pub use teams::{
    InviteForm, JoinTeam, NewTeam, OfferedApp, OpenInvitation, TeamCard, TeamField, TeamInvitation,
    TeamPage, TeamPerson, Teams,
};
pub use transfers::{AppPerson, AppTeam, OpenTransfer, TakeApp, TeamChoice, TransferForm};
pub use try_it::{
    TryAnswer, TryApi, TryCall, TryExchange, TryField, TryIt, TryNext, TryOption, TryScope,
    TryStep, TryText,
};
pub use webhooks::{
    AttemptRow, DeliveryRow, DeliveryState, EventChoice, WebhookDelivery, WebhookEndpoint,
    WebhookForm, WebhookSecret, WebhookStatus, Webhooks,
};

/// A page's data. Rendered with [`Pages::render`](super::Pages::render).
pub trait View: Serialize {
    /// File name below `templates/`.
    const TEMPLATE: &'static str;

    /// Examples that together use every branch of the template.
    fn sample() -> Vec<Self>
    where
        Self: Sized;
}

/// Calls `$macro!(A, B, …)` with every view, so that a new page cannot miss the tests.
macro_rules! for_every_view {
    ($macro:ident) => {
        $macro!(
            AccountSettings,
            AddApp,
            AddPasskey,
            AppDetail,
            AppLogo,
            AppTeam,
            AppRequests,
            AppUsage,
            AuditEventPage,
            AuditLog,
            ChangePassword,
            ConfirmDevice,
            ConfirmReset,
            ConnectedApp,
            ConnectedApps,
            Consent,
            DeleteApp,
            DeviceDone,
            DocsArticle,
            DocsReference,
            DocsScopes,
            DocsStart,
            EnterCode,
            ErrorPage,
            FinishSignUp,
            ForgottenPassword,
            FormPost,
            GetAccess,
            Home,
            JoinTeam,
            MailSent,
            MyApps,
            NewApp,
            NewTeam,
            PlanQueue,
            RecoveryCodes,
            ReportApp,
            ResetPassword,
            ReviewApp,
            ReviewQueue,
            SecondFactor,
            SecretOnce,
            Security,
            SignIn,
            SignUp,
            SignedOut,
            StaffApps,
            StaffThread,
            TakeApp,
            TeamPage,
            Teams,
            TryIt,
            UserCodeShown,
            VerifyAddress,
            WebhookDelivery,
            WebhookSecret,
            Webhooks
        )
    };
}
pub(crate) use for_every_view;
