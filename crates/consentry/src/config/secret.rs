//! Secrets that the config names: the master key, and the credentials of resource servers.

use std::path::Path;

use domain::keyring::MasterKey;
use zeroize::Zeroizing;

use super::environment::MASTER_KEY;
use super::problem::Place;
use super::reader::{Section, Spot};
use super::{ClearCredentials, Environment, ReadFile, read_text};

/// What `consentry init` writes into the master key file.
pub fn master_key_text(key: &MasterKey) -> Zeroizing<String> {
    let digits: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Zeroizing::new(format!("{digits}\n"))
}

fn parse_master_key(text: &str) -> Result<MasterKey, &'static str> {
    const HINT: &str = "It must hold 64 hexadecimal digits. `consentry init` writes one; without \
                        the one that was used so far an existing database cannot be opened.";
    let digits = text.trim();
    let mut bytes = Zeroizing::new([0_u8; 32]);
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(HINT);
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        let pair = digits.get(index * 2..index * 2 + 2).ok_or(HINT)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| HINT)?;
    }
    Ok(MasterKey::new(*bytes))
}

pub(super) fn master_key(
    root: &Section<'_>,
    environment: &Environment,
    read: ReadFile<'_>,
) -> Option<MasterKey> {
    let document = root.document;
    if let Some(digits) = environment.find(MASTER_KEY) {
        let key = parse_master_key(digits);
        return key
            .map_err(|hint| {
                let place = Place::Variable(MASTER_KEY.into());
                document.problem_inside(place, "this is no master key", hint);
            })
            .ok();
    }
    let path = match root.path("master_key_file") {
        Some(at) => at.value,
        None => document.resolve("master.key"),
    };
    let spot = root.spot_of("master_key_file");
    let text = match read_text(read, &path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            let what = format!("the master key file {} cannot be read: {error}", path.display());
            let to_do = "`consentry init` writes one, or restore it from your backup.";
            document.problem(&spot, what, to_do);
            return None;
        }
    };
    if is_readable_by_others(&path) {
        let what = format!("other users of this machine can read {}", path.display());
        document.warn(document.place(&spot), what, format!("chmod 600 {}", path.display()));
    }
    let key = parse_master_key(&text);
    key.map_err(|hint| {
        document.problem(&spot, format!("{} is no master key", path.display()), hint);
    })
    .ok()
}

#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

/// `[resource.introspection]`; `None` when there is none or a problem was reported.
pub(super) fn introspection(section: &Section<'_>, read: ReadFile<'_>) -> Option<ClearCredentials> {
    if !section.exists() {
        return None;
    }
    let document = section.document;
    let id = section.required("id");
    let Some((secret, spot)) = one_of(section, ("secret", "secret_file"), read) else {
        if !section.is_set("secret") && !section.is_set("secret_file") {
            let what = "the credentials have no secret";
            document.problem(&section.spot, what, "Add `secret_file` (or `secret`).");
        }
        return None;
    };
    if secret.len() < 16 {
        let to_do = "Use at least 16 characters; `openssl rand -hex 24` makes good ones.";
        document.problem(&spot, "the secret is too short", to_do);
        return None;
    }
    Some(ClearCredentials { id: id?.value, secret })
}

/// A secret that is written here, or in a file that is named here. `None`: there is none, or a
/// problem was reported.
pub(super) fn one_of(
    section: &Section<'_>,
    (inline, file): (&str, &str),
    read: ReadFile<'_>,
) -> Option<(Zeroizing<String>, Spot)> {
    let document = section.document;
    match (section.text(inline), section.path(file)) {
        (Some(inline), None) => Some((Zeroizing::new(inline.value), inline.spot)),
        (None, Some(path)) => match read_text(read, &path.value) {
            Ok(text) => Some((Zeroizing::new(text.trim().to_owned()), path.spot)),
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.value.display());
                document.problem(&path.spot, what, "Write the secret into that file.");
                None
            }
        },
        (Some(_), Some(path)) => {
            let what = format!("there are both `{inline}` and `{file}`");
            document.problem(&path.spot, what, "Remove one.");
            None
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_survives_its_file() {
        let key = MasterKey::new([0xa7; 32]);
        let text = master_key_text(&key);
        assert_eq!(parse_master_key(&text).map(|key| *key.as_bytes()), Ok([0xa7; 32]));
        for wrong in ["", "a7", &"g".repeat(64), &"é".repeat(32), &"a".repeat(66)] {
            assert!(parse_master_key(wrong).is_err(), "{wrong}");
        }
    }
}
