//! POSIX access control lists, as Linux keeps them beside a file: whom they let do what its mode does not show.

use std::fmt;
use std::path::Path;

use crate::check::{Seen, Unseen};

/// Somebody whom an access control list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A user, by number.
    User(u32),
    /// A group, by number.
    Group(u32),
}

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(out, "user {user}"),
            Self::Group(group) => write!(out, "group {group}"),
        }
    }
}

/// What somebody may do: bits as the last digit of a mode has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Who.
    pub who: Who,
    /// What, the mask applied.
    pub bits: u32,
}

/// Whom the list of what is at a path names, links followed; nobody where there is none.
#[cfg(target_os = "linux")]
pub fn of(path: &Path) -> Seen<Vec<Granted>> {
    use crate::reading::io_cause;
    use rustix::io::Errno;
    let mut bytes = [0; 8 << 10];
    match rustix::fs::getxattr(path, "system.posix_acl_access", &mut bytes[..]) {
        Ok(length) => {
            let named = bytes.get(..length).and_then(parse);
            named.ok_or_else(|| Unseen::because("its access control list is of a form that is not known"))
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(Vec::new()),
        Err(error) => Err(Unseen::because(format!(
            "its access control list cannot be read: {}",
            io_cause(&error.into())
        ))),
    }
}

/// Other systems keep theirs otherwise: the mode is all that is looked at there.
#[cfg(not(target_os = "linux"))]
pub fn of(_path: &Path) -> Seen<Vec<Granted>> {
    Ok(Vec::new())
}

/// `struct posix_acl_xattr_header` and its entries: a version, and of each a tag, permissions and an id, little-endian.
#[cfg(any(target_os = "linux", test))]
fn parse(bytes: &[u8]) -> Option<Vec<Granted>> {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    const MASK: u16 = 0x10;
    let entries = bytes.strip_prefix(&2_u32.to_le_bytes())?;
    let (entries, rest) = entries.as_chunks::<8>();
    if !rest.is_empty() {
        return None;
    }
    let read = |[a, b, c, d, id @ ..]: &[u8; 8]| {
        (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]), u32::from_le_bytes(*id))
    };
    let entries: Vec<(u16, u16, u32)> = entries.iter().map(read).collect();
    let mask = entries.iter().find(|(tag, ..)| *tag == MASK).map_or(0o7, |(_, bits, _)| *bits);
    let named = entries.into_iter().filter_map(|(tag, bits, id)| {
        let who = match tag {
            USER => Who::User(id),
            GROUP => Who::Group(id),
            _ => return None,
        };
        Some(Granted { who, bits: u32::from(bits & mask & 0o7) })
    });
    Some(named.filter(|granted| granted.bits != 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `setfacl` writes one: entries of tag, permissions and id.
    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let entry = |(tag, bits, id): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        [2_u32.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
    }

    #[test]
    fn who_is_named_is_found_as_far_as_the_mask_lets_them() {
        let none = u32::MAX;
        let base = [(1, 6, none), (4, 0, none), (0x20, 0, none)];
        assert_eq!(parse(&list(&base)), Some(Vec::new()));
        let more = [&base[..], &[(2, 7, 1001), (8, 2, 5), (2, 0, 1002), (0x10, 6, none)]].concat();
        let (user, group) = (Who::User(1001), Who::Group(5));
        let named = [Granted { who: user, bits: 6 }, Granted { who: group, bits: 2 }];
        assert_eq!(parse(&list(&more)), Some(named.to_vec()));
        let masked = [&base[..], &[(2, 7, 1001), (0x10, 0, none)]].concat();
        assert_eq!(parse(&list(&masked)), Some(Vec::new()));
        for odd in [&b""[..], b"\x01\0\0\0", b"\x02\0\0\0\x01\0"] {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_list_on_a_file_is_read() {
        let path = std::env::temp_dir().join(format!("spotify-mcp-acl-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        assert_eq!(of(&path), Ok(Vec::new()));
        let none = u32::MAX;
        let entries = [(1, 6, none), (2, 4, 1001), (4, 0, none), (0x10, 4, none), (0x20, 0, none)];
        let flags = rustix::fs::XattrFlags::empty();
        let set = rustix::fs::setxattr(&path, "system.posix_acl_access", &list(&entries), flags);
        let seen = of(&path);
        std::fs::remove_file(&path).unwrap();
        match set {
            Ok(()) => assert_eq!(seen, Ok(vec![Granted { who: Who::User(1001), bits: 4 }])),
            // A file system without such lists has nothing to read.
            Err(error) => assert_eq!((error, seen), (rustix::io::Errno::NOTSUP, Ok(Vec::new()))),
        }
        assert!(of(Path::new("/nowhere/at/all")).is_err());
    }
}
