//! Partner keys, made as users make them: an app asks, the user picks permissions on the consent
//! page, sets up an authenticator app on the way, proves with it or with a recovery code that it is
//! them, and the app retrieves the secret.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use serde_json::Value;

use crate::Outcome;
use crate::browser::{Browser, Page};
use crate::people::{CHALLENGE, VERIFIER};
use crate::site::{App, CALLBACK, Site};
use crate::wire;

/// What an app signs with.
#[derive(Clone, Debug)]
pub struct Key {
    pub public: String,
    pub secret: String,
}

/// How an app asks for a key, and how it signs with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RFC 9421
    Message,
    V4,
}

/// The words that the two wire formats have for the same.
struct Words {
    authorize: String,
    token: (&'static str, Vec<(&'static str, &'static str)>),
    /// Of an answer of the token endpoint, of `info` and of the secret.
    access_token: &'static str,
    id: &'static str,
    secret: &'static str,
    keys: &'static str,
    public: &'static str,
}

impl Form {
    pub const fn dialect(self) -> Option<&'static str> {
        match self {
            Self::Message => None,
            Self::V4 => Some("whitebit"),
        }
    }

    fn words(self, app: &App) -> Words {
        let pkce = [
            ("redirect_uri", CALLBACK),
            ("state", "for-a-key"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let query = |own: &[(&str, &str)]| wire::form(&[own, &pkce].concat());
        let id = &*app.client_id;
        match self {
            Self::Message => Words {
                authorize: format!(
                    "/oauth/authorize?{}",
                    query(&[
                        ("response_type", "code"),
                        ("client_id", id),
                        ("scope", "items.read items.write apikeys.create apikeys.read"),
                    ])
                ),
                token: (
                    "/oauth/token",
                    vec![("grant_type", "authorization_code"), ("redirect_uri", CALLBACK)],
                ),
                access_token: "/access_token",
                id: "/external_id",
                secret: "/secret",
                keys: "/oauth/partner-keys",
                public: "partner_key",
            },
            Self::V4 => Words {
                authorize: format!("/auth/login?{}", query(&[("clientId", id)])),
                token: ("/oauth2/token", Vec::new()),
                access_token: "/data/access_token",
                id: "/data/externalId",
                secret: "/data/apiSecret",
                keys: "/oauth2/api-key",
                public: "apiKey",
            },
        }
    }
}

/// A user's phone: codes of an authenticator app work once, so what comes later is proved with
/// recovery codes.
#[derive(Default)]
struct Phone {
    recovery_codes: Vec<String>,
}

/// `count` keys, each of another pair of user and app. `cookies` are those of signed-in users; a
/// second factor may change them.
pub fn make(site: &Site, cookies: &mut [String], count: [usize; 2]) -> Outcome<[Vec<Key>; 2]> {
    let mut phones: Vec<Phone> = cookies.iter().map(|_| Phone::default()).collect();
    let mut made = [Vec::new(), Vec::new()];
    for ((form, count), made) in [Form::Message, Form::V4].into_iter().zip(count).zip(&mut made) {
        let apps = count.div_ceil(cookies.len().max(1));
        for number in 0..apps {
            let app = site.add_key_app(&format!("{form:?} key app {number}"), form.dialect())?;
            for (cookies, phone) in cookies.iter_mut().zip(&mut phones) {
                if made.len() < count {
                    let mut browser = Browser::with_cookies(site, cookies);
                    made.push(key(site, &app, form, &mut browser, phone)?);
                    *cookies = browser.cookies();
                }
            }
        }
    }
    Ok(made)
}

fn key(
    site: &Site,
    app: &App,
    form: Form,
    browser: &mut Browser<'_>,
    phone: &mut Phone,
) -> Outcome<Key> {
    let words = form.words(app);
    let page = browser.open(&words.authorize)?;
    let picked = [("decision", "allow"), ("group", "items")];
    let asked = browser.submit(&page, "consent", &picked)?;
    let back = phone.prove(browser, asked)?;
    let (Some(code), Some(public)) = (back.parameter("code"), back.parameter(words.public)) else {
        return Err(format!("no key comes back: {:?}\n{}", back.left_to, back.html));
    };
    let (path, mut fields) = words.token;
    fields.extend([
        ("client_id", &*app.client_id),
        ("client_secret", &*app.secret),
        ("code", &*code),
        ("code_verifier", VERIFIER),
    ]);
    let request = wire::request("POST", path, &site.host, &[], Some(&wire::form(&fields)));
    let token = text_at(&ask(site, &request)?, words.access_token)?;
    let bearer = format!("Bearer {token}");
    let get = |path: String| {
        let headers = [("authorization", bearer.as_str())];
        ask(site, &wire::request("GET", &path, &site.host, &headers, None))
    };
    let id = text_at(&get(format!("{}/info", words.keys))?, words.id)?;
    let told = get(format!("{}/{id}/secret", words.keys))?;
    Ok(Key { public, secret: text_at(&told, words.secret)? })
}

fn ask(site: &Site, request: &[u8]) -> Outcome<Value> {
    wire::ask(site.address, request, |answer| match answer.status {
        200 => serde_json::from_slice(answer.body).map_err(|error| error.to_string()),
        _ => Err(format!("a key is not made:\n{}", answer.describe())),
    })?
}

fn text_at(value: &Value, pointer: &str) -> Outcome<String> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("there is no {pointer} in {value}"))
}

impl Phone {
    /// From the page that asks for a second factor to where it leads.
    fn prove(&mut self, browser: &mut Browser<'_>, asked: Page) -> Outcome<Page> {
        if let Some(code) = self.recovery_codes.pop() {
            return browser.submit(&asked, "second-factor", &[("code", &code)]);
        }
        let missing = |what: &str, page: &Page| format!("there is no {what}:\n{}", page.html);
        let link = asked.link("set-up-app").ok_or_else(|| missing("way to set one up", &asked))?;
        let page = browser.open(&link)?;
        // The spaces are for the reader.
        let secret = page.text("secret").ok_or_else(|| missing("secret", &page))?.replace(' ', "");
        let added = browser.submit(&page, "add-app", &[("code", &totp(&secret)?)])?;
        self.recovery_codes = recovery_codes(&added.html);
        let link = added.link("stored").ok_or_else(|| missing("way on", &added))?;
        browser.open(&link)
    }
}

fn recovery_codes(html: &str) -> Vec<String> {
    let list = html.split_once("id=\"recovery-codes\"").map_or("", |(_, rest)| rest);
    let list = list.split("</ul>").next().unwrap_or_default();
    let codes = list.split("<code>").skip(1).filter_map(|rest| rest.split('<').next());
    codes.map(|code| code.trim().to_owned()).collect()
}

/// What an authenticator app shows now (RFC 6238) for a secret in base32.
fn totp(secret: &str) -> Outcome<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    code_of_step(&from_base32(secret), since.as_secs() / 30)
}

/// RFC 4226 §5.3
fn code_of_step(secret: &[u8], step: u64) -> Outcome<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let digest = tag.as_ref();
    let offset = digest.last().map_or(0, |byte| usize::from(byte & 0x0f));
    let word = digest.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok());
    let number = u32::from_be_bytes(word.ok_or("a digest is too short")?) & 0x7fff_ffff;
    Ok(format!("{:06}", number % 1_000_000))
}

/// RFC 4648 §6
fn from_base32(text: &str) -> Vec<u8> {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for digit in text.chars().filter_map(|c| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c)) {
        buffer = (buffer << 5) | u32::try_from(digit).unwrap_or_default();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).unwrap_or_default());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, in six digits.
    #[test]
    fn an_authenticator_app_shows_the_codes_of_the_standard() {
        let secret = from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(secret, b"12345678901234567890");
        assert_eq!(code_of_step(&secret, 59 / 30).unwrap(), "287082");
        assert_eq!(code_of_step(&secret, 1_111_111_109 / 30).unwrap(), "081804");
    }

    #[test]
    fn recovery_codes_are_read_from_their_page() {
        let html = r#"<code>no</code><ul id="recovery-codes"><li><code>ABCD-EFGH</code></li>
            <li><code>IJKL-MNOP</code></li></ul><code>no</code>"#;
        assert_eq!(recovery_codes(html), ["ABCD-EFGH", "IJKL-MNOP"]);
    }
}
