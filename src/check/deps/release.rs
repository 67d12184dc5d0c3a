//! What a release says its programs are: a list of SHA-256 digests as `sha256sum` writes it.
//!
//! Never: a signature. Whoever hands the list over has checked it with the tool that signed it.

use std::path::Path;

use crate::reading::{self, io_cause};

/// Largest list, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// A program of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Its file's name.
    pub name: String,
    /// SHA-256 in hexadecimal.
    pub digest: String,
}

/// Reads a list.
///
/// # Errors
/// Why it is none.
pub(super) fn read(path: &Path) -> Result<Vec<Released>, String> {
    let text = reading::text(path, LARGEST)
        .map_err(|error| format!("{} cannot be read: {}", path.display(), io_cause(&error)))?;
    let released: Option<Vec<_>> = text.lines().filter(|line| !line.trim().is_empty()).map(line).collect();
    match released {
        Some(released) if !released.is_empty() => Ok(released),
        _ => Err(format!("{} is no list of SHA-256 digests as sha256sum writes it", path.display())),
    }
}

fn line(line: &str) -> Option<Released> {
    let (digest, name) = line.split_once("  ").or_else(|| line.split_once(" *"))?;
    let hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && !name.is_empty())
        .then(|| Released { name: super::collected::clean(name), digest: digest.to_ascii_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::super::folder::tests::Scratch;
    use super::*;

    #[test]
    fn digests_and_names_as_sha256sum_writes_them_and_nothing_else() {
        let folder = Scratch::new("release");
        let hex = "0A".repeat(32);
        let good = folder.write("SHA256SUMS", format!("{hex}  spotify-mcp\n{hex} *other.exe\n"));
        let released = read(&good).unwrap();
        assert_eq!((released[0].name.as_str(), released[1].name.as_str()), ("spotify-mcp", "other.exe"));
        assert_eq!(released[0].digest, "0a".repeat(32));
        for bad in
            [String::new(), "text".to_owned(), format!("{hex}  a\nmore"), format!("{}  a", "0".repeat(63))]
        {
            assert!(read(&folder.write("bad", bad)).is_err());
        }
        assert!(read(&folder.0.join("nowhere")).is_err());
    }
}
