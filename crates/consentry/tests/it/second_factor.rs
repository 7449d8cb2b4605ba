//! A person's phone: it makes the second factor that a page asks for, and sets one up when there is
//! none.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::totp;
use testkit::html::tags;
use testkit::{Browser, Page};

/// Codes of an app work once, so what comes later is proved with recovery codes.
#[derive(Default)]
pub struct Phone {
    recovery_codes: Vec<String>,
}

impl Phone {
    /// From the page that asks for a second factor to where it leads.
    pub async fn prove(&mut self, browser: &Browser, asked: Page) -> Page {
        assert_eq!(asked.url.path(), "/step-up", "{}", asked.html);
        if let Some(code) = self.recovery_codes.pop() {
            return browser.submit(&asked.form("second-factor").set("code", &code)).await;
        }
        let page = browser.open(&link(&asked, "set-up-app")).await;
        let secret = text_of(&page, "secret");
        let code = totp::code(&from_base32(&secret), seconds_now() / 30);
        let added = browser.submit(&page.form("add-app").set("code", &code)).await;
        let codes = tags(&added.html);
        let start = codes.iter().position(|tag| tag.attribute("id") == Some("recovery-codes"));
        let codes = codes[start.expect("recovery codes")..].iter();
        let codes = codes.take_while(|tag| tag.name != "/ul").filter(|tag| tag.name == "code");
        self.recovery_codes = codes.map(|tag| tag.text.trim().to_owned()).collect();
        browser.open(&link(&added, "stored")).await
    }
}

fn link(page: &Page, id: &str) -> String {
    let tags = tags(&page.html);
    let found = tags.iter().find(|tag| tag.attribute("id") == Some(id));
    let found = found.unwrap_or_else(|| panic!("no link {id} in {}", page.html));
    found.attribute("href").unwrap().to_owned()
}

fn text_of(page: &Page, id: &str) -> String {
    let tags = tags(&page.html);
    let found = tags.iter().find(|tag| tag.attribute("id") == Some(id));
    found.unwrap_or_else(|| panic!("no {id} in {}", page.html)).text.clone()
}

/// RFC 4648 §6, without padding; spaces are for the reader.
fn from_base32(text: &str) -> Vec<u8> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes().filter(|byte| *byte != b' ') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => panic!("not base32: {text}"),
        };
        held = (held << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    bytes
}

#[expect(clippy::disallowed_methods, reason = "the program under test has the machine's clock")]
fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
