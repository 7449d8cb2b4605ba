//! Signed links and the bytes behind them.

use proptest::prelude::*;

use super::drive_api::code_of;
use super::*;
use crate::drive::content::{SAMPLES, crc32};
use crate::drive::range::{self, Span};

/// Where a download or stream of the file is redirected to.
async fn link(world: &World, name: &str, how: &str) -> String {
    let code = code_of(world, "alice", name).await;
    let answer = world.drive("alice", Method::GET, &format!("/v2/files/{code}/{how}")).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.header("location").to_owned()
}

/// A fetch without any assertion.
pub(super) async fn fetch(
    world: &World,
    method: Method,
    link: &str,
    range: Option<&str>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(link);
    if let Some(range) = range {
        request = request.header("range", range);
    }
    send(&world.drive, request.body(Body::empty()).unwrap()).await
}

fn sample(name: &str) -> Vec<u8> {
    let sample = SAMPLES.iter().find(|sample| sample.name == name).unwrap();
    (sample.bytes)()
}

#[tokio::test]
async fn a_link_gives_the_bytes_that_the_file_promises() {
    let world = World::new();
    for (name, media_type) in [
        ("archive.bin", "application/octet-stream"),
        ("Sunrise.bmp", "image/bmp"),
        ("Tone.wav", "audio/wav"),
        ("Budget.csv", "text/csv; charset=utf-8"),
    ] {
        let link = link(&world, name, "download").await;
        let answer = fetch(&world, Method::GET, &link, None).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, sample(name));
        assert_eq!(answer.header("content-type"), media_type);
        assert_eq!(answer.header("accept-ranges"), "bytes");
        let disposition = format!("attachment; filename=\"{name}\"");
        assert_eq!(answer.header("content-disposition"), disposition);
        let code = code_of(&world, "alice", name).await;
        let file = world.drive_data("alice", &format!("/v2/files/{code}")).await;
        assert_eq!(file["size"], answer.body.len());
        assert_eq!(file["crc32"], format!("{:08x}", crc32(&answer.body)));
    }
}

#[test]
fn the_checksum_is_the_one_everybody_computes() {
    // The check value of CRC-32/ISO-HDLC.
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn the_samples_are_what_their_names_say() {
    let picture = sample("Sunrise.bmp");
    assert_eq!(&picture[..2], b"BM");
    assert_eq!(picture[2..6], u32::try_from(picture.len()).unwrap().to_le_bytes());
    let sound = sample("Tone.wav");
    assert_eq!(&sound[..4], b"RIFF");
    assert_eq!(sound[4..8], u32::try_from(sound.len() - 8).unwrap().to_le_bytes());
    assert_eq!(sample("archive.bin").len(), 3 * 1024 * 1024);
}

#[tokio::test]
async fn a_range_gives_exactly_the_bytes_asked_for() {
    let world = World::new();
    let link = link(&world, "archive.bin", "stream").await;
    let (whole, size) = (sample("archive.bin"), 3 * 1024 * 1024_usize);
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=1000-1999", 1000, 1999),
        ("bytes=3145000-", 3_145_000, size - 1),
        ("bytes=-5", size - 5, size - 1),
        ("bytes=-99999999", 0, size - 1),
        ("bytes=3145727-99999999999999999999999", size - 1, size - 1),
        ("BYTES=0-0", 0, 0),
        // Of a set, what lies outside the file does not count.
        ("bytes=4000000-5000000, 7-8,,-0", 7, 8),
    ] {
        let answer = fetch(&world, Method::GET, &link, Some(range)).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.body, whole[first..=last], "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/{size}"));
        assert_eq!(answer.header("content-disposition"), "inline; filename=\"archive.bin\"");
    }
    let outside = ["bytes=3145728-", "bytes=-0", "bytes=4000000-5000000", "bytes=-0, 4000000-"];
    for range in outside {
        let answer = fetch(&world, Method::GET, &link, Some(range)).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes */{size}"));
        assert!(answer.body.is_empty());
    }
    for range in ["bytes=5-2", "bytes=a-b", "bytes=-", "bytes=0-1,4-5", "lines=0-1", "bytes=+1-2"] {
        let answer = fetch(&world, Method::GET, &link, Some(range)).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, size), "{range}");
    }
    let head = fetch(&world, Method::HEAD, &link, Some("bytes=0-0")).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "3145728"));
}

#[tokio::test]
async fn a_link_ends_after_five_minutes_and_with_its_file() {
    let world = World::new();
    let link = link(&world, "Welcome.txt", "download").await;
    world.advance(299_999);
    assert_eq!(fetch(&world, Method::GET, &link, None).await.status, 200);
    let code = code_of(&world, "alice", "Welcome.txt").await;
    world.drive("alice", Method::DELETE, &format!("/v2/files/{code}")).await;
    assert_eq!(fetch(&world, Method::GET, &link, None).await.status, 404);
    world.advance(1);
    let answer = fetch(&world, Method::GET, &link, None).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json()["errors"][0]["message"], "The link has expired");
}

#[tokio::test]
async fn a_link_that_was_changed_opens_nothing() {
    let world = World::new();
    let link = link(&world, "Welcome.txt", "download").await;
    let other = code_of(&world, "bob", "Welcome.txt").await;
    let code = code_of(&world, "alice", "Welcome.txt").await;
    let (path, query) = link.split_once('?').unwrap();
    for forged in [
        link.replace(&code, &other),
        link.replace("as=attachment", "as=inline"),
        link.replace("expires=1", "expires=2"),
        link.replace("signature=", "signature=A"),
        format!("{link}&signature=AAAA"),
        format!("{path}?{}", query.split_once("&signature").unwrap().0),
        path.to_owned(),
    ] {
        let answer = fetch(&world, Method::GET, &forged, None).await;
        assert_eq!(answer.status, 403, "{forged}");
        assert_eq!(answer.json()["errors"][0]["message"], "The link is not valid");
    }
    // Links of the same secret survive a restart.
    let restarted = world.restarted();
    assert_eq!(fetch(&restarted, Method::GET, &link, None).await.status, 200);
}

proptest! {
    #[test]
    fn a_range_never_leaves_the_file(
        text in "(bytes=)?[0-9]{0,22}-?[0-9]{0,22}",
        size in 0_u64..99,
    ) {
        match range::read(Some(&text), size) {
            Span::Part { first, last } => prop_assert!(first <= last && last < size),
            Span::Whole | Span::Unsatisfiable => {}
        }
    }
}
