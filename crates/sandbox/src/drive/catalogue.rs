//! What can be transferred to a practice drive: a few torrents that exist nowhere but here. There
//! is no network behind a transfer; any other link ends in an error.

use super::content;

/// A torrent: the hash that its magnet link names, and what it holds.
pub(crate) struct Torrent {
    /// 40 lower-case hexadecimal digits.
    pub(crate) hash: &'static str,
    pub(crate) name: &'static str,
    /// How long its download takes, once it has begun.
    pub(crate) seconds: i64,
    pub(crate) files: &'static [TorrentFile],
}

pub(crate) struct TorrentFile {
    /// Unlike any other name of the catalogue and of the first day: contents are kept by name.
    pub(crate) name: &'static str,
    pub(crate) bytes: fn() -> Vec<u8>,
}

pub(crate) static TORRENTS: [Torrent; 3] = [
    Torrent {
        hash: "1111111111111111111111111111111111111111",
        name: "Bouncing ball",
        seconds: 20,
        files: &[TorrentFile { name: "Bouncing ball.y4m", bytes: content::film }],
    },
    Torrent {
        hash: "2222222222222222222222222222222222222222",
        name: "Evening sounds",
        seconds: 40,
        files: &[
            TorrentFile { name: "Low hum.wav", bytes: || content::sound(200) },
            TorrentFile { name: "High hum.wav", bytes: || content::sound(50) },
        ],
    },
    Torrent {
        hash: "3333333333333333333333333333333333333333",
        name: "Field guide",
        seconds: 10,
        files: &[
            TorrentFile { name: "Birds.txt", bytes: || BIRDS.into() },
            TorrentFile { name: "Trees.txt", bytes: || TREES.into() },
            TorrentFile { name: "Sightings.csv", bytes: || SIGHTINGS.into() },
        ],
    },
];

const BIRDS: &str = "Blackbird: sings before sunrise.\nWren: small, and louder than all.\n";
const TREES: &str =
    "Birch: white bark.\nOak: lobed leaves.\nYew: dark, and older than the church.\n";
const SIGHTINGS: &str = "day,bird,count\n1,blackbird,4\n2,wren,1\n3,blackbird,6\n";

/// The torrent that a magnet link names, by any of its `xt` parameters.
pub(crate) fn find_by_magnet(link: &str) -> Option<&'static Torrent> {
    let hash_of = |topic: &str| {
        let is_torrent = topic.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case("urn:btih:"));
        topic.get(9..).filter(|_| is_torrent).map(str::to_ascii_lowercase)
    };
    parameters(link)
        .filter(|(name, _)| name == "xt")
        .filter_map(|(_, topic)| hash_of(&topic))
        .find_map(|hash| TORRENTS.iter().find(|torrent| torrent.hash == hash))
}

/// What a magnet link says its torrent is called.
pub(crate) fn display_name(link: &str) -> Option<String> {
    parameters(link).find(|(name, _)| name == "dn").map(|(_, value)| value)
}

pub(crate) fn is_magnet(link: &str) -> bool {
    link.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("magnet:?"))
}

fn parameters(link: &str) -> impl Iterator<Item = (String, String)> {
    let query = link.get(8..).filter(|_| is_magnet(link)).unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).into_owned()
}
