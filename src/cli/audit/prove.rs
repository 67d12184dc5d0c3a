//! `spotify-mcp audit prove`: a record, and its path to the root of the newest signed checkpoint.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::place::{Trail, Which, unread};
use crate::audit::merkle::verify_inclusion;
use crate::audit::proof::Proof;
use crate::audit::survey::{self, Leaves};
use crate::audit::verify::claims::Claim;
use crate::cli::administer::Place;
use crate::cli::output::{Exit, Refused, io_cause};

/// What `audit prove` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The proof is one small file (c2sp.org/tlog-proof) that holds the record itself: whoever has the trail's public key can
check it without the trail, with 'audit verify --proof' or any tool that knows the format. 'audit verify' shows the key.

Examples:
  spotify-mcp audit prove --seq 42 -o record-42.tlog-proof
  spotify-mcp audit verify --proof record-42.tlog-proof --vkey \"$KEY\"")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Which record, by its number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seq: u64,
    /// Write the proof to this new file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the proof.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let output = place.global.output();
    let trail = args.which.trail(place)?;
    let claim = newest(&trail, args.seq)?;
    let size = claim.checkpoint.size;
    let leaves = survey::leaves(&trail.segments()?, size, (args.seq, args.seq));
    let leaves = leaves.map_err(|error| unread(&trail.dir, &error))?;
    let proof = prove(&leaves, args.seq, &claim)?;
    let Some(file) = &args.output else {
        output.raw(&proof.encode());
        return Ok(Exit::Done);
    };
    create(file, proof.encode().as_bytes())?;
    let text =
        format!("Wrote the proof of record {} under {size} records to {}.\n", args.seq, file.display());
    output.result(&text, &json!({ "seq": args.seq, "size": size, "file": file }));
    Ok(Exit::Done)
}

/// The newest checkpoint, which must cover this record.
pub(super) fn newest(trail: &Trail, seq: u64) -> Result<Claim, Refused> {
    trail.segments()?;
    let (claims, _) = survey::checkpoints(&trail.dir).map_err(|error| unread(&trail.dir, &error))?;
    claims.into_iter().next_back().filter(|claim| claim.checkpoint.size >= seq).ok_or_else(|| {
        Refused::incomplete(
            "AUDIT_NOT_SIGNED",
            format!("no checkpoint covers record {seq} yet"),
            "wait until the server signs the next one, and see with 'audit verify' how many records there are",
        )
    })
}

/// The proof of a record, which is checked before anybody gets it.
pub(super) fn prove(leaves: &Leaves, seq: u64, claim: &Claim) -> Result<Proof, Refused> {
    if seq <= leaves.base {
        let text =
            format!("record {seq} is not there any more: the trail begins with record {}", leaves.base + 1);
        let next = "look for the record in the folder to which old segments were moved, with --dir";
        return Err(Refused::incomplete("AUDIT_RECORD_GONE", text, next));
    }
    let (index, size) = (seq - 1, claim.checkpoint.size);
    let path = leaves.tree.inclusion(index, size);
    let leaf = leaves.tree.leaf(index);
    let record =
        leaf.and_then(|leaf| leaves.lines.iter().find(|line| crate::audit::merkle::leaf_hash(line) == *leaf));
    if let (Some(path), Some(leaf), Some(record)) = (path, leaf, record)
        && verify_inclusion(leaf, index, size, &path, &claim.checkpoint.root)
    {
        return Ok(Proof { record: record.clone(), index, path, note: claim.note.clone() });
    }
    Err(Refused::new(
        Exit::Findings,
        "AUDIT_NOT_AS_SIGNED",
        format!(
            "the records are not those of the checkpoint of {size} records: nothing can be proven with them"
        ),
        "'spotify-mcp audit verify' says what is wrong",
    ))
}

/// Writes a file that was not there, for this user alone.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), Refused> {
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let text = format!("{} is there already", path.display());
            Refused::usage("FILE_EXISTS", text, "name another file, or move that one away")
        }
        _ => {
            let text = format!("{} cannot be written: {}", path.display(), io_cause(&error));
            Refused::incomplete("AUDIT_OUTPUT", text, "name a folder that this user may write to")
        }
    })
}
