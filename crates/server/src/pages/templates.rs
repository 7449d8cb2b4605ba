//! The built-in templates, and where an operator's take their place.

use std::path::PathBuf;

use minijinja::{Error, TemplateSource, path_loader};

/// How an overriding template names the one it overrides.
const BUILT_IN_FOLDER: &str = "built-in/";

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        const BUILT_IN: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../templates/", $name)))),*];
    };
}

built_in!(
    "account.html",
    "add_app.html",
    "add_passkey.html",
    "app_credentials.html",
    "app_detail.html",
    "app_frame.html",
    "app_logo.html",
    "app_messages.html",
    "app_overview.html",
    "app_scopes.html",
    "app_settings.html",
    "app_team.html",
    "audit_event.html",
    "audit_log.html",
    "brand_mark.html",
    "change_password.html",
    "confirm_device.html",
    "confirm_reset.html",
    "connected_app.html",
    "connected_apps.html",
    "consent.html",
    "delete_app.html",
    "device_done.html",
    "docs_article.html",
    "docs_frame.html",
    "docs_parts.html",
    "docs_reference.html",
    "docs_scopes.html",
    "docs_start.html",
    "enter_code.html",
    "error.html",
    "finish_sign_up.html",
    "focus.html",
    "forgotten_password.html",
    "form_post.html",
    "get_access.html",
    "home.html",
    "join_team.html",
    "layout.html",
    "mail_sent.html",
    "my_apps.html",
    "app_requests.html",
    "app_usage.html",
    "plan_queue.html",
    "new_app.html",
    "new_team.html",
    "parts.html",
    "recovery_codes.html",
    "report_app.html",
    "reset_password.html",
    "review_app.html",
    "review_queue.html",
    "second_factor.html",
    "secret_once.html",
    "security.html",
    "sign_in.html",
    "sign_up.html",
    "signed_out.html",
    "staff_apps.html",
    "staff_thread.html",
    "take_app.html",
    "team.html",
    "teams.html",
    "try_it.html",
    "user_code.html",
    "verify_address.html",
    "webhook_delivery.html",
    "webhook_secret.html",
    "webhooks.html",
);

fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

pub(super) fn is_known(name: &str) -> bool {
    built_in(name).is_some()
}

/// For messages.
pub(super) fn names() -> String {
    BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) fn all() -> &'static [(&'static str, &'static str)] {
    BUILT_IN
}

pub(super) fn loader(
    overrides: Option<PathBuf>,
) -> impl Fn(&str) -> Result<Option<TemplateSource>, Error> + Send + Sync + 'static {
    let from_folder = overrides.map(path_loader);
    move |name| {
        if let Some(name) = name.strip_prefix(BUILT_IN_FOLDER) {
            return Ok(built_in(name).map(TemplateSource::new));
        }
        if let Some(from_folder) = &from_folder
            && let Some(source) = from_folder(name)?
        {
            return Ok(Some(source));
        }
        Ok(built_in(name).map(TemplateSource::new))
    }
}
