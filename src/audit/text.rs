//! A record's text while it is written: canonical JSON in one pass into one piece of memory, with gaps for what is
//! known later.
//!
//! By hand, because every call of a tool pays for a record. Never decides what a record says, nor the order.

use std::fmt::{self, Write as _};

/// What stands in a gap: how JSON says nothing.
const NOTHING: &[u8] = b"null";
/// A record has so many gaps.
pub(super) const GAPS: usize = 4;

/// A JSON object under construction.
pub(super) struct Text {
    bytes: Vec<u8>,
    gaps: [usize; GAPS],
    noted: usize,
}

impl Text {
    /// An object without members, in this memory.
    pub(super) fn new(mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.push(b'{');
        Self { bytes: memory, gaps: [0; GAPS], noted: 0 }
    }

    /// The finished object, and where its gaps begin.
    pub(super) fn finish(mut self) -> (Vec<u8>, [usize; GAPS]) {
        debug_assert_eq!(self.noted, GAPS, "a record has four gaps");
        self.bytes.push(b'}');
        (self.bytes, self.gaps)
    }

    /// A member that is text.
    pub(super) fn text(&mut self, key: &'static str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    /// A member that is text, where there is one.
    pub(super) fn text_if(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// A member that is a whole number.
    pub(super) fn number(&mut self, key: &'static str, value: impl Into<i64>) {
        self.key(key);
        self.show(value.into());
    }

    /// A member that is filled in later.
    pub(super) fn gap(&mut self, key: &'static str) {
        self.key(key);
        if let Some(gap) = self.gaps.get_mut(self.noted) {
            *gap = self.bytes.len();
        }
        self.noted += 1;
        self.bytes.extend_from_slice(NOTHING);
    }

    /// A member that is an object.
    pub(super) fn object(&mut self, key: &'static str, members: impl FnOnce(&mut Self)) {
        self.key(key);
        self.bytes.push(b'{');
        members(self);
        self.bytes.push(b'}');
    }

    /// A member that is an object of texts whose keys come from elsewhere, in the order of their bytes.
    pub(super) fn texts<'a>(
        &mut self,
        key: &'static str,
        members: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        self.object(key, |object| {
            for (key, value) in members {
                object.separate(b'{');
                object.quoted(key);
                object.bytes.push(b':');
                object.quoted(value);
            }
        });
    }

    /// A member that is a list of texts.
    pub(super) fn list<'a>(&mut self, key: &'static str, values: impl IntoIterator<Item = &'a str>) {
        self.key(key);
        self.bytes.push(b'[');
        for value in values {
            self.separate(b'[');
            self.quoted(value);
        }
        self.bytes.push(b']');
    }

    fn key(&mut self, key: &'static str) {
        self.separate(b'{');
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    /// A comma, but for the first behind `open`. No text ends in it: what precedes it is its quotation mark.
    fn separate(&mut self, open: u8) {
        if self.bytes.last() != Some(&open) {
            self.bytes.push(b',');
        }
    }

    fn quoted(&mut self, text: &str) {
        push_quoted(&mut self.bytes, text);
    }

    fn show(&mut self, value: impl fmt::Display) {
        // Memory does not refuse.
        let _ = write!(Bytes(&mut self.bytes), "{value}");
    }
}

/// What goes into the gaps, in the order in which they stand in a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling<'a> {
    /// The record's number.
    pub(super) number: u64,
    /// The chain's name.
    pub(super) name: &'a str,
    /// The chain's key epoch.
    pub(super) epoch: u32,
    /// The hash of the record before.
    pub(super) hash: &'a str,
}

/// Fills the gaps of a finished record.
pub(super) fn fill(out: &mut Vec<u8>, (text, gaps): (&[u8], [usize; GAPS]), filling: Filling<'_>) {
    let [number_at, name_at, epoch_at, hash_at] = gaps;
    let after = |gap: usize| gap + NOTHING.len();
    out.extend_from_slice(&text[..number_at]);
    let _ = write!(Bytes(out), "{}", filling.number);
    out.extend_from_slice(&text[after(number_at)..name_at]);
    push_quoted(out, filling.name);
    out.extend_from_slice(&text[after(name_at)..epoch_at]);
    let _ = write!(Bytes(out), "{}", filling.epoch);
    out.extend_from_slice(&text[after(epoch_at)..hash_at]);
    push_quoted(out, filling.hash);
    out.extend_from_slice(&text[after(hash_at)..]);
}

/// A JSON text with the escapes that RFC 8785 (section 3.2.2.2) asks for, and no others.
fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let plain =
        text.bytes().fold(true, |so_far, byte| so_far & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'));
    if plain {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.bytes().for_each(|byte| push_escaped(out, byte));
    }
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend([b'\\', byte]),
        0x08 => out.extend(b"\\b"),
        b'\t' => out.extend(b"\\t"),
        b'\n' => out.extend(b"\\n"),
        0x0c => out.extend(b"\\f"),
        b'\r' => out.extend(b"\\r"),
        0..0x20 => {
            let _ = write!(Bytes(out), "\\u{byte:04x}");
        }
        _ => out.push(byte),
    }
}

/// Memory that takes formatted text.
struct Bytes<'a>(&'a mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_are_separated_and_gaps_are_filled() {
        let mut text = Text::new(b"earlier".to_vec());
        text.gap("a");
        text.object("b", |b| {
            b.gap("c");
            b.object("d", |_| {});
            b.number("e", -5);
        });
        text.list("f", []);
        text.list("g", ["x", "y"]);
        text.gap("h");
        text.gap("hh");
        text.text_if("i", None);
        text.text("j", "::1");
        let (text, gaps) = text.finish();
        let mut out = Vec::new();
        fill(&mut out, (&text, gaps), Filling { number: 7, name: "n\"", epoch: 3, hash: "h" });
        let expected =
            br#"{"a":7,"b":{"c":"n\"","d":{},"e":-5},"f":[],"g":["x","y"],"h":3,"hh":"h","j":"::1"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected.to_vec()).unwrap());
    }

    proptest! {
        #[test]
        fn texts_are_written_as_serde_writes_them(value: String, key: String) {
            let mut text = Text::new(Vec::new());
            text.text("t", &value);
            text.texts("u", [(key.as_str(), value.as_str())]);
            ["w", "x", "y", "z"].into_iter().for_each(|key| text.gap(key));
            let (text, _) = text.finish();
            let written: serde_json::Value = serde_json::from_slice(&text).unwrap();
            prop_assert_eq!(written.to_string().into_bytes(), text);
            prop_assert_eq!(&written["t"], &serde_json::Value::from(value.clone()));
            prop_assert_eq!(&written["u"][key.as_str()], &serde_json::Value::from(value));
        }
    }
}
