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
