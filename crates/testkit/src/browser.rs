//! A person with a browser: keeps cookies, follows redirects only within the provider, fills in
//! forms as they stand on the page.

use reqwest::header::LOCATION;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::html::Form;

/// One browser of one person at one provider.
pub struct Browser {
    client: Client,
    base: Url,
}

/// What the browser ended on: a page of the provider, or a redirect away from it.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub html: String,
    /// Where the provider sent the browser, when that is not the provider itself.
    pub left_to: Option<Url>,
}

impl Page {
    #[track_caller]
    pub fn form(&self, id: &str) -> Form {
        Form::find(&self.html, id).unwrap_or_else(|| {
            panic!("no form {id} on {} ({}):\n{}", self.url, self.status, self.html)
        })
    }

    /// The redirect away from the provider.
    #[track_caller]
    pub fn callback(&self) -> Url {
        self.left_to
            .clone()
            .unwrap_or_else(|| panic!("still on {} ({}):\n{}", self.url, self.status, self.html))
    }

    /// A parameter of the redirect away from the provider.
    pub fn callback_parameter(&self, name: &str) -> Option<String> {
        let url = self.callback();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Browser {
    pub fn new(issuer: &str) -> Self {
        let client = Client::builder()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { client, base: Url::parse(issuer).unwrap() }
    }

    pub async fn open(&self, path_or_url: &str) -> Page {
        let url = self.base.join(path_or_url).unwrap();
        self.follow(url.clone(), self.client.get(url).send().await.unwrap()).await
    }

    /// Send `form` as its page would.
    pub async fn submit(&self, form: &Form) -> Page {
        let url = self.base.join(&form.action).unwrap();
        let request = self.client.post(url.clone()).form(&form.fields);
        let request = request.header("origin", self.base.origin().ascii_serialization());
        self.follow(url, request.send().await.unwrap()).await
    }

    /// Sign in as a person would, from the sign-in page.
    pub async fn sign_in(&self, email: &str, password: &str) -> Page {
        let page = self.open("/sign-in").await;
        self.sign_in_on(&page, email, password).await
    }

    /// Fill in the sign-in form that `page` shows.
    pub async fn sign_in_on(&self, page: &Page, email: &str, password: &str) -> Page {
        let form = page.form("sign-in").set("email", email).set("password", password);
        self.submit(&form).await
    }

    async fn follow(&self, mut url: Url, mut response: Response) -> Page {
        for _ in 0..10 {
            let status = response.status();
            let Some(location) =
                response.headers().get(LOCATION).filter(|_| status.is_redirection())
            else {
                let html = response.text().await.unwrap();
                return Page { url, status, html, left_to: None };
            };
            let target = url.join(location.to_str().unwrap()).unwrap();
            if target.origin() != self.base.origin() {
                return Page { url, status, html: String::new(), left_to: Some(target) };
            }
            url = target;
            response = self.client.get(url.clone()).send().await.unwrap();
        }
        panic!("more than ten redirects, last to {url}");
    }
}
