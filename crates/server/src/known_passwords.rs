//! Passwords that everybody tries first. A short list is always there; an operator can add a file
//! with the SHA-1 hashes of breached passwords in the sorted format of Have I Been Pwned
//! (`HASH:COUNT` per line). It is searched where it lies: nothing is sent anywhere and nothing is
//! kept in memory.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

/// The commonest ones that are long enough to be taken otherwise.
const COMMONEST: &str = include_str!("known_passwords.txt");

/// Hexadecimal digits of SHA-1.
const DIGITS: usize = 40;
/// A list of prefixes of hashes says less the shorter they are: below this, too little.
const PREFIX_MIN: usize = 16;
/// Longer lines are none of this format.
const LINE_MAX: u64 = 128;

#[derive(Debug, Default)]
pub struct KnownPasswords {
    file: Option<PathBuf>,
}

impl KnownPasswords {
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Reads the disk: call it where that may take a while. A file that cannot be read says no; the
    /// caller logs why.
    pub fn contains(&self, password: &str) -> (bool, Option<io::Error>) {
        if is_common(password) {
            return (true, None);
        }
        let Some(path) = &self.file else { return (false, None) };
        match search(path, &hash(password)) {
            Ok(found) => (found, None),
            Err(error) => (false, Some(error)),
        }
    }
}

/// Whether a file looks like one of the format. For the start, so that a wrong file is noticed.
pub fn check_file(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let line = line_at(&mut file, 0)?;
    digits_of(&line).map(drop)
}

/// What is short or simple in another spelling is as simple.
fn is_common(password: &str) -> bool {
    let plain: String = password.to_lowercase();
    COMMONEST.lines().any(|known| known == plain) || is_monotonous(&plain)
}

/// One letter over and over, or a piece of the alphabet or of the digits.
fn is_monotonous(password: &str) -> bool {
    let letters: Vec<u32> = password.chars().map(u32::from).collect();
    let steps =
        || letters.iter().zip(letters.iter().skip(1)).map(|(a, b)| i64::from(*b) - i64::from(*a));
    [0, 1, -1].into_iter().any(|step| steps().all(|found| found == step))
}

fn hash(password: &str) -> String {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Binary search over the bytes of the file: 30 reads in 40 GB.
fn search(path: &Path, wanted: &str) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let (mut low, mut high) = (0, file.metadata()?.len());
    while low < high {
        let start = line_start(&mut file, low, low + (high - low) / 2)?;
        let line = line_at(&mut file, start)?;
        let digits = digits_of(&line)?.to_ascii_uppercase();
        match wanted.get(..digits.len()).unwrap_or(wanted).cmp(&digits) {
            Ordering::Equal => return Ok(true),
            Ordering::Less => high = start,
            Ordering::Greater => low = start + line.len() as u64 + 1,
        }
    }
    Ok(false)
}

/// Where the line begins that the byte at `middle` belongs to; not before `low`, where one begins.
fn line_start(file: &mut File, low: u64, middle: u64) -> io::Result<u64> {
    let from = middle.saturating_sub(LINE_MAX).max(low);
    let mut before = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.by_ref().take(middle - from).read_to_end(&mut before)?;
    match before.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => Ok(from + at as u64 + 1),
        None if from == low => Ok(low),
        None => Err(unreadable()),
    }
}

/// The line that begins at `start`, without its end.
fn line_at(file: &mut File, start: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.by_ref().take(LINE_MAX).read_to_end(&mut bytes)?;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    String::from_utf8(bytes).map_err(|_| unreadable())
}

fn digits_of(line: &str) -> io::Result<&str> {
    let digits = line.split(':').next().unwrap_or_default().trim();
    let is_good = (PREFIX_MIN..=DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_good { Ok(digits) } else { Err(unreadable()) }
}

fn unreadable() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it is no sorted list of SHA-1 hashes, one `HASH:COUNT` per line",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the hashes of `passwords`, each line written by `line`.
    fn file(passwords: &[String], line: impl Fn(&str) -> String) -> tempfile::NamedTempFile {
        let mut hashes: Vec<_> = passwords.iter().map(|password| hash(password)).collect();
        hashes.sort_unstable();
        let text: String = hashes.iter().map(|hash| line(hash)).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn known(file: &tempfile::NamedTempFile) -> KnownPasswords {
        check_file(file.path()).unwrap();
        KnownPasswords::new(Some(file.path().to_owned()))
    }

    #[test]
    fn every_line_of_the_file_is_found_and_nothing_else() {
        let breached: Vec<_> = (0..257).map(|n| format!("breached-{n}-password")).collect();
        let shapes: [fn(&str) -> String; 4] = [
            |hash| format!("{hash}:{}\r\n", hash.len() * 7),
            |hash| format!("{}:1\n", hash.to_lowercase()),
            |hash| format!("{hash}\n"),
            |hash| format!("{}\n", &hash[..20]),
        ];
        for shape in shapes {
            let file = file(&breached, shape);
            let known = known(&file);
            for password in &breached {
                assert!(known.contains(password).0, "{password}");
            }
            for other in 257..600 {
                let (found, error) = known.contains(&format!("breached-{other}-password"));
                assert!(!found && error.is_none(), "{other}: {error:?}");
            }
        }
    }

    #[test]
    fn the_commonest_are_known_without_a_file_in_any_spelling() {
        let known = KnownPasswords::default();
        for password in
            ["Password1", "qwertyuiop", "aaaaaaaaaa", "12345678", "hgfedcba", "ILOVEYOU1"]
        {
            assert!(known.contains(password).0, "{password}");
        }
        for password in ["correct horse battery staple", "demo-alice-password", "abcdefgz"] {
            assert!(!known.contains(password).0, "{password}");
        }
        assert!(COMMONEST.lines().all(|line| line == line.to_lowercase() && line.len() >= 8));
    }

    #[test]
    fn another_file_is_noticed_at_the_start_and_says_no_later() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "password1\npassword2\n").unwrap();
        assert!(check_file(file.path()).is_err());
        let known = KnownPasswords::new(Some(file.path().to_owned()));
        let (found, error) = known.contains("quite another one");
        assert!(!found && error.is_some());
        assert!(check_file(Path::new("/nonexistent/list")).is_err());
    }
}
