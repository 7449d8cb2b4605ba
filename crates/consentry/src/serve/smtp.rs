//! Letters handed to an SMTP server, one conversation each. What the server answers decides whether
//! a letter is tried again.

use std::time::Duration;

use domain::mail::{Letter, NotSent, Post, Sending};
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::config::{MailServer, MailTls};

/// For each command and answer; the whole conversation has a limit too (`server::mail`).
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    /// Fails when a certificate cannot be read. Nothing is connected to yet.
    pub(super) fn new(server: &MailServer) -> Result<Self, lettre::transport::smtp::Error> {
        let tls = match server.tls {
            MailTls::Off => Tls::None,
            MailTls::StartTls => Tls::Required(tls(server)?),
            MailTls::Wrapped => Tls::Wrapper(tls(server)?),
        };
        let domain = server.from.email.domain().to_owned();
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(tls)
            // The machine's name is nobody's business; some servers want a real one.
            .hello_name(ClientId::Domain(domain))
            .timeout(Some(COMMAND_TIMEOUT));
        let builder = match &server.credentials {
            None => builder,
            Some(own) => {
                let password = own.password.as_str().to_owned();
                builder.credentials(Credentials::new(own.username.clone(), password))
            }
        };
        Ok(Self { transport: builder.build(), from: server.from.clone() })
    }

    fn message(&self, letter: Letter) -> Result<(Envelope, Vec<u8>), String> {
        let to: Address = letter.to.parse().map_err(|error| format!("{error}"))?;
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            .message_id(Some(letter.message_id))
            // RFC 3834 §5: nobody's holiday notice should answer.
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(letter.text, letter.html))
            .map_err(|error| error.to_string())?;
        Ok((message.envelope().clone(), message.formatted()))
    }
}

fn tls(server: &MailServer) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    let mut parameters = TlsParameters::builder(server.host.clone());
    if let Some(pem) = &server.ca {
        parameters = parameters.add_root_certificate(Certificate::from_pem(pem)?);
    }
    parameters.build_rustls()
}

impl Post for Smtp {
    fn send(&self, letter: Letter) -> Sending<'_> {
        Box::pin(async move {
            let (envelope, bytes) = self.message(letter).map_err(NotSent::Never)?;
            let sent = self.transport.send_raw(&envelope, &bytes).await;
            sent.map(drop).map_err(|error| not_sent(&error))
        })
    }
}

/// RFC 5321 §4.2.1: 4yz is worth trying again, 5yz is not. But 53z (RFC 4954 §6) is about us: it
/// goes away when the operator corrects the settings.
fn not_sent(error: &lettre::transport::smtp::Error) -> NotSent {
    let code = error.status().map(|code| code.to_string()).unwrap_or_default();
    let text = error.to_string();
    if error.is_permanent() && !code.starts_with("53") {
        NotSent::Never(text)
    } else {
        NotSent::Later(text)
    }
}

#[cfg(test)]
mod tests {
    use testkit::smtp::{Refusal, SmtpServer};
    use zeroize::Zeroizing;

    use super::*;
    use crate::config::MailCredentials;

    fn letter(to: &str, subject: &str) -> Letter {
        Letter {
            message_id: "<1.2@localhost>".to_owned(),
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Grüße.\n.\nA line that begins with a dot.\n".to_owned(),
            html: "<p>Grüße.</p>".to_owned(),
            language: "de".to_owned(),
        }
    }

    fn smtp(server: &SmtpServer, tls: MailTls) -> Smtp {
        let credentials = MailCredentials {
            username: "mailer".to_owned(),
            password: Zeroizing::new("secret".to_owned()),
        };
        Smtp::new(&MailServer {
            host: "127.0.0.1".to_owned(),
            port: server.port,
            tls,
            ca: None,
            credentials: Some(credentials),
            from: "Practice <no-reply@example.com>".parse().unwrap(),
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_letter_arrives_as_it_was_written() {
        let mut server = SmtpServer::start().await;
        smtp(&server, MailTls::Off).send(letter("a@example.com", "Grüße")).await.unwrap();
        let received = server.next().await;
        assert_eq!((&*received.from, &*received.to), ("no-reply@example.com", "a@example.com"));
        // RFC 4616: NUL mailer NUL secret.
        assert_eq!(received.auth.as_deref(), Some("AG1haWxlcgBzZWNyZXQ="));
        assert_eq!(received.header("Message-ID"), "<1.2@localhost>");
        assert_eq!(received.header("Auto-Submitted"), "auto-generated");
        assert_eq!(received.header("From"), "Practice <no-reply@example.com>");
        assert!(received.header("Content-Type").starts_with("multipart/alternative"));
        assert!(received.header("Subject").starts_with("=?utf-8?"), "{}", received.data);
        assert!(received.data.contains("Gr=C3=BC=C3=9Fe."), "{}", received.data);
        assert!(received.data.contains("\n.\nA line"), "a dot is no end: {}", received.data);
    }

    #[tokio::test]
    async fn no_line_of_a_subject_becomes_a_header() {
        let mut server = SmtpServer::start().await;
        let subject = "a\r\nBcc: all@example.com";
        let sent = smtp(&server, MailTls::Off).send(letter("a@example.com", subject)).await;
        if sent.is_ok() {
            let received = server.next().await;
            let mut lines = received.data.lines();
            assert!(!lines.any(|line| line.to_lowercase().starts_with("bcc")), "{}", received.data);
        }
        for to in ["a@example.com\r\nRCPT TO:<b@example.com>", "a@b>, <c@d", "", "a b@example.com"]
        {
            let refused = smtp(&server, MailTls::Off).send(letter(to, "a")).await;
            assert!(matches!(refused, Err(NotSent::Never(_))), "{to:?}: {refused:?}");
        }
        assert!(server.is_empty());
    }

    #[tokio::test]
    async fn what_the_server_answers_decides_whether_a_letter_is_tried_again() {
        let server = SmtpServer::start().await;
        let smtp = smtp(&server, MailTls::Off);
        for (refusal, is_final) in [
            (Refusal::Recipient("450 4.2.1 busy"), false),
            (Refusal::Recipient("550 5.1.1 no such user"), true),
            (Refusal::Data("451 4.3.0 later"), false),
            (Refusal::Data("554 5.7.1 spam"), true),
            // Ours to correct, not the message's fault.
            (Refusal::Auth("535 5.7.8 wrong"), false),
        ] {
            server.refuse_next(refusal.clone());
            let refused = smtp.send(letter("a@example.com", "a")).await.unwrap_err();
            assert_eq!(matches!(refused, NotSent::Never(_)), is_final, "{refusal:?}: {refused}");
            assert!(!refused.to_string().contains("secret"));
        }
        smtp.send(letter("a@example.com", "a")).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_said_to_a_server_without_the_tls_that_was_asked_for() {
        let mut server = SmtpServer::start().await;
        for tls in [MailTls::StartTls, MailTls::Wrapped] {
            let refused = smtp(&server, tls).send(letter("a@example.com", "a")).await.unwrap_err();
            assert!(matches!(refused, NotSent::Later(_)), "{refused}");
        }
        assert!(server.is_empty());
    }
}
