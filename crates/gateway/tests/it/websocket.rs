//! WebSockets pass, and end with the access (attacks G4 and G9).

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::upstream::{Echo, Manual};
use crate::world::{HOST, PATIENCE, World};

/// Sends every message back.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut socket = accept_async(stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn open(world: &World) -> WebSocketStream<TcpStream> {
    let mut request = format!("ws://{HOST}/api/v4/stream").into_client_request().unwrap();
    let token = format!("Bearer {}", world.token("orders.read"));
    request.headers_mut().insert("authorization", token.parse().unwrap());
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (socket, answer) = client_async(request, stream).await.unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

async fn says(socket: &mut WebSocketStream<TcpStream>, text: &str) -> bool {
    if socket.send(Message::text(text)).await.is_err() {
        return false;
    }
    let next = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time");
    matches!(next, Some(Ok(message)) if message.to_text().ok() == Some(text))
}

/// The other side has gone without a word.
async fn ends(mut socket: WebSocketStream<TcpStream>) {
    let next = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time");
    assert!(!matches!(next, Some(Ok(_))), "{next:?}");
}

#[tokio::test]
async fn a_websocket_passes_both_ways() {
    let world = World::new(echo().await).await;
    let mut socket = open(&world).await;
    assert!(says(&mut socket, "one").await);
    assert!(says(&mut socket, &"two".repeat(10_000)).await);
    world.authority.tell();
    assert!(says(&mut socket, "three").await);
}

#[tokio::test]
async fn a_websocket_needs_the_scopes_of_its_route() {
    let world = World::new(echo().await).await;
    let token = world.token("orders.create");
    let answer = world
        .raw(&format!(
            "GET /api/v4/stream HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\
             Connection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn a_websocket_is_cut_when_the_access_is_taken_back_g9() {
    let steps: [fn(&World); 4] = [
        |world| world.authority.revoke_grant(),
        |world| world.authority.revoke_token(),
        |world| world.authority.cut_feed(),
        |world| {
            world.clock.advance(Duration::from_secs(600));
            world.authority.tell();
        },
    ];
    for step in steps {
        let world = World::new(echo().await).await;
        let mut socket = open(&world).await;
        assert!(says(&mut socket, "one").await);
        step(&world);
        ends(socket).await;
    }
}

#[tokio::test]
async fn a_silent_websocket_is_given_up_g11() {
    let world = World::with_resource(echo().await, |resource| {
        resource.upstream.as_mut().unwrap().idle_timeout = Duration::from_millis(150);
    })
    .await;
    let mut socket = open(&world).await;
    assert!(says(&mut socket, "one").await);
    ends(socket).await;
}

#[tokio::test]
async fn closing_the_streams_ends_websockets() {
    let world = World::new(echo().await).await;
    let mut socket = open(&world).await;
    assert!(says(&mut socket, "one").await);
    world.gateway.close_streams().await;
    ends(socket).await;
}

#[tokio::test]
async fn what_passes_through_a_tunnel_is_not_read_as_http() {
    const LINES: &str = "A\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let mut client = world.connect().await;
    let asked = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    client.send(&world.head("GET /api/v4/stream", asked)).await;
    let mut peer = upstream.accept().await;
    peer.head().await;
    let agreed = "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    peer.send(&format!("HTTP/1.1 101 Switching Protocols\r\n{agreed}")).await;
    client.until("\r\n\r\n").await;
    client.send(LINES).await;
    assert_eq!(peer.head().await, LINES.to_lowercase());
}

#[tokio::test]
async fn an_upgrade_that_was_not_asked_for_does_not_happen_g4() {
    let world = World::new(Echo::start().await.address).await;
    let not_asked = "Upgrade: websocket\r\nConnection: close\r\n";
    let answer = world.raw(&world.head("GET /api/v4/stream", not_asked)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("\"upgrade\""), "{answer}");

    let mut upstream = Manual::start().await;
    let world = World::new(upstream.address).await;
    let switching = async {
        let mut peer = upstream.accept().await;
        let head = peer.head().await;
        assert!(!head.contains("\r\nupgrade:"), "{head}");
        peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await;
        peer
    };
    let (answer, _peer) = tokio::join!(world.get("/api/v4/stream"), switching);
    assert_eq!(answer.status, 502);
}
