//! Registering an app question by question, the kinds that there are, and its logo.

use std::io::Cursor;

use domain::app::{AppKind, AppStatus};
use domain::id::LogoId;
use domain::policy::{Developers, Registration};
use domain::user::Role;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use image::{ImageFormat, Rgb, RgbImage};
use protocol::redirect_uri::RedirectPolicy;

use crate::forms::{assert_done, find_app, submit};
use crate::harness::{Answer, Browser, TestApp};
use crate::my_apps::{apps_of, developer, live_app, with};
use crate::teams::{add_member, make_team};

/// Press a button of a page, with what is typed in its visible fields; the hidden ones go along.
async fn press(browser: &Browser<'_>, page: &Answer, typed: &[(&str, &str)], go: &str) -> Answer {
    let text = page.text();
    let (_, form) = text.split_once("id=\"new-app\"").unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    let mut fields: Vec<(String, String)> = Vec::new();
    for tag in form.split('<').filter(|tag| tag.starts_with("input type=\"hidden\"")) {
        let attribute = |name: &str| {
            let (_, rest) = tag.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().replace("&quot;", "\"").replace("&amp;", "&")
        };
        fields.push((attribute(" name"), attribute(" value")));
    }
    fields.retain(|(name, _)| name != "csrf");
    let typed = typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    fields.extend(typed.chain([("go".to_owned(), go.to_owned())]));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    submit(browser, "/apps/new", &fields).await
}

fn asks(page: &Answer, question: &str) -> bool {
    page.text().contains(&format!("name=\"step\" value=\"{question}\""))
}

#[tokio::test]
async fn one_question_a_step_leads_to_the_same_app_and_keeps_every_answer() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let page = browser.get("/apps/new").await;
    assert!(asks(&page, "kind"));
    let page = press(&browser, &page, &[("kind", "native")], "next").await;
    assert!(asks(&page, "format"), "{}", page.text());
    let page = press(&browser, &page, &[("wire", "standard")], "next").await;
    assert!(asks(&page, "redirects"));
    let bad = [("redirect_uris", "http://night.example/cb")];
    let page = press(&browser, &page, &bad, "next").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(asks(&page, "redirects") && page.text().contains("Line 1"), "{}", page.text());
    assert!(!page.text().contains("name-error"), "nothing is said of questions to come");
    let good = [("redirect_uris", "https://night.example/cb\r\ncom.example.night:/back")];
    let page = press(&browser, &page, &good, "next").await;
    assert!(asks(&page, "about"));
    let named = [("name", "Night \"Trader\" & Co"), ("description", "Trades.\r\nAt night.")];
    let page = press(&browser, &page, &named, "next").await;
    assert!(asks(&page, "links"));
    let page = press(&browser, &page, &[("homepage", "https://night.example/")], "next").await;
    assert!(asks(&page, "scopes"));
    let back = press(&browser, &page, &[], "back").await;
    assert!(asks(&back, "links") && back.text().contains("value=\"https://night.example/\""));
    let wants = [("scope", "orders.read"), ("purpose.orders.read", ""), ("go_on", "")];
    let wrong = press(&browser, &page, &wants, "next").await;
    assert!(asks(&wrong, "scopes") && wrong.text().contains("Say in a sentence"));
    let wants = [("scope", "orders.read"), ("purpose.orders.read", "To show them.")];
    let page = press(&browser, &page, &wants, "next").await;
    assert!(asks(&page, "check") && page.text().contains("“To show them.”"), "{}", page.text());
    let all = press(&browser, &page, &[], "all").await;
    assert_eq!(all.status, StatusCode::OK);
    assert!(all.text().contains("To show them.") && all.text().contains("com.example.night"));
    let made = press(&browser, &page, &[], "register").await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let made = apps_of(&app, &dev).await.remove(0);
    assert_eq!((made.kind, made.name.as_str()), (AppKind::Native, "Night \"Trader\" & Co"));
    assert_eq!(made.description, "Trades.\nAt night.");
    assert_eq!(
        (made.redirect_uris.len(), made.requested[0].purpose.as_str()),
        (2, "To show them.")
    );
}

#[tokio::test]
async fn a_device_and_a_service_are_not_asked_where_users_come_back_to() {
    let app = TestApp::start_with(|policy| policy.dialects.clear()).await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    for kind in ["device", "service"] {
        let page = browser.get("/apps/new").await;
        let page = press(&browser, &page, &[("kind", kind)], "next").await;
        assert!(asks(&page, "about"), "{kind}");
        assert!(asks(&press(&browser, &page, &[("name", "x")], "back").await, "kind"));
    }
}

#[tokio::test]
async fn a_device_lets_users_in_by_codes_alone_and_an_agent_like_an_app_on_the_users_machine() {
    let app = TestApp::start().await;
    app.change_policy(|policy| policy.registration = Registration::Live);
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let device = [("kind", "device"), ("name", "Living Room")];
    let refused = submit(&browser, "/apps/new", &with(&device)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("A device has no browser"), "{}", refused.text());
    let fields = with(&[("kind", "device"), ("name", "Living Room"), ("redirect_uris", "")]);
    assert_eq!(submit(&browser, "/apps/new", &fields).await.status, StatusCode::SEE_OTHER);
    let uris = "http://127.0.0.1/cb\nhttps://agent.example/cb";
    let fields = with(&[("kind", "agent"), ("name", "Desk Agent"), ("redirect_uris", uris)]);
    assert_eq!(submit(&browser, "/apps/new", &fields).await.status, StatusCode::SEE_OTHER);
    let made = apps_of(&app, &dev).await;
    let of = |kind| made.iter().find(|app| app.kind == kind).unwrap();
    for kind in [AppKind::Device, AppKind::Agent] {
        let id = of(kind).client_id.as_str();
        let fields = [("client_id", id), ("scope", "orders.read")];
        let started = app.post("/oauth/device_authorization", &[], &fields).await;
        assert_eq!(started.status, StatusCode::OK, "{kind:?}");
    }
    assert!(!AppKind::Agent.is_confidential() && !AppKind::Device.is_confidential());
    assert_eq!(AppKind::Agent.redirect_policy(), RedirectPolicy::Native);
    let alice = app.add_user("alice", &[]).await;
    let person = app.signed_in(&alice).await;
    let authorize = |id: &str, uri: &str| {
        format!(
            "/oauth/authorize?response_type=code&client_id={id}&redirect_uri={uri}&state=x\
             &code_challenge={}&code_challenge_method=S256",
            crate::harness::CHALLENGE
        )
    };
    let agent =
        person.get(&authorize(&of(AppKind::Agent).client_id, "http://127.0.0.1:4711/cb")).await;
    assert_eq!(agent.status, StatusCode::OK, "{}", agent.text());
    let device = person.get(&authorize(&of(AppKind::Device).client_id, "https://x.example/")).await;
    assert_eq!(device.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_name_like_a_live_apps_is_flagged_once_and_one_like_ours_is_refused() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |app| app.name = "Trading Bot".to_owned()).await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let alike = with(&[("name", "Tradlng  B0t".trim())]);
    let fields = with(&[("name", "Tradlng B0t")]);
    assert_eq!(alike.len(), fields.len());
    let flagged = submit(&browser, "/apps/new", &fields).await;
    assert_eq!(flagged.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = flagged.text();
    assert!(
        page.contains("id=\"alike\"") && page.contains("<strong>Trading Bot</strong>"),
        "{page}"
    );
    assert_eq!(flagged.hidden("alike_seen"), "Tradlng B0t");
    let fields = with(&[("name", "Tradlng B0t"), ("alike_seen", "Tradlng B0t")]);
    assert_eq!(submit(&browser, "/apps/new", &fields).await.status, StatusCode::OK);
    let fields = with(&[("name", "Test Exchange Bot"), ("alike_seen", "Test Exchange Bot")]);
    let refused = submit(&browser, "/apps/new", &fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(apps_of(&app, &dev).await.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_said_while_it_is_typed() {
    let app = TestApp::start().await;
    app.add_app("bot", AppKind::Web, |app| app.name = "Trading Bot".to_owned()).await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let uris = "kind=web&redirect_uris=https%3A%2F%2Fa.example%2Fcb%0Ahttp%3A%2F%2Fb.example%2F";
    let told = browser.get(&format!("/apps/new/check?{uris}")).await.json();
    assert_eq!(told["redirect_lines"][0]["line"], 2);
    assert!(told["redirect_lines"][0]["reason"].as_str().unwrap().len() > 10, "{told}");
    assert!(told["name"].is_null());
    let told = browser.get("/apps/new/check?name=Trading+B0t").await.json();
    assert!(told["name"].as_str().unwrap().contains("“Trading Bot”"), "{told}");
    let told = browser.get("/apps/new/check?name=Test+Exchange").await.json();
    assert!(told["name"].as_str().unwrap().contains("users would take the app for ours"), "{told}");
    let told = browser.get("/apps/new/check?name=Night+Desk").await.json();
    assert!(told["name"].is_null() && told["redirect_uris"].is_null());
    let page = browser.get("/apps/new").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("connect-src 'self'") && !policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn an_app_is_registered_for_a_team_by_whoever_is_in_it() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let ann = app.add_user("ann", &[Role::Developer]).await;
    let team = make_team(&app, &ann, "Night Desk").await;
    let id = team.id.to_string();
    let browser = app.signed_in(&dev).await;
    let refused = submit(&browser, "/apps/new", &with(&[("owner", &id)])).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    add_member(&app, &team, &dev, domain::team::TeamRole::Member).await;
    let page = browser.get(&format!("/apps/new?view=all&owner={id}")).await.text();
    assert!(page.contains(&format!("name=\"owner\" value=\"{id}\" checked")), "{page}");
    let made = submit(&browser, "/apps/new", &with(&[("owner", &id)])).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    let made = apps_of(&app, &dev).await.remove(0);
    assert_eq!((made.team, made.publisher.as_str()), (Some(team.id), "Night Desk"));
    let page = app.signed_in(&ann).await.get("/apps").await.text();
    assert!(page.contains("Night Trader"), "{page}");
}

#[tokio::test]
async fn who_may_register_is_the_operators_choice() {
    let app = TestApp::start().await;
    let alice = app.add_user("alice", &[]).await;
    let dev = developer(&app).await;
    let rita = app.add_user("rita", &[Role::Reviewer]).await;
    let may = async |developers| {
        app.change_policy(|policy| policy.accounts.developers = developers);
        let mut answers = Vec::new();
        for user in [&alice, &dev, &rita] {
            answers.push(app.signed_in(user).await.get("/apps/new").await.status.as_u16());
        }
        answers
    };
    assert_eq!(may(Developers::Invited).await, [403, 200, 403]);
    assert_eq!(may(Developers::Verified).await, [403, 200, 403]);
    assert_eq!(may(Developers::Anyone).await, [200, 200, 200]);
    assert_eq!(may(Developers::StaffOnly).await, [403, 403, 200]);
    let browser = app.signed_in(&dev).await;
    assert_eq!(browser.get("/apps").await.status, StatusCode::OK, "what there is stays theirs");
}

fn picture(color: [u8; 3]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(40, 20, Rgb(color));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A form with a file, as browsers send one.
async fn upload(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)], file: &[u8]) -> Answer {
    let csrf = browser.csrf();
    let mut body = Vec::new();
    for (name, value) in fields.iter().chain([&("csrf", csrf.as_str())]) {
        let part =
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}");
        body.extend_from_slice(part.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    let head = "--xyz\r\nContent-Disposition: form-data; name=\"logo\"; filename=\"a.png\"\r\n\
                Content-Type: image/png\r\n\r\n";
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--xyz--\r\n");
    let request = Request::post(path)
        .header("host", "localhost:8400")
        .header(CONTENT_TYPE, "multipart/form-data; boundary=xyz");
    browser.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_logo_is_drawn_again_shown_to_its_developer_and_to_users_of_a_verified_brand() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let path = format!("/apps/{}", client.app.id);
    let sent = upload(&browser, &format!("{path}/logo"), &[], &picture([200, 0, 0])).await;
    assert_done(&sent, &format!("{path}?done=revision-to-review"));
    let waiting = find_app(&app, client.app.id).await.unwrap();
    assert!(waiting.is_live() && waiting.awaits_review() && waiting.logo.is_none());
    let logo: LogoId = waiting.latest_revision().logo.unwrap();
    let src = format!("/logos/{logo}");
    assert!(browser.get(&path).await.text().contains(&src), "its developer sees it at once");
    let rita = app.add_user("rita", &[Role::Reviewer]).await;
    let review = app.signed_in(&rita).await.get(&format!("/staff/review/{}", client.app.id)).await;
    let after = format!("src=\"{src}\" alt=\"after\"");
    assert!(review.text().contains(&after), "as a picture: {}", review.text());
    let image = app.get(&src).await;
    assert_eq!(image.header("content-type"), Some("image/png"));
    assert_eq!(image.header("x-content-type-options"), Some("nosniff"));
    assert!(image.header("content-security-policy").unwrap().contains("sandbox"));
    let drawn = image::load_from_memory(&image.body).unwrap();
    assert_eq!((drawn.width(), drawn.height()), (256, 256));
    let alice = app.add_user("bob", &[]).await;
    let person = app.signed_in(&alice).await;
    let authorize = client.authorize_path(&[]);
    assert!(!person.get(&authorize).await.text().contains("/logos/"), "nobody has looked at it");
    let now = app.provider.now();
    let scopes = waiting.requested_scopes();
    let approved = waiting.approve(&scopes, rita.id, now).unwrap();
    app.save_app(approved.clone()).await;
    assert!(!person.get(&authorize).await.text().contains("/logos/"), "the brand is not verified");
    app.save_app(approved.verify_brand(rita.id, now)).await;
    assert!(person.get(&authorize).await.text().contains(&src));
    let removed = submit(&browser, &format!("{path}/logo"), &[("remove", "yes")]).await;
    assert_done(&removed, &format!("{path}?done=app-saved"));
    assert_eq!(app.get(&src).await.status, StatusCode::NOT_FOUND, "nobody needs it any more");
}

#[tokio::test]
async fn what_is_no_logo_is_refused_beside_the_field() {
    let app = TestApp::start().await;
    let (browser, client, _) = live_app(&app).await;
    let path = format!("/apps/{}/logo", client.app.id);
    for (file, why) in [
        (&b"<svg onload='alert(1)'>"[..], "Use a PNG, JPEG or WebP image."),
        (&vec![7; 600 * 1024][..], "Use a file of at most 512 KiB."),
        (&b""[..], "Choose a file."),
    ] {
        let refused = upload(&browser, &path, &[], file).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
        let page = refused.text();
        assert!(page.contains("id=\"logo-error\"") && page.contains(why), "{page}");
    }
    assert!(find_app(&app, client.app.id).await.unwrap().latest_revision().logo.is_none());
    let mallory = app.add_user("mallory", &[Role::Developer]).await;
    let other = app.signed_in(&mallory).await;
    let refused = upload(&other, &path, &[], &picture([1, 2, 3])).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_app_is_registered_with_its_logo_and_a_wrong_one_loses_nothing_that_was_typed() {
    let app = TestApp::start().await;
    let dev = developer(&app).await;
    let browser = app.signed_in(&dev).await;
    let wrong = upload(&browser, "/apps/new", &with(&[]), b"no image").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = wrong.text();
    assert!(page.contains("id=\"logo-error\"") && page.contains("To show your orders."), "{page}");
    assert!(apps_of(&app, &dev).await.is_empty());
    let made = upload(&browser, "/apps/new", &with(&[]), &picture([0, 0, 200])).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    let made = apps_of(&app, &dev).await.remove(0);
    assert_eq!(made.status, AppStatus::InReview);
    let image = app.get(&format!("/logos/{}", made.logo.unwrap())).await;
    assert_eq!(image.status, StatusCode::OK);
}
