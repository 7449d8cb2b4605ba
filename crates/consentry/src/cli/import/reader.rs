//! The bytes of an import: counted by lines, and with an end to each app. A quote that is never
//! closed would otherwise take the rest of the file, or all of an endless device, into the memory.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// As far as is read for one app: twice what is allowed, as quoting may double it.
const APP_BYTES_MAX: u64 = 2 * super::ENTRY_BYTES_MAX as u64;

/// Where a reader is, for whoever takes apart what it reads.
pub(super) struct Place {
    line: Cell<u64>,
    begins: Cell<u64>,
    left: Cell<u64>,
}

impl Place {
    /// The line in which the reader is, if it is asked for one byte at a time.
    pub(super) fn line(&self) -> u64 {
        self.line.get()
    }

    /// The next app begins in this line.
    pub(super) fn begin(&self, line: u64) {
        self.begins.set(line);
        self.left.set(APP_BYTES_MAX);
    }
}

pub(super) struct Bounded<R> {
    inner: R,
    place: Rc<Place>,
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(inner: R) -> (Self, Rc<Place>) {
        let (line, begins) = (Cell::new(1), Cell::new(1));
        let place = Rc::new(Place { line, begins, left: Cell::new(APP_BYTES_MAX) });
        (Self { inner, place: Rc::clone(&place) }, place)
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Place { line, begins, left } = &*self.place;
        let length = self.inner.read(buffer)?;
        let bytes = length as u64;
        if bytes > left.get() {
            return Err(io::Error::other(format!(
                "what begins in line {} does not end within 2 MiB. Is a quote not closed?",
                begins.get()
            )));
        }
        left.set(left.get() - bytes);
        let ends = buffer.iter().take(length).filter(|byte| **byte == b'\n').count();
        line.set(line.get() + ends as u64);
        Ok(length)
    }
}
