//! An API that does what a test tells it by the path: answer, answer when it is let, never, or half.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub struct Upstream {
    pub url: String,
    /// A call of `/api/held` has come.
    pub came: Arc<Notify>,
    /// Lets one call of `/api/held` go on, or one of `/api/half` break off.
    pub release: Arc<Notify>,
    /// Of every request so far.
    pub heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (came, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (told, waits, seen) = (Arc::clone(&came), Arc::clone(&release), Arc::clone(&heads));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (told, waits, seen) = (told.clone(), waits.clone(), seen.clone());
                tokio::spawn(answer(stream, told, waits, seen));
            }
        });
        Self { url, came, release, heads, task }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request per connection. A peer that goes is nothing to complain of.
async fn answer(
    mut stream: TcpStream,
    came: Arc<Notify>,
    release: Arc<Notify>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heads.lock().unwrap().push(head.clone());
    let path = head.split(' ').nth(1).unwrap_or_default();
    let length = match path {
        "/api/held" => {
            came.notify_one();
            release.notified().await;
            4
        }
        "/api/silent" => {
            // Until the gateway gives up and closes.
            let _ = stream.read_u8().await;
            return;
        }
        // Twice as much as comes.
        "/api/half" => 8,
        _ => 4,
    };
    let answer =
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\ndone");
    let _ = stream.write_all(answer.as_bytes()).await;
    if path == "/api/half" {
        release.notified().await;
    }
    let _ = stream.shutdown().await;
}
