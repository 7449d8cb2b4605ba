//! An import as JSON: an array of objects, read one by one.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::reader::{Bounded, Place};
use super::{Each, Failure, Line};

pub(super) fn read(file: &Path, each: Each<'_>) -> Result<(), Failure> {
    let open =
        |error: io::Error| Failure::Failed(format!("{} cannot be read: {error}", file.display()));
    let (bytes, place) = Bounded::new(BufReader::new(File::open(file).map_err(open)?));
    let mut json = serde_json::Deserializer::from_reader(bytes);
    let mut stopped = None;
    let seed = Entries { place: &place, each, stopped: &mut stopped };
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

struct Entries<'a, 'e> {
    place: &'a Place,
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
        let number = self.place.line();
        self.place.begin(number);
        let entry = deserializer.deserialize_any(Entry)?;
        (self.each)(Line { number, entry }).map_err(|failure| {
            *self.stopped = Some(failure);
            D::Error::custom("stopped")
        })
    }
}

/// One element of the array: its fields, or why it has none that could be meant.
struct Entry;

const NO_OBJECT: &str = "is not an object with fields";

impl<'de> Visitor<'de> for Entry {
    type Value = Result<Map<String, Value>, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with fields")
    }

    /// Which of two values is meant nobody can know, and programs differ in which they take.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut fields, mut doubled) = (Map::new(), None);
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if fields.contains_key(&name) {
                doubled.get_or_insert(format!("{name}: is there twice"));
            }
            fields.insert(name, value);
        }
        Ok(doubled.map_or(Ok(fields), Err))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err(NO_OBJECT.to_owned()))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Err(NO_OBJECT.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Err(NO_OBJECT.to_owned()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Err(NO_OBJECT.to_owned()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Err(NO_OBJECT.to_owned()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Err(NO_OBJECT.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Err(NO_OBJECT.to_owned()))
    }
}
