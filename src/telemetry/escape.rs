//! One event, one line of bounded length: whatever control or deceptive character a value carries is escaped on its
//! way out, and what is too long is cut.
//!
//! Below the formatter, so that no field, message or span can be forgotten.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;
use crate::domain::event::is_deceptive;

/// Longest line, in bytes: a client's text must not fill the disk.
pub(crate) const LONGEST_LINE: usize = 4096;
/// Ends what was cut.
pub(super) const CUT: &str = "…[cut]";
/// What a line of JSON keeps even where it has too many fields.
const KEPT: [&str; 5] = ["timestamp", "level", "target", "message", "event"];

/// Escapes what it writes as `\u202e`, which is also right within JSON strings.
#[derive(Clone)]
pub(crate) struct Escaping<W> {
    pub(crate) writer: W,
    pub(crate) format: LogFormat,
}

impl<W: Write> Write for Escaping<W> {
    /// The formatter hands over one whole event, newline last, at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, newline) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        let deceptive = line.chars().any(is_deceptive);
        if !deceptive && event.len() <= LONGEST_LINE {
            self.writer.write_all(event)?;
        } else {
            let escaped = if deceptive { escape(line) } else { line.to_owned() };
            let bounded = match self.format {
                _ if escaped.len() < LONGEST_LINE => escaped,
                LogFormat::Text => cut(&escaped, LONGEST_LINE - 1),
                LogFormat::Json => cut_json(line),
            };
            self.writer.write_all((bounded + newline).as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
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

/// At most `most` bytes, the mark included.
fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most.saturating_sub(CUT.len()))].to_owned() + CUT
}

/// Cuts the texts within a line of JSON, so that it stays JSON, and drops fields where that is not enough.
fn cut_json(line: &str) -> String {
    let Ok(Value::Object(mut event)) = serde_json::from_str(line) else {
        return format!("{{\"message\":\"{CUT}\"}}");
    };
    for most in [1024, 64] {
        event.values_mut().for_each(|value| shorten(value, most));
        let shorter = escape(&Value::Object(event.clone()).to_string());
        if shorter.len() < LONGEST_LINE {
            return shorter;
        }
    }
    event.retain(|name, _| KEPT.contains(&name.as_str()));
    escape(&Value::Object(event).to_string())
}

/// Cuts every text in a value that has more than `most` bytes.
fn shorten(value: &mut Value, most: usize) {
    match value {
        Value::String(text) if text.len() > most => *text = cut(text, most),
        Value::Array(values) => values.iter_mut().for_each(|value| shorten(value, most)),
        Value::Object(values) => values.values_mut().for_each(|value| shorten(value, most)),
        _ => {}
    }
}
