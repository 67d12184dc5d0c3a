//! Text that somebody else chose: a client's name, a display name, a browser's self-description.
//!
//! Its only way onto a page escapes it, caps its length and isolates its writing direction, so that no name can
//! add markup, push a warning off the screen or reverse the words around it.

use std::fmt;

/// At most [`Untrusted::MOST`] characters, without control or direction characters; printed as
/// `<bdi>escaped</bdi>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    text: String,
}

impl Untrusted {
    /// The longest text shown, in characters; longer ones end in an ellipsis.
    pub const MOST: usize = 80;

    /// Cleans `text`; an empty or invisible one becomes "(no name)".
    pub fn new(text: &str) -> Self {
        Self::capped(text, Self::MOST)
    }

    /// The same with another limit, for addresses.
    pub(super) fn capped(text: &str, most: usize) -> Self {
        let mut visible = text.chars().filter(|c| !is_invisible(*c));
        let mut text: String = visible.by_ref().take(most).collect();
        if visible.next().is_some() {
            text.push('…');
        }
        if text.trim().is_empty() {
            text = "(no name)".to_owned();
        }
        Self { text }
    }

    /// The cleaned text for a field that a person fills in: nothing stays nothing.
    pub fn field(text: &str, most: usize) -> Self {
        let text = text.chars().filter(|c| !is_invisible(*c)).take(most).collect();
        Self { text }
    }

    /// The cleaned text, not escaped: for attribute values and tests, where the template escapes.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Markup, already escaped: `HtmlSafe` below tells askama so.
impl fmt::Display for Untrusted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = askama::filters::escape(self.text.as_str(), askama::filters::Html);
        match escaped {
            Ok(escaped) => write!(out, "<bdi>{escaped}</bdi>"),
            Err(never) => match never {},
        }
    }
}

impl askama::filters::HtmlSafe for Untrusted {}

/// Controls, and the format characters that hide or reorder what is around them (Unicode TR 36 and TR 39: bidi
/// controls, zero-width characters, tags, variation selectors).
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_isolated() {
        let shown = Untrusted::new("<script>alert('x')</script>&\"").to_string();
        assert!(shown.starts_with("<bdi>&#60;script&#62;") && shown.ends_with("</bdi>"), "{shown}");
        assert_eq!(shown.matches('<').count(), 2, "{shown}");
    }

    #[test]
    fn direction_and_invisible_characters_go() {
        let name = Untrusted::new("a\u{202e}b\u{200b}c\u{2066}d\u{7}e\u{e0041}f\ng");
        assert_eq!(name.text(), "abcdefg");
        assert_eq!(Untrusted::new("\u{200b} \u{3164}").text(), "(no name)");
        assert_eq!(Untrusted::new("").text(), "(no name)");
    }

    #[test]
    fn other_scripts_stay() {
        assert_eq!(Untrusted::new("שלום 音楽 🎧").text(), "שלום 音楽 🎧");
    }

    #[test]
    fn long_names_end_in_an_ellipsis() {
        let name = Untrusted::new(&"é".repeat(10_000));
        assert_eq!(name.text().chars().count(), Untrusted::MOST + 1);
        assert!(name.text().ends_with('…'));
        assert!(!Untrusted::new(&"x".repeat(Untrusted::MOST)).text().contains('…'));
    }
}
