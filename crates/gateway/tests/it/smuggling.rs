//! Attacks G3, G4 and the client's side of G11, byte by byte against a real listener.

use std::time::Duration;

use gateway::ConnectionLimits;
use http::StatusCode;

use crate::upstream::Echo;
use crate::world::{HOST, World};

/// What follows would be a request of its own if the framing were misread.
const SMUGGLED: &str = "GET /api/v4/smuggled HTTP/1.1\r\nHost: pages.test:8400\r\n\r\n";

/// Sends it, and expects one refusal and a closed connection.
async fn is_refused(world: &World, request: &str) {
    let answer = world.raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{request:?} got {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{request:?} got {answer:?}");
}

#[tokio::test]
async fn a_request_with_two_framings_is_refused_and_the_connection_closed_g3() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let framings = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "transfer-encoding: chunked\r\nX-Other: 1\r\ncontent-length: 0\r\n",
    ];
    for framing in framings {
        let head = world.head("POST /api/v4/orders/1", framing);
        is_refused(&world, &format!("{head}0\r\n\r\n{SMUGGLED}")).await;
    }
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn two_framings_are_found_behind_earlier_requests_too_g3() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let two = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let bad = world.head("POST /api/v4/orders/1", two) + "0\r\n\r\n" + SMUGGLED;
    let length = world.head("POST /api/v4/orders/1", "Content-Length: 4\r\n") + "\r\n\r\n";
    let chunked = world.head("POST /api/v4/orders/1", "Transfer-Encoding: chunked\r\n")
        + "5;note=\"a\"\r\nab\r\nc\r\n0\r\nTrailer: x\r\n\r\n";
    let none = world.head("GET /api/v4/orders", "");
    let answer = world.raw(&(none + &length + &chunked + &bad)).await;
    assert_eq!(statuses(&answer), ["200", "200", "200", "400"], "{answer}");
    assert_eq!(upstream.calls(), 3);
}

#[tokio::test]
async fn the_words_of_two_framings_in_a_body_are_harmless() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let body = "a\r\n\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let sized = format!("Content-Length: {}\r\n", body.len());
    let head = world.head("POST /api/v4/orders/1", &sized) + body;
    let chunked = world.head("POST /api/v4/orders/1", "Transfer-Encoding: chunked\r\n")
        + &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let last = world.head("GET /api/v4/orders", "Connection: close\r\n");
    let answer = world.raw(&(head + &chunked + &last)).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
}

#[tokio::test]
async fn unclear_lengths_and_bad_chunks_are_refused_g3() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let lengths = [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 5\r\n folded: 1\r\n",
        "Bad Name: 1\r\n",
    ];
    for length in lengths {
        is_refused(&world, &(world.head("POST /api/v4/orders/1", length) + SMUGGLED)).await;
    }
    let old = world
        .head("POST /api/v4/orders/1", "Transfer-Encoding: chunked\r\n")
        .replace("HTTP/1.1", "HTTP/1.0");
    is_refused(&world, &(old + "0\r\n\r\n" + SMUGGLED)).await;
    for chunks in ["zz\r\nabc\r\n", "-1\r\n", "3\r\nabcd\r\n0\r\n\r\n", "ffffffffffffffffff\r\n"] {
        let head = world.head("POST /api/v4/orders/1", "Transfer-Encoding: chunked\r\n");
        is_refused(&world, &(head + chunks + SMUGGLED)).await;
    }
}

/// The statuses of all answers.
fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect()
}

#[tokio::test]
async fn an_upgrade_that_did_not_happen_opens_no_way_for_two_framings_g3() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let two = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let bad = world.head("POST /api/v4/orders/1", two) + "0\r\n\r\n" + SMUGGLED;
    for asked in ["websocket", "h2c", "HTTP/2.0", "TLS/1.0", ""] {
        let asked = format!("Connection: upgrade\r\nUpgrade: {asked}\r\n");
        let first = world.head("GET /api/v4/orders", &asked);
        let second =
            world.head("POST /api/v4/orders/1", &format!("Content-Length: 2\r\n{asked}")) + "ab";
        let answer = world.raw(&(first + &second + &bad)).await;
        assert_eq!(statuses(&answer), ["200", "200", "400"], "{asked}: {answer}");
    }
    let connect = format!("CONNECT {HOST} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let answer = world.raw(&(connect + &bad)).await;
    assert_eq!(statuses(&answer).last(), Some(&"400"), "{answer}");
    assert_eq!(statuses(&answer).len(), 2, "{answer}");
}

#[tokio::test]
async fn what_hyper_takes_and_a_proxy_may_read_otherwise_is_refused_g3() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let (blanks, zeros) = (" ".repeat(64), "0".repeat(64));
    let heads = [
        format!("Content-Length:{blanks}5\r\n"),
        format!("Content-Length: {zeros}5\r\n"),
        format!("Content-Length: 5{blanks}\r\n"),
        format!("Transfer-Encoding:{blanks}chunked\r\n"),
        "Content-Length:\r\n".to_owned(),
        "Content-Length: 18446744073709551616\r\n".to_owned(),
        "Content-Length: 5\r\ncontent-length: 5\r\n".to_owned(),
        "Content-Length: 5\r\nX: 1\r\nContent-Length: 05\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, chunked\r\n".to_owned(),
        "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
        "Transfer-Encoding: identity,chunked\r\n".to_owned(),
        "Transfer-Encoding: ,chunked\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "X: 1\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\nX: 1\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\n".to_owned(),
        "Expect: 100-continue\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n".to_owned(),
    ];
    for head in heads {
        let head = world.head("POST /api/v4/orders/1", &head);
        is_refused(&world, &format!("{head}0\r\n\r\n{SMUGGLED}")).await;
    }
    for start in ["\n", "\r\n\n", "PRI * HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\nHost: a\r\n\r\n"] {
        let two = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        let bad = world.head("POST /api/v4/orders/1", two);
        is_refused(&world, &format!("{start}{bad}0\r\n\r\n{SMUGGLED}")).await;
    }
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn a_chunked_body_ends_where_everybody_sees_its_end_g3() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let zeros = "0".repeat(80);
    // Each hides the length of a body from one reader, so that what follows is its next request.
    let bodies = [
        format!("{zeros}5\r\nX\r\n\r\n\r\n0\r\n\r\n"),
        format!("{zeros}\r\n\r\n"),
        "0\r\nX: a\n\nPOST / HTTP/1.1\nContent-Length: 99999\n\n\r\n\r\n".to_owned(),
        "0\r\nX: a\n\r\n\r\n".to_owned(),
        "0\r\n \r\nPOST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n".to_owned(),
        "0\r\n\n".to_owned(),
        "1\na\r\n0\r\n\r\n".to_owned(),
        "1;x=\n\r\na\r\n0\r\n\r\n".to_owned(),
        "1\r\na\n0\r\n\r\n".to_owned(),
        "1\r\nab\r\n0\r\n\r\n".to_owned(),
        "1 1\r\na\r\n0\r\n\r\n".to_owned(),
        "0x1\r\na\r\n0\r\n\r\n".to_owned(),
        "+1\r\na\r\n0\r\n\r\n".to_owned(),
        "\r\n1\r\na\r\n0\r\n\r\n".to_owned(),
    ];
    for body in bodies {
        let head = world.head("POST /api/v4/orders/1", "Transfer-Encoding: chunked\r\n");
        let two = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        let bad = world.head("POST /api/v4/orders/1", two);
        is_refused(&world, &format!("{head}{body}{bad}0\r\n\r\n{SMUGGLED}")).await;
    }
}

#[tokio::test]
async fn headers_of_one_connection_never_reach_the_upstream_g4() {
    let world = World::new(Echo::start().await.address).await;
    let more = "Connection: close, X-Private, Consentry-Subject\r\nX-Private: secret\r\n\
                Keep-Alive: timeout=5\r\nTE: gzip\r\nProxy-Connection: keep-alive\r\n\
                Proxy-Authorization: Basic secret\r\nUpgrade: h2c\r\n";
    let answer = world.raw(&world.head("GET /api/v4/orders", more)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for gone in ["secret", "keep-alive", "\"te\"", "\"upgrade\"", "proxy-"] {
        assert!(!answer.contains(gone), "{gone}: {answer}");
    }
    assert!(answer.contains("consentry-subject"), "ours is set all the same: {answer}");
}

/// One HTTP/2 HEADERS frame with literal header fields, after preface and settings.
fn h2_request(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // RFC 7541 §6.2.2: literal without indexing, new name; lengths below 127.
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let length = u32::try_from(block.len()).unwrap().to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    // HEADERS with END_STREAM and END_HEADERS on stream 1.
    bytes.extend_from_slice(&[1, 5, 0, 0, 0, 1]);
    bytes.extend_from_slice(&block);
    bytes
}

/// The type of the first frame that is about stream 1.
async fn h2_first_frame(world: &World, request: &[u8]) -> u8 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let reading = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            // GOAWAY is about stream 0 and ends it all.
            if head[8] == 1 || head[3] == 7 {
                return head[3];
            }
        }
    };
    tokio::time::timeout(crate::world::PATIENCE, reading).await.unwrap()
}

#[tokio::test]
async fn http2_requests_with_headers_of_http1_framing_are_refused_g3() {
    const HEADERS: u8 = 1;
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let fields = |more: &[(&'static str, &'static str)]| {
        let mut fields = vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", HOST),
            (":path", "/api/v4/ticker"),
        ];
        fields.extend_from_slice(more);
        h2_request(&fields)
    };
    let bad = [
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("x-split", "a\r\nx-injected: 1"),
        ("X-Upper", "1"),
        ("content-length", "5"),
    ];
    for header in bad {
        assert_ne!(h2_first_frame(&world, &fields(&[header])).await, HEADERS, "{header:?}");
    }
    assert_eq!(upstream.calls(), 0);
    assert_eq!(h2_first_frame(&world, &fields(&[])).await, HEADERS);
    assert_eq!(upstream.calls(), 1);
}

#[tokio::test]
async fn a_slow_head_is_given_up_and_others_are_unhurt_g11() {
    let limits = ConnectionLimits {
        head_timeout: Duration::from_millis(150),
        ..ConnectionLimits::default()
    };
    let world = World::with(Echo::start().await.address, |_| {}, limits).await;
    for start in ["", "P", "PRI * HTTP/2.0\r\n", "GET /api/v4/orders HTTP/1.1\r\nHost: a\r\nX"] {
        let mut raw = world.connect().await;
        raw.send(start).await;
        let quick = world.get("/api/v4/orders").await;
        assert_eq!(quick.status, StatusCode::OK);
        let answer = raw.rest().await;
        assert!(!answer.contains("200 OK"), "{start:?}: {answer:?}");
    }
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_refused_g11() {
    let upstream = Echo::start().await;
    let world = World::new(upstream.address).await;
    let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    let large = format!("X-Large: {}\r\n", "a".repeat(64 * 1024));
    for headers in [many, large] {
        let answer = world.raw(&world.head("GET /api/v4/orders", &headers)).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer:?}");
    }
    let long = format!("GET /api/v4/orders/{}", "a".repeat(9000));
    let answer = world.raw(&world.head(&long, "Connection: close\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer:?}");
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn shutting_down_answers_what_has_begun_and_takes_no_more() {
    let world = World::new(Echo::start().await.address).await;
    let mut raw = world.connect().await;
    raw.send(&(world.head("POST /api/v4/orders/1", "Content-Length: 3\r\n") + "ab")).await;
    let quick = world.get("/api/v4/orders").await;
    assert_eq!(quick.status, StatusCode::OK);
    world.shutdown.cancel();
    raw.send("c").await;
    let answer = raw.rest().await;
    assert!(answer.contains("\"body\":\"abc\""), "{answer}");
}
