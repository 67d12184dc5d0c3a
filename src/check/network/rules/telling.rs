//! What no answer to a stranger says: where the program failed, addresses with a password, tokens, people. Pure.

/// Words of a failure, of a secret, or of our version.
const WORDS: [&str; 18] = [
    concat!("spotify-mcp/", env!("CARGO_PKG_VERSION")),
    "panicked at",
    "stack backtrace:",
    "Traceback (most recent call last)",
    "Exception in thread",
    "Caused by: java.",
    "java.lang.",
    "goroutine 1 [running]",
    "Fatal error: Uncaught",
    "SQLSTATE",
    "SQLITE_",
    "syntax error at or near",
    "ORA-0",
    "PRIVATE KEY",
    "\"access_token\":\"",
    "\"refresh_token\":\"",
    "\"client_secret\":\"",
    "\"password\":\"",
];

/// How a file of a program is named with its line, but for the number.
const LINES: [&str; 5] = [".py\", line ", ".java:", ".go:", ".cs:line ", ".php:"];

/// The same with its line and column; alone they would be a host's port.
const PLACES: [&str; 4] = [".rs:", ".js:", ".ts:", ".rb:"];

/// Whether a body tells a version, a secret or where the program failed.
pub(super) fn tells(body: &str) -> bool {
    // As JSON writes them inside of a text.
    let body = body.replace("\\\"", "\"").replace("\": \"", "\":\"");
    let after = |mark: &str, is_place: fn(&str) -> bool| {
        body.match_indices(mark).any(|(at, _)| is_place(&body[at + mark.len()..]))
    };
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let is_place = |text: &str| {
        text.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(':') && !text.starts_with(':')
    };
    WORDS.iter().any(|words| body.contains(words))
        || LINES.iter().any(|mark| after(mark, is_number))
        || PLACES.iter().any(|mark| after(mark, is_place))
        || has_login(&body)
}

/// An address with a user's name or password in it.
fn has_login(body: &str) -> bool {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '\\');
    let authority = |at: usize| body[at + 3..].split(is_end).next().unwrap_or_default();
    body.match_indices("://").any(|(at, _)| authority(at).contains('@'))
}

/// Whether a body holds somebody's mail address.
pub(super) fn names_people(body: &str) -> bool {
    let is_of_address = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    body.match_indices('@').any(|(at, _)| {
        let before = body[..at].ends_with(is_of_address);
        let host = body[at + 1..].split(|c: char| !is_of_address(c)).next().unwrap_or_default();
        before && host.trim_matches('.').contains('.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failure_or_a_careless_answer_says_is_seen() {
        for telling in [
            "mysql://root:hunter2@db/x",
            r#"{"trace":"  File \"/app/x.py\", line 3, in f"}"#,
            r#"{"error":"at com.example.Door(Door.java:12)"}"#,
            r#"{"refresh_token": "AQD"}"#,
            "thread 'main' panicked at src/main.rs:3:5",
            "amqp://guest@queue",
            "ERROR: syntax error at or near",
        ] {
            assert!(tells(telling), "{telling}");
        }
        for plain in [
            r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":"no credential: see https://music.example/@docs"}}"#,
            r#"{"token_endpoint":"https://music.example/token"}"#,
            r#"{"issuer":"https://music.example.rs:8443"}"#,
            "<script src=\"/assets/app.js\"></script>",
        ] {
            assert!(!tells(plain) && !names_people(plain), "{plain}");
        }
        assert!(names_people(r#"{"users":["ada@example.org"]}"#));
        for none in ["@", "a@b", "@types/node", "at @ noon."] {
            assert!(!names_people(none), "{none}");
        }
    }
}
