//! The data directory: one process at a time, and nobody else's eyes. It holds the database and
//! the socket that obeys whoever can open it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use crate::cli::Failure;
use crate::system::own_uid;

/// Anything for the group or for others.
const OTHERS: u32 = 0o077;
/// A folder in which everybody keeps files, like `/tmp`.
const STICKY: u32 = 0o1000;

/// Make it when it is not there, close it to others, and keep other processes out until the file
/// is dropped: two would fight over the control socket, and two SQLite writers over the database.
/// The lock goes with the process, however it ends.
pub(super) fn hold(data_dir: &Path) -> Result<File, Failure> {
    let shown = data_dir.display();
    close_folder(data_dir, "data_dir")?;
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options
        .open(data_dir.join("consentry.lock"))
        .map_err(|error| unusable(data_dir, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::Failed(format!(
            "another Consentry runs on the data directory {shown}. Stop it, or give this one \
             another `data_dir`."
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(data_dir, &error)),
    }
}

/// Make a folder for data when it is not there, and close it to others. One that is not ours to
/// close is refused. `setting` chooses another. Call it inside a tokio runtime.
pub(crate) fn close_folder(folder: &Path, setting: &str) -> Result<(), Failure> {
    let unusable = |error: io::Error| unusable(folder, &error);
    create_private_folder(folder).map_err(unusable)?;
    let found = folder.metadata().map_err(unusable)?;
    match verdict(found.mode(), found.uid(), own_uid().map_err(unusable)?) {
        Verdict::Private => {}
        Verdict::Tighten => {
            close_to_others(folder).map_err(|_| refused(folder, setting))?;
            tracing::warn!(
                data_dir = %folder.display(),
                "other users could look into the data directory; now only this user can (0700)"
            );
        }
        Verdict::Refuse => return Err(refused(folder, setting)),
    }
    Ok(())
}

fn unusable(folder: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("the data directory {} cannot be used: {error}", folder.display()))
}

/// Make a folder that only this user can look into. One that is there stays as it is.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Private,
    Tighten,
    Refuse,
}

/// Of a folder with these rights and this owner, for a process of the user `me`. Root could close
/// anybody's folder; which ones it should, it cannot know.
fn verdict(mode: u32, owner: u32, me: u32) -> Verdict {
    match (mode & OTHERS, mode & STICKY) {
        (0, _) => Verdict::Private,
        (_, 0) if owner == me => Verdict::Tighten,
        _ => Verdict::Refuse,
    }
}

/// The folder, and what earlier versions left readable in it.
fn close_to_others(data_dir: &Path) -> io::Result<()> {
    std::fs::set_permissions(data_dir, Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(data_dir)? {
        let entry = entry?;
        // Not through links: what they lead to is somebody else's business.
        if entry.file_type()?.is_file() {
            std::fs::set_permissions(entry.path(), Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

fn refused(folder: &Path, setting: &str) -> Failure {
    let shown = folder.display();
    Failure::Failed(format!(
        "other users of this machine can look into the data directory {shown}, and it is not this \
         user's alone to close. Let its owner run `chmod 700 {shown}`, or choose another \
         `{setting}`."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_process_on_the_same_data_directory_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let first = hold(&data_dir).unwrap();
        let refused = hold(&data_dir).unwrap_err().to_string();
        assert!(refused.contains("another Consentry runs"), "{refused}");
        assert!(refused.contains(&data_dir.display().to_string()), "{refused}");
        drop(first);
        assert!(hold(&data_dir).is_ok());
    }

    #[tokio::test]
    async fn a_data_directory_that_others_could_read_is_closed_with_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        std::fs::create_dir(&data_dir).unwrap();
        let (old, elsewhere) = (data_dir.join("old.db"), folder.path().join("elsewhere"));
        for file in [&old, &elsewhere] {
            std::fs::write(file, "secret").unwrap();
            std::fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, data_dir.join("link")).unwrap();
        std::fs::set_permissions(&data_dir, Permissions::from_mode(0o755)).unwrap();
        let _held = hold(&data_dir).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        let lock = data_dir.join("consentry.lock");
        assert_eq!([&data_dir, &old, &lock].map(|path| mode(path)), [0o700, 0o600, 0o600]);
        assert_eq!(mode(&elsewhere), 0o644);
    }

    #[test]
    fn only_an_own_folder_is_closed_and_a_shared_one_is_refused() {
        assert_eq!(verdict(0o040_700, 1000, 1000), Verdict::Private);
        assert_eq!(verdict(0o040_700, 1000, 0), Verdict::Private);
        for lax in [0o040_755, 0o040_750, 0o040_711, 0o040_777] {
            assert_eq!(verdict(lax, 1000, 1000), Verdict::Tighten, "{lax:o}");
            assert_eq!(verdict(lax, 1000, 0), Verdict::Refuse, "{lax:o}");
        }
        assert_eq!(verdict(0o041_777, 0, 0), Verdict::Refuse, "/tmp");
        let told = refused(Path::new("/srv/data"), "data_dir").to_string();
        assert!(told.contains("`chmod 700 /srv/data`"), "{told}");
    }
}
