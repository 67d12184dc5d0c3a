//! Deletions, kept outside the database: `<data_dir>/tombstones.ndjson`, one line each, only ever appended to.
//!
//! A database restored from the past does not know whom it must delete again; this file does. A mark names nobody (see
//! [`crate::store::Tombstone`]).

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ambient::Timestamp;
use crate::failure::{During as _, Failure};
use crate::store::Tombstone;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    mark: String,
    deleted_at: i64,
}

/// Keeps the file beside the database up to date.
pub struct Mirror {
    path: PathBuf,
    known: HashSet<String>,
    /// Deletions that the database had when the file was last brought up to date.
    seen: Option<i64>,
}

impl Mirror {
    /// Reads what is there.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds what is no tombstone.
    pub fn open(data_dir: &Path) -> Result<Self, Failure> {
        let known = read_tombstones(data_dir)?.into_iter().map(|stone| stone.mark).collect();
        Ok(Self { path: file_in(data_dir), known, seen: None })
    }

    /// Whether a database with so many deletions may have one that the file has not.
    pub fn is_behind(&self, all: i64) -> bool {
        self.seen != Some(all)
    }

    /// Appends what is new, and returns when it is on disk.
    ///
    /// # Errors
    /// Where the disk refuses: then it is tried again with the next.
    pub fn keep(&mut self, stones: &[Tombstone]) -> Result<(), Failure> {
        let new: Vec<&Tombstone> = stones.iter().filter(|stone| !self.known.contains(&stone.mark)).collect();
        let seen = i64::try_from(stones.len()).ok();
        if new.is_empty() {
            self.seen = seen;
            return Ok(());
        }
        // What a crash tore must not swallow the next line: an empty line is none.
        let mut text = String::from("\n");
        for stone in &new {
            let line = Line { mark: stone.mark.clone(), deleted_at: stone.deleted_at.secs() };
            text.push_str(&serde_json::to_string(&line)?);
            text.push('\n');
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path);
        let mut file = file.during("opening tombstones.ndjson")?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).during("writing tombstones.ndjson")?;
        self.known.extend(new.into_iter().map(|stone| stone.mark.clone()));
        self.seen = seen;
        Ok(())
    }
}

/// Every deletion that the file of a data directory holds; none where there is no file.
///
/// # Errors
/// Where it cannot be read, or a whole line of it is no tombstone.
pub fn read_tombstones(data_dir: &Path) -> Result<Vec<Tombstone>, Failure> {
    let file = match File::open(file_in(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.during("reading tombstones.ndjson")?,
    };
    let mut stones = Vec::new();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line).during("reading tombstones.ndjson")?;
        match (line.is_empty(), line.trim_ascii().is_empty(), serde_json::from_slice::<Line>(&line)) {
            (true, ..) => return Ok(stones),
            (_, true, _) => {}
            (.., Ok(Line { mark, deleted_at })) => {
                stones.push(Tombstone { mark, deleted_at: Timestamp::from_secs(deleted_at) });
            }
            // Torn by a crash: the database still had it, and it was written again.
            (.., Err(_)) if !line.trim_ascii().ends_with(b"}") => {}
            (.., Err(error)) => return Err(Failure::caused("tombstones.ndjson is damaged", error)),
        }
    }
}

fn file_in(data_dir: &Path) -> PathBuf {
    data_dir.join("tombstones.ndjson")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_costs_nothing_but_itself() {
        let dir = std::env::temp_dir().join(format!("spotify-mcp-tombstones-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let stone = |n: i64| Tombstone { mark: format!("{n:064x}"), deleted_at: Timestamp::from_secs(n) };
        let mut mirror = Mirror::open(&dir).unwrap();
        mirror.keep(&[stone(1), stone(2)]).unwrap();
        mirror.keep(&[stone(2)]).unwrap();
        let whole = std::fs::read(dir.join("tombstones.ndjson")).unwrap();
        std::fs::write(dir.join("tombstones.ndjson"), &whole[..whole.len() - 9]).unwrap();
        let mut mirror = Mirror::open(&dir).unwrap();
        assert!(mirror.is_behind(2));
        mirror.keep(&[stone(2), stone(3)]).unwrap();
        assert!(!mirror.is_behind(2));
        assert_eq!(read_tombstones(&dir).unwrap(), [stone(1), stone(2), stone(3)]);
        std::fs::write(dir.join("tombstones.ndjson"), "{\"mark\":7}\n").unwrap();
        assert!(read_tombstones(&dir).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
