//! Every error that can come back from authorization, for documentation and tests.

use super::AuthorizeErrorCode;

impl AuthorizeErrorCode {
    pub const ALL: [Self; 18] = [
        Self::InvalidRequest,
        Self::UnauthorizedClient,
        Self::AccessDenied,
        Self::UnsupportedResponseType,
        Self::InvalidScope,
        Self::InvalidTarget,
        Self::ServerError,
        Self::TemporarilyUnavailable,
        Self::LoginRequired,
        Self::InteractionRequired,
        Self::UnmetAuthenticationRequirements,
        Self::ConsentRequired,
        Self::AccountSelectionRequired,
        Self::RequestNotSupported,
        Self::RequestUriNotSupported,
        Self::PartnerKeyActiveExists,
        Self::PartnerKeyExpiredExists,
        Self::PartnerKeyLimitReached,
    ];
}
