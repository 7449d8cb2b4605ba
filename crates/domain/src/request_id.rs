//! Names of requests, to find one in the logs. They are no secret and prove nothing, so they need
//! not cost a system's randomness each.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::entropy::{Entropy, random_bytes};

/// An odd number far from small ones: multiples of it visit every value before one comes again.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Gives each request an id of 16 hex digits. Two processes begin at random places, and within one
/// no id comes twice.
#[derive(Debug)]
pub struct RequestIds {
    mask: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self {
            mask: u64::from_be_bytes(random_bytes(entropy)),
            next: AtomicU64::new(u64::from_be_bytes(random_bytes(entropy))),
        }
    }

    pub fn make(&self) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        // Neighbours look nothing alike, which helps whoever searches for one.
        let id = count.wrapping_mul(STEP) ^ self.mask;
        let digit = |shift: u32| {
            let digit = usize::try_from(id >> shift & 0xf).unwrap_or_default();
            HEX.get(digit).copied().map(char::from)
        };
        (0..64).step_by(4).filter_map(digit).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[derive(Debug)]
    struct Constant(u8);

    impl Entropy for Constant {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    #[test]
    fn no_id_comes_twice_and_all_are_sixteen_hex_digits() {
        let ids = RequestIds::new(&Constant(7));
        let seen: HashSet<String> = (0..10_000).map(|_| ids.make()).collect();
        assert_eq!(seen.len(), 10_000);
        let is_hex = |id: &String| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(seen.iter().all(is_hex));
    }

    #[test]
    fn another_process_gives_other_ids() {
        assert_ne!(RequestIds::new(&Constant(1)).make(), RequestIds::new(&Constant(2)).make());
    }
}
