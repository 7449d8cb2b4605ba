//! Where calls may lead, and how much of an answer is taken.

use std::sync::Mutex;
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that says `answer` to whoever comes, and how many came.
async fn server(answer: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let told = heard.clone();
    tokio::spawn(async move {
        // They stay open: whoever waits for more waits.
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            told.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
            open.push(stream);
        }
    });
    (address, heard)
}

/// Names lead to `answers`, one list for each look-up.
fn network(answers: &[&[&str]]) -> (Network, Arc<Mutex<usize>>) {
    let answers: Vec<Vec<String>> =
        answers.iter().map(|list| list.iter().map(|text| (*text).to_owned()).collect()).collect();
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let look_up = move |_, port| {
        let mut count = count.lock().unwrap();
        let list = answers.get(*count).cloned().unwrap_or_default();
        *count += 1;
        let list = list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        let answered: BoxFuture<'static, io::Result<Vec<SocketAddr>>> =
            Box::pin(std::future::ready(Ok(list)));
        answered
    };
    (Network::looking_up(Box::new(look_up)), asked)
}

fn get(url: &str, reach: Reach) -> Call {
    Call::get(Url::parse(url).unwrap(), reach)
}

fn not_allowed(what: &str) -> Option<OutboundError> {
    Some(OutboundError::NotAllowed(what.to_owned()))
}

#[tokio::test]
async fn an_operators_own_machine_is_asked_without_tls_and_answers() {
    let (address, heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let (network, _) = network(&[&["127.0.0.1"]]);
    let url = format!("http://localhost:{}/a?b=c", address.port());
    let reply = network.send(get(&url, Reach::Configured)).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"hi"[..]));
    let request = heard.lock().unwrap()[0].to_lowercase();
    assert!(request.starts_with("get /a?b=c http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: localhost:{}\r\n", address.port())), "{request}");
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_told_apart_from_a_server_that_does_not_answer() {
    let (nowhere, _) = network(&[&[]]);
    let failed = nowhere.send(get("https://no.example.com/", Reach::Public)).await.err();
    assert!(matches!(failed, Some(OutboundError::Unresolved(_))), "{failed:?}");
}

#[tokio::test]
async fn f1_addresses_inside_are_not_called_for_anyone_but_the_operator() {
    let (address, heard) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (plain, _) = network(&[]);
    let url = format!("http://127.0.0.1:{}/", address.port());
    assert_eq!(plain.send(get(&url, Reach::Public)).await.err(), not_allowed("http"));
    for (url, inside) in [
        ("https://127.0.0.1/", "127.0.0.1"),
        ("https://2130706433/", "127.0.0.1"),
        ("https://0x7f.1/", "127.0.0.1"),
        ("https://[::1]/", "::1"),
        ("https://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254"),
    ] {
        assert_eq!(plain.send(get(url, Reach::Public)).await.err(), not_allowed(inside), "{url}");
    }
    // One address inside among others, and a name that leads inside.
    let (mixed, _) = network(&[&["93.184.216.34", "10.1.2.3"], &["127.0.0.1"]]);
    let call = || get("https://evil.example/", Reach::Public);
    assert_eq!(mixed.send(call()).await.err(), not_allowed("10.1.2.3"));
    assert_eq!(mixed.send(call()).await.err(), not_allowed("127.0.0.1"));
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn f1_a_name_is_looked_up_once_and_what_was_looked_at_is_called() {
    // A second answer would lead inside; nobody asks for it.
    let (network, asked) = network(&[&["192.0.2.1", "10.0.0.1"], &["127.0.0.1"]]);
    let call = get("https://rebinding.example/", Reach::Public);
    assert_eq!(network.send(call).await.err(), not_allowed("192.0.2.1"));
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[tokio::test]
async fn f1_a_redirect_is_an_answer_like_another_and_is_not_followed() {
    let redirect =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (address, heard) = server(redirect).await;
    let (network, _) = network(&[]);
    let url = format!("http://127.0.0.1:{}/", address.port());
    let reply = network.send(get(&url, Reach::Configured)).await.unwrap();
    assert_eq!(reply.status, StatusCode::FOUND);
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn f1_an_answer_is_bounded_in_bytes_and_in_time() {
    let (address, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789").await;
    let (network, _) = network(&[]);
    let url = format!("http://127.0.0.1:{}/", address.port());
    let short = Call { answer_bytes_max: 8, ..get(&url, Reach::Configured) };
    assert_eq!(network.send(short).await.err(), Some(OutboundError::TooLong));
    let (silent, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123").await;
    let url = format!("http://127.0.0.1:{}/", silent.port());
    let patient = Call { timeout: Duration::from_millis(50), ..get(&url, Reach::Configured) };
    assert_eq!(network.send(patient).await.err(), Some(OutboundError::Timeout));
}

#[tokio::test]
async fn plain_http_leads_to_this_machine_and_nowhere_else() {
    let (network, _) = network(&[&["10.0.0.1"]]);
    let far = network.send(get("http://login.example/", Reach::Configured)).await;
    assert_eq!(far.err(), not_allowed("http"));
    let named = network.send(get("http://localhost/", Reach::Configured)).await;
    assert_eq!(named.err(), not_allowed("10.0.0.1"));
}
