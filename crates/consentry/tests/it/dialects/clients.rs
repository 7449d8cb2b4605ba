//! Clients as they are out there: WhiteBIT's published SDK, unmodified but for its base URL, and
//! programs with the habits of each public Bitport client, written from the facts alone. Those in
//! other languages are in `tests/clients`.

use serde_json::Value;
#[cfg(feature = "full-tests")]
use serde_json::json;
use testkit::{Browser, Demo, TestApp};

use super::bitport;
use super::seen::{Seen, authorize_url, call, code_of, post};
use crate::BINARY;
#[cfg(feature = "full-tests")]
use crate::clients::{Program, variable};

/// More than any honest client; a loop gets there in a moment.
const TRIES_MAX: usize = 60;

struct World {
    _demo: Demo,
    user: Browser,
    app: TestApp,
}

async fn drive() -> World {
    let demo = Demo::start(BINARY).await;
    let user = demo.drive.signed_in("bob").await;
    let app = demo.drive.app("web");
    World { _demo: demo, user, app }
}

impl World {
    async fn code(&self) -> String {
        let url =
            authorize_url(&self.app, bitport::AUTHORIZE, &[("client_id", &self.app.client_id)]);
        code_of(&self.app, &self.user, &url).await
    }

    async fn redeem(&self, secret: &str, code: &str) -> Seen {
        let form = [
            ("client_id", &*self.app.client_id),
            ("client_secret", secret),
            ("grant_type", "authorization_code"),
            ("code", code),
        ];
        post(&self.app, bitport::TOKEN, &form).await
    }
}

/// What a typed client expects of the token answer.
struct TypedToken {
    access_token: String,
    expires_in: i32,
    token_type: String,
}

impl TypedToken {
    fn read(body: &Value) -> Option<Self> {
        Some(Self {
            access_token: body["access_token"].as_str()?.to_owned(),
            expires_in: i32::try_from(body["expires_in"].as_i64()?).ok()?,
            token_type: body["token_type"].as_str()?.to_owned(),
        })
    }
}

/// `data` as newer and as older clients read it.
fn first_of(data: &Value) -> &Value {
    data.get(0).unwrap_or(data)
}

#[tokio::test]
async fn a_client_with_the_habits_of_bitports_rust_client_works() {
    let world = drive().await;
    let answer =
        world.redeem(world.app.client_secret.as_deref().unwrap(), &world.code().await).await;
    let token = TypedToken::read(&answer.body).expect("every field, and 32 bits are enough");
    assert!(token.expires_in > 0);
    // The scheme is what the token answer called it.
    let header = format!("{} {}", token.token_type, token.access_token);
    let me = call(&world.app, "GET", "/v2/me", &header).await;
    assert!(first_of(&me.body["data"])["email"].is_string(), "{}", me.text);
    let cloud = call(&world.app, "GET", "/v2/cloud", &header).await;
    let code = first_of(&cloud.body["data"])["files"][0]["code"].as_str().unwrap().to_owned();
    // It reads `Location` and hands the address to a player, which has no token.
    let download = call(&world.app, "GET", &format!("/v2/files/{code}/stream"), &header).await;
    assert_eq!(download.status, 302, "{}", download.text);
    let location = download.text.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let address = url::Url::parse(&world.app.issuer).unwrap().join(location).unwrap();
    let played = world.app.client.get(address).header("range", "bytes=0-9").send().await.unwrap();
    assert_eq!((played.status().as_u16(), played.bytes().await.unwrap().len()), (206, 10));
}

#[tokio::test]
async fn a_client_with_the_habits_of_bitports_csharp_client_tells_success_by_the_token_alone() {
    let world = drive().await;
    // It never looks at the status, and takes a 200 without `access_token` for a failure.
    let failed = world.redeem("wrong", "x").await;
    assert_eq!(failed.status, 200);
    assert!(TypedToken::read(&failed.body).is_none(), "{}", failed.text);
    let secret = world.app.client_secret.clone().unwrap();
    let mut tries = ["nonsense".to_owned(), world.code().await].into_iter();
    let token = loop {
        let answer = world.redeem(&secret, &tries.next().expect("the second try works")).await;
        if let Some(token) = TypedToken::read(&answer.body) {
            break token;
        }
    };
    let me = call(&world.app, "GET", "/v2/me", &format!("Bearer {}", token.access_token)).await;
    assert_eq!(me.body["errors"], Value::Null, "{}", me.text);
}

#[tokio::test]
async fn a_client_that_retries_in_a_tight_loop_is_told_to_wait_and_others_go_on() {
    let world = drive().await;
    let mut answers = 0;
    let stopped = loop {
        let answer = world.redeem("wrong", "x").await;
        answers += 1;
        assert!(answers < TRIES_MAX, "nobody stops it");
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(stopped.status, 429, "{}", stopped.text);
    assert!(stopped.text.contains("\nretry-after: "), "{}", stopped.text);
    let other = world._demo.drive.app("device");
    let url = authorize_url(&other, bitport::AUTHORIZE, &[("client_id", &other.client_id)]);
    let code = code_of(&other, &world.user, &url).await;
    let secret = other.client_secret.clone().unwrap();
    let form = [
        ("client_id", &*other.client_id),
        ("client_secret", &*secret),
        ("grant_type", "authorization_code"),
        ("code", &*code),
    ];
    post(&other, bitport::TOKEN, &form).await.at("/access_token");
}

/// Run a program as `app` against its provider; `user` allows what it asks for.
#[cfg(feature = "full-tests")]
async fn run(program: Program, app: &TestApp, user: &Browser) -> Value {
    let config = json!({
        "base": app.issuer,
        "client_id": app.client_id,
        "client_secret": app.client_secret,
    });
    program.run(&config, app, user).await
}

#[cfg(feature = "full-tests")]
async fn works_at_bitport(program: Program) {
    let world = drive().await;
    let found = run(program, &world.app, &world.user).await;
    assert!(found["email"].as_str().unwrap().contains('@'), "{found}");
    assert_eq!(found["expires_in"], 315_360_000, "{found}");
    assert_eq!(found["first_bytes"], 16, "{found}");
    assert_eq!(found["wrong_secret"], "Invalid Client Secret", "{found}");
}

#[cfg(feature = "full-tests")]
#[tokio::test]
async fn a_python_command_line_client_of_bitport_works() {
    works_at_bitport(Program::python("bitport_cli.py")).await;
}

#[cfg(feature = "full-tests")]
#[tokio::test]
async fn a_javascript_client_of_bitport_works() {
    works_at_bitport(Program::node("bitport.mjs")).await;
}

#[cfg(feature = "full-tests")]
#[tokio::test]
async fn a_go_client_of_bitport_works() {
    works_at_bitport(Program::compiled(&variable("CONSENTRY_TEST_GO_BITPORT"))).await;
}

#[cfg(feature = "full-tests")]
#[tokio::test]
async fn the_published_sdk_of_whitebit_works_with_nothing_but_its_base_url_changed() {
    let demo = Demo::start(BINARY).await;
    let alice = demo.exchange.signed_in("alice").await;
    let app = demo.exchange.app("whitebit-partner");
    let found = run(Program::python("whitebit_sdk.py"), &app, &alice).await;
    assert_eq!(found["library"], "whitebit-python-sdk 1.0.0", "{found}");
    assert_eq!(found["authorize_page"], 200, "{found}");
    assert_eq!(found["expires_in"], json!([300, 300]), "{found}");
    assert_eq!(found["token_type"], "Bearer", "{found}");
    assert!(found["scope"].as_str().unwrap().contains("general,"), "{found}");
    assert_eq!(found["rotated"], true, "{found}");
    for balance in ["spot", "main", "spot_after_refresh"] {
        assert!(found["reads"][balance]["USDT"].is_object(), "{balance}: {found}");
    }
    for read in ["transactions", "converts", "orders", "deals"] {
        assert!(found["reads"][read].is_object(), "{read}: {found}");
    }
    // Each as the exception that the SDK has for it.
    assert_eq!(found["wrong_code"], "UnauthorizedError", "{found}");
    assert_eq!(found["missing_field"], "UnprocessableEntityError", "{found}");
    assert_eq!(found["wrong_refresh_token"], "BadRequestError", "{found}");
}
