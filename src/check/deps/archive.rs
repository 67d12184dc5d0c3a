//! An advisory database in an archive: tar, packed with gzip or xz.
//!
//! Read in memory and never unpacked to disk; links, devices and paths that lead out are refused, and so is an archive
//! that would grow beyond its bounds, whatever its own headers say.

use std::io::{self, Read};
use std::num::NonZeroUsize;

use flate2::read::GzDecoder;
use tar::{Archive, Entry, EntryType};
use xz4rust::{XzDecoder, XzReader};

use super::collected::{ADVISORY, ALL, Collected, Place, Unusable, clean, place};
use crate::ambient::Timestamp;

/// Largest archive, in bytes.
pub(super) const PACKED: u64 = 32 * 1024 * 1024;

/// Largest dictionary that xz may ask for, in bytes (what `xz -9` uses).
const DICTIONARY: usize = 64 * 1024 * 1024;

/// Largest name or extended header of one file, in bytes.
const ABOUT: u64 = 64 * 1024;

/// How a file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const XZ: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];

/// Reads an archive.
pub(super) fn read(bytes: Vec<u8>) -> Result<Collected, Unusable> {
    // A little more than all files may hold together, for headers.
    read_within(bytes, ALL + ALL / 4)
}

/// The same, unpacked to at most so many bytes; beyond, it ends as if it were cut off.
fn read_within(bytes: Vec<u8>, most: u64) -> Result<Collected, Unusable> {
    let unpacked: Box<dyn Read> = if bytes.starts_with(&GZIP) {
        Box::new(GzDecoder::new(io::Cursor::new(bytes)))
    } else if bytes.starts_with(&XZ) {
        let Some(piece) = NonZeroUsize::new(64 * 1024) else { return Err(damaged()) };
        let decoder = XzDecoder::in_heap_with_alloc_dict_size(0, DICTIONARY);
        Box::new(XzReader::new_with_buffer_size_and_decoder(io::Cursor::new(bytes), piece, decoder))
    } else {
        return Err(Unusable::because("it is neither tar.gz nor tar.xz"));
    };
    let mut archive = Archive::new(unpacked.take(most));
    let mut collected = Collected::default();
    let mut newest = None;
    // As they stand: what goes before a file and names it would else be read whole, however long it says it is.
    let mut named = None;
    for entry in archive.entries().map_err(|_| damaged())?.raw(true) {
        let mut entry = entry.map_err(|_| damaged())?;
        if let Some(at) = take(&mut entry, &mut named, &mut collected)? {
            newest = newest.max(Some(at));
        }
    }
    // To its very end: only there do gzip and xz prove that nothing was lost or changed.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|_| damaged())?;
    if rest.limit() == 0 {
        return Err(Unusable::because(format!("it unpacks to more than {} MiB", most / 1024 / 1024)));
    }
    if collected.commit.is_some() {
        collected.committed = newest.map(Timestamp::from_secs);
    }
    collected.checked()
}

/// Takes one entry in; the time it carries. `named`: what the entry before says that this one is called.
fn take<R: Read>(
    entry: &mut Entry<'_, R>,
    named: &mut Option<Vec<u8>>,
    collected: &mut Collected,
) -> Result<Option<i64>, Unusable> {
    let size = entry.size();
    collected.count(size)?;
    let kind = entry.header().entry_type();
    match kind {
        EntryType::XGlobalHeader => {
            collected.commit = commit(&contents(entry, size)?);
            return Ok(None);
        }
        EntryType::XHeader => {
            *named = path_of(&about(entry, size)?)?.or(named.take());
            return Ok(None);
        }
        EntryType::GNULongName => {
            let name = about(entry, size)?;
            *named = Some(name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec());
            return Ok(None);
        }
        // Where a link leads is never asked.
        EntryType::GNULongLink => return Ok(None),
        _ => {}
    }
    let path = named.take().unwrap_or_else(|| entry.path_bytes().into_owned());
    let path = String::from_utf8(path).map_err(|_| Unusable::because("it has a path that is not UTF-8"))?;
    let place = place(&path)?;
    match (kind, place) {
        (EntryType::Regular, Place::Advisory(package, file)) => {
            let bytes = contents(entry, size)?;
            collected.keep(package, file, bytes)?;
        }
        (EntryType::Regular, Place::Toolchain) => collected.toolchain += 1,
        (EntryType::Regular | EntryType::Directory, _) | (EntryType::Symlink, Place::Other) => {}
        _ => return Err(Unusable::because(format!("it has a link or a device: {}", clean(&path)))),
    }
    Ok(entry.header().mtime().ok().and_then(|at| i64::try_from(at).ok()))
}

/// What stands before a file and is about it.
fn about<R: Read>(entry: &mut Entry<'_, R>, size: u64) -> Result<Vec<u8>, Unusable> {
    if size > ABOUT {
        return Err(Unusable::because(format!(
            "it has a name or a header of more than {} KiB",
            ABOUT / 1024
        )));
    }
    let mut bytes = Vec::new();
    entry.take(ABOUT).read_to_end(&mut bytes).map_err(|_| damaged())?;
    Ok(bytes)
}

/// The path that an extended header gives the next file (POSIX pax: lines of `LENGTH KEY=VALUE`).
fn path_of(header: &[u8]) -> Result<Option<Vec<u8>>, Unusable> {
    let mut found = None;
    for record in tar::PaxExtensions::new(header) {
        let record = record.map_err(|_| damaged())?;
        match record.key_bytes() {
            b"path" => found = Some(record.value_bytes().to_vec()),
            // Another size than the header's would have the rest read as something else.
            b"size" => return Err(Unusable::because("it has a file with two sizes")),
            _ => {}
        }
    }
    Ok(found)
}

fn contents<R: Read>(entry: &mut Entry<'_, R>, size: u64) -> Result<Vec<u8>, Unusable> {
    if size > ADVISORY {
        return Err(Unusable::because(format!("it has an advisory of more than {} KiB", ADVISORY / 1024)));
    }
    let mut bytes = Vec::new();
    entry.take(ADVISORY).read_to_end(&mut bytes).map_err(|_| damaged())?;
    if bytes.len() as u64 != size {
        return Err(damaged());
    }
    Ok(bytes)
}

/// The commit that `git archive` writes into its archives: a global extended header `52 comment=HEX`.
fn commit(header: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(header).ok()?;
    let id = text.lines().find_map(|line| line.split_once(" comment=")).map(|(_, id)| id)?;
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && matches!(id.len(), 40 | 64)).then(|| id.to_owned())
}

fn damaged() -> Unusable {
    Unusable::because("it is damaged or cut off")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    /// An archive of entries as they come: type, path, contents.
    pub(in crate::check::deps) fn tar(entries: &[(EntryType, &str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (kind, path, contents) in entries {
            let mut header = Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(1_795_000_000);
            // Past `set_path`, which refuses what an attacker would write.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *contents).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// The same, packed with gzip.
    pub(in crate::check::deps) fn gzip(tar: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(tar).unwrap();
        packed.finish().unwrap()
    }

    fn why(entries: &[(EntryType, &str, &[u8])]) -> String {
        read(gzip(&tar(entries))).err().unwrap().to_string()
    }

    const GOOD: (EntryType, &str, &[u8]) =
        (EntryType::Regular, "db-1/crates/a/RUSTSEC-2026-0001.md", b"text");

    #[test]
    fn what_names_the_next_file_is_read_and_bounded() {
        let long = format!("db-1/crates/{}/RUSTSEC-2026-0001.md", "a".repeat(120));
        let pax = format!("{} path={long}\n", long.len() + 10);
        for (kind, name) in [(EntryType::GNULongName, format!("{long}\0")), (EntryType::XHeader, pax)] {
            let named =
                [(kind, "././@LongLink", name.as_bytes()), (EntryType::Regular, "db-1/short", b"text")];
            let collected = read(gzip(&tar(&named))).unwrap();
            let found: Vec<_> = collected.advisories.keys().map(|(package, _)| package.len()).collect();
            assert_eq!(found, [120], "{kind:?}");
            // The one after it has its own name again.
            let next = [named[0], named[1], GOOD];
            assert_eq!(read(gzip(&tar(&next))).unwrap().advisories.len(), 2);
            let endless = vec![b'a'; 70_000];
            assert!(why(&[(kind, "././@LongLink", &endless), GOOD]).contains("more than 64 KiB"), "{kind:?}");
        }
        assert!(why(&[(EntryType::XHeader, "x", b"11 size=99\n"), GOOD]).contains("two sizes"));
        assert!(why(&[(EntryType::GNULongName, "x", b"../../etc/x\0"), GOOD]).contains("leads out"));
    }

    #[test]
    fn an_archive_of_a_repository_gives_its_advisories_and_its_commit() {
        let comment = b"52 comment=0123456789012345678901234567890123456789\n";
        let entries = [
            (EntryType::XGlobalHeader, "pax_global_header", &comment[..]),
            (EntryType::Directory, "db-1/", b""),
            (EntryType::Symlink, "db-1/LICENSE", b""),
            (EntryType::Regular, "db-1/README.md", b"read me"),
            (EntryType::Regular, "db-1/rust/std/CVE-1.md", b"text"),
            GOOD,
        ];
        let collected = read(gzip(&tar(&entries))).unwrap();
        let files: Vec<_> =
            collected.advisories.iter().map(|((a, b), text)| (a.as_str(), b.as_str(), text.len())).collect();
        assert_eq!(files, [("a", "RUSTSEC-2026-0001.md", 4)]);
        assert_eq!((collected.toolchain, collected.commit.unwrap().len()), (1, 40));
        assert_eq!(collected.committed, Some(Timestamp::from_secs(1_795_000_000)));
        // Without a commit, nobody vouches for the time.
        assert_eq!(read(gzip(&tar(&[GOOD]))).unwrap().committed, None);
    }

    #[test]
    fn links_devices_and_paths_that_lead_out_are_refused() {
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo]
        {
            assert!(
                why(&[GOOD, (kind, "db-1/crates/a/RUSTSEC-2026-0002.md", b"")]).contains("link or a device")
            );
        }
        assert!(why(&[GOOD, (EntryType::Link, "db-1/LICENSE", b"")]).contains("link or a device"));
        for path in ["../../etc/passwd", "/etc/passwd", "db-1/crates/../../../x"] {
            assert!(why(&[GOOD, (EntryType::Regular, path, b"")]).contains("leads out of it"), "{path}");
        }
        assert!(why(&[GOOD, GOOD]).contains("twice"));
    }

    #[test]
    fn what_grows_beyond_its_bounds_is_refused() {
        let large = vec![0; usize::try_from(ADVISORY).unwrap() + 1];
        assert!(why(&[(EntryType::Regular, "crates/a/RUSTSEC-2026-0001.md", &large)]).contains("KiB"));
        // A header that promises more than follows.
        let mut short = tar(&[GOOD]);
        short.truncate(600);
        assert!(read(gzip(&short)).err().unwrap().to_string().contains("damaged or cut off"));
        // A bomb: zeros beyond every bound, a few kilobytes packed. They end a tar, and are counted all the same.
        let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
        let piece = vec![0; 1024 * 1024];
        bomb.write_all(&tar(&[GOOD])).unwrap();
        for _ in 0..8 {
            bomb.write_all(&piece).unwrap();
        }
        let bomb = bomb.finish().unwrap();
        assert!(bomb.len() < 64 * 1024 && read(bomb.clone()).is_ok());
        assert!(read_within(bomb, 8 * 1024 * 1024).err().unwrap().to_string().contains("unpacks to more"));
    }

    /// `tar cJf` of GOOD's file under `crates/`; and the same with a header that asks for a dictionary of 1.5 GiB.
    const XZ_GOOD: &str = "/Td6WFoAAATm1rRGAgAhAQgAAADYDyMT4Af/AF9dADGciEcSSuk1tvCNRB0QWb6thtF6w8wGBJA/qlAS3Nj0jY4CggM+4RAJ\
        3ammN9ZfyuuYqJ8rVP0jmB9TkFY61DpG96HT93AnSDZNPA48tKg5SmON0lr8zEixeHEs0P6AAABmOIF88ZXTYQABe4AQAAAA0s5PQ7HEZ/sCAA\
        AAAARZWg==";
    const XZ_GREEDY: &str = "/Td6WFoAAATm1rRGAgAhASUAAAA7eHtB4Af/AF9dADGciEcSSuk1tvCNRB0QWb6thtF6w8wGBJA/qlAS3Nj0jY4CggM+4RAJ\
        3ammN9ZfyuuYqJ8rVP0jmB9TkFY61DpG96HT93AnSDZNPA48tKg5SmON0lr8zEixeHEs0P6AAABmOIF88ZXTYQABe4AQAAAA0s5PQ7HEZ/sCAA\
        AAAARZWg==";

    #[test]
    fn xz_is_read_and_gets_no_more_memory_than_it_needs() {
        use base64::Engine as _;
        let unpack = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        assert_eq!(read(unpack(XZ_GOOD)).unwrap().advisories.len(), 1);
        assert!(read(unpack(XZ_GREEDY)).is_err());
        let mut changed = unpack(XZ_GOOD);
        changed[60] ^= 1;
        assert!(read(changed).is_err());
        let mut cut = unpack(XZ_GOOD);
        cut.truncate(cut.len() - 20);
        assert!(read(cut).is_err());
    }

    #[test]
    fn a_changed_byte_at_the_end_is_found() {
        let mut packed = gzip(&tar(&[GOOD]));
        let last = packed.len() - 6;
        packed[last] ^= 1;
        assert!(read(packed).err().unwrap().to_string().contains("damaged or cut off"));
        let mut cut = gzip(&tar(&[GOOD]));
        cut.truncate(cut.len() - 9);
        assert!(read(cut).is_err());
        assert!(read(b"PK\x03\x04".to_vec()).is_err());
        assert!(read(Vec::new()).is_err());
    }
}
