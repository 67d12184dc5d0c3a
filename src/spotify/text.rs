//! Text that strangers wrote (names, descriptions): data, never instructions, and never shown as it came.
//!
//! Cleaning takes away what hides or reorders text (controls, bidi, tag characters, zero width), and caps the length.

use std::fmt;

/// Text from upstream. Has no `Display`: whoever shows it decides how long it may be.
#[derive(Clone, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct Foreign(String);

impl Foreign {
    /// The text made safe to show, at most `max` characters; see [`clean`].
    pub fn clean(&self, max: usize) -> String {
        clean(&self.0, max)
    }

    /// The text as it came: for comparing and for sending back, never for showing.
    pub fn raw(&self) -> &str {
        &self.0
    }
}

impl From<String> for Foreign {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Foreign({:?})", self.clean(80))
    }
}

/// Text with the HTML entities that Spotify puts into descriptions turned back into what they stand for: for comparing
/// and for sending back. To be shown it is cleaned afterwards, and is data wherever it stands.
pub fn unescaped(text: &str) -> String {
    // The ampersand last, or what was written as an entity would become one.
    const ENTITIES: [(&str, &str); 8] = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#x2F;", "/"),
        ("&amp;", "&"),
    ];
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

/// The text without invisible or reordering characters, white space folded to single spaces, trimmed, at most
/// `max` characters (the last one an ellipsis where something was cut).
pub fn clean(text: &str, max: usize) -> String {
    // Most text is short printable ASCII already.
    if text.len() <= max && is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().min(max.saturating_mul(4)));
    let (mut length, mut gap, mut marks) = (0, false, 0);
    for c in text.chars().filter(|c| !is_hidden(*c)) {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if marks > MARKS {
            continue;
        }
        if c.is_whitespace() || c.is_control() {
            gap = length > 0;
            continue;
        }
        let needed = 1 + usize::from(gap);
        if length + needed > max {
            return without_ids(cut(out, length, max));
        }
        if gap {
            out.push(' ');
            gap = false;
        }
        out.push(c);
        length += needed;
    }
    without_ids(out)
}

/// Most marks above, below and in one letter: what writing systems need, and no tower of them.
const MARKS: usize = 4;

/// Marks that stand on another letter.
const fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{e31}' | '\u{e34}'..='\u{e3a}'
        | '\u{e47}'..='\u{e4e}' | '\u{eb4}'..='\u{ebc}' | '\u{ec8}'..='\u{ecd}' | '\u{f71}'..='\u{f84}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20f0}' | '\u{302a}'..='\u{302d}'
        | '\u{3099}'..='\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

/// Answers name things by ids in square brackets: where a stranger's text has something like it, the brackets are round.
fn without_ids(text: String) -> String {
    if !text.contains('[') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let end = after.find(|c: char| c == ']' || c == '[' || c.is_whitespace()).unwrap_or(after.len());
        let (token, behind) = after.split_at(end);
        match is_like_an_id(token) {
            true => {
                out.push('(');
                out.push_str(token);
                rest = behind.strip_prefix(']').inspect(|_| out.push(')')).unwrap_or(behind);
            }
            false => {
                out.push('[');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// An id, a URI, or the beginning of one.
fn is_like_an_id(token: &str) -> bool {
    const IDS: usize = 20;
    let is_word = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    token.to_ascii_lowercase().starts_with("spotify")
        || token.contains(':')
        || (is_word && token.len() >= IDS)
}

/// Ends a text that is too long with an ellipsis, within `max` characters.
fn cut(mut out: String, length: usize, max: usize) -> String {
    if length == max {
        out.pop();
    }
    out.truncate(out.trim_end().len());
    if max > 0 {
        out.push('…');
    }
    out
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains('[')
        && !text.contains("  ")
}

/// Characters that carry no text of their own but hide, join or reorder (Unicode categories Cf and Co, variation
/// selectors, fillers, noncharacters). Zero-width joiners go too: an emoji family may fall apart, a hidden
/// message may not pass.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in
            ["Don't Stop", "Beyoncé", "宇多田ヒカル", "אביב גפן", "R&B; \"Soul\" <3", "🎧 mix", "العربية"]
        {
            assert_eq!(clean(name, 300), name);
        }
    }

    #[test]
    fn entities_are_turned_back_once() {
        assert_eq!(
            unescaped("R&amp;B &#x27;n&#39; &quot;Soul&quot; &lt;3 a&#x2F;b"),
            "R&B 'n' \"Soul\" <3 a/b"
        );
        assert_eq!(unescaped("&amp;lt;"), "&lt;");
    }

    #[test]
    fn what_hides_or_reorders_goes() {
        assert_eq!(clean("a\u{202e}gpj.exe\u{202c}", 300), "agpj.exe");
        assert_eq!(clean("hi\u{e0049}\u{e0067}\u{e006e}", 300), "hi");
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m", 300), "[31mred [0m");
        assert_eq!(clean("  line\r\none\u{2028}two\0 ", 300), "line one two");
        assert_eq!(clean("pay\u{200b}pal\u{feff}\u{2066}", 300), "paypal");
        assert_eq!(clean("\u{e000}\u{10ffff}\u{fffe}", 300), "");
    }

    #[test]
    fn what_looks_like_an_id_of_ours_is_none() {
        let id = "4uLU6hMCjMI75M1A2tKUQC";
        for (hostile, shown) in [
            (format!("Song [spotify:track:{id}]"), format!("Song (spotify:track:{id})")),
            (format!("a [SPOTIFY:track:{id}] b [{id}]"), format!("a (SPOTIFY:track:{id}) b ({id})")),
            (format!("[[spotify:track:{id}]]"), format!("[(spotify:track:{id})]")),
            ("cut off [spotify:tr".to_owned(), "cut off (spotify:tr".to_owned()),
            (format!("[ch_{}]", "0".repeat(32)), format!("(ch_{})", "0".repeat(32))),
        ] {
            assert_eq!(clean(&hostile, 300), shown);
        }
        for name in ["Song [Live]", "[31m<b>hi", "Remix [feat. X] [2011]", "[Remastered]", "a]b[c"] {
            assert_eq!(clean(name, 300), name);
        }
    }

    #[test]
    fn marks_do_not_pile_up() {
        let tower = format!("e{} x", "\u{301}".repeat(60));
        assert_eq!(clean(&tower, 300), format!("e{} x", "\u{301}".repeat(MARKS)));
        for name in ["Việt Nam", "שָׁלוֹם", "ที่นี่", "مُحَمَّد"] {
            assert_eq!(clean(name, 300), name);
        }
    }

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(clean("abc defg", 5), "abc…");
        assert_eq!(clean("日本語テキスト", 3), "日本…");
        assert_eq!(clean("abc", 0), "");
    }

    proptest! {
        #[test]
        fn clean_text_is_bounded_stable_and_free_of_what_hides(text: String, max in 0_usize..40) {
            let once = clean(&text, max);
            prop_assert!(once.chars().count() <= max);
            prop_assert!(!once.chars().any(|c| c.is_control() || is_hidden(c)));
            prop_assert_eq!(clean(&once, max), once);
        }
    }
}
