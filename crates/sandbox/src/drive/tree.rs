//! A user's folders and files as one tree, and its shapes on the wire. Pure: it is built from all
//! of a user's rows, of which a practice drive has few.

use serde_json::{Value, json};

use super::content;
use super::rows::{File, Folder};

const ROOT_NAME: &str = "My files";
/// A folder in a folder in a folder…: a stop for a tree that a damaged database made endless.
const DEPTH_MAX: usize = 32;

pub(crate) struct Tree {
    pub(crate) folders: Vec<Folder>,
    pub(crate) files: Vec<File>,
    /// When the user, and with him the top folder, came to be.
    pub(crate) created_at: i64,
}

/// How far a view of a folder goes down: folders within it by name only, or with their contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    Shallow,
    Recursive,
}

impl Tree {
    pub(crate) fn find_folder(&self, code: &str) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.code == code)
    }

    /// The folder at a path such as `/Documents/Travel`; `Some(None)` is the top.
    pub(crate) fn find_by_path(&self, path: &str) -> Option<Option<&Folder>> {
        let mut here: Option<&Folder> = None;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let parent = here.map(|folder| folder.code.as_str());
            here = Some(
                self.folders
                    .iter()
                    .find(|folder| folder.name == name && folder.parent.as_deref() == parent)?,
            );
        }
        Some(here)
    }

    /// A folder with what is in it; `None` is the top.
    pub(crate) fn view(&self, folder: Option<&Folder>, depth: Depth) -> Value {
        self.view_at(folder, depth, true, DEPTH_MAX)
    }

    fn view_at(&self, folder: Option<&Folder>, depth: Depth, open: bool, levels: usize) -> Value {
        let code = folder.map(|folder| folder.code.as_str());
        let (size, files_count) = self.weigh(code, DEPTH_MAX);
        let parent = folder
            .and_then(|folder| folder.parent.as_deref())
            .and_then(|code| self.find_folder(code))
            .map(|parent| json!({ "name": parent.name, "code": parent.code }));
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        if let (true, Some(levels)) = (open, levels.checked_sub(1)) {
            let open = depth == Depth::Recursive;
            folders.extend(
                self.folders_in(code).map(|inner| self.view_at(Some(inner), depth, open, levels)),
            );
            files.extend(self.files_in(code).map(view_file));
        }
        json!({
            "name": folder.map_or(ROOT_NAME, |folder| folder.name.as_str()),
            "code": code,
            "size": size,
            "files_count": files_count,
            "created_at": date(folder.map_or(self.created_at, |folder| folder.created_at)),
            "folders": folders,
            "files": files,
            "parent_folder": parent,
        })
    }

    /// Everything below a folder, as paths from it: folders with a slash at the end and no file.
    pub(crate) fn below(&self, code: &str) -> Vec<(String, Option<&File>, i64)> {
        let mut found = Vec::new();
        self.collect(code, "", DEPTH_MAX, &mut found);
        found
    }

    fn collect<'a>(
        &'a self,
        code: &str,
        path: &str,
        levels: usize,
        found: &mut Vec<(String, Option<&'a File>, i64)>,
    ) {
        let Some(levels) = levels.checked_sub(1) else { return };
        for file in self.files_in(Some(code)) {
            found.push((format!("{path}{}", file.name), Some(file), file.created_at));
        }
        for folder in self.folders_in(Some(code)) {
            let path = format!("{path}{}/", folder.name);
            found.push((path.clone(), None, folder.created_at));
            self.collect(&folder.code, &path, levels, found);
        }
    }

    /// Folders and files whose name contains the term, in whatever case.
    pub(crate) fn search(&self, term: &str) -> Value {
        let term = term.to_lowercase();
        let matches = |name: &str| name.to_lowercase().contains(&term);
        let folders: Vec<Value> = self
            .folders
            .iter()
            .filter(|folder| matches(&folder.name))
            .map(|folder| self.view_at(Some(folder), Depth::Shallow, false, DEPTH_MAX))
            .collect();
        let files: Vec<Value> =
            self.files.iter().filter(|file| matches(&file.name)).map(view_file).collect();
        json!({ "folders": folders, "files": files })
    }

    pub(crate) fn total_size(&self) -> u64 {
        self.files.iter().fold(0, |total, file| total.saturating_add(file.size))
    }

    /// Bytes and number of the files in a folder, those of its folders included.
    fn weigh(&self, code: Option<&str>, levels: usize) -> (u64, u64) {
        let own = self.files_in(code).map(|file| (file.size, 1));
        let deeper = levels.checked_sub(1).into_iter().flat_map(|levels| {
            self.folders_in(code).map(move |folder| self.weigh(Some(&folder.code), levels))
        });
        own.chain(deeper).fold((0, 0), |(size, count), (more, files)| {
            (size.saturating_add(more), count.saturating_add(files))
        })
    }

    fn folders_in(&self, code: Option<&str>) -> impl Iterator<Item = &Folder> {
        self.folders.iter().filter(move |folder| folder.parent.as_deref() == code)
    }

    fn files_in(&self, code: Option<&str>) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.folder.as_deref() == code)
    }
}

pub(crate) fn view_file(file: &File) -> Value {
    let (kind, _, extension) = content::kind_of(&file.name);
    json!({
        "name": file.name,
        "code": file.code,
        "crc32": format!("{:08x}", file.crc32),
        "parent_folder_code": file.folder,
        "size": file.size,
        "video": kind == "video",
        "conversion_status": "unconverted",
        "screenshots": { "small": null, "medium": null, "big": null },
        "extension": extension,
        "type": kind,
        "virus": false,
        "created_at": date(file.created_at),
        "download_url": format!("/v2/files/{}/download", file.code),
    })
}

/// A moment as PHP's `DateTime` writes it, which is what Bitport's clients read.
pub(crate) fn date(milliseconds: i64) -> Value {
    let moment = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    json!({
        "date": moment.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string(),
        "timezone_type": 3,
        "timezone": "UTC",
    })
}
