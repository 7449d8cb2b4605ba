//! A small SMTP server (RFC 5321, with AUTH PLAIN): it takes messages or refuses them as it is told,
//! one conversation after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: String,
    pub to: String,
    /// `\0user\0password` in base64, if there was a sign-in.
    pub auth: Option<String>,
    /// Head and body, unstuffed, with bare line ends.
    pub data: String,
}

impl Received {
    /// The value of a header, with its continuation lines.
    pub fn header(&self, name: &str) -> String {
        let (head, _) = self.data.split_once("\n\n").expect("a head and a body");
        let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
        let start = format!("{}: ", name.to_lowercase());
        let found: Vec<_> =
            unfolded.lines().filter(|line| line.to_lowercase().starts_with(&start)).collect();
        assert_eq!(found.len(), 1, "{name} in: {head}");
        found[0][start.len()..].to_owned()
    }
}

/// Where one conversation is refused, and with which answer.
#[derive(Clone, Debug)]
pub enum Refusal {
    Auth(&'static str),
    Recipient(&'static str),
    Data(&'static str),
}

pub struct SmtpServer {
    pub port: u16,
    refusals: Arc<Mutex<VecDeque<Refusal>>>,
    received: mpsc::UnboundedReceiver<Received>,
    refused: mpsc::UnboundedReceiver<Refusal>,
}

impl SmtpServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let refusals = Arc::<Mutex<VecDeque<Refusal>>>::default();
        let (tell_received, received) = mpsc::unbounded_channel();
        let (tell_refused, refused) = mpsc::unbounded_channel();
        let next = Arc::clone(&refusals);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let refusal = next.lock().unwrap().pop_front();
                let (received, refused) = (tell_received.clone(), tell_refused.clone());
                tokio::spawn(async move {
                    let mut talk = Talk { stream: BufReader::new(stream), auth: None };
                    // A client that goes away ends its conversation and nothing else.
                    if let Ok(message) = talk.run(refusal.clone()).await {
                        match (message, refusal) {
                            (Some(message), _) => drop(received.send(message)),
                            (None, Some(refusal)) => drop(refused.send(refusal)),
                            (None, None) => {}
                        }
                    }
                });
            }
        });
        Self { port, refusals, received, refused }
    }

    /// The next conversation is refused; later ones are not.
    pub fn refuse_next(&self, refusal: Refusal) {
        self.refusals.lock().unwrap().push_back(refusal);
    }

    pub async fn next(&mut self) -> Received {
        self.received.recv().await.expect("the server runs")
    }

    /// Wait until a conversation was refused.
    pub async fn refused(&mut self) -> Refusal {
        self.refused.recv().await.expect("the server runs")
    }

    /// Whether anything has arrived that nobody has looked at.
    pub fn is_empty(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

struct Talk {
    stream: BufReader<TcpStream>,
    auth: Option<String>,
}

impl Talk {
    /// `None`: it was refused, or ended without a message.
    async fn run(&mut self, refusal: Option<Refusal>) -> std::io::Result<Option<Received>> {
        let refused = |at: fn(&Refusal) -> Option<&'static str>| refusal.as_ref().and_then(at);
        let auth = refused(|r| if let Refusal::Auth(answer) = r { Some(answer) } else { None });
        let to_answer =
            refused(|r| if let Refusal::Recipient(answer) = r { Some(answer) } else { None });
        let data_answer =
            refused(|r| if let Refusal::Data(answer) = r { Some(answer) } else { None });
        let (mut from, mut to) = (String::new(), String::new());
        self.say("220 test ESMTP").await?;
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
            match verb.to_uppercase().as_str() {
                "EHLO" => self.say("250-test\r\n250-AUTH PLAIN\r\n250 8BITMIME").await?,
                "AUTH" => {
                    self.auth = Some(rest.trim_start_matches("PLAIN ").to_owned());
                    self.say(auth.unwrap_or("235 fine")).await?;
                }
                "MAIL" => {
                    from = address(rest);
                    self.say("250 fine").await?;
                }
                "RCPT" => {
                    to = address(rest);
                    self.say(to_answer.unwrap_or("250 fine")).await?;
                }
                "DATA" => {
                    self.say("354 go on").await?;
                    let data = self.data().await?;
                    self.say(data_answer.unwrap_or("250 taken")).await?;
                    let auth = self.auth.take();
                    return Ok(data_answer.is_none().then_some(Received { from, to, auth, data }));
                }
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(None);
                }
                "" => return Ok(None),
                _ => self.say("502 not here").await?,
            }
        }
    }

    async fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await
    }

    async fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn data(&mut self) -> std::io::Result<String> {
        let mut data = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                return Ok(data);
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push('\n');
        }
    }
}

/// `FROM:<a@b> …`
fn address(rest: &str) -> String {
    let inside = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(address, _)| address.to_owned())
}
