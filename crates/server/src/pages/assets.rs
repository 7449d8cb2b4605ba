//! The few files that pages load: a style sheet, two small scripts, the logo, the brand's colours.

/// A file as it is served.
#[derive(Clone, Debug)]
pub struct Asset<'a> {
    pub content_type: &'static str,
    pub body: &'a [u8],
    /// With its quotes, ready for the header.
    pub etag: String,
}

const STYLE: &[u8] = include_bytes!("../../assets/style.css");
const SCRIPT: &[u8] = include_bytes!("../../assets/app.js");
const PASSKEY_SCRIPT: &[u8] = include_bytes!("../../assets/passkey.js");
const LOGO: &[u8] = include_bytes!("../../assets/consentry.svg");

/// The files that are the same for every provider. `path` is what follows `/assets/`.
pub fn asset(path: &str) -> Option<Asset<'static>> {
    let (content_type, body) = match path {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "app.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "passkey.js" => ("text/javascript; charset=utf-8", PASSKEY_SCRIPT),
        "consentry.svg" => ("image/svg+xml", LOGO),
        _ => return None,
    };
    Some(Asset { content_type, body, etag: etag(FILES_HASH) })
}

/// One tag for all of them: they only change together, with the binary.
const FILES_HASH: u64 = fnv(fnv(fnv(fnv(FNV_OFFSET, STYLE), SCRIPT), PASSKEY_SCRIPT), LOGO);

/// The generated style sheet of a provider's colours.
pub(super) struct BrandSheet {
    css: String,
    hash: u64,
}

impl BrandSheet {
    pub(super) fn new(css: String) -> Self {
        let hash = fnv(FILES_HASH, css.as_bytes());
        Self { css, hash }
    }

    pub(super) fn css(&self) -> &str {
        &self.css
    }

    pub(super) fn asset(&self) -> Asset<'_> {
        Asset {
            content_type: "text/css; charset=utf-8",
            body: self.css.as_bytes(),
            etag: etag(self.hash),
        }
    }

    /// Changes whenever any of the files does.
    pub(super) fn version(&self) -> String {
        format!("{:08x}", self.hash >> 32)
    }
}

fn etag(hash: u64) -> String {
    format!("\"{hash:016x}\"")
}

// FNV-1a: tells file versions apart; nothing depends on it being hard to forge.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

const fn fnv(mut hash: u64, mut bytes: &[u8]) -> u64 {
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        bytes = rest;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_that_exist_are_served() {
        let files = ["style.css", "app.js", "passkey.js", "consentry.svg"];
        assert_eq!(files.map(|path| asset(path).is_some()), [true; 4]);
        assert!(asset("../src/lib.rs").is_none());
        assert!(asset("").is_none());
    }

    #[test]
    fn a_tag_is_quoted_and_follows_the_content() {
        let one = BrandSheet::new("a".into());
        let other = BrandSheet::new("b".into());
        assert_ne!(one.asset().etag, other.asset().etag);
        assert_ne!(one.version(), other.version());
        assert!(one.asset().etag.starts_with('"') && one.asset().etag.ends_with('"'));
    }
}
