//! Scope names and sets of them (RFC 6749 §3.3).

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::slice;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest scope name, in bytes. The RFC sets no limit; every limit of ours is written down.
pub const NAME_BYTES_MAX: usize = 128;
/// Most scopes in one set that is read from outside.
pub const COUNT_MAX: usize = 200;

/// One permission's name, such as `orders.create`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeName(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    #[error("a scope name is empty")]
    Empty,
    #[error("a scope name is longer than {NAME_BYTES_MAX} characters")]
    TooLong,
    #[error("a scope name has a character other than printable ASCII without quote and backslash")]
    Character,
    #[error("there are more than {COUNT_MAX} scopes")]
    TooMany,
}

impl ScopeName {
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.is_empty() {
            return Err(InvalidScope::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(InvalidScope::TooLong);
        }
        // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        let legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if !text.bytes().all(legal) {
            return Err(InvalidScope::Character);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Borrow<str> for ScopeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ScopeName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ScopeName {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

impl Serialize for ScopeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ScopeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A set of scopes in alphabetical order. As text and in serde: names separated by one space. Sets
/// are copied and compared on every call and hardly ever changed, so copies share one list.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeSet(Arc<[ScopeName]>);

impl ScopeSet {
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads names separated by spaces. An empty text is the empty set; extra spaces are harmless
    /// and forgiven.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let mut names = BTreeSet::new();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            names.insert(ScopeName::parse(name)?);
            if names.len() > COUNT_MAX {
                return Err(InvalidScope::TooMany);
            }
        }
        Ok(Self(names.into_iter().collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    pub fn is_subset(&self, of: &Self) -> bool {
        if Arc::ptr_eq(&self.0, &of.0) {
            return true;
        }
        // Both are in order, so each name is looked for behind the one before.
        let mut others = of.0.iter();
        self.0.len() <= of.0.len() && self.0.iter().all(|name| others.any(|other| other == name))
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        // Nearly always: what was asked for was granted.
        if self.is_subset(other) {
            return self.clone();
        }
        self.0.iter().filter(|name| other.contains(name.as_str())).cloned().collect()
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        if self.is_subset(other) {
            return Self::default();
        }
        self.0.iter().filter(|name| !other.contains(name.as_str())).cloned().collect()
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_subset(self) {
            return self.clone();
        }
        self.0.iter().chain(other.0.iter()).cloned().collect()
    }

    pub fn iter(&self) -> slice::Iter<'_, ScopeName> {
        self.0.iter()
    }

    /// True when the name was not there before.
    pub fn insert(&mut self, name: ScopeName) -> bool {
        let Err(at) = self.position(name.as_str()) else { return false };
        let (before, after) = self.0.split_at(at);
        self.0 = before.iter().chain([&name]).chain(after).cloned().collect();
        true
    }

    /// True when the name was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let is_there = self.contains(name);
        if is_there {
            self.0 = self.0.iter().filter(|held| held.as_str() != name).cloned().collect();
        }
        is_there
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|held| held.as_str().cmp(name))
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&*self.0).finish()
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Self::parse(text)
    }
}

impl FromIterator<ScopeName> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = ScopeName>>(names: I) -> Self {
        Self(names.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }
}

impl Extend<ScopeName> for ScopeSet {
    fn extend<I: IntoIterator<Item = ScopeName>>(&mut self, names: I) {
        *self = self.0.iter().cloned().chain(names).collect();
    }
}

impl<'a> IntoIterator for &'a ScopeSet {
    type Item = &'a ScopeName;
    type IntoIter = slice::Iter<'a, ScopeName>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
