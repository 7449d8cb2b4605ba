//! Every route of the public listener, and health, on one screen. Those of the admin API are in
//! `admin::routes`.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};

use crate::account::security::enrol;
use crate::account::{
    connected, email, forgotten, hand_off, password, second_step, security, settings, sign_in,
    sign_out, sign_up, step_up,
};
use crate::docs::pages as docs;
use crate::oauth::partner_keys::standard as partner_keys;
use crate::oauth::{
    authorize, consent, device, introspect, jwks, metadata, protected_resource, revoke, token,
};
use crate::portal::{
    apps, changes, danger, key_set, logos, messages, my_apps, preview, register, requests, secrets,
    team_members, teams, transfers, try_it, usage, wake, webhooks,
};
use crate::provider::Shared;
use crate::review::{self, plan_requests, queue, staff_apps};
use crate::{account, dialect, error, health, pages, user_codes};

/// Everything for browsers and apps.
pub fn router(provider: Shared) -> Router {
    Router::new()
        .merge(oauth())
        .merge(account())
        .merge(portal())
        .merge(documentation())
        .merge(team())
        .merge(review())
        .merge(dialect::routes(&provider.policy()))
        .route("/", get(account::home::show))
        .route("/assets/{*path}", get(pages::serve_asset))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn_with_state(provider.clone(), error::render))
        .with_state(provider)
}

fn oauth() -> Router<Shared> {
    Router::new()
        .route("/oauth/authorize", get(authorize::start).post(authorize::start_by_form))
        .route("/oauth/authorize/continue", get(authorize::proceed))
        .route("/oauth/consent", post(consent::decide))
        .route("/oauth/device_authorization", post(device::authorize).options(token::preflight))
        .route("/oauth/token", post(token::issue).options(token::preflight))
        .route("/oauth/revoke", post(revoke::revoke).options(token::preflight))
        .route("/oauth/introspect", post(introspect::introspect))
        .route("/oauth/partner-keys/info", get(partner_keys::info))
        .route("/oauth/partner-keys/{id}/secret", get(partner_keys::secret))
        .route("/oauth/partner-keys/{id}", delete(partner_keys::delete))
        .merge(documents())
}

/// What clients start from; scripts in browsers read it with headers of their own. The paths are
/// spelled out: a test reads them from here.
fn documents() -> Router<Shared> {
    Router::new()
        .route(
            "/.well-known/oauth-authorization-server",
            get(metadata::show).options(token::preflight),
        )
        .route("/.well-known/jwks.json", get(jwks::show).options(token::preflight))
        .route(
            "/.well-known/oauth-protected-resource",
            get(protected_resource::show_default).options(token::preflight),
        )
        .route(
            "/.well-known/oauth-protected-resource/{*path}",
            get(protected_resource::show).options(token::preflight),
        )
}

fn account() -> Router<Shared> {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/with/{id}", get(hand_off::start))
        .route("/sign-in/return/{id}", get(hand_off::finish))
        .route("/sign-in/second-factor", post(second_step::submit))
        .route("/sign-in/passkey", post(second_step::with_passkey))
        .route("/step-up", get(step_up::show).post(step_up::submit))
        .route("/security", get(security::show))
        .route("/security/app", get(enrol::app_form).post(enrol::add_app))
        .route("/security/passkey", get(enrol::passkey_form).post(enrol::add_passkey))
        .route("/security/remove", post(security::remove))
        .route("/security/recovery-codes", post(security::new_codes))
        .route("/sign-out", post(sign_out::submit))
        .route("/sign-up", get(sign_up::show).post(sign_up::submit))
        .route("/sign-up/finish", get(sign_up::open).post(sign_up::finish))
        .route("/forgotten-password", get(forgotten::show).post(forgotten::ask))
        .route("/reset-password", get(forgotten::open).post(forgotten::reset))
        .route("/reset-password/confirm", post(forgotten::confirm))
        .route("/account", get(settings::show))
        .route("/account/language", post(settings::choose_language))
        .route("/account/email", post(email::ask))
        .route("/account/email/confirm", get(email::open).post(email::confirm))
        .route("/account/password", get(password::show).post(password::change))
        .route("/account/sessions/end", post(settings::end_session))
        .route("/account/sessions/end-all", post(settings::end_sessions))
        .route("/device", get(user_codes::device::show).post(user_codes::device::enter))
        .route("/device/confirm", post(user_codes::device::confirm))
        .route("/connected", get(connected::list))
        .route("/connected/{id}", get(connected::show))
        .route("/connected/{id}/revoke", post(connected::revoke))
        .route("/connected/{id}/scopes/remove", post(connected::remove_scope))
        .route("/connected/{id}/grants/end", post(connected::end_grant))
        .route("/connected/{id}/key/remove", post(connected::remove_key))
        .route("/connected/{id}/report", get(connected::report_form).post(connected::report))
}

fn portal() -> Router<Shared> {
    Router::new()
        .route("/apps", get(my_apps::list))
        .route("/apps/new", get(register::new).post(register::submit))
        .route("/apps/new/check", get(register::check))
        .route("/apps/{id}", get(apps::show))
        .route("/apps/{id}/details", post(changes::details))
        .route("/apps/{id}/redirect-uris", post(changes::redirect_uris))
        .route("/apps/{id}/addresses", post(changes::addresses))
        .route("/apps/{id}/credentials", get(apps::credentials))
        .route("/apps/{id}/settings", get(apps::settings))
        .route("/apps/{id}/consent-preview", get(preview::show))
        .route("/apps/{id}/scopes", get(apps::scopes).post(changes::request_scopes))
        .route("/apps/{id}/scopes/remove", post(changes::remove_scope))
        .route("/apps/{id}/lifetimes", post(changes::lifetimes))
        .route("/apps/{id}/proposal/withdraw", post(changes::withdraw_proposal))
        .route("/apps/{id}/wake", post(wake::wake))
        .route("/apps/{id}/messages", get(apps::messages).post(messages::send))
        .route("/apps/{id}/send-again", post(messages::send_again))
        .route("/apps/{id}/pause", post(danger::pause))
        .route("/apps/{id}/unpause", post(danger::unpause))
        .route("/apps/{id}/delete", get(danger::confirm_delete).post(danger::delete))
        .route("/apps/{id}/logo", get(logos::form).post(logos::change))
        .route("/logos/{id}", get(logos::serve))
        .route("/apps/{id}/team", get(transfers::show))
        .route("/apps/{id}/transfer", post(transfers::ask))
        .route("/apps/{id}/transfer/end", post(transfers::take_back))
        .route("/transfers/{id}", get(transfers::offer).post(transfers::answer))
        .route("/apps/{id}/requests", get(requests::show))
        .route("/apps/{id}/requests.csv", get(requests::save))
        .route("/apps/{id}/usage", get(usage::show))
        .route("/apps/{id}/usage.csv", get(usage::save))
        .route("/apps/{id}/plan", post(usage::ask))
        .route("/apps/{id}/secrets", post(secrets::create))
        .route("/apps/{id}/secrets/remove", post(secrets::remove))
        .route("/apps/{id}/secrets/roll", post(secrets::roll))
        .route("/apps/{id}/secrets/end", post(secrets::set_end))
        .route("/apps/{id}/keys", post(key_set::save))
        .route("/apps/{id}/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/apps/{id}/webhooks/save", post(webhooks::save))
        .route("/apps/{id}/webhooks/test", post(webhooks::test))
        .route("/apps/{id}/webhooks/roll", post(webhooks::roll))
        .route("/apps/{id}/webhooks/switch", post(webhooks::switch))
        .route("/apps/{id}/webhooks/remove", post(webhooks::remove))
        .route("/apps/{id}/webhooks/redeliver", post(webhooks::redeliver))
        .route("/apps/{id}/webhooks/deliveries/{delivery}", get(webhooks::show_delivery))
        .route("/apps/{id}/try", get(try_it::show).post(try_it::act))
        .route("/apps/{id}/try/return", get(try_it::come_back))
}

fn documentation() -> Router<Shared> {
    Router::new()
        .route("/docs", get(docs::start))
        .route("/docs/reference", get(docs::reference))
        .route("/docs/oauth", get(docs::oauth))
        .route("/docs/scopes", get(docs::scopes))
        .route("/docs/errors", get(docs::errors))
        .route("/docs/troubleshooting", get(docs::troubleshooting))
        .route("/docs/webhooks", get(docs::webhooks))
        .route("/docs/partner-keys", get(docs::partner_keys))
        .route("/docs/guides/{id}", get(docs::guide))
        .route("/docs/openapi/{id}", get(docs::document))
}

fn team() -> Router<Shared> {
    Router::new()
        .route("/teams", get(teams::list))
        .route("/teams/new", get(teams::new).post(teams::create))
        .route("/teams/invitation", get(team_members::open).post(team_members::answer))
        .route("/teams/{id}", get(teams::show))
        .route("/teams/{id}/rename", post(teams::rename))
        .route("/teams/{id}/delete", post(teams::delete))
        .route("/teams/{id}/invite", post(team_members::invite))
        .route("/teams/{id}/invitations/end", post(team_members::end_invitation))
        .route("/teams/{id}/members/role", post(team_members::change_role))
        .route("/teams/{id}/members/remove", post(team_members::remove))
        .route("/teams/{id}/leave", post(team_members::leave))
}

fn review() -> Router<Shared> {
    Router::new()
        .route("/staff/review", get(queue::list))
        .route("/staff/review/{id}", get(queue::show).post(queue::decide))
        .route("/staff/requests", get(plan_requests::list))
        .route("/staff/requests/{id}", post(plan_requests::decide))
        .route("/staff/review/{id}/assign", post(review::assign::assign))
        .route("/staff/review/{id}/brand", post(review::assign::brand))
        .route("/staff/audit", get(review::audit_log::list))
        .route("/staff/audit/export", get(review::audit_log::export))
        .route("/staff/audit/{position}", get(review::audit_log::show))
        .route("/staff/apps", get(staff_apps::list))
        .route(
            "/staff/apps/{id}/messages",
            get(review::messages::show).post(review::messages::send),
        )
        .route("/staff/apps/{id}/suspend", post(staff_apps::suspend))
        .route("/staff/apps/{id}/resume", post(staff_apps::resume))
}

/// Liveness and readiness, for the internal listener.
pub fn health_router(provider: Shared) -> Router {
    Router::new()
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .with_state(provider)
}
