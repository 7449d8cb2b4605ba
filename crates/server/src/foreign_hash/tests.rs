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

#[tokio::test]
async fn x2_one_app_has_one_check_at_a_time_and_no_endless_queue() {
    let hashes = Arc::new(ForeignHashes::default());
    let (app, other) = (AppId::from_bytes([1; 16]), AppId::from_bytes([2; 16]));
    let first = hashes.turn(app).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 1..WAITING_OF_APP_MAX {
        let mut turn = Box::pin(hashes.turn(app));
        assert!((&mut turn).now_or_never().is_none(), "one at a time");
        waiting.push(turn);
    }
    assert_eq!(hashes.turn(app).await.err(), Some(Busy));
    assert!(hashes.turn(other).await.is_ok(), "other apps do not wait for this one");
    drop(first);
    let second = waiting.remove(0).await.unwrap();
    // Whoever hangs up gives the place away.
    drop((second, waiting));
    assert!(hashes.turn(app).await.is_ok());
    assert!(hashes.lines.lock().unwrap().of_app.is_empty(), "nothing is kept of who has gone");

    let mut held = Vec::new();
    for number in 0..WAITING_MAX {
        held.push(hashes.turn(AppId::from_bytes([u8::try_from(number).unwrap(); 16])).await);
    }
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(hashes.turn(AppId::from_bytes([99; 16])).await.err(), Some(Busy));
}
