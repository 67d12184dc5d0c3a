//! The file: a header line, salt and commitment, then the parts as one stream of sealed chunks. Reads and writes with
//! one chunk in memory.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Damage;
use super::header::{Header, LONGEST};
use crate::crypto::keys::{Purpose, RootKey};
use crate::crypto::stream::{CHUNK, ChunkPlace, StreamKey, TAG};
use crate::failure::{During as _, Failure};

pub(super) const CHUNK_BYTES: u64 = CHUNK as u64;
const TAG_BYTES: u64 = TAG as u64;
/// Salt and commitment.
const PREAMBLE: u64 = 64;

/// Writes a whole backup and gives its size and digest. `parts` are read in the header's order.
pub(super) fn write(
    header: &Header,
    (root, salt): (&RootKey, &[u8; 32]),
    parts: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<(u64, String), Failure> {
    let mut line = serde_json::to_vec(header)?;
    if line.len() > LONGEST || header.payload().is_none() {
        return Err(Failure::new("the backup would be larger than its format allows"));
    }
    line.push(b'\n');
    let key = StreamKey::derive(&root.derive(Purpose::Backups), salt, &line);
    let mut out = Counted { out, bytes: 0, digest: Sha256::new() };
    out.put(&line)?;
    out.put(salt)?;
    out.put(key.commitment())?;
    let (mut left, mut number) = (header.payload().unwrap_or_default(), 0_u32);
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    loop {
        let size = left.min(CHUNK_BYTES);
        let plain = &mut chunk[..usize::try_from(size).unwrap_or(CHUNK)];
        parts.read_exact(plain).during("reading what is backed up")?;
        left -= size;
        let place = ChunkPlace { number, last: left == 0 };
        out.put(&key.seal(place, plain))?;
        if place.last {
            break;
        }
        number = number.checked_add(1).ok_or_else(|| Failure::new("the backup has too many chunks"))?;
    }
    if parts.read(&mut [0]).during("reading what is backed up")? != 0 {
        return Err(Failure::new("a file grew while it was backed up"));
    }
    let digest = out.digest.finalize();
    Ok((out.bytes, hex(&digest)))
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
    digest: Sha256,
}

impl Counted<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).during("writing the backup")?;
        self.bytes += bytes.len() as u64;
        self.digest.update(bytes);
        Ok(())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A backup whose header was read and is not believed yet.
pub struct Unopened {
    /// What it says of itself.
    pub header: Header,
    line: Vec<u8>,
    file: BufReader<File>,
    size: u64,
}

/// A backup that the key fits, with a header that is authentic.
pub struct Opened {
    /// What it says of itself.
    pub header: Header,
    key: StreamKey,
    file: BufReader<File>,
}

/// Takes a part's name and some of its bytes.
pub type Take<'a> = dyn FnMut(&str, &[u8]) -> Result<(), Failure> + 'a;

impl Unopened {
    /// Reads the header of a backup.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no backup of a version that we know.
    pub fn read(path: &Path) -> Result<Self, Damage> {
        let file = File::open(path).map_err(|error| {
            let context = match error.kind() {
                ErrorKind::NotFound => "there is no such file",
                ErrorKind::PermissionDenied => "this user may not read it",
                _ => "reading the backup",
            };
            Failure::caused(context, error)
        })?;
        let facts = file.metadata().during("reading the backup")?;
        if !facts.is_file() {
            return Err(Damage::Format);
        }
        let mut file = BufReader::with_capacity(CHUNK + TAG, file);
        let mut line = Vec::new();
        let most = LONGEST as u64 + 1;
        file.by_ref().take(most).read_until(b'\n', &mut line).during("reading the backup")?;
        if line.last() != Some(&b'\n') {
            return Err(Damage::Format);
        }
        let header = Header::parse(&line[..line.len() - 1])?;
        Ok(Self { header, line, file, size: facts.len() })
    }

    /// Proves that the key fits and that the header is authentic and the file as long as it was.
    ///
    /// # Errors
    /// [`Damage::WrongKey`], [`Damage::CutOff`], [`Damage::Changed`].
    pub fn open(mut self, root: &RootKey) -> Result<Opened, Damage> {
        let given = root.id().to_string();
        if self.header.sealed_under != given {
            return Err(Damage::WrongKey { needed: self.header.sealed_under, given });
        }
        let (mut salt, mut commitment) = ([0; 32], [0; 32]);
        let expected = self.expected();
        let cut = |size| move |_| Damage::CutOff(expected, size);
        self.file.read_exact(&mut salt).map_err(cut(self.size))?;
        self.file.read_exact(&mut commitment).map_err(cut(self.size))?;
        let key = StreamKey::derive(&root.derive(Purpose::Backups), &salt, &self.line);
        if !key.is_committed(&commitment) {
            return Err(Damage::Changed("its header"));
        }
        match self.size {
            size if size < expected => Err(Damage::CutOff(expected, size)),
            size if size > expected => Err(Damage::Changed("there is more after its end")),
            _ => Ok(Opened { header: self.header, key, file: self.file }),
        }
    }

    /// How long the file must be by its header.
    fn expected(&self) -> u64 {
        let payload = self.header.payload().unwrap_or_default();
        let chunks = payload.div_ceil(CHUNK_BYTES).max(1);
        self.line.len() as u64 + PREAMBLE + payload + chunks * TAG_BYTES
    }
}

impl Opened {
    /// Opens every chunk and hands the bytes of each part to `take`, with the part's name. All of it counts only when
    /// this returns: the last chunk says that nothing is missing.
    ///
    /// # Errors
    /// Where a chunk is not what was sealed at its place, or `take` fails.
    pub fn extract(&mut self, take: &mut Take<'_>) -> Result<(), Damage> {
        let mut left = self.header.payload().unwrap_or_default();
        let mut parts = self.header.parts.iter().map(|part| (part.name.as_str(), part.bytes));
        let mut current = parts.next();
        let (mut number, mut sealed) = (0_u32, vec![0; CHUNK + TAG]);
        loop {
            let size = left.min(CHUNK_BYTES);
            left -= size;
            let room = &mut sealed[..usize::try_from(size + TAG_BYTES).unwrap_or(CHUNK + TAG)];
            self.file.read_exact(room).during("reading the backup")?;
            let place = ChunkPlace { number, last: left == 0 };
            let plain = self.key.open(place, room).ok_or(Damage::Changed("its content"))?;
            let mut rest = &plain[..];
            while let Some((name, wanted)) = &mut current {
                let now = usize::try_from(*wanted).unwrap_or(usize::MAX).min(rest.len());
                take(name, &rest[..now])?;
                rest = &rest[now..];
                *wanted -= now as u64;
                if *wanted > 0 {
                    break;
                }
                current = parts.next();
            }
            if place.last {
                return Ok(());
            }
            number += 1;
        }
    }
}
