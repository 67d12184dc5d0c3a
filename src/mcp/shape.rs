//! How deep a message is nested and how many values it holds, told from its bytes before anything is made of them.
//!
//! Never decides whether they are JSON.

/// Deepest nesting of a message; its parsers recurse.
pub(super) const DEEPEST: usize = 64;
/// Most values of a message, at all levels together: in memory one takes up to a hundred times its bytes.
pub(super) const MOST_VALUES: usize = 4_096;

/// What is too much about a body before it is read: something is nested deeper than [`DEEPEST`], or there are more than
/// [`MOST_VALUES`]. What stands in strings does not count.
pub(super) fn fault(body: &[u8]) -> Option<&'static str> {
    // Most messages have not even so many brackets and commas, and counting is quick.
    if body.iter().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count() <= DEEPEST {
        return None;
    }
    let (mut depth, mut values, mut quoted, mut escaped) = (0_usize, 1_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => (depth, values) = (depth + 1, values + 1),
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted => values += 1,
            _ => {}
        }
        if depth > DEEPEST {
            return Some("the message is nested too deeply");
        }
        if values > MOST_VALUES {
            return Some("the message holds too many values");
        }
    }
    None
}
