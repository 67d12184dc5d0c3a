//! Writing `<data_dir>/tombstones.ndjson`: what the database knows of deletions, brought up to date outside of it. Only
//! ever appended to; a file that cannot be believed is set aside and written anew. One writer at a time.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tombstones::{Head, Trust, file_in, marks, next_line, read};
use crate::ambient::Timestamp;
use crate::crypto::keys::SealingKey;
use crate::domain::event::{Event, EventCode};
use crate::failure::{During as _, Failure};
use crate::store::Tombstone;

/// How often, and how long in between, another writer is waited for.
const PATIENCE: (u32, Duration) = (50, Duration::from_millis(10));

/// Keeps the file beside the database up to date.
pub struct Mirror {
    data_dir: PathBuf,
    known: HashSet<String>,
    head: Option<Head>,
    /// Deletions that the database had when the file was last brought up to date.
    seen: Option<i64>,
}

/// A file that could not be believed, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its name now.
    pub file: PathBuf,
    /// What was wrong with it.
    pub why: String,
    /// Deletions in it that the database does not know: they are in no file that counts any more.
    pub only_there: usize,
}

impl SetAside {
    /// What the trail says of it.
    pub fn event(&self) -> Event {
        let file = self.file.file_name().unwrap_or_default().to_string_lossy();
        Event::new(EventCode::TombstonesSetAside)
            .because(&self.why)
            .detail("kept_as", file)
            .detail("only_there", self.only_there.to_string())
    }
}

impl Mirror {
    /// Of this data directory; nothing is read yet.
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), known: HashSet::new(), head: None, seen: None }
    }

    /// Whether a database with so many deletions may have one that the file has not.
    pub fn is_behind(&self, all: i64) -> bool {
        self.seen != Some(all)
    }

    /// Appends what is new, and returns when it is on disk. A file that is not as it was written is set aside.
    ///
    /// # Errors
    /// Where the disk refuses, or another process has the file for long: then it is tried again with the next.
    pub fn keep(
        &mut self,
        stones: &[Tombstone],
        key: &SealingKey,
        now: Timestamp,
    ) -> Result<Option<SetAside>, Failure> {
        let path = file_in(&self.data_dir);
        let seen = i64::try_from(stones.len()).ok();
        let _lock = self.lock()?;
        let bytes = path.metadata().map(|file| file.len()).ok();
        let mut aside = None;
        if self.head.is_none() || self.head.map(|head| head.bytes) != bytes {
            // The first time, or something else wrote it.
            aside = self.look_again(stones, key, now)?;
        }
        let new: Vec<&Tombstone> = stones.iter().filter(|stone| !self.known.contains(&stone.mark)).collect();
        if !new.is_empty() {
            self.append(&path, &new, key)?;
        }
        self.seen = seen;
        Ok(aside)
    }

    fn lock(&self) -> Result<File, Failure> {
        let path = self.data_dir.join("tombstones.lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let lock = lock.during("opening tombstones.lock")?;
        for _attempt in 0..PATIENCE.0 {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PATIENCE.1),
                Err(TryLockError::Error(error)) => {
                    return Err(Failure::caused("locking tombstones.ndjson", error));
                }
            }
        }
        Err(Failure::new("another process writes tombstones.ndjson"))
    }

    fn look_again(
        &mut self,
        stones: &[Tombstone],
        key: &SealingKey,
        now: Timestamp,
    ) -> Result<Option<SetAside>, Failure> {
        let found = read(&self.data_dir, std::slice::from_ref(key))?;
        let why = match found.trust {
            Trust::Absent => {
                (self.head, self.known) = (Some(Head::default()), HashSet::new());
                // An empty one too: so that a missing file means that it was taken away.
                self.append(&file_in(&self.data_dir), &[], key)?;
                return Ok(None);
            }
            Trust::Authentic(head) => {
                self.head = Some(head);
                self.known = found.stones.into_iter().map(|stone| stone.mark).collect();
                return Ok(None);
            }
            Trust::Plain => "it is from a version that did not authenticate it".to_owned(),
            Trust::KeyUnknown(id) => format!("it is under key {id} of another database"),
            Trust::Damaged(what) => what,
        };
        let there = marks(stones);
        let only_there = found.stones.iter().filter(|stone| !there.contains(stone.mark.as_str())).count();
        let file = self.replace(stones, key, now)?;
        Ok(Some(SetAside { file, why, only_there }))
    }

    /// Writes the whole file anew, and keeps the one that was there under another name. A kill leaves either.
    fn replace(
        &mut self,
        stones: &[Tombstone],
        key: &SealingKey,
        now: Timestamp,
    ) -> Result<PathBuf, Failure> {
        let path = file_in(&self.data_dir);
        let fresh = self.data_dir.join("tombstones.ndjson.new");
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::caused("removing an unfinished tombstones.ndjson", error));
            }
            _ => {}
        }
        (self.head, self.known) = (Some(Head::default()), HashSet::new());
        self.append(&fresh, &stones.iter().collect::<Vec<_>>(), key)?;
        let time: String = now.rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        let aside = self.data_dir.join(format!("tombstones.ndjson.doubtful-{time}"));
        fs::hard_link(&path, &aside).during("setting tombstones.ndjson aside")?;
        fs::rename(&fresh, &path).during("giving tombstones.ndjson its name")?;
        self.sync_folder()?;
        Ok(aside)
    }

    fn append(&mut self, path: &Path, new: &[&Tombstone], key: &SealingKey) -> Result<(), Failure> {
        // Until it is done nobody knows how far it came.
        let Some(mut head) = self.head.take() else {
            return Err(Failure::new("tombstones.ndjson was not read"));
        };
        let (mut text, from) = (String::new(), head.bytes);
        for stone in new {
            let (line, after) = next_line(&head, stone, key)?;
            text += &line;
            head = after;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = file.during("opening tombstones.ndjson")?;
        // What a crash tore goes: it is written again.
        file.set_len(from)
            .and_then(|()| file.seek(SeekFrom::Start(from)))
            .and_then(|_| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_all())
            .during("writing tombstones.ndjson")?;
        if from == 0 {
            self.sync_folder()?;
        }
        self.known.extend(new.iter().map(|stone| stone.mark.clone()));
        self.head = Some(head);
        Ok(())
    }

    fn sync_folder(&self) -> Result<(), Failure> {
        File::open(&self.data_dir).and_then(|folder| folder.sync_all()).during("syncing the data directory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Key;
    use crate::crypto::keys::KeyId;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = u64::from_be_bytes(crate::ambient::Dice::system().bytes());
            let path = std::env::temp_dir().join(format!("spotify-mcp-tombstones-{name:x}"));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        /// A mirror as after a start.
        fn mirror(&self) -> Mirror {
            Mirror::new(&self.0)
        }

        fn text(&self) -> String {
            fs::read_to_string(file_in(&self.0)).unwrap()
        }

        fn write(&self, text: &str) {
            fs::write(file_in(&self.0), text).unwrap();
        }

        fn trust(&self) -> Trust {
            read(&self.0, &[key(1)]).unwrap().trust
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(KeyId::new([byte; 16]), Key::new([byte; 32]))
    }

    fn stones(numbers: std::ops::RangeInclusive<i64>) -> Vec<Tombstone> {
        let one = |n| Tombstone { mark: format!("{n:064x}"), deleted_at: Timestamp::from_secs(n) };
        numbers.map(one).collect()
    }

    const NOW: Timestamp = Timestamp::from_secs(1_795_233_600);

    #[test]
    fn two_writers_keep_one_chain_and_a_torn_line_costs_nothing_but_itself() {
        let folder = Folder::new();
        let (mut one, mut other) = (folder.mirror(), folder.mirror());
        assert_eq!(one.keep(&stones(1..=2), &key(1), NOW).unwrap(), None);
        assert_eq!(other.keep(&stones(1..=3), &key(1), NOW).unwrap(), None);
        assert_eq!(one.keep(&stones(1..=4), &key(1), NOW).unwrap(), None);
        assert!(!one.is_behind(4) && other.is_behind(4));
        let whole = folder.text();
        assert_eq!(whole.lines().count(), 4);
        for cut in 1..whole.lines().last().unwrap().len() {
            folder.write(&whole[..whole.len() - 1 - cut]);
            assert!(matches!(folder.trust(), Trust::Authentic(Head { lines: 3, .. })));
            assert_eq!(folder.mirror().keep(&stones(1..=4), &key(1), NOW).unwrap(), None);
            assert_eq!(folder.text(), whole);
        }
    }

    #[test]
    fn every_edit_removal_doubling_and_swap_is_found_and_named() {
        let folder = Folder::new();
        folder.mirror().keep(&stones(1..=5), &key(1), NOW).unwrap();
        let whole = folder.text();
        let lines: Vec<&str> = whole.lines().collect();
        let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let mut changed = Vec::new();
        for at in 0..whole.len() {
            for byte in [whole.as_bytes()[at] ^ 1, b' ', b'0'] {
                let mut bytes = whole.clone().into_bytes();
                if std::mem::replace(&mut bytes[at], byte) != byte {
                    changed.push(String::from_utf8(bytes).unwrap());
                }
            }
        }
        for one in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(one);
            if one + 1 < lines.len() {
                changed.push(joined(&without));
            }
            for other in 0..lines.len() {
                let (mut doubled, mut swapped) = (lines.clone(), lines.clone());
                doubled.insert(other, lines[one]);
                swapped.swap(one, other);
                changed.extend([joined(&doubled), joined(&swapped)]);
            }
        }
        changed.retain(|text| *text != whole);
        for text in &changed {
            folder.write(text);
            let trust = folder.trust();
            let is_found = match &trust {
                Trust::Damaged(what) => what.contains("line"),
                // A changed name of the key, in the only line that is left to read.
                Trust::KeyUnknown(_) => true,
                // The end of the last line is gone with its last byte: torn, and so not there.
                Trust::Authentic(head) => head.lines == 4 && !text.ends_with('\n'),
                Trust::Absent | Trust::Plain => false,
            };
            assert!(is_found, "{trust:?}: {text}");
        }
        // What nobody can see in the file alone: whole lines that are gone from its end.
        folder.write(&joined(&lines[..3]));
        assert!(matches!(folder.trust(), Trust::Authentic(Head { lines: 3, .. })));
    }

    #[test]
    fn a_file_that_cannot_be_believed_is_set_aside_and_written_anew() {
        let plain = |n: i64| format!("\n{{\"mark\":\"{n:064x}\",\"deleted_at\":{n}}}\n{{\"mark\":\"00");
        let other = {
            let folder = Folder::new();
            folder.mirror().keep(&stones(7..=8), &key(2), NOW).unwrap();
            folder.text()
        };
        for (text, why, only_there) in [
            (plain(9), "did not authenticate", 1),
            (other, "another database", 2),
            ("{\"mark\":7}\n".to_owned(), "line 1", 0),
            ("x".repeat(5_000), "line 1", 0),
        ] {
            let folder = Folder::new();
            folder.write(&text);
            let mut mirror = folder.mirror();
            let aside = mirror.keep(&stones(1..=2), &key(1), NOW).unwrap().unwrap();
            assert!(aside.why.contains(why) && aside.only_there == only_there, "{aside:?}");
            assert_eq!(fs::read_to_string(&aside.file).unwrap(), text);
            assert!(matches!(folder.trust(), Trust::Authentic(Head { lines: 2, .. })));
            assert_eq!(mirror.keep(&stones(1..=3), &key(1), NOW).unwrap(), None);
            assert!(matches!(folder.trust(), Trust::Authentic(Head { lines: 3, .. })));
        }
    }
}
