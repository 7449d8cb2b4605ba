//! The content security policy of the pages.

/// The value of `Content-Security-Policy` for a page. Nothing runs or loads but our own files.
///
/// `form_targets` are the origins (`https://bot.example.com`) or schemes (`com.example.app:`)
/// that a form of the page may lead to besides this origin. Browsers apply `form-action` to the
/// redirects that follow a form as well, so sign-in and consent need the redirect URI's origin.
/// A target with a character that could end the directive is left out.
pub fn policy<'a>(form_targets: impl IntoIterator<Item = &'a str>) -> String {
    let mut policy = String::from(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; \
         base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    );
    for target in form_targets {
        let harmless = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]+".contains(c);
        if !target.is_empty() && target.chars().all(harmless) {
            policy.push(' ');
            policy.push_str(target);
        }
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_target_cannot_add_a_directive() {
        let policy = policy(["https://bot.example.com", "x; script-src *", "com.example.app:"]);
        assert!(
            policy.ends_with("form-action 'self' https://bot.example.com com.example.app:"),
            "{policy}"
        );
    }
}
