//! Hashes made by other programs, those that are refused, and the queue.

use futures_util::FutureExt as _;

use super::*;

// Made by other programs: libxcrypt, and the reference implementation of argon2 (its test suite).
const BCRYPT: [(&str, &str); 3] = [
    ("app secret 1", "$2b$04$abcdefghijklmnopqrstuulGY4ptaBvIZ4CnbaE2yd2lI4fkfeAyq"),
    ("app secret 2", "$2y$05$abcdefghijklmnopqrstuuLdzIUh4O2W5I5O/afFPOcnaRwZj8vrK"),
    ("app secret 3", "$2a$04$abcdefghijklmnopqrstuukFTkT1tsUJzNBxftNoDBCKcb948khry"),
];
const ARGON2: [&str; 2] = [
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
];
/// Of the first version of argon2, which wrote none.
const ARGON2_VERSION_1: [&str; 2] = [
    "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
    "$argon2i$v=16$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
];

fn right(secret: &str, hash: &str) -> bool {
    is_right(&Secret::new(secret), &check(hash).unwrap())
}

#[test]
fn hashes_of_other_programs_are_checked() {
    for (secret, hash) in BCRYPT {
        assert!(right(secret, hash) && !right("app secret", hash), "{hash}");
    }
    for hash in ARGON2.into_iter().chain(ARGON2_VERSION_1) {
        assert!(right("password", hash) && !right("Password", hash), "{hash}");
    }
}

#[test]
fn bcrypt_looks_at_72_bytes_as_it_did_where_the_hash_was_made() {
    let hash = "$2b$04$abcdefghijklmnopqrstuum2G75IXDN/xsgbNa/hCiPSKyIHQd70S";
    let long = "0123456789".repeat(8);
    assert!(right(&long, hash) && right(long.get(..72).unwrap(), hash));
    assert!(!right(long.get(..71).unwrap(), hash));
    let (secret, hash) = BCRYPT[0];
    assert!(!right(&format!("{secret}\0tail"), hash), "a secret does not end at a NUL byte");
}

#[test]
fn a_hash_that_cannot_be_checked_or_costs_too_much_is_refused() {
    use ForeignHashError::*;
    let bcrypt =
        |cost: u32| format!("$2b${cost:02}$abcdefghijklmnopqrstuulGY4ptaBvIZ4CnbaE2yd2lI4fkfeAyq");
    let argon2 = |params: &str| {
        format!("$argon2id$v=19${params}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
    };
    let cost = |memory, passes, lanes| Argon2Cost { memory, passes, lanes };
    for (text, error) in [
        (String::new(), Unknown),
        ("5f4dcc3b5aa765d61d8327deb882cf99".to_owned(), Unknown),
        ("$2x$04$abcdefghijklmnopqrstuulGY4ptaBvIZ4CnbaE2yd2lI4fkfeAyq".to_owned(), Unknown),
        ("$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAA".to_owned(), Unknown),
        ("$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A".to_owned(), Unknown),
        ("$2b$12$short".to_owned(), UnreadableBcrypt),
        (bcrypt(3), UnreadableBcrypt),
        (bcrypt(15), BcryptCost(15)),
        (bcrypt(31), BcryptCost(31)),
        ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ".to_owned(), UnreadableArgon2),
        ("$argon2id$v=20$m=256,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAA".to_owned(), UnreadableArgon2),
        (argon2("m=many"), UnreadableArgon2),
        (argon2("m=262145,t=1,p=1"), cost(262_145, 1, 1)),
        (argon2("m=65536,t=17,p=1"), cost(65_536, 17, 1)),
        (argon2("m=4294967295,t=4294967295,p=1"), cost(u32::MAX, u32::MAX, 1)),
        (argon2("m=1024,t=1,p=17"), cost(1024, 1, 17)),
        (argon2("m=1024,t=1,p=1,keyid=AAAA"), Keyed),
    ] {
        assert_eq!(check(&text), Err(error), "{text}");
    }
    for good in [bcrypt(14), argon2("m=262144,t=4,p=16"), argon2("m=19456,t=2,p=1")] {
        assert_eq!(check(&good).map(|hash| hash.as_text() == good), Ok(true), "{good}");
    }
}

fn app(number: u8) -> AppId {
    AppId::from_bytes([number; 16])
}

/// Each number is a network of its own.
fn from(network: u8) -> IpAddr {
    IpAddr::from([192, 0, network, 7])
}

#[tokio::test]
async fn x2_one_app_has_one_check_at_a_time_and_no_endless_queue() {
    let hashes = ForeignHashes::default();
    let first = hashes.turn(app(1), from(0), false).await.unwrap();
    let mut waiting = Vec::new();
    for network in 1..u8::try_from(LINE_MAX).unwrap() {
        let mut turn = Box::pin(hashes.turn(app(1), from(network), false));
        assert!((&mut turn).now_or_never().is_none(), "one at a time");
        waiting.push(turn);
    }
    assert_eq!(hashes.turn(app(1), from(99), false).await.err(), Some(Busy));
    assert!(hashes.turn(app(2), from(99), false).await.is_ok(), "other apps do not wait");
    drop(first);
    let second = waiting.remove(0).await.unwrap();
    // Whoever hangs up gives the place away.
    drop((second, waiting));
    assert!(hashes.turn(app(1), from(99), false).await.is_ok());
    assert!(hashes.lines.lock().unwrap().of.is_empty(), "nothing is kept of who has gone");
}

#[tokio::test]
async fn x2_one_network_has_one_check_at_a_time_whatever_apps_it_guesses_at() {
    let hashes = ForeignHashes::default();
    let first = hashes.turn(app(0), from(1), false).await.unwrap();
    let mut waiting = Vec::new();
    for number in 1..u8::try_from(LINE_MAX).unwrap() {
        let mut turn = Box::pin(hashes.turn(app(number), from(1), false));
        assert!((&mut turn).now_or_never().is_none(), "one at a time");
        waiting.push(turn);
    }
    let neighbour = IpAddr::from([192, 0, 1, 200]);
    assert_eq!(hashes.turn(app(99), neighbour, false).await.err(), Some(Busy));
    // An app that the flood waits for, called from elsewhere, is served before all of it.
    assert!(hashes.turn(app(1), from(2), false).await.is_ok());
    drop((first, waiting));
    let six = |text: &str| text.parse::<IpAddr>().unwrap();
    let _held = hashes.turn(app(1), six("2001:db8::1"), false).await.unwrap();
    let same_host = hashes.turn(app(2), six("2001:db8::ffff:1"), false);
    assert!(same_host.now_or_never().is_none());
    assert!(hashes.turn(app(2), six("2001:db8:0:1::1"), false).await.is_ok());
}

#[tokio::test]
async fn x2_whoever_waits_too_long_is_told_to_come_back() {
    let hashes = ForeignHashes { wait_max: Duration::ZERO, ..ForeignHashes::default() };
    let first = hashes.turn(app(1), from(1), false).await.unwrap();
    assert_eq!(hashes.turn(app(1), from(2), false).await.err(), Some(Busy), "for its app");
    assert_eq!(hashes.turn(app(2), from(1), false).await.err(), Some(Busy), "for its network");
    let second = hashes.turn(app(2), from(2), false).await.unwrap();
    assert_eq!(hashes.turn(app(3), from(3), false).await.err(), Some(Busy), "for room");
    drop((first, second));
    assert!(hashes.lines.lock().unwrap().of.is_empty());
    assert!(hashes.turn(app(1), from(1), false).await.is_ok());
}

#[tokio::test]
async fn all_apps_together_have_a_line_with_an_end() {
    let hashes = ForeignHashes::default();
    let mut waiting = Vec::new();
    for number in 0..u8::try_from(WAITING_MAX).unwrap() {
        let mut turn = Box::pin(hashes.turn(app(number), from(number), false));
        let turn_came = (&mut turn).now_or_never();
        assert!(!matches!(turn_came, Some(Err(Busy))));
        waiting.push((turn_came, turn));
    }
    assert_eq!(hashes.turn(app(99), from(99), false).await.err(), Some(Busy));
}

#[tokio::test]
async fn x2_a_check_that_takes_much_memory_runs_alone() {
    let argon2 = |memory| {
        let text = ARGON2[0].replace("m=256,", &format!("m={memory},"));
        runs_alone(&check(&text).unwrap())
    };
    assert_eq!([65_536, 65_537, 262_144].map(argon2), [false, true, true]);
    assert!(!runs_alone(&check(BCRYPT[0].1).unwrap()));
    let hashes = ForeignHashes::default();
    let small = hashes.turn(app(1), from(1), false).await.unwrap();
    let mut large = Box::pin(hashes.turn(app(2), from(2), true));
    assert!((&mut large).now_or_never().is_none());
    drop(small);
    let large = large.await.unwrap();
    let mut small = Box::pin(hashes.turn(app(1), from(1), false));
    assert!((&mut small).now_or_never().is_none());
    drop(large);
    assert!(small.await.is_ok());
}
