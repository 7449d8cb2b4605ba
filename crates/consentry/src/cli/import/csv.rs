//! An import as CSV: the first line names the fields, each further one is an app. Several redirect
//! URIs, scopes or addresses are separated by spaces in their cell, or are a JSON array.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Terminator};
use serde_json::{Map, Value};

use super::reader::Bounded;
use super::{Each, Failure, Line, unknown_field};

/// Fields that may hold a JSON array.
const LISTS: [&str; 4] = ["redirect_uris", "scopes", "service_scopes", "addresses"];

pub(super) fn read(file: &Path, each: Each<'_>) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!("{} cannot be read: {error}", file.display()))
    };
    // With a line end at the very end, and line feeds alone as such, lines can be counted.
    let bytes = File::open(file).map_err(|error| failed(&error))?.chain(&b"\n"[..]);
    let (bytes, place) = Bounded::new(bytes);
    let mut reader =
        ReaderBuilder::new().flexible(true).terminator(Terminator::Any(b'\n')).from_reader(bytes);
    let heading = reader.byte_headers().map_err(|error| failed(&error))?;
    let heading = columns(heading)
        .map_err(|reason| Failure::Usage(format!("{}: {reason}", file.display())))?;
    let mut record = ByteRecord::new();
    place.begin(reader.position().line());
    while reader.read_byte_record(&mut record).map_err(|error| failed(&error))? {
        place.begin(reader.position().line());
        if record.iter().eq([b"\r"]) {
            continue;
        }
        let inside = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let number = reader.position().line().saturating_sub(1 + inside);
        each(Line { number, entry: entry(&heading, &record) })?;
    }
    Ok(())
}

fn columns(heading: &ByteRecord) -> Result<Vec<String>, String> {
    let mut columns: Vec<String> = Vec::new();
    for cell in heading {
        // Spreadsheets write a byte order mark in front.
        let name = String::from_utf8_lossy(cell).trim_start_matches('\u{feff}').trim().to_owned();
        if let Some(reason) = unknown_field(&name) {
            return Err(format!("the heading is wrong: {reason}"));
        }
        if columns.contains(&name) {
            return Err(format!("the heading names {name} twice"));
        }
        columns.push(name);
    }
    match columns.is_empty() {
        true => Err("the file is empty; its first line names the fields".to_owned()),
        false => Ok(columns),
    }
}

/// Empty cells are fields that are not given.
fn entry(columns: &[String], record: &ByteRecord) -> Result<Map<String, Value>, String> {
    if record.len() != columns.len() {
        let (cells, wanted) = (record.len(), columns.len());
        return Err(format!("the line has {cells} cells and the heading {wanted}"));
    }
    let mut fields = Map::new();
    for (name, cell) in columns.iter().zip(record) {
        let text = std::str::from_utf8(cell).map_err(|_| format!("{name}: is not UTF-8"))?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        let value = if LISTS.contains(&name.as_str()) && text.trim_start().starts_with('[') {
            serde_json::from_str(text)
                .map_err(|_| format!("{name}: begins like a JSON array and is none"))?
        } else {
            Value::from(text)
        };
        if !text.is_empty() {
            fields.insert(name.clone(), value);
        }
    }
    Ok(fields)
}
