//! Sealed texts: what was not sealed here, for this use, unchanged, does not open; what was opens
//! as what went in. Fields: purpose, place of a change, the change, content.

use std::sync::LazyLock;

use domain::entropy::Entropy;
use domain::keyring::{Keyring, MasterKey, SealingSecret};
use domain::seal::{KeyClass, Purpose};
use domain::time::Timestamp;
use domain::token::codec::Content;
use domain::token::{AccessToken, AuthorizationCode, RefreshToken};
use zeroize::Zeroizing;

use super::input::Input;

const ISSUER: &str = "https://auth.example";

static OURS: LazyLock<Keyring> = LazyLock::new(|| keyring(ISSUER, 7));
static FOREIGN: LazyLock<[Keyring; 2]> =
    LazyLock::new(|| [keyring("https://auth.example.org", 7), keyring(ISSUER, 8)]);

/// Seals nothing: libFuzzer reads along when texts are compared, and would hand us our own.
static SILENT: LazyLock<Keyring> = LazyLock::new(|| keyring(ISSUER, 9));

pub fn check(data: &[u8]) {
    check_arbitrary(data);
    let mut input = Input::new(data);
    let purpose = Purpose::ALL[(input.number() % Purpose::ALL.len() as u64) as usize];
    let (at, change) = (input.number(), input.field());
    let content = input.rest();
    check_contents(content);
    let Some(sealed) = OURS.seal_bytes(purpose, content, &Seeded(at)) else {
        assert!(content.len() > purpose.content_bytes_max(), "not sealed for nothing");
        return;
    };
    assert!(sealed.starts_with(purpose.prefix()));
    assert!(sealed.len() <= purpose.text_bytes_max(), "sealed, and never to be opened");
    assert_eq!(OURS.open_bytes(purpose, &sealed).as_deref(), Ok(content));
    for other in Purpose::ALL.into_iter().filter(|other| *other != purpose) {
        let disguised = sealed.replacen(purpose.prefix(), other.prefix(), 1);
        assert!(OURS.open_bytes(other, &sealed).is_err(), "{other:?} opens {purpose:?}");
        assert!(OURS.open_bytes(other, &disguised).is_err(), "{other:?} opens {purpose:?}");
    }
    for keyring in &*FOREIGN {
        assert!(keyring.open_bytes(purpose, &sealed).is_err(), "opened by another provider");
    }
    check_changed(purpose, &sealed, at, change);
}

/// As a text, and as what an attacker would pack into one.
fn check_arbitrary(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for purpose in Purpose::ALL {
        assert!(SILENT.open_bytes(purpose, &text).is_err(), "{purpose:?} opened");
        let prefixed = format!("{}{text}", purpose.prefix());
        assert!(SILENT.open_bytes(purpose, &prefixed).is_err(), "{purpose:?} opened");
    }
    assert!(SILENT.open::<AccessToken>(Purpose::Access, &text).is_err());
    assert!(SILENT.open::<RefreshToken>(Purpose::Refresh, &text).is_err());
    assert!(SILENT.open::<AuthorizationCode>(Purpose::Code, &text).is_err());
}

/// One place of the text is replaced, cut, or added to.
fn check_changed(purpose: Purpose, sealed: &str, at: u64, change: &[u8]) {
    let at = (at % (sealed.len() as u64 + 1)) as usize;
    // Too short to hold a tag: libFuzzer would put whole texts there that were sealed before.
    let change: String = String::from_utf8_lossy(change).chars().take(16).collect();
    let (before, after) = sealed.split_at(at);
    let replaced = after.get(change.len()..).unwrap_or_default();
    for changed in [
        format!("{before}{change}{replaced}"),
        format!("{before}{change}{after}"),
        format!("{before}{}", after.get(1..).unwrap_or_default()),
        before.to_owned(),
    ] {
        if changed != sealed {
            assert!(OURS.open_bytes(purpose, &changed).is_err(), "opened though changed");
        }
    }
}

/// Contents are unpacked only after they were opened, but no bytes may upset that either.
fn check_contents(bytes: &[u8]) {
    fn check<C: Content + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<Vec<u8>> {
        let content = C::unpack(bytes).ok()?;
        let packed = content.pack().expect("what was unpacked can be packed");
        assert_eq!(C::unpack(&packed).as_ref(), Ok(&content));
        Some(packed)
    }
    check::<AccessToken>(bytes);
    check::<AuthorizationCode>(bytes);
    if let Some(packed) = check::<RefreshToken>(bytes) {
        assert_eq!(packed, bytes);
    }
}

fn keyring(issuer: &str, secret: u8) -> Keyring {
    let secrets = [KeyClass::Code, KeyClass::LongLived].into_iter().zip(1..);
    let secrets = secrets.map(|(class, kid)| SealingSecret {
        kid,
        class,
        secret: Zeroizing::new([secret; 32]),
        use_at: Timestamp::from_millis(0),
        retire_at: None,
    });
    let now = Timestamp::from_millis(1);
    Keyring::new(issuer, &MasterKey::new([1; 32]), secrets.collect(), Vec::new(), now).unwrap()
}

/// Repeatable: the nonce follows from the input.
#[derive(Debug)]
struct Seeded(u64);

impl Entropy for Seeded {
    fn fill(&self, out: &mut [u8]) {
        out.iter_mut().zip(self.0.to_be_bytes().into_iter().cycle()).for_each(|(to, from)| {
            *to = from;
        });
    }
}
