//! `spotify-mcp audit export`: a run of records in a folder of its own, with what somebody else needs to check them:
//! proofs of the first and the last, the signed root, the keys, and a program. The same trail gives the same bytes.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::filter::{Record, moment};
use super::place::{Trail, Which, unread};
use super::prove::{create, newest, prove};
use crate::ambient::{Clock, Timestamp};
use crate::audit::line::{Facts, Marker, hex};
use crate::audit::reader;
use crate::audit::survey::{self, Leaves};
use crate::audit::verify::claims::Claim;
use crate::cli::administer::Place;
use crate::cli::output::{Exit, Refused, io_cause};

/// What `audit export` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes to a new folder: the records of the range exactly as they stand in the trail, proofs of the first and the last of
them, the signed checkpoint that covers them, the public keys that the trail names, a verifier in Python, and README.txt,
which says how to check all of it. Each record names the hash of the one before it, so the two proofs hold the others.

--from and --to are times or record numbers; a time range takes every record from the first to the last that fits and is
signed: what no checkpoint covers yet is left out, and that is said.

Examples:
  spotify-mcp audit export --from 2026-11-01 --to 2026-12-01 -o november/
  spotify-mcp audit export --from 4711 --to 4800 -o incident/
  spotify-mcp audit export --from 24h -o since-yesterday/")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// The first record, by number, or not before this time
    #[arg(long, value_name = "SEQ|TIME")]
    from: String,
    /// The last record, by number, or before this time; the last one that is signed where nothing is said
    #[arg(long, value_name = "SEQ|TIME")]
    to: Option<String>,
    /// The folder to make
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
}

/// The program that checks a pack, and whole trails.
const VERIFIER: &str = include_str!("verifier.py");

/// Writes the pack.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let trail = args.which.trail(place)?;
    let (first, wanted) = range(args, &trail)?;
    // A number is meant as it stands; a time is up to where the trail is signed: on a busy server nobody is ever there.
    let is_number = args.to.as_deref().is_some_and(|to| to.parse::<u64>().is_ok());
    let claim = newest(&trail, if is_number { wanted } else { first })?;
    let size = claim.checkpoint.size;
    let last = wanted.min(size);
    let leaves = survey::leaves(&trail.segments()?, size, (first, last));
    let leaves = leaves.map_err(|error| unread(&trail.dir, &error))?;
    let files = pack(&trail, &leaves, (first, last), &claim)?;
    write(&args.output, &files)?;
    let count = last - first + 1;
    let left_out = match wanted - last {
        0 => String::new(),
        some => format!("Left out: {some} records, {} to {wanted}, which are not signed yet.\n", last + 1),
    };
    let text = format!(
        "Wrote {count} records ({first} to {last}) under a checkpoint of {size} to {}.\n{left_out}How to check them: {}\n",
        args.output.display(),
        args.output.join("README.txt").display()
    );
    let told = json!({
        "first": first, "last": last, "records": count, "size": size, "unsigned_left_out": wanted - last,
        "folder": args.output,
    });
    place.global.output().result(&text, &told);
    Ok(Exit::Done)
}

/// The numbers of the first and the last record that are wanted.
fn range(args: &Args, trail: &Trail) -> Result<(u64, u64), Refused> {
    let number = |text: &str| text.parse::<u64>().ok();
    let to = match &args.to {
        Some(to) => to.clone(),
        None => newest(trail, 1)?.checkpoint.size.to_string(),
    };
    let (first, last) = match (number(&args.from), number(&to)) {
        (Some(first), Some(last)) => (first, last),
        (first, last) => within(trail, (&args.from, first), (&to, last))?,
    };
    if first == 0 || first > last {
        let text = "there is no record in this range";
        return Err(Refused::usage(
            "AUDIT_RANGE",
            text,
            "see with 'audit query --from ... --to ...' what there is",
        ));
    }
    Ok((first, last))
}

/// By the times of the records; one edge may be a number.
fn within(
    trail: &Trail,
    (from, first): (&str, Option<u64>),
    (to, last): (&str, Option<u64>),
) -> Result<(u64, u64), Refused> {
    let now = Clock::system().now();
    let edge = |number: Option<u64>, text: &str| match number {
        Some(_) => Ok(None),
        None => moment(text, now).map(|at| Some(Timestamp::millis(at))),
    };
    let (from, to) = (edge(first, from)?, edge(last, to)?);
    let (mut lowest, mut highest) = (u64::MAX, 0);
    for segment in trail.segments()? {
        reader::read(&segment.path, 0, |offset, lines| {
            for (_, line) in reader::lines(offset, lines) {
                let Some(record) = Record::parse(line) else { continue };
                let (seq, time) = (record.metadata.sequence, record.time);
                let fits = from.is_none_or(|from| time >= from)
                    && to.is_none_or(|to| time < to)
                    && first.is_none_or(|first| seq >= first)
                    && last.is_none_or(|last| seq <= last);
                if fits {
                    (lowest, highest) = (lowest.min(seq), highest.max(seq));
                }
            }
            ControlFlow::Continue(())
        })
        .map_err(|error| unread(&segment.path, &error))?;
    }
    Ok((lowest, highest))
}

type File = (&'static str, Vec<u8>);

/// The files of the pack.
fn pack(
    trail: &Trail,
    leaves: &Leaves,
    (first, last): (u64, u64),
    claim: &Claim,
) -> Result<Vec<File>, Refused> {
    let (one, other) = (prove(leaves, first, claim)?, prove(leaves, last, claim)?);
    let mut records = Vec::new();
    for line in &leaves.lines {
        records.extend_from_slice(line);
        records.push(b'\n');
    }
    let (keys, changes) = keys(trail)?;
    let mut files = vec![
        ("checkpoint.txt", claim.note.to_string().into_bytes()),
        ("first.tlog-proof", one.encode().into_bytes()),
        ("key-changes.ndjson", changes),
        ("keys.txt", keys.into_bytes()),
        ("last.tlog-proof", other.encode().into_bytes()),
        ("records.ndjson", records),
        ("verifier.py", VERIFIER.as_bytes().to_vec()),
    ];
    files.push(("README.txt", readme((first, last), claim).into_bytes()));
    let sums: String =
        files.iter().map(|(name, bytes)| format!("{}  {name}\n", hex(&Sha256::digest(bytes)))).collect();
    files.push(("SHA256SUMS", sums.into_bytes()));
    Ok(files)
}

/// The keys that the trail names, one a line, and the records in which one replaces another.
fn keys(trail: &Trail) -> Result<(String, Vec<u8>), Refused> {
    let (mut named, mut changes): (Vec<String>, Vec<u8>) = (Vec::new(), Vec::new());
    for segment in trail.segments()? {
        reader::read(&segment.path, 0, |offset, lines| {
            reader::lines(offset, lines).for_each(|(_, line)| note_keys(line, &mut named, &mut changes));
            ControlFlow::Continue(())
        })
        .map_err(|error| unread(&segment.path, &error))?;
    }
    let mut seen = HashSet::new();
    named.retain(|key| seen.insert(key.clone()));
    Ok((named.iter().map(|key| format!("{key}\n")).collect(), changes))
}

fn note_keys(line: &[u8], named: &mut Vec<String>, changes: &mut Vec<u8>) {
    // Few records tell of keys: the others are not read.
    if !line.windows(9).any(|part| part == b"\"audit_se" || part == b"\"audit_ke") {
        return;
    }
    match Facts::of(line, 0, "").said.ok().and_then(|said| said.marker).as_deref() {
        Some(Marker::Opened { keys, .. }) => named.extend(keys.iter().map(ToString::to_string)),
        Some(Marker::KeyChanged(change)) => {
            named.extend([change.old.to_string(), change.new.to_string()]);
            changes.extend_from_slice(line);
            changes.push(b'\n');
        }
        _ => {}
    }
}

fn readme((first, last): (u64, u64), claim: &Claim) -> String {
    let (size, origin) = (claim.checkpoint.size, &claim.checkpoint.origin);
    format!(
        "Records {first} to {last} of the audit trail {origin}, under a signed checkpoint of {size} records.

records.ndjson      the records, one a line, exactly as they stand in the trail (OCSF 1.8.0, canonical JSON)
first.tlog-proof    proof that the first of them is record {first} (c2sp.org/tlog-proof)
last.tlog-proof     proof that the last of them is record {last}
checkpoint.txt      the signed number of records and root of their tree (c2sp.org/tlog-checkpoint)
keys.txt            the public keys that the trail names; they prove nothing by standing here
key-changes.ndjson  the records in which one key vouches for the next
verifier.py         a program that checks all of this with Python 3 alone
SHA256SUMS          the hashes of these files

How to check. You need the trail's public key from a source you trust, which is not this folder: its operator's
publication, or 'spotify-mcp audit verify' run by somebody you trust. Compare it with keys.txt. Then:

  python3 verifier.py pack . KEY

or, with spotify-mcp itself:

  spotify-mcp audit verify --proof first.tlog-proof --vkey KEY
  spotify-mcp audit verify --proof last.tlog-proof --vkey KEY

and, for the records between the two: 'unmapped.prev' of each is the SHA-256 of the line before it, without its newline.
The last proof therefore holds every record before it in the file.
"
    )
}

fn write(folder: &Path, files: &[File]) -> Result<(), Refused> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
    made.map_err(|error| {
        let name = folder.display();
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            let text = format!("{name} is there already");
            return Refused::usage("FILE_EXISTS", text, "name another folder, or move that one away");
        }
        let text = format!("{name} cannot be made: {}", io_cause(&error));
        Refused::incomplete("AUDIT_OUTPUT", text, "name a folder that this user may write to")
    })?;
    files.iter().try_for_each(|(name, bytes)| create(&folder.join(name), bytes))
}
