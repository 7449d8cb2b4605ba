//! Sealed texts open only for what they were made for, and say nothing else (attack T3).

#![expect(clippy::unwrap_used, reason = "tests assert by panicking")]
use std::sync::atomic::{AtomicU64, Ordering};

use domain::entropy::Entropy;
use domain::id::{GrantId, TokenId};
use domain::keyring::{Keyring, MasterKey, SealingSecret};
use domain::seal::{KeyClass, OpenError, Purpose};
use domain::time::Timestamp;
use domain::token::codec::Content;
use domain::token::{AccessToken, RefreshToken};
use proptest::prelude::*;
use zeroize::Zeroizing;

#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        for byte in out {
            *byte = self.0.fetch_add(1, Ordering::Relaxed) as u8;
        }
    }
}

fn keyring(issuer: &str, secret: u8) -> Keyring {
    let now = Timestamp::from_seconds(1_000);
    let key = |kid, class| SealingSecret {
        kid,
        class,
        secret: Zeroizing::new([secret; 32]),
        use_at: Timestamp::default(),
        retire_at: None,
    };
    let secrets = vec![key(1, KeyClass::LongLived), key(2, KeyClass::Code)];
    Keyring::new(issuer, &MasterKey::new([7; 32]), secrets, Vec::new(), now).unwrap()
}

fn token() -> AccessToken {
    AccessToken {
        grant_id: GrantId::from_bytes([1; 16]),
        token_id: TokenId::from_bytes([2; 16]),
        scopes: "orders.read balances.read".parse().unwrap(),
        audience: "https://api.example".to_owned(),
        issued_at: Timestamp::from_seconds(1),
        expires_at: Timestamp::from_seconds(601),
        key_binding: Some(vec![3; 32]),
    }
}

#[test]
fn a_sealed_token_opens_as_what_it_was() {
    let keys = keyring("https://a.example", 1);
    let text = keys.seal(Purpose::Access, &token(), &Counting::default()).unwrap();
    assert!(text.starts_with("cs_at_"));
    assert_eq!(keys.open(Purpose::Access, &text), Ok(token()));
}

#[test]
fn a_token_sealed_for_another_purpose_does_not_open() {
    let keys = keyring("https://a.example", 1);
    let entropy = Counting::default();
    for sealed_for in Purpose::ALL {
        let text = keys.seal_bytes(sealed_for, b"content", &entropy).unwrap();
        for opened_as in Purpose::ALL.into_iter().filter(|purpose| *purpose != sealed_for) {
            let renamed = text.replacen(sealed_for.prefix(), opened_as.prefix(), 1);
            assert_eq!(keys.open_bytes(opened_as, &text), Err(OpenError::Invalid));
            assert_eq!(keys.open_bytes(opened_as, &renamed), Err(OpenError::Invalid));
        }
    }
}

#[test]
fn a_token_of_another_issuer_or_key_does_not_open() {
    let text = keyring("https://a.example", 1)
        .seal(Purpose::Access, &token(), &Counting::default())
        .unwrap();
    for other in [keyring("https://b.example", 1), keyring("https://a.example", 2)] {
        assert_eq!(other.open::<AccessToken>(Purpose::Access, &text), Err(OpenError::Invalid));
    }
}

#[test]
fn an_unknown_key_id_is_told_apart_so_that_keys_can_be_reloaded() {
    let now = Timestamp::from_seconds(1_000);
    let key = |kid, class| SealingSecret {
        kid,
        class,
        secret: Zeroizing::new([9; 32]),
        use_at: Timestamp::default(),
        retire_at: None,
    };
    let newer = vec![key(11, KeyClass::LongLived), key(12, KeyClass::Code)];
    let newer = Keyring::new("https://a.example", &MasterKey::new([7; 32]), newer, Vec::new(), now)
        .unwrap();
    let text = newer.seal(Purpose::Access, &token(), &Counting::default()).unwrap();
    let old = keyring("https://a.example", 1);
    assert_eq!(old.open::<AccessToken>(Purpose::Access, &text), Err(OpenError::UnknownKey));
}

#[test]
fn what_the_master_key_wrapped_opens_only_under_its_label() {
    let (master, entropy) = (MasterKey::new([7; 32]), Counting::default());
    let wrapped = master.wrap("signing 1", b"material", &entropy).unwrap();
    assert_eq!(master.unwrap("signing 1", &wrapped).unwrap().as_slice(), b"material");
    assert!(master.unwrap("signing 2", &wrapped).is_none());
    assert!(MasterKey::new([8; 32]).unwrap("signing 1", &wrapped).is_none());
}

proptest! {
    #[test]
    fn a_flipped_truncated_or_padded_token_never_opens(
        at in 0_usize..150, flip in 1_u8..=255, cut in 0_usize..150, tail in "[A-Za-z0-9=_-]{1,4}",
    ) {
        let keys = keyring("https://a.example", 1);
        let text = keys.seal(Purpose::Access, &token(), &Counting::default()).unwrap();
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(flipped) = String::from_utf8(bytes) {
            prop_assert!(keys.open::<AccessToken>(Purpose::Access, &flipped).is_err());
        }
        let truncated = &text[..cut % text.len()];
        prop_assert!(keys.open::<AccessToken>(Purpose::Access, truncated).is_err());
        let padded = format!("{text}{tail}");
        prop_assert!(keys.open::<AccessToken>(Purpose::Access, &padded).is_err());
    }

    #[test]
    fn any_text_at_all_is_refused_without_a_panic(text in ".{0,200}") {
        let keys = keyring("https://a.example", 1);
        for purpose in Purpose::ALL {
            let prefixed = format!("{}{text}", purpose.prefix());
            prop_assert!(keys.open_bytes(purpose, &text).is_err());
            prop_assert!(keys.open_bytes(purpose, &prefixed).is_err());
        }
    }

    #[test]
    fn any_bytes_unpack_or_are_refused_as_a_whole(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(token) = AccessToken::unpack(&bytes) {
            prop_assert_eq!(token.pack().unwrap().len(), bytes.len());
        }
        if let Ok(token) = RefreshToken::unpack(&bytes) {
            prop_assert_eq!(token.pack().unwrap(), bytes);
        }
    }
}

#[test]
fn what_would_be_too_long_to_be_opened_is_not_sealed() {
    let keys = keyring("https://a.example", 1);
    for purpose in Purpose::ALL {
        let seal = |length| keys.seal_bytes(purpose, &vec![0; length], &Counting::default());
        let longest = purpose.content_bytes_max();
        let text = seal(longest).unwrap();
        assert_eq!(keys.open_bytes(purpose, &text), Ok(vec![0; longest]));
        assert_eq!(seal(longest + 1), None, "{purpose:?}");
    }
}
