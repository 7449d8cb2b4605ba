//! Route patterns and the table that finds the one route of a request.
//!
//! The most specific pattern that fits a path decides, whatever its methods: a literal segment is
//! more specific than `{name}`, and `{name}` more than `{*rest}`, from left to right.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;

use http::Method;

use crate::path::NormalPath;

/// Such as `/v2/files/{code}/download` or `/static/{*rest}`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RoutePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Part {
    Literal(String),
    /// One segment, not empty.
    Param,
    /// One segment or more, the first not empty; only at the end.
    Tail,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("the pattern {0:?} must start with a slash")]
    NotAbsolute(String),
    #[error("the segment {0:?} must be literal text, {{name}} or, at the end, {{*name}}")]
    BadSegment(String),
    #[error("in the pattern {0:?}, {{*name}} must be the last segment")]
    TailNotLast(String),
    #[error("the name {0:?} occurs twice")]
    DoubledName(String),
    #[error("the pattern {0:?} is not in its normal form; write {1}")]
    NotNormal(String, String),
}

impl RoutePattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let inner =
            text.strip_prefix('/').ok_or_else(|| PatternError::NotAbsolute(text.to_owned()))?;
        let mut parts = Vec::new();
        let mut names = HashSet::new();
        for segment in inner.split('/') {
            if matches!(parts.last(), Some(Part::Tail)) {
                return Err(PatternError::TailNotLast(text.to_owned()));
            }
            parts.push(parse_segment(segment, &mut names)?);
        }
        check_normal(text, &parts)?;
        Ok(Self { text: text.to_owned(), parts })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the path has this shape. A table also weighs other patterns: use [`RouteTable`].
    pub fn matches(&self, path: &NormalPath) -> bool {
        let mut segments = path.segments();
        for part in &self.parts {
            let Some(segment) = segments.next() else { return false };
            match part {
                Part::Literal(literal) if literal == segment => {}
                Part::Param if !segment.is_empty() => {}
                Part::Tail => return !segment.is_empty(),
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// Whether some path fits both patterns.
    pub fn overlaps(&self, other: &Self) -> bool {
        let mut ours = self.parts.iter();
        let mut theirs = other.parts.iter();
        loop {
            let fit = match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (None, Some(_)) | (Some(_), None) => return false,
                (Some(Part::Tail), Some(part)) | (Some(part), Some(Part::Tail)) => {
                    return !part.is_empty_literal();
                }
                (Some(Part::Literal(a)), Some(Part::Literal(b))) => a == b,
                (Some(Part::Param), Some(part)) | (Some(part), Some(Part::Param)) => {
                    !part.is_empty_literal()
                }
            };
            if !fit {
                return false;
            }
        }
    }

    /// Whether both patterns fit exactly the same paths (parameter names do not matter).
    pub fn is_same_shape(&self, other: &Self) -> bool {
        self.parts == other.parts
    }

    /// `Less` when `self` decides before `other`: literal before `{name}` before `{*rest}`, from
    /// left to right.
    pub fn cmp_specificity(&self, other: &Self) -> Ordering {
        let ours = self.parts.iter().map(Part::rank);
        ours.cmp(other.parts.iter().map(Part::rank))
            .then_with(|| other.parts.len().cmp(&self.parts.len()))
    }
}

impl Part {
    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Param => 1,
            Self::Tail => 2,
        }
    }

    fn is_empty_literal(&self) -> bool {
        matches!(self, Self::Literal(literal) if literal.is_empty())
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

fn parse_segment(segment: &str, names: &mut HashSet<String>) -> Result<Part, PatternError> {
    let bad = || PatternError::BadSegment(segment.to_owned());
    let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return match segment.contains(['{', '}']) {
            true => Err(bad()),
            false => Ok(Part::Literal(segment.to_owned())),
        };
    };
    let (name, part) = match inner.strip_prefix('*') {
        Some(name) => (name, Part::Tail),
        None => (inner, Part::Param),
    };
    // OpenAPI documents have names such as `order-id`.
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || !name.chars().all(legal) {
        return Err(bad());
    }
    if !names.insert(name.to_owned()) {
        return Err(PatternError::DoubledName(name.to_owned()));
    }
    Ok(part)
}

/// The literal text must be what a normalised path looks like, or it would never match.
fn check_normal(text: &str, parts: &[Part]) -> Result<(), PatternError> {
    let sample: String = parts
        .iter()
        .map(|part| match part {
            Part::Literal(literal) => format!("/{literal}"),
            Part::Param | Part::Tail => "/x".to_owned(),
        })
        .collect();
    match NormalPath::parse(&sample) {
        Ok(normal) if normal.as_str() == sample => Ok(()),
        Ok(normal) => Err(PatternError::NotNormal(text.to_owned(), normal.to_string())),
        Err(why) => Err(PatternError::NotNormal(text.to_owned(), format!("another path: {why}"))),
    }
}

/// All routes of one API.
#[derive(Debug, Clone)]
pub struct RouteTable<T> {
    root: Node<T>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    literals: HashMap<String, Node<T>>,
    /// The keys of `literals` in lower case: a path that misses one only by case, or by encoding,
    /// is not a parameter (attack G1).
    folded: HashSet<String>,
    param: Option<Box<Node<T>>>,
    tail: Option<Routes<T>>,
    here: Option<Routes<T>>,
}

/// The methods of one pattern.
#[derive(Debug, Clone)]
struct Routes<T> {
    pattern: RoutePattern,
    by_method: Vec<(Method, T)>,
}

/// Two routes would answer the same requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{method} {pattern} is the same route as {method} {earlier}")]
pub struct RouteConflict {
    pub method: Method,
    pub pattern: RoutePattern,
    pub earlier: RoutePattern,
}

/// What a table says about a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a, T> {
    Found(&'a T),
    /// The path is known; these methods are for `Allow`.
    MethodNotAllowed(Vec<Method>),
    NotFound,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            folded: HashSet::new(),
            param: None,
            tail: None,
            here: None,
        }
    }
}

impl<T> Node<T> {
    /// As deep as the longest pattern, whose length is bounded.
    fn each<'t>(&'t self, visit: &mut impl FnMut(&'t str, &'t T)) {
        for routes in self.here.iter().chain(&self.tail) {
            routes.by_method.iter().for_each(|(method, route)| visit(method.as_str(), route));
        }
        self.literals.values().chain(self.param.as_deref()).for_each(|below| below.each(visit));
    }
}

impl<T> RouteTable<T> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn insert(
        &mut self,
        method: Method,
        pattern: RoutePattern,
        route: T,
    ) -> Result<(), RouteConflict> {
        let mut node = &mut self.root;
        let mut tail = false;
        for part in &pattern.parts {
            match part {
                Part::Literal(literal) => {
                    node.folded.insert(literal.to_ascii_lowercase());
                    node = node.literals.entry(literal.clone()).or_default();
                }
                Part::Param => node = node.param.get_or_insert_default(),
                Part::Tail => tail = true,
            }
        }
        let slot = if tail { &mut node.tail } else { &mut node.here };
        let routes =
            slot.get_or_insert_with(|| Routes { pattern: pattern.clone(), by_method: Vec::new() });
        if routes.by_method.iter().any(|(taken, _)| *taken == method) {
            return Err(RouteConflict { method, pattern, earlier: routes.pattern.clone() });
        }
        routes.by_method.push((method, route));
        Ok(())
    }

    pub fn lookup(&self, method: &Method, path: &NormalPath) -> Lookup<'_, T> {
        match self.find(path) {
            Some(routes) => routes.answer(method),
            None => Lookup::NotFound,
        }
    }

    /// The pattern that decides about a path, whatever the method.
    pub fn pattern_for(&self, path: &NormalPath) -> Option<&RoutePattern> {
        self.find(path).map(|routes| &routes.pattern)
    }

    /// What was inserted for exactly this pattern, by method.
    pub fn routes_of(&self, pattern: &RoutePattern) -> &[(Method, T)] {
        let mut node = &self.root;
        let mut slot = &self.root.here;
        for part in &pattern.parts {
            let below = match part {
                Part::Literal(literal) => node.literals.get(literal),
                Part::Param => node.param.as_deref(),
                Part::Tail => {
                    slot = &node.tail;
                    break;
                }
            };
            let Some(below) = below else { return &[] };
            (node, slot) = (below, &below.here);
        }
        slot.as_ref().map_or(&[], |routes| &routes.by_method)
    }

    /// Every route with its pattern and method, by pattern.
    pub fn all(&self) -> Vec<(&RoutePattern, &Method, &T)> {
        let mut found = Vec::new();
        self.root.collect(&mut found);
        found.sort_by(|(one, a, _), (other, b, _)| {
            (one.as_str(), a.as_str()).cmp(&(other.as_str(), b.as_str()))
        });
        found
    }

    /// Every route with its method, in no order.
    pub fn each<'t>(&'t self, visit: &mut impl FnMut(&'t str, &'t T)) {
        self.root.each(visit);
    }

    /// The methods that a path has; none when no route fits it.
    pub fn methods(&self, path: &NormalPath) -> Vec<Method> {
        self.find(path).map(Routes::methods).unwrap_or_default()
    }

    fn find(&self, path: &NormalPath) -> Option<&Routes<T>> {
        let mut segments: Vec<&str> = path.segments().collect();
        let found = self.root.find(&segments).found()?;
        // Many upstreams ignore a trailing slash. Where a more specific route would decide with
        // the slash added or taken away, the path has two readings.
        match segments.last() {
            Some(&"") => drop(segments.pop()),
            _ => segments.push(""),
        }
        let is_exact = matches!(found.pattern.parts.last(), Some(Part::Literal(_)));
        if !is_exact
            && let Found::Routes(other) = self.root.find(&segments)
            && other.pattern.cmp_specificity(&found.pattern) == Ordering::Less
        {
            return None;
        }
        Some(found)
    }
}

enum Found<'a, T> {
    Routes(&'a Routes<T>),
    Nothing,
    /// The path could be read as another route: stop looking.
    Ambiguous,
}

impl<'a, T> Found<'a, T> {
    fn found(self) -> Option<&'a Routes<T>> {
        match self {
            Self::Routes(routes) => Some(routes),
            Self::Nothing | Self::Ambiguous => None,
        }
    }
}

impl<T> Node<T> {
    /// Depth is bounded by the longest pattern.
    fn collect<'a>(&'a self, found: &mut Vec<(&'a RoutePattern, &'a Method, &'a T)>) {
        for routes in [&self.here, &self.tail].into_iter().flatten() {
            let all = routes.by_method.iter();
            found.extend(all.map(|(method, route)| (&routes.pattern, method, route)));
        }
        for node in self.literals.values().chain(self.param.as_deref()) {
            node.collect(found);
        }
    }

    /// Depth is bounded by the longest pattern, not by the path.
    fn find(&self, segments: &[&str]) -> Found<'_, T> {
        let Some((segment, rest)) = segments.split_first() else {
            return self.here.as_ref().map_or(Found::Nothing, Found::Routes);
        };
        if let Some(next) = self.literals.get(*segment) {
            let found = next.find(rest);
            if !matches!(found, Found::Nothing) {
                return found;
            }
        } else if self.folded.contains(&fold(segment)) {
            return Found::Ambiguous;
        }
        if segment.is_empty() {
            return Found::Nothing;
        }
        if let Some(next) = &self.param {
            let found = next.find(rest);
            if !matches!(found, Found::Nothing) {
                return found;
            }
        }
        self.tail.as_ref().map_or(Found::Nothing, Found::Routes)
    }
}

impl<T> Routes<T> {
    fn answer(&self, method: &Method) -> Lookup<'_, T> {
        if let Some(route) = self.of(method) {
            return Lookup::Found(route);
        }
        // RFC 9110 §9.3.2: HEAD is GET without the content.
        if method == Method::HEAD
            && let Some(route) = self.of(&Method::GET)
        {
            return Lookup::Found(route);
        }
        Lookup::MethodNotAllowed(self.methods())
    }

    fn methods(&self) -> Vec<Method> {
        let mut methods: Vec<Method> =
            self.by_method.iter().map(|(method, _)| method.clone()).collect();
        if self.of(&Method::GET).is_some() && self.of(&Method::HEAD).is_none() {
            methods.push(Method::HEAD);
        }
        methods
    }

    fn of(&self, method: &Method) -> Option<&T> {
        self.by_method.iter().find(|(known, _)| known == method).map(|(_, route)| route)
    }
}

/// A segment as the loosest upstream might read it: decoded and without case.
fn fold(segment: &str) -> String {
    let mut folded = String::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let high = bytes.next().and_then(crate::params::hex_value).unwrap_or_default();
                let low = bytes.next().and_then(crate::params::hex_value).unwrap_or_default();
                high * 16 + low
            }
            plain => plain,
        };
        folded.push(char::from(byte.to_ascii_lowercase()));
    }
    folded
}

#[cfg(test)]
mod tests;
