//! Randomness as a parameter, so that a test can repeat what production did once.

use std::fmt;

/// A source of cryptographically secure random bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    fn fill(&self, out: &mut [u8]);
}

/// `N` fresh random bytes.
pub fn random_bytes<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut out = [0; N];
    entropy.fill(&mut out);
    out
}

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A random string of `length` characters from `[A-Za-z0-9]`: clients encode HTTP Basic in three
/// different ways, and these characters read the same in all of them. 5.95 bits each.
pub fn random_alphanumeric(entropy: &dyn Entropy, length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in random_bytes::<64>(entropy) {
            // 248 is the largest multiple of 62 below 256: rejecting the rest keeps it uniform.
            if let Some(&letter) =
                (byte < 248).then(|| ALPHANUMERIC.get(usize::from(byte) % 62)).flatten()
                && text.len() < length
            {
                text.push(char::from(letter));
            }
        }
    }
    text
}
