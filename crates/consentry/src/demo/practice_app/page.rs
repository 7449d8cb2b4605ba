//! The practice app's two pages.

use std::fmt::Write as _;

use server::pages::qr::Qr;

use super::client::{DeviceCodes, Outcome, Tokens};
use super::{Memory, Part};
use crate::demo::apps::WithoutBrowser;
use crate::demo::mailbox::Received;

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
         developer. It is not part of Consentry.</span> <a href=\"/mailbox\">Mailbox</a></header><main>{body}</main></body></html>",
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

pub(super) fn mailbox(letters: &[Received]) -> String {
    let mut body = String::from(
        "<h1>Mailbox</h1><p class=\"lead\">Everything that the two demo providers would have \
         sent by mail. Nothing leaves this machine.</p>",
    );
    if letters.is_empty() {
        body.push_str(
            "<p class=\"small\">Nothing yet. Sign in, sign up, or forget a password.</p>",
        );
    }
    for Received { provider, letter } in letters {
        let _ = write!(
            body,
            "<article class=\"letter\"><h2>{subject}</h2><p class=\"small\">{provider} to {to}</p>\
             <pre>{text}</pre></article>",
            subject = escape(&letter.subject),
            provider = escape(provider),
            to = escape(&letter.to),
            text = linked(&letter.text),
        );
    }
    frame("Mailbox", &body)
}

/// Lines that are an address become links, as mail programs do it.
fn linked(text: &str) -> String {
    let line = |line: &str| {
        let text = escape(line);
        let is_link = line.starts_with("http://") && !line.contains(char::is_whitespace);
        if is_link { format!("<a href=\"{text}\">{text}</a>") } else { text }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn app(part: &Part, memory: &Memory) -> String {
    let script = part.app.script;
    let mut body = format!(
        "<h1>{}</h1><p class=\"lead\">{}</p>",
        escape(script.name),
        escape(script.description)
    );
    match &memory.tokens {
        None => body.push_str(&not_connected(part, memory.codes.as_ref())),
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

fn not_connected(part: &Part, codes: Option<&DeviceCodes>) -> String {
    let label = format!("Connect with {}", part.provider);
    let connect = button(part.app.script.key, "connect", &label, "main");
    match part.app.script.without_browser {
        None => connect,
        Some(ways) => without_browser(part, ways, codes),
    }
}

/// A QR code of `address`; black on white in dark mode too.
fn picture(address: &str) -> String {
    let Some(Qr { size, path }) = Qr::of(address) else { return String::new() };
    format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"The address with the code, as a QR code\" \
         viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" \
         d=\"M0 0h{size}v{size}H0z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}

/// Two ways in for what has no browser: a code that it shows, or one that is pasted into it.
fn without_browser(part: &Part, ways: WithoutBrowser, codes: Option<&DeviceCodes>) -> String {
    let key = part.app.script.key;
    let mut out = String::from("<h2>It shows a code, and you type it on your phone</h2>");
    match codes {
        None => out.push_str(&button(key, "device", "Show a code", "main")),
        Some(codes) => {
            let _ = write!(
                out,
                "<p>Open <a id=\"verification-uri\" href=\"{uri}\">{uri}</a> and type</p>\
                 <p class=\"user-code\" id=\"user-code\">{code}</p>\
                 <p class=\"small\">or scan this, which fills it in:</p>{qr}<div class=\"row\">",
                uri = escape(&codes.verification_uri),
                code = escape(&codes.user_code),
                qr = picture(&codes.verification_uri_complete),
            );
            out.push_str(&button(key, "poll", "Ask whether you have decided", "main"));
            out.push_str(&button(key, "device", "Show another code", "quiet"));
            out.push_str("</div>");
        }
    }
    let _ = write!(
        out,
        "<h2>You paste a code into it</h2><p>Get one at <a id=\"code-page\" \
         href=\"{issuer}{page}?client_id={id}\">{issuer}{page}</a>.</p>\
         <form class=\"row\" method=\"post\" action=\"/app/{key}/user-code\">\
         <label for=\"code\">Code</label> <input id=\"code\" name=\"code\" autocomplete=\"off\" \
         required> <button class=\"quiet\">Use it</button></form>",
        issuer = escape(&part.issuer),
        page = ways.code_page,
        id = part.app.script.client_id,
    );
    out
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
    if part.app.script.without_browser.is_none() {
        out.push_str(&button(key, "connect", "Ask again", "quiet"));
    }
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
