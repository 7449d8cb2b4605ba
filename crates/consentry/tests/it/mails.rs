//! Messages of a served provider, through a real SMTP conversation and beside it.

use testkit::Browser;
use testkit::smtp::{Refusal, SmtpServer};

use crate::served::{Site, stderr, until};

const MAIL_PASSWORD: &str = "mail-password-of-the-test";

fn site(server: &SmtpServer) -> Site {
    let site = Site::new("http://127.0.0.1:1");
    std::fs::write(site.path("smtp.password"), format!("{MAIL_PASSWORD}\n")).unwrap();
    let mail = format!(
        "[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nusername = \"mailer\"\n\
         password_file = \"smtp.password\"\nfrom = \"Test <no-reply@example.com>\"\n\n[brand]",
        server.port
    );
    site.change_config("[brand]", &mail);
    site
}

fn log(site: &Site) -> String {
    std::fs::read_to_string(site.path("stderr")).unwrap()
}

#[tokio::test]
async fn a_message_that_the_mail_server_puts_off_arrives_at_the_next_attempt() {
    let mut server = SmtpServer::start().await;
    let site = site(&server);
    site.add_user("alice@example.com", None).await;
    let _running = site.serve().await;
    server.refuse_next(Refusal::Data("451 4.7.1 try later"));
    let browser = Browser::new(&site.issuer);
    let page = browser.open("/forgotten-password").await;
    browser.submit(&page.form("forgotten").set("email", "alice@example.com")).await;
    server.refused().await;
    let waiting = until("the failure is noted", async || {
        let list = site.command(&["mail", "list"]).await;
        let waiting = list["mails"][0].clone();
        waiting["last_error"].is_string().then_some(waiting)
    })
    .await;
    assert_eq!(
        (&waiting["kind"], &waiting["to"]),
        (&"password_reset".into(), &"alice@example.com".into())
    );
    assert!(waiting["last_error"].as_str().unwrap().contains("451"), "{waiting}");
    assert!(!waiting.to_string().contains("cs_ml_"), "no link: {waiting}");

    let received = server.next().await;
    assert_eq!(received.to, "alice@example.com");
    assert_eq!(received.header("From"), "Test <no-reply@example.com>");
    assert!(received.data.contains("link=3Dcs_ml_"), "{}", received.data);
    until("it waits no more", async || {
        let list = site.command(&["mail", "list"]).await;
        list["mails"].as_array().unwrap().is_empty().then_some(())
    })
    .await;

    let metrics = site.internal("/metrics").await;
    for line in ["outcome=\"sent\"} 1", "outcome=\"retried\"} 1", "outcome=\"given_up\"} 0"] {
        assert!(metrics.contains(&format!("consentry_mails_total{{{line}")), "{metrics}");
    }
    let log = log(&site);
    assert!(log.contains("a message will be tried again"), "{log}");
    for secret in ["cs_ml_", MAIL_PASSWORD] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn a_message_that_the_mail_server_refuses_is_given_up_and_said_so() {
    let mut server = SmtpServer::start().await;
    let site = site(&server);
    let _running = site.serve().await;
    server.refuse_next(Refusal::Recipient("550 5.1.1 no such user"));
    let done = site.run(&["mail", "test", "nobody@example.com"]).await;
    assert!(done.status.success(), "{}", stderr(&done));
    until("it is given up", async || {
        let list = site.command(&["mail", "list"]).await;
        (list["mails"][0]["last_error"].is_string()
            && list["mails"][0]["next_attempt_at"].is_null())
        .then_some(())
    })
    .await;
    let listed = site.run(&["mail", "list"]).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("given up") && listed.contains("550"), "{listed}");
    assert!(log(&site).contains("a message was given up"));

    site.run(&["mail", "test", "a@example.com"]).await;
    assert!(server.next().await.data.contains("This is a test."));
}

#[tokio::test]
async fn without_a_mail_server_nothing_is_sent_and_what_needs_it_says_so() {
    let site = Site::new("http://127.0.0.1:1");
    site.add_user("alice@example.com", None).await;
    let _running = site.serve().await;
    site.signed_in("alice@example.com").await;
    let list = site.command(&["mail", "list"]).await;
    assert_eq!(list["sends_mail"], false);
    assert_eq!(list["mails"][0]["kind"], "new_device", "it waits, and is swept after three days");
    let refused = site.run(&["mail", "test", "a@example.com"]).await;
    assert!(stderr(&refused).contains("no [mail]"), "{}", stderr(&refused));
    let page = Browser::new(&site.issuer).open("/forgotten-password").await;
    assert!(page.html.contains("id=\"no-mail\""), "{}", page.html);
}

#[tokio::test]
async fn an_operators_own_words_are_checked_before_they_are_sent() {
    let mut server = SmtpServer::start().await;
    let site = site(&server);
    site.also_config("templates_dir = \"templates\"");
    let folder = site.path("templates/mails/fr");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("test.txt"), "Subject: Essai\n\n{{ brnad }}\n").unwrap();
    let checked = site.run(&["check"]).await;
    assert_eq!(checked.status.code(), Some(2));
    assert!(stderr(&checked).contains("fr/test.txt"), "{}", stderr(&checked));

    std::fs::write(folder.join("test.txt"), "Subject: Essai\n\nBonjour de {{ brand }}.\n").unwrap();
    site.change_config("[mail]", "[accounts]\nlanguage = \"fr\"\n\n[mail]");
    assert!(site.run(&["check"]).await.status.success());
    let _running = site.serve().await;
    site.run(&["mail", "test", "a@example.com"]).await;
    let received = server.next().await;
    assert_eq!(received.header("Subject"), "Essai");
    assert!(received.data.contains("Bonjour de Test."), "{}", received.data);
}
