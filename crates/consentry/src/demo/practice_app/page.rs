//! The practice app's two pages.

use std::fmt::Write as _;

use super::client::{Outcome, Tokens};
use super::{Memory, Part};

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><link rel=\"stylesheet\" href=\"/style.css\"></head>\
         <body><header><a href=\"/\">Practice apps</a> <span>This site plays the outside \
         developer. It is not part of Consentry.</span></header><main>{body}</main></body></html>",
        title = escape(title),
    )
}

pub(super) fn home(parts: &[(&Part, bool)]) -> String {
    let mut body = String::from(
        "<h1>Apps by other companies</h1><p class=\"lead\">Each wants into an account at one of \
         the two demo providers. Open one, let it in as <b>alice@example.com</b> \
         (<code>demo-alice-password</code>), watch what it can and cannot do, and take it back \
         under <i>Connected apps</i>.</p><div class=\"grid\">",
    );
    for (part, connected) in parts {
        let script = part.app.script;
        let state = if *connected { "<span class=\"on\">connected</span>" } else { "" };
        let _ = write!(
            body,
            "<a class=\"card\" href=\"/app/{key}\"><h2>{name}</h2><p>{description}</p>\
             <p class=\"small\">{publisher} · wants into {provider} {state}</p></a>",
            key = script.key,
            name = escape(script.name),
            description = escape(script.description),
            publisher = escape(script.publisher),
            provider = escape(part.provider),
        );
    }
    body.push_str("</div>");
    frame("Practice apps", &body)
}

pub(super) fn app(part: &Part, memory: &Memory) -> String {
    let script = part.app.script;
    let mut body = format!(
        "<h1>{}</h1><p class=\"lead\">{}</p>",
        escape(script.name),
        escape(script.description)
    );
    match &memory.tokens {
        None => body.push_str(&not_connected(part)),
        Some(tokens) => body.push_str(&connected(part, tokens)),
    }
    if !script.service_scopes.is_empty() {
        let label = "Act for itself, without a user (client credentials)";
        body.push_str(&button(script.key, "itself", label, "quiet"));
    }
    if let Some(last) = &memory.last {
        body.push_str(&outcome(last));
    }
    frame(script.name, &body)
}

fn button(key: &str, path: &str, label: &str, class: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/app/{key}/{path}\"><button class=\"{class}\">{}</button>\
         </form>",
        escape(label)
    )
}

fn not_connected(part: &Part) -> String {
    let label = format!("Connect with {}", part.provider);
    button(part.app.script.key, "connect", &label, "main")
}

fn connected(part: &Part, tokens: &Tokens) -> String {
    let key = part.app.script.key;
    let granted: Vec<&str> = tokens.scope.split(' ').collect();
    let mut out = String::from("<h2>What it was given</h2><ul class=\"scopes\">");
    for scope in part.app.script.scopes {
        let (class, word) =
            if granted.contains(&scope.name) { ("yes", "granted") } else { ("no", "not granted") };
        let _ = write!(out, "<li class=\"{class}\"><code>{}</code> {word}</li>", scope.name);
    }
    let _ = write!(
        out,
        "</ul><p class=\"small\">The access token lives {} minutes. Take it all back at \
         <a href=\"{issuer}/connected\">{provider}: connected apps</a>, then try a call: it is \
         refused at once.</p><h2>What it tries</h2><div class=\"row\">",
        tokens.expires_in / 60,
        issuer = escape(&part.issuer),
        provider = escape(part.provider),
    );
    for (number, call) in part.calls.iter().enumerate() {
        out.push_str(&button(key, &format!("call/{number}"), call.label, "call"));
    }
    out.push_str("</div><div class=\"row\">");
    if tokens.refresh.is_some() {
        out.push_str(&button(key, "refresh", "Refresh the tokens", "quiet"));
    }
    out.push_str(&button(key, "connect", "Ask again", "quiet"));
    out.push_str(&button(key, "forget", "Forget the tokens", "quiet"));
    out.push_str("</div>");
    out
}

fn outcome(last: &Outcome) -> String {
    let good = last.status.is_some_and(|status| status.is_success());
    let class = if good { "good" } else { "bad" };
    let status = last.status.map(|status| status.to_string()).unwrap_or_default();
    let mut out = format!(
        "<section class=\"answer {class}\"><h2>{} <span>{}</span></h2>",
        escape(&last.did),
        escape(&status)
    );
    if let Some(challenge) = &last.challenge {
        let _ = write!(out, "<p><code>WWW-Authenticate: {}</code></p>", escape(challenge));
    }
    let _ = write!(out, "<pre>{}</pre></section>", escape(&last.text));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_answers_cannot_become_markup() {
        let last = Outcome {
            did: "GET /".into(),
            status: None,
            challenge: Some("<script>".into()),
            text: "<script>alert(1)</script>".into(),
            tokens: None,
        };
        assert!(!outcome(&last).contains("<script"));
    }
}
