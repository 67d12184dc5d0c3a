//! UUIDs made from names (RFC 9562, version 5), so that the same thing has the same id in every report.
//!
//! SHA-1 is what the version asks for; nothing here is a secret, and nothing is proven by it.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

/// The namespace of URLs (RFC 9562, section 6.6), and the URL that names begin with.
const NAMESPACE: [u8; 16] =
    [0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
const PREFIX: &str = "https://github.com/spotify-mcp/spotify-mcp/security-check/";

/// The UUID of a thing called by these words.
pub(super) fn named(words: &[&str]) -> String {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(&NAMESPACE);
    digest.update(PREFIX.as_bytes());
    digest.update(words.join("/").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finish().as_ref()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].map(hex).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_uuid_of_version_five() {
        // As Python's uuid.uuid5(uuid.NAMESPACE_URL, PREFIX + "a/b") says.
        assert_eq!(named(&["a", "b"]), UUID_OF_A_B);
        assert_ne!(named(&["a", "c"]), named(&["a", "b"]));
    }

    const UUID_OF_A_B: &str = "862435f8-9743-5093-a8d4-4ffbde7a3198";
}
