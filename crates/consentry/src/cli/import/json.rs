//! An import as JSON: an array of objects, read one by one.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use super::{Each, Failure, Line};

pub(super) fn read(file: &Path, each: Each<'_>) -> Result<(), Failure> {
    let open =
        |error: io::Error| Failure::Failed(format!("{} cannot be read: {error}", file.display()));
    let lines = Rc::new(Cell::new(1));
    let counted =
        Counted { inner: BufReader::new(File::open(file).map_err(open)?), lines: lines.clone() };
    let mut json = serde_json::Deserializer::from_reader(counted);
    let mut stopped = None;
    let seed = Entries { lines: &lines, each, stopped: &mut stopped };
    let done = json.deserialize_seq(seed).and_then(|()| json.end());
    match (stopped, done) {
        (Some(failure), _) => Err(failure),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => {
            // Its own words could repeat a value.
            let why = match error.classify() {
                Category::Data => "it is not an array of objects".to_owned(),
                Category::Io | Category::Syntax | Category::Eof => error.to_string(),
            };
            Err(Failure::Failed(format!("{} cannot be read: {why}", file.display())))
        }
    }
}

/// Knows in which line the reader is. It is asked for one byte at a time.
struct Counted<R> {
    inner: R,
    lines: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let ends = buffer.iter().take(length).filter(|byte| **byte == b'\n').count();
        self.lines.set(self.lines.get() + ends as u64);
        Ok(length)
    }
}

struct Entries<'a, 'e> {
    lines: &'a Cell<u64>,
    each: Each<'e>,
    /// Why whoever takes the lines wants no more of them.
    stopped: &'a mut Option<Failure>,
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(()) = entries.next_element_seed(&mut self)? {}
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let number = self.lines.get();
        let entry = match Value::deserialize(deserializer)? {
            Value::Object(fields) => Ok(fields),
            _ => Err("is not an object with fields".to_owned()),
        };
        (self.each)(Line { number, entry }).map_err(|failure| {
            *self.stopped = Some(failure);
            D::Error::custom("stopped")
        })
    }
}
