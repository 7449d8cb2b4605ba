//! A mistake in the config as a person needs it: where it is, what is wrong, what to do.

use std::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Line and column count from one, columns in characters.
    File { file: PathBuf, line: usize, column: usize },
    /// An environment variable.
    Variable(String),
    /// Something inside another file that the config names, e.g. an operation of an OpenAPI
    /// document.
    Inside { file: PathBuf, path: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Inside { file, path } if path.is_empty() => write!(f, "{}", file.display()),
            Self::Inside { file, path } => write!(f, "{}: {path}", file.display()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    pub what: String,
    pub to_do: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        if self.to_do.is_empty() { Ok(()) } else { write!(f, "\n    {}", self.to_do) }
    }
}

/// Line and column of a byte offset, both from one.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

/// The candidate that `word` is probably a misspelling of.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's: insertions, removals and replacements between two short words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((to, pair), left) in b.iter().zip(row.windows(2)).zip(1..) {
            let [diagonal, above] = pair else { continue };
            let before = next.get(left - 1).copied().unwrap_or(usize::MAX - 1);
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        assert_eq!(line_and_column("ab\nçd = 1", 0), (1, 1));
        assert_eq!(line_and_column("ab\nçd = 1", 5), (2, 2));
    }

    #[test]
    fn a_misspelt_word_finds_its_neighbour_and_a_foreign_one_finds_none() {
        let keys = ["access_token", "access_token_max", "grant"];
        assert_eq!(nearest("acess_token", keys), Some("access_token"));
        assert_eq!(nearest("grants", keys), Some("grant"));
        assert_eq!(nearest("colour", keys), None);
    }
}
