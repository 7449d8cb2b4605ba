//! A person's phone: it makes the second factor that a page asks for, and sets one up when there is
//! none.

use protocol::totp;
use testkit::html::tags;
use testkit::{Browser, Page};

use crate::second_factors::{from_base32, step_now};

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
        // The spaces are for the reader.
        let secret = text_of(&page, "secret").replace(' ', "");
        let code = totp::code(&from_base32(&secret), step_now());
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
