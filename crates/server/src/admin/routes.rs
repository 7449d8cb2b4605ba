//! Every route of the admin API, on one screen.

use axum::Router;
use axum::extract::{DefaultBodyLimit, OriginalUri, State};
use axum::response::{IntoResponse, Response};
use domain::admin_token::AdminScope::{
    AppsImport, AppsRead, AppsWrite, AuditRead, ConsentsRead, ConsentsWrite, KeysRead, KeysWrite,
    MailsRead, MailsWrite, ReviewDecide, TokensRead, TokensWrite, UsersRead, UsersWrite,
    WebhooksRead, WebhooksWrite,
};

use super::operation::{Operation, delete, get, patch, post, put};
use super::page::Page;
use super::problem::{Problem, ProblemKind};
use super::{
    apps, audit, care, consents, decisions, gate, import, keys, mails, messages, openapi, plans,
    secrets, tokens, users, webhooks,
};
use crate::provider::Shared;

/// Where the API begins.
pub const PREFIX: &str = "/admin/v1";

#[rustfmt::skip]
fn of_apps() -> Vec<Operation> {
    vec![
        get("/openapi.json", openapi::show)
            .says("getDocument", "This API as an OpenAPI 3.1 document"),

        get("/apps", apps::list).needs(AppsRead).says("listApps", "List apps by client id")
            .query::<apps::AppQuery>().answers::<Page<apps::AppRecord>>(),
        post("/apps", apps::create).needs(AppsWrite)
            .says("createApp",
                "Create an app that is live at once; its secret is told this one time")
            .takes::<apps::NewApp>().creates::<apps::AppRecord>(),
        get("/apps/{app}", apps::show).needs(AppsRead).says("getApp", "Show an app")
            .answers::<apps::AppRecord>(),
        patch("/apps/{app}", apps::change).needs(AppsWrite)
            .says("changeApp",
                "Change what an app says of itself and where it may be; it holds at \
                 once")
            .takes::<apps::AppSettings>().answers::<apps::AppRecord>(),
        delete("/apps/{app}", apps::delete).needs(AppsWrite)
            .says("deleteApp", "Delete an app after ending all access of it").status(204),
        post("/apps/{app}/suspend", apps::suspend).needs(AppsWrite)
            .says("suspendApp", "Stop an app: none of its tokens is good from the next request on")
            .takes::<apps::Reason>().answers::<apps::AppRecord>(),
        post("/apps/{app}/resume", apps::resume).needs(AppsWrite)
            .says("resumeApp", "Let a suspended app go on")
            .takes::<apps::Reason>().answers::<apps::AppRecord>(),
        post("/apps/{app}/decision", decisions::decide).needs(ReviewDecide)
            .says("decideApp",
                "Approve, reject, or ask for changes: what a reviewer does on the page")
            .decides_what_was_read().takes::<decisions::NewDecision>().answers::<apps::AppRecord>(),

        put("/apps/{app}/assignee", care::assign).needs(ReviewDecide)
            .says("assignApp",
                "Say which member of staff takes care of an app, or that nobody does")
            .takes::<care::NewAssignee>().answers::<apps::AppRecord>(),
        post("/apps/{app}/brand", care::brand).needs(ReviewDecide)
            .says("decideBrand",
                "Say that name, logo and publisher of an app belong together, or take that back")
            .decides_what_was_read().takes::<care::NewBrand>().answers::<apps::AppRecord>(),
        put("/apps/{app}/plan", plans::set).needs(AppsWrite)
            .says("setPlan", "Give an app a plan; it holds at once, and its developers hear of it")
            .decides_what_was_read().takes::<plans::NewPlan>().answers::<apps::AppRecord>(),

        get("/apps/{app}/secrets", secrets::list).needs(AppsRead)
            .says("listSecrets", "List the secrets of an app, never the secrets themselves")
            .answers::<Page<secrets::SecretRecord>>(),
        post("/apps/{app}/secrets", secrets::create).needs(AppsWrite)
            .says("createSecret", "Make another secret; it is told this one time")
            .creates::<secrets::SecretRecord>(),
        get("/apps/{app}/secrets/{secret}", secrets::show).needs(AppsRead)
            .says("getSecret", "Show what is known of a secret")
            .answers::<secrets::SecretRecord>(),
        delete("/apps/{app}/secrets/{secret}", secrets::remove).needs(AppsWrite)
            .says("removeSecret",
                "Remove a secret and end what the app got for itself with it").status(204),

        get("/apps/{app}/messages", messages::list).needs(AppsRead)
            .says("listMessages", "List what developer and staff wrote to each other, newest first")
            .query::<messages::MessageQuery>().answers::<Page<messages::MessageRecord>>(),
        post("/apps/{app}/messages", messages::send).needs(ReviewDecide)
            .says("sendMessage", "Write to the developer of an app")
            .takes::<messages::NewMessage>().creates::<messages::MessageRecord>(),
        get("/apps/{app}/consents", consents::list_of_app).needs(ConsentsRead)
            .says("listConsentsOfApp", "List which users have let an app in")
            .query::<consents::ConsentQuery>().answers::<Page<consents::ConsentRecord>>(),
    ]
}

#[rustfmt::skip]
fn of_people() -> Vec<Operation> {
    vec![
        get("/users", users::list).needs(UsersRead).says("listUsers", "List accounts by address")
            .query::<users::UserQuery>().answers::<Page<users::UserRecord>>(),
        post("/users", users::create).needs(UsersWrite)
            .says("createUser", "Create an account that can sign in with its password")
            .takes::<users::NewUser>().creates::<users::UserRecord>(),
        get("/users/{user}", users::show).needs(UsersRead)
            .says("getUser", "Show an account, by id or e-mail address")
            .answers::<users::UserRecord>(),
        patch("/users/{user}", users::change).needs(UsersWrite)
            .says("changeUser",
                "Change the name or the roles of an account; roles need roles:write too")
            .takes::<users::UserSettings>().answers::<users::UserRecord>(),
        post("/users/{user}/block", users::block).needs(UsersWrite)
            .says("blockUser",
                "Keep a user out: sessions end, no token of theirs is good from the \
                 next request on")
            .takes::<apps::Reason>().answers::<users::UserRecord>(),
        post("/users/{user}/unblock", users::unblock).needs(UsersWrite)
            .says("unblockUser", "Let a blocked user in again")
            .takes::<apps::Reason>().answers::<users::UserRecord>(),
        post("/users/{user}/second-factors/remove", users::remove_second_factors).needs(UsersWrite)
            .says("removeSecondFactors",
                "Remove every second factor of a user who has lost them all; their \
                 sessions end")
            .takes::<apps::Reason>().answers::<users::UserRecord>(),
        get("/users/{user}/consents", consents::list_of_user).needs(ConsentsRead)
            .says("listConsentsOfUser", "List which apps a user has let in")
            .query::<consents::ConsentQuery>().answers::<Page<consents::ConsentRecord>>(),

        get("/consents/{consent}", consents::show).needs(ConsentsRead)
            .says("getConsent", "Show a consent with the grants that stand on it")
            .answers::<consents::ConsentDetail>(),
        post("/consents/{consent}/withdraw", consents::withdraw).needs(ConsentsWrite)
            .says("withdrawConsent", "Take a consent back with everything that stands on it")
            .answers::<consents::ConsentDetail>(),
        post("/grants/{grant}/revoke", consents::revoke_grant).needs(ConsentsWrite)
            .says("revokeGrant", "End one authorization; the consent stays").status(204),
    ]
}

#[rustfmt::skip]
fn of_the_rest() -> Vec<Operation> {
    vec![
        get("/plans", plans::list).needs(AppsRead)
            .says("listPlans", "List the plans of the config").answers::<Page<plans::PlanRecord>>(),
        get("/perks", plans::list_perks).needs(AppsRead)
            .says("listPerks", "List the perks of the config").answers::<Page<plans::PerkRecord>>(),
        get("/plan-requests", plans::list_requests).needs(AppsRead)
            .says("listPlanRequests",
                "List plans and perks that developers ask for, the oldest first: those that \
                 wait, unless you say")
            .query::<plans::PlanRequestQuery>().answers::<Page<plans::PlanRequestRecord>>(),
        get("/plan-requests/{request}", plans::show_request).needs(AppsRead)
            .says("getPlanRequest", "Show what a developer asked for and what became of it")
            .answers::<plans::PlanRequestRecord>(),
        post("/plan-requests/{request}/decision", plans::decide).needs(ReviewDecide)
            .says("decidePlanRequest", "Grant or refuse a plan or a perk")
            .takes::<plans::NewPlanDecision>().answers::<plans::PlanRequestRecord>(),

        get("/reports", audit::reports).needs(AppsRead)
            .says("listReports", "List what users report about apps, newest first")
            .query::<audit::ReportQuery>().answers::<Page<audit::ReportRecord>>(),
        get("/audit", audit::list).needs(AuditRead)
            .says("listEvents", "List events of the audit trail")
            .query::<audit::AuditQuery>().answers::<Page<audit::Event>>(),
        get("/audit/copy", audit::copy).needs(AuditRead)
            .says("copyEvents", "Take a copy of the audit trail that can be checked elsewhere")
            .query::<audit::CopyQuery>().answers::<audit::Copied>(),
        get("/audit/checkpoints", audit::list_checkpoints).needs(AuditRead)
            .says("listCheckpoints", "List signed checkpoints of the audit trail")
            .query::<audit::CopyQuery>().answers::<audit::Checkpoints>(),
        post("/audit/checkpoints", audit::make_checkpoint).needs(AuditRead)
            .says("signCheckpoint", "Sign a checkpoint of the audit trail now")
            .answers::<audit::Signed>(),
        get("/audit/verify", audit::verify).needs(AuditRead)
            .says("verifyTrail", "Recompute the hashes over the whole trail")
            .answers::<audit::Verified>(),

        get("/keys", keys::list).needs(KeysRead)
            .says("listKeys", "List which keys there are, never the keys")
            .answers::<Page<keys::KeyRecord>>(),
        post("/keys/rotate", keys::rotate).needs(KeysWrite)
            .says("rotateKeys",
                "Make new keys now; old ones open and verify what they made until it \
                 has expired")
            .answers::<keys::Rotated>(),

        get("/mails", mails::list).needs(MailsRead)
            .says("listMails",
                "List messages that wait to be sent or were given up, without their \
                 texts")
            .query::<mails::MailQuery>().answers::<mails::MailPage>(),
        post("/mails/test", mails::test).needs(MailsWrite)
            .says("testMail", "Send a message that says that it has arrived")
            .takes::<mails::TestMail>().status(202),

        get("/webhook-deliveries", webhooks::list).needs(WebhooksRead)
            .says("listWebhookDeliveries",
                "List what was sent or waits for the webhooks of the config, newest first")
            .query::<webhooks::DeliveryQuery>().answers::<Page<webhooks::DeliveryRecord>>(),
        post("/webhook-deliveries/{delivery}/redeliver", webhooks::redeliver).needs(WebhooksWrite)
            .says("redeliverWebhook", "Send what arrived or was given up once more")
            .answers::<webhooks::DeliveryRecord>().status(202),

        post("/import/apps", import::import).needs(AppsImport)
            .says("importApps", "Bring apps here from another system: all of them or none")
            .takes::<import::ImportRequest>().answers::<import::ImportAnswer>()
            .body_max(import::BODY_BYTES_MAX),

        get("/tokens", tokens::list).needs(TokensRead)
            .says("listTokens", "List tokens of this API, never the tokens themselves")
            .query::<tokens::TokenQuery>().answers::<Page<tokens::TokenRecord>>(),
        post("/tokens", tokens::create).needs(TokensWrite)
            .says("createToken",
                "Make a token that may do no more than the one that makes it; it is \
                 told this one time")
            .takes::<tokens::NewToken>().creates::<tokens::TokenRecord>(),
        get("/tokens/{token}", tokens::show).needs(TokensRead)
            .says("getToken", "Show what is known of a token")
            .answers::<tokens::TokenRecord>(),
        delete("/tokens/{token}", tokens::revoke).needs(TokensWrite)
            .says("revokeToken", "Revoke a token; its next request is refused").status(204),
    ]
}

/// The whole table.
pub fn operations() -> Vec<Operation> {
    of_apps().into_iter().chain(of_people()).chain(of_the_rest()).collect()
}

/// For the internal listener, where everybody needs a token, and for the control socket, whose
/// requests carry an `Operator`.
pub fn router(provider: Shared) -> Router {
    let routes = operations().into_iter();
    let routes = routes.fold(Router::new(), |router, one| one.route(router, &provider));
    Router::new()
        .nest(PREFIX, routes)
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        // The gate of each route bounds what is read.
        .layer(DefaultBodyLimit::disable())
        .with_state(provider)
}

async fn nowhere(State(provider): State<Shared>, OriginalUri(_): OriginalUri) -> Response {
    let problem = Problem::not_found("there is nothing at this address");
    gate::finish(problem.into_response(), &provider.request_ids.make()).await
}

async fn wrong_method(State(provider): State<Shared>) -> Response {
    let problem = Problem::new(ProblemKind::Method, "this address does not know this method");
    gate::finish(problem.into_response(), &provider.request_ids.make()).await
}
