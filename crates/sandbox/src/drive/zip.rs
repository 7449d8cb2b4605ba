//! A folder as a zip (APPNOTE 6.3.10, without compression and without Zip64). Sizes and checksums
//! are known beforehand, so its layout is too, and any range of it can be sent. Pure.

use axum::body::Bytes;

use super::parts::Part;
use super::rows::File;

/// Nothing newer is needed to read it: folders, no compression.
const VERSION_NEEDED: u16 = 20;
/// Made on Unix, which is what the permissions below are for.
const VERSION_MADE_BY: u16 = 3 << 8 | 30;
/// Bit 11: names are UTF-8.
const UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
const FILE_MODE: u32 = 0o100_644 << 16;
/// With the directory bit of MS-DOS.
const FOLDER_MODE: u32 = 0o040_755 << 16 | 0x10;

/// An entry: its path, the file (`None` for a folder) and when it came to be.
pub(crate) type Entry<'a> = (String, Option<&'a File>, i64);

/// The parts of the archive, or `None` when it does not fit into one.
pub(crate) fn layout(entries: &[Entry<'_>]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut directory = Vec::new();
    let mut offset: u32 = 0;
    for (path, file, created_at) in entries {
        let fields = common_fields(path, *file, *created_at)?;
        let mut header = b"PK\x03\x04".to_vec();
        header.extend(VERSION_NEEDED.to_le_bytes());
        header.extend(&fields);
        // No extra field.
        header.extend([0, 0]);
        header.extend(path.as_bytes());

        directory.extend(b"PK\x01\x02");
        directory.extend(VERSION_MADE_BY.to_le_bytes());
        directory.extend(VERSION_NEEDED.to_le_bytes());
        directory.extend(&fields);
        // No extra field, no comment, first disk, binary.
        directory.extend([0; 8]);
        let mode = if file.is_some() { FILE_MODE } else { FOLDER_MODE };
        directory.extend(mode.to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(path.as_bytes());

        let size = file.map_or(0, |file| file.size);
        let whole = u64::try_from(header.len()).ok()?.checked_add(size)?;
        offset = offset.checked_add(u32::try_from(whole).ok()?)?;
        parts.push(Part::Bytes(Bytes::from(header)));
        parts.extend(file.map(|file| Part::content(&file.content, file.size)));
    }
    let count = u16::try_from(entries.len()).ok()?.to_le_bytes();
    let length = u32::try_from(directory.len()).ok()?;
    directory.extend(b"PK\x05\x06");
    // This disk, the directory's disk.
    directory.extend([0; 4]);
    directory.extend(count);
    directory.extend(count);
    directory.extend(length.to_le_bytes());
    directory.extend(offset.to_le_bytes());
    // No comment.
    directory.extend([0; 2]);
    parts.push(Part::Bytes(Bytes::from(directory)));
    Some(parts)
}

/// From the flags to the length of the name: the same in both headers of an entry.
fn common_fields(path: &str, file: Option<&File>, created_at: i64) -> Option<Vec<u8>> {
    let size = u32::try_from(file.map_or(0, |file| file.size)).ok()?;
    let (time, date) = dos_time(created_at);
    let mut fields = Vec::new();
    fields.extend(UTF8.to_le_bytes());
    fields.extend(STORED.to_le_bytes());
    fields.extend(time.to_le_bytes());
    fields.extend(date.to_le_bytes());
    fields.extend(file.map_or(0, |file| file.crc32).to_le_bytes());
    // Compressed and as it is.
    fields.extend(size.to_le_bytes());
    fields.extend(size.to_le_bytes());
    fields.extend(u16::try_from(path.len()).ok()?.to_le_bytes());
    Some(fields)
}

/// A moment in UTC as MS-DOS counted: two-second steps, years from 1980 to 2107.
fn dos_time(milliseconds: i64) -> (u16, u16) {
    let moment = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    let moment = jiff::tz::Offset::UTC.to_datetime(moment);
    let part = |number: i8| u16::try_from(number).unwrap_or(0);
    let years = u16::try_from(moment.year().clamp(1980, 2107) - 1980).unwrap_or(0);
    let time = part(moment.hour()) << 11 | part(moment.minute()) << 5 | (part(moment.second()) / 2);
    let date = years << 9 | part(moment.month()) << 5 | part(moment.day());
    (time, date)
}
