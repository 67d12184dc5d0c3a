//! `/proc/PID/mountinfo`: which file systems a process sees and which of them it could write to (proc_pid_mountinfo(5)).
//! Pure: text in, facts out.

use std::path::{Path, PathBuf};

use crate::check::finding::Seen;

use super::system::unseen;

/// So many mounts are looked at.
const MOST: usize = 10_000;

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// Which part of the file system is mounted.
    pub root: PathBuf,
    /// Its kind, for example `ext4`.
    pub kind: String,
    /// Whether both this mount and the file system may be written.
    pub writable: bool,
    /// Whether set-user-id bits count here.
    pub setuid: bool,
}

/// File systems that are the kernel's own interfaces: what may be written there, the kernel decides file by file.
const INTERFACES: [&str; 20] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "sysfs",
    "tracefs",
];

impl Mount {
    /// Whether it is an interface of the kernel and holds no files.
    pub fn is_interface(&self) -> bool {
        INTERFACES.contains(&self.kind.as_str()) || self.kind == "selinuxfs"
    }
}

/// Reads it, in the order of mounting; of several at one place the last is what is seen there.
///
/// # Errors
/// Where no root is mounted: then it is no such file.
pub fn parse(text: &str) -> Seen<Vec<Mount>> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in text.lines().take(MOST).filter_map(mount) {
        mounts.push(mount);
    }
    match root(&mounts) {
        Some(_) => Ok(mounts),
        None => Err(unseen("the mounts of the process", "they name no root")),
    }
}

/// The file system at `/`.
pub fn root(mounts: &[Mount]) -> Option<&Mount> {
    mounts.iter().rev().find(|mount| mount.point == Path::new("/"))
}

/// `id parent major:minor root point options [tags] - kind source super-options`.
fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point, options) = (before.next()?, before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, whole) = (after.next()?, after.nth(1)?);
    let says = |options: &str, word: &str| options.split(',').any(|option| option == word);
    Some(Mount {
        point: unescaped(point),
        root: unescaped(root),
        kind: kind.to_owned(),
        writable: says(options, "rw") && says(whole, "rw"),
        setuid: !says(options, "nosuid"),
    })
}

/// Space, tab, line end and backslash are written as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut path = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        path.push_str(before);
        match escape.get(1..4).and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) if byte.is_ascii() => {
                path.push(char::from(byte));
                rest = &escape[4..];
            }
            _ => {
                path.push('\\');
                rest = &escape[1..];
            }
        }
    }
    path.push_str(rest);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        23 22 0:21 / /proc rw,nosuid,nodev - proc proc rw\n\
        30 22 0:30 / / ro,relatime master:4 propagate_from:2 - overlay overlay rw,lowerdir=/a\n\
        31 30 8:2 /data /var/lib/a\\040b rw,nosuid,relatime - ext4 /dev/sdb rw\n\
        32 30 0:40 / /etc/ro rw - tmpfs tmpfs ro,size=4k\n";

    #[test]
    fn of_two_roots_the_later_is_seen_and_both_flags_count() {
        let mounts = parse(TEXT).unwrap();
        let root = root(&mounts).unwrap();
        assert_eq!((root.kind.as_str(), root.writable, root.setuid), ("overlay", false, true));
        assert!(mounts[1].is_interface() && !root.is_interface());
        assert_eq!(mounts[3].point, Path::new("/var/lib/a b"));
        assert_eq!((mounts[3].writable, mounts[3].setuid), (true, false));
        assert_eq!(mounts[3].root, Path::new("/data"));
        assert!(!mounts[4].writable, "the file system itself is read-only");
        assert!(parse("").is_err() && parse("nonsense - \n").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,400}", path in "[\\\\0-7a-z\u{e4} ]{0,40}", at in 0..TEXT.len(), byte: u8) {
            let _ = parse(&text);
            let _ = unescaped(&path);
            let mut bytes = TEXT.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
