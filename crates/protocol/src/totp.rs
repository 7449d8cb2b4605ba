//! Codes of authenticator apps (RFC 6238): six digits, SHA-1, a new one every thirty seconds, which
//! is what every app understands. Pure.

use aws_lc_rs::{constant_time, hmac};

/// RFC 6238 §5.2
pub const STEP_SECONDS: i64 = 30;
/// RFC 4226 §4: 160 bits are recommended.
pub const SECRET_BYTES: usize = 20;
/// RFC 6238 §5.2: clocks differ, and typing takes a moment. One step either way.
const LEEWAY_STEPS: i64 = 1;

const DIGITS: usize = 6;
/// RFC 4648 §6
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The code of one step (RFC 4226 §5.3).
pub fn code(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let digest = tag.as_ref();
    let offset = digest.last().map_or(0, |byte| usize::from(byte & 0x0f));
    let word = digest.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok());
    let number = u32::from_be_bytes(word.unwrap_or_default()) & 0x7fff_ffff;
    format!("{:0DIGITS$}", number % 1_000_000)
}

/// The step whose code `typed` is, if it is one of now and later than `last_step`: each code
/// counts once (RFC 6238 §5.2).
pub fn accepted_step(secret: &[u8], typed: &str, last_step: i64, now_seconds: i64) -> Option<i64> {
    let now = now_seconds.div_euclid(STEP_SECONDS);
    let mut accepted = None;
    // All are compared, so that how long it takes tells nothing.
    for step in now - LEEWAY_STEPS..=now + LEEWAY_STEPS {
        let expected = code(secret, step);
        let is_same =
            constant_time::verify_slices_are_equal(expected.as_bytes(), typed.as_bytes()).is_ok();
        if is_same && step > last_step {
            accepted = Some(step);
        }
    }
    accepted
}

/// What the user typed, without the space that apps show in the middle. `None`: not six digits.
pub fn parse(typed: &str) -> Option<String> {
    if typed.len() > 32 {
        return None;
    }
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    (digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// As apps take a secret that is typed.
pub fn base32(bytes: &[u8]) -> String {
    let (mut text, mut buffer, mut bits) = (String::new(), 0_u32, 0_u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push_digit(&mut text, buffer >> bits);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        push_digit(&mut text, buffer << (5 - bits));
    }
    text
}

fn push_digit(text: &mut String, number: u32) {
    let index = usize::try_from(number & 31).unwrap_or_default();
    text.push(BASE32.get(index).copied().map_or('A', char::from));
}

/// What the QR code says (the "Key Uri Format" that all apps read).
pub fn uri(issuer: &str, account: &str, secret: &[u8]) -> String {
    let encoded = |text: &str| {
        // The format wants %20, not the plus of forms; a colon would end the issuer.
        let text: String = text.chars().filter(|c| *c != ':').collect();
        form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    };
    let (issuer, account) = (encoded(issuer), encoded(account));
    let secret = base32(secret);
    format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = b"12345678901234567890";
        let cases = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(code(secret, seconds / STEP_SECONDS), expected, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_for_one_step_either_way_and_counts_once() {
        let secret = b"12345678901234567890";
        let now = 1_111_111_111;
        let step = now / STEP_SECONDS;
        for offset in -1..=1 {
            let typed = code(secret, step + offset);
            assert_eq!(accepted_step(secret, &typed, 0, now), Some(step + offset));
            assert_eq!(accepted_step(secret, &typed, step + offset, now), None, "twice");
        }
        for offset in [-2, 2] {
            assert_eq!(accepted_step(secret, &code(secret, step + offset), 0, now), None);
        }
        assert_eq!(accepted_step(secret, "", 0, now), None);
    }

    #[test]
    fn a_code_may_be_typed_as_apps_show_it() {
        assert_eq!(parse(" 081 804 ").as_deref(), Some("081804"));
        for typed in ["", "08180", "0818041", "08180a", "٠٨١٨٠٤", &" ".repeat(40)] {
            assert_eq!(parse(typed), None, "{typed}");
        }
    }

    /// RFC 4648 §10
    #[test]
    fn base32_is_that_of_the_rfc_without_padding() {
        let cases = [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foobar", "MZXW6YTBOI")];
        for (plain, encoded) in cases {
            assert_eq!(base32(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn the_address_of_the_qr_code_names_issuer_and_account() {
        assert_eq!(
            uri("Acme: Exchange", "a+b@example.com", b"foobar"),
            "otpauth://totp/Acme%20Exchange:a%2Bb%40example.com\
             ?secret=MZXW6YTBOI&issuer=Acme%20Exchange"
        );
    }
}
