//! Files that somebody names, read: regular ones alone, without waiting for a writer, as much as is allowed and no more.
//! And what kept a file, a folder or a program from being used, in words. Never: deciding what a content means.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file; symbolic links are followed.
///
/// # Errors
/// Where it cannot be opened, or is a pipe, a device or a folder.
pub fn open(path: &Path) -> io::Result<File> {
    opened(path, OFlags::NONBLOCK | OFlags::NOCTTY)
}

/// The same; a symbolic link in its place is refused.
///
/// # Errors
/// As [`open`], and for a link.
pub fn open_itself(path: &Path) -> io::Result<File> {
    opened(path, OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW)
}

/// All bytes of a regular file of at most `most`.
///
/// # Errors
/// As [`open`]; where it cannot be read; [`ErrorKind::FileTooLarge`].
pub fn bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {}", size(most))));
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// As [`bytes`]; [`ErrorKind::InvalidData`] where it is not UTF-8.
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(bytes(path, most)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// What keeps a file, a folder or a program from being used.
pub fn io_cause(error: &io::Error) -> String {
    // What this module says itself is in words already.
    if let Some(own) = error.get_ref() {
        return own.to_string();
    }
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return "it is a symbolic link, or there are too many of them".to_owned();
    }
    match error.kind() {
        ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        ErrorKind::AlreadyExists => "there is one already".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::NotADirectory => "what should be a folder above it is none".to_owned(),
        ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        ErrorKind::AddrInUse => "the address is in use".to_owned(),
        ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        // What Rust has no word for, the system has one.
        kind if kind.to_string().contains("error") => error.to_string(),
        kind => kind.to_string(),
    }
}

fn opened(path: &Path, flags: OFlags) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let what = if kind.is_dir() { "it is a folder" } else { "it is not a regular file" };
    Err(io::Error::other(what))
}

fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes when the test does.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("reading-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_waits_or_never_ends_is_refused_at_once() {
        let folder = Folder::new("waits");
        let pipe = folder.0.join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for (path, why) in [
            (pipe.as_path(), "it is not a regular file"),
            (Path::new("/dev/zero"), "it is not a regular file"),
            (&folder.0, "it is a folder"),
            (&folder.0.join("none"), "there is no such file or folder"),
        ] {
            assert_eq!(io_cause(&text(path, 9).unwrap_err()), why, "{}", path.display());
        }
    }

    #[test]
    fn files_are_read_whole_or_not_at_all() {
        let folder = Folder::new("whole");
        let (file, link) = (folder.0.join("file"), folder.0.join("link"));
        std::fs::write(&file, "0123456789").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(text(&file, 10).unwrap(), "0123456789");
        assert_eq!(text(&link, 10).unwrap(), "0123456789");
        assert!(open_itself(&file).is_ok() && open_itself(&link).is_err());
        assert_eq!(io_cause(&bytes(&file, 9).unwrap_err()), "it is larger than 9 bytes");
        std::fs::write(&file, [0xff]).unwrap();
        assert_eq!(io_cause(&text(&file, 9).unwrap_err()), "it is not UTF-8 text");
    }
}
