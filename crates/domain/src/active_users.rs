//! About how many users an app had, without remembering who they were: a HyperLogLog sketch
//! (Flajolet et al., 2007). Ids of users are random, so they are their own hash. Sketches of nodes
//! and of hours are merged into one; small numbers are nearly exact, large ones off by about 5 %.

use crate::id::UserId;

const REGISTERS: usize = 512;

/// A set of users that can be counted and merged, and not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveUsers([u8; REGISTERS]);

impl Default for ActiveUsers {
    fn default() -> Self {
        Self([0; REGISTERS])
    }
}

impl ActiveUsers {
    /// Whether that was news.
    pub fn note(&mut self, user: UserId) -> bool {
        let bits = u128::from_be_bytes(*user.as_bytes());
        // The first nine bits choose the register; how many zeros the others begin with is rare
        // exactly when there are many users.
        let index = usize::try_from(bits >> 119).unwrap_or_default();
        let rank = u8::try_from((bits << 9).leading_zeros() + 1).unwrap_or(u8::MAX);
        let Some(register) = self.0.get_mut(index) else { return false };
        let is_news = *register < rank;
        *register = rank.max(*register);
        is_news
    }

    pub fn merge(&mut self, other: &Self) {
        for (register, theirs) in self.0.iter_mut().zip(&other.0) {
            *register = (*theirs).max(*register);
        }
    }

    /// About how many there are.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate is not negative and far below 2^63"
    )]
    pub fn count(&self) -> u64 {
        let registers = 512.0_f64;
        let empty = self.0.iter().filter(|rank| **rank == 0).count();
        let sum: f64 = self.0.iter().map(|rank| f64::from(-i32::from(*rank)).exp2()).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / registers) * registers * registers / sum;
        if estimate <= 2.5 * registers && empty > 0 {
            // Few users: how many registers none of them met says it better.
            let empty = f64::from(u32::try_from(empty).unwrap_or_default());
            return (registers * (registers / empty).ln()).round() as u64;
        }
        estimate.round() as u64
    }

    pub const fn as_bytes(&self) -> &[u8; REGISTERS] {
        &self.0
    }

    /// `None`: these bytes are no sketch.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, the same each time (SplitMix64).
    fn user(number: u64) -> UserId {
        let mut bytes = [0; 16];
        for (half, salt) in bytes.chunks_exact_mut(8).zip([1_u64, 2]) {
            let mut z =
                number.wrapping_mul(2).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            half.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
        }
        UserId::from_bytes(bytes)
    }

    fn of(users: std::ops::Range<u64>) -> ActiveUsers {
        let mut sketch = ActiveUsers::default();
        users.for_each(|number| {
            sketch.note(user(number));
        });
        sketch
    }

    #[test]
    fn few_users_are_counted_nearly_exactly_and_many_within_a_tenth() {
        assert_eq!(of(0..0).count(), 0);
        assert_eq!(of(0..1).count(), 1);
        assert_eq!(of(0..7).count(), 7);
        for many in [100_u64, 1_000, 20_000, 500_000] {
            let counted = of(0..many).count();
            assert!(counted.abs_diff(many) <= many / 10, "{many}: {counted}");
        }
    }

    #[test]
    fn a_user_who_comes_again_is_no_news() {
        let mut sketch = ActiveUsers::default();
        assert!(sketch.note(user(1)));
        assert!(!sketch.note(user(1)));
        assert_eq!(sketch.count(), 1);
    }

    #[test]
    fn merged_sketches_count_those_who_are_in_either() {
        let (mut one, other) = (of(0..600), of(400..1_000));
        one.merge(&other);
        assert_eq!(one, of(0..1_000));
        assert_eq!(ActiveUsers::from_bytes(one.as_bytes()), Some(one));
        assert_eq!(ActiveUsers::from_bytes(&[1, 2]), None);
    }
}
