//! Users with their browsers: they sign in, consent once to each app, and are sent back with codes.
//! Everything goes through the pages that real users see; a remembered consent is what makes codes
//! cheap to get in numbers.

use std::collections::VecDeque;

use crate::Outcome;
use crate::browser::{Browser, consent_form, encode, fields_of, parameter};
use crate::load::{self, Pace};
use crate::site::{App, CALLBACK, PASSWORD, Site};
use crate::sources::Collect;
use crate::wire::{self, Answer};

/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Sign-ins from one address that nobody slows down.
const USERS_MAX: usize = 28;
/// An app holds so many grants of one user before the oldest is evicted, which would measure
/// something else.
const GRANTS_PER_PAIR: usize = 19;
const CONNECTIONS: usize = 16;

/// Users, apps, and the codes that can still be had from each pair of them.
pub struct People {
    pub apps: Vec<App>,
    /// `Cookie` headers of signed-in users.
    pub cookies: Vec<String>,
    /// Pairs of app and user that have consented, once for each code that is left.
    pairs: VecDeque<(usize, usize)>,
    states: u64,
}

impl People {
    /// So many that `codes` codes can be had.
    pub fn gather(site: &Site, codes: usize) -> Outcome<Self> {
        let users = USERS_MAX;
        let apps = codes.div_ceil(users * GRANTS_PER_PAIR).max(1);
        site.add_user("dev@example.com", Some("developer"))?;
        let mut people =
            Self { apps: Vec::new(), cookies: Vec::new(), pairs: VecDeque::new(), states: 0 };
        for number in 0..apps {
            people.apps.push(site.add_app(&format!("App {number}"), "dev@example.com")?);
        }
        for number in 0..users {
            let email = format!("user{number}@example.com");
            site.add_user(&email, None)?;
            people.cookies.push(sign_in(site, &email)?.cookies());
        }
        people.consent(site)?;
        for _ in 0..GRANTS_PER_PAIR {
            people.pairs.extend((0..apps).flat_map(|app| (0..users).map(move |user| (app, user))));
        }
        Ok(people)
    }

    /// Every user allows every app.
    fn consent(&self, site: &Site) -> Outcome<()> {
        let pairs = || self.apps.iter().flat_map(|app| self.cookies.iter().map(move |c| (app, c)));
        let questions = pairs()
            .enumerate()
            .map(|(at, (app, cookie))| authorize(site, app, cookie, &format!("consent{at}"), ""));
        // Answers come in any order: the page itself must lead back to its user.
        let mut pages = Vec::new();
        for (question, (_, cookie)) in questions.zip(pairs()) {
            let mut collect = Collect::new([question], |answer: &Answer<'_>| consent_form(answer));
            collect_all(site, 1, &mut collect)?;
            let body = collect.found.pop().unwrap_or_default();
            pages.push(form_post(site, "/oauth/consent", cookie, &body));
        }
        let mut decide = Collect::new(pages, code_of);
        collect_all(site, CONNECTIONS, &mut decide)
    }

    /// New codes, with the app each is for.
    pub fn codes(&mut self, site: &Site, count: usize) -> Outcome<Vec<(usize, String)>> {
        let mut apps: Vec<(usize, Vec<u8>)> = Vec::new();
        for _ in 0..count {
            let Some((app, user)) = self.pairs.pop_front() else { break };
            self.states += 1;
            let state = format!("a{app}.{}", self.states);
            let (of_app, cookie) = (self.apps.get(app), self.cookies.get(user));
            let (Some(of_app), Some(cookie)) = (of_app, cookie) else { continue };
            apps.push((app, authorize(site, of_app, cookie, &state, "")));
        }
        let questions: Vec<Vec<u8>> = apps.into_iter().map(|(_, question)| question).collect();
        let mut collect = Collect::new(questions, |answer: &Answer<'_>| {
            let location = answer.headers("location").pop()?;
            location.contains("code=").then_some(location)
        });
        collect_all(site, CONNECTIONS, &mut collect)?;
        let read = |location: &String| {
            // `state` says which app it was.
            let app = parameter(location, "state")?;
            let app = app.strip_prefix('a')?.split('.').next()?.parse().ok()?;
            Some((app, parameter(location, "code")?))
        };
        Ok(collect.found.iter().filter_map(read).collect())
    }

    /// The token request of a code.
    pub fn redeem(&self, site: &Site, app: usize, code: &str) -> Option<Vec<u8>> {
        Some(site.post(
            "/oauth/token",
            &self.apps.get(app)?.basic,
            &[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", CALLBACK),
                ("code_verifier", VERIFIER),
            ],
        ))
    }

    /// Token answers of `count` new grants, with the app each is for.
    pub fn grants(&mut self, site: &Site, count: usize) -> Outcome<Vec<(usize, String)>> {
        let codes = self.codes(site, count)?;
        let mut answers = Vec::new();
        for app in 0..self.apps.len() {
            let of_app = codes.iter().filter(|(of, _)| *of == app);
            let requests = of_app.filter_map(|(_, code)| self.redeem(site, app, code));
            let mut collect = Collect::new(requests, |answer: &Answer<'_>| {
                (answer.status == 200).then(|| answer.text())
            });
            collect_all(site, CONNECTIONS, &mut collect)?;
            answers.extend(collect.found.into_iter().map(|text| (app, text)));
        }
        Ok(answers)
    }
}

/// Runs to the end; a wrong answer is an error.
pub fn collect_all<F: Fn(&Answer<'_>) -> Option<String>>(
    site: &Site,
    connections: usize,
    collect: &mut Collect<F>,
) -> Outcome<()> {
    load::run(site.address, connections, Pace::ToTheEnd, collect)?.check("preparing")
}

/// The authorization request of an app in a signed-in browser. `more` begins with `&`.
pub fn authorize(site: &Site, app: &App, cookie: &str, state: &str, more: &str) -> Vec<u8> {
    let query = wire::form(&[
        ("response_type", "code"),
        ("client_id", &app.client_id),
        ("redirect_uri", CALLBACK),
        ("scope", "items.read items.write"),
        ("state", state),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    let path = format!("/oauth/authorize?{query}{more}");
    wire::request("GET", &path, &site.host, &[("cookie", cookie)], None)
}

/// A browser in which `email` is signed in.
pub fn sign_in<'s>(site: &'s Site, email: &str) -> Outcome<Browser<'s>> {
    let mut browser = Browser::new(site);
    let page = browser.open("/sign-in")?;
    let page = browser.submit(&page, "sign-in", &[("email", email), ("password", PASSWORD)])?;
    match page.status {
        200 => Ok(browser),
        _ => Err(format!("{email} is not let in:\n{}", page.html)),
    }
}

/// The sign-in form, sent `count` times by the users in turn, each time from another address.
pub fn sign_in_forms(site: &Site, count: usize) -> Outcome<Vec<Vec<u8>>> {
    let mut browser = Browser::new(site);
    let page = browser.open("/sign-in")?;
    let cookies = browser.cookies();
    let mut fields = fields_of(&page.html, "sign-in").ok_or("there is no sign-in form")?;
    fields.retain(|(name, _)| name != "email" && name != "password");
    let form = |number: usize| {
        let mut fields = fields.clone();
        fields.push(("email".into(), format!("user{}@example.com", number % USERS_MAX)));
        fields.push(("password".into(), PASSWORD.to_owned()));
        let address = format!("198.18.{}.{}", number / 250, number % 250 + 1);
        let headers = [
            ("cookie", cookies.as_str()),
            ("origin", site.issuer.as_str()),
            ("x-forwarded-for", &address),
        ];
        wire::request("POST", "/sign-in", &site.host, &headers, Some(&encode(&fields)))
    };
    Ok((0..count).map(form).collect())
}

fn form_post(site: &Site, path: &str, cookie: &str, body: &str) -> Vec<u8> {
    let headers = [("cookie", cookie), ("origin", site.issuer.as_str())];
    wire::request("POST", path, &site.host, &headers, Some(body))
}

fn code_of(answer: &Answer<'_>) -> Option<String> {
    parameter(&answer.headers("location").pop()?, "code")
}
