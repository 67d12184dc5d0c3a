//! The fields of a line of text: what a value holds can never be read as another field.
//!
//! The library quotes text, but neither what is only displayed (`%value`) nor the message.

use std::fmt::{self, Debug};

use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// `message name=value name="more than a word"`.
pub(super) fn quoted() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    debug_fn(write).delimited(" ")
}

fn write(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        // Without a bare quote nothing in it looks like the value of a field.
        "message" => write!(out, "{}", text.replace('"', "\\\"")),
        name if is_one_token(&text) => write!(out, "{name}={text}"),
        name => write!(out, "{name}={text:?}"),
    }
}

/// One word without quotes, or all of it within one pair of quotes.
fn is_one_token(text: &str) -> bool {
    let Some(quoted) = text.strip_prefix('"') else {
        return !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '='));
    };
    let Some(inner) = quoted.strip_suffix('"') else { return false };
    let escaped = inner.chars().try_fold(false, |escaped, c| match (escaped, c) {
        (true, _) => Some(false),
        (false, '"') => None,
        (false, c) => Some(c == '\\'),
    });
    escaped == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_quotes_make_a_token() {
        for token in ["7", "true", "127.0.0.1:80", "\"\"", "\"a b\"", r#""a\"b""#, r#""a\\""#] {
            assert!(is_one_token(token), "{token}");
        }
        for several in ["a b", "a=b", "\"", "\"a", "\"a\" b=\"c\"", r#""a\""#, r#""a\\" b=\"c""#, "x\"y"] {
            assert!(!is_one_token(several), "{several}");
        }
    }
}
