//! What is asked only in the hope that it is read as something else: marks of injection in a request's target.
//!
//! For counting, never for deciding: whatever is asked is answered by its route alone, marks or none.

/// Longest target that is looked at, in bytes; the rest is not.
const LOOKED_AT: usize = 4096;

/// Marks that no honest client of ours sends, in lower case: other folders, other programs' files, markup, statements
/// of databases, templates, commands, and bytes that end a line or a text.
const MARKS: [&str; 26] = [
    "../",
    "..\\",
    "%2e%2e",
    "..%2f",
    "..%5c",
    "%252e",
    "%00",
    "%0d",
    "%0a",
    "<script",
    "%3cscript",
    "javascript:",
    "javascript%3a",
    "' or ",
    "'%20or%20",
    "%27%20or%20",
    "%27+or+",
    "union%20select",
    "union+select",
    "${",
    "%24%7b",
    "{{",
    "%7b%7b",
    "cmd.exe",
    "/.git/",
    "/.env",
];

/// Whether a path with its query shows such a mark.
pub fn shows_injection(target: &str) -> bool {
    let bytes = target.as_bytes();
    let looked_at = &bytes[..bytes.len().min(LOOKED_AT)];
    // What is plain, as nearly everything is, has none of the bytes that every mark begins with.
    let suspicious = |byte: &u8| matches!(byte, b'.' | b'%' | b'<' | b'\'' | b'$' | b'{' | b':' | b'+');
    if !looked_at.iter().any(suspicious) {
        return false;
    }
    let lower: Vec<u8> = looked_at.to_ascii_lowercase();
    MARKS.iter().any(|mark| lower.windows(mark.len()).any(|window| window == mark.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_seen_in_any_case_and_honest_targets_have_none() {
        for target in [
            "/assets/../../etc/shadow",
            "/%2E%2e/%2e%2e/x",
            "/?q=%3CScript%3E",
            "/authorize?state=a%0D%0aSet-Cookie:x",
            "/?id=1'%20OR%20'1'='1",
            "/?id=1+UNION+SELECT+2",
            "/${jndi:ldap://x}",
            "/.env",
            "/x/.git/config",
            "/account?x=%00",
        ] {
            assert!(shows_injection(target), "{target}");
        }
        for target in [
            "/",
            "/mcp",
            "/authorize?response_type=code&client_id=https%3A%2F%2Fclaude.ai%2Fx.json&redirect_uri=http%3A%2F%2F\
             127.0.0.1%3A1234%2Fcb&scope=read%20write+player&state=a.b-c_d~e%3D&code_challenge_method=S256",
            "/auth/callback?code=AQDx..y&state=%2B%2F%3D",
            "/.well-known/oauth-protected-resource/mcp",
            "/assets/style.3f2a.css",
        ] {
            assert!(!shows_injection(target), "{target}");
        }
        assert!(!shows_injection(&format!("/{}%00", "x".repeat(LOOKED_AT))));
    }

    #[test]
    fn every_mark_has_a_byte_that_is_looked_for_first() {
        for mark in MARKS {
            assert!(shows_injection(mark), "{mark}");
        }
    }
}
