//! The real clock, the real randomness, and who runs the process. Everything else takes them as
//! parameters.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use domain::entropy::Entropy;
use domain::time::{Clock, Timestamp};
use tokio::net::UnixStream;

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where time enters")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place where randomness enters")]
    fn fill(&self, out: &mut [u8]) {
        // A machine without randomness must not hand out guessable secrets.
        if aws_lc_rs::rand::fill(out).is_err() {
            std::process::abort();
        }
    }
}

/// What this machine calls the user, if it is one of its own.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    name_in(&std::fs::read_to_string("/etc/passwd").ok()?, uid)
}

/// `NAME:x:UID:…` in each line (passwd(5)).
fn name_in(passwd: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    let mut lines = passwd.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

/// The user id of this process. The kernel tells whoever holds the other end of a socket, which
/// needs no `unsafe` call of our own. Call it inside a tokio runtime.
pub(crate) fn own_uid() -> io::Result<u32> {
    let (here, _there) = UnixStream::pair()?;
    Ok(here.peer_cred()?.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nolga:x:1000:1000::/home/o:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("olga"));
        assert_eq!(name_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_in(passwd, 1), None);
    }
}
