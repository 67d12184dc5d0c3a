//! One event, one line: whatever control or deceptive character a value carries is escaped on its way out.
//!
//! Below the formatter, so that no field, message or span can be forgotten.

use std::fmt::Write as _;
use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::domain::event::is_deceptive;

/// Escapes what it writes as `\u202e`, which is also right within JSON strings.
#[derive(Clone)]
pub(super) struct Escaping<W>(pub(super) W);

impl<W: Write> Write for Escaping<W> {
    /// The formatter hands over one whole event, newline last, at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, newline) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        if line.chars().any(is_deceptive) {
            self.0.write_all((escape(line) + newline).as_bytes())?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a, W: Write + Clone + 'a> MakeWriter<'a> for Escaping<W> {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn escape(line: &str) -> String {
    line.chars().fold(String::with_capacity(line.len() + 16), |mut out, c| {
        if is_deceptive(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
        out
    })
}
