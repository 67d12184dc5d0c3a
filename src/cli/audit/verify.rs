//! `spotify-mcp audit verify`: reads the marks from elsewhere, then the trail, and says what is not as it was written.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::place::{self, Known, Trail, Which, unread};
use super::verdict::{Told, tell};
use super::verify_proof;
use crate::audit::line::chain_of;
use crate::audit::note::{Verifier, origin};
use crate::audit::reader::{self, Segment};
use crate::audit::survey;
use crate::audit::verify::claims::{Claim, Source, of_anchor};
use crate::audit::verify::judge::{Doubt, Verdict, judge};
use crate::audit::verify::trust::trusted;
use crate::audit::verify::{Examination, Problem};
use crate::cli::administer::Place;
use crate::cli::output::{Exit, Output, Refused, io_cause};
use crate::store::ChainMark;

/// What `audit verify` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads every record against the one before it, the tree over all of them, every segment against its neighbours, every
signature, and what the database and the anchors say of the trail's length. A server may go on writing meanwhile. It needs
no secret: the public key comes from the database, or from --vkey.

Only what was kept elsewhere shows that records were cut off at the end: the mark in the database, or an anchor.

Exit status: 0 as it was written; 1 not so: the first record that is not, its file and its place; 3 cannot tell.

Examples:
  spotify-mcp audit verify
  spotify-mcp audit verify --anchor /mnt/worm/anchors.ndjson --format json
  spotify-mcp audit verify --dir copy/ --vkey \"$KEY\" --anchor last-friday
  spotify-mcp audit verify --proof record-42.tlog-proof")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// A checkpoint that was verified earlier: what came before it is not read again
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    since: Option<PathBuf>,
    /// The public key to trust instead of those in the database; it may repeat
    #[arg(long = "vkey", value_name = "KEY")]
    keys: Vec<String>,
    /// Checkpoints that were kept on another host; it may repeat
    #[arg(long = "anchor", value_name = "FILE", conflicts_with = "proof")]
    anchors: Vec<PathBuf>,
    /// A trail that the database knows and that was moved away for good, by its chain; it may repeat
    #[arg(long = "moved", value_name = "CHAIN")]
    moved: Vec<String>,
    /// Do not ask the database
    #[arg(long)]
    no_database: bool,
    /// Check the proof of one record that 'audit prove' wrote, instead of a trail
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    proof: Option<PathBuf>,
}

/// Verifies a trail, or a proof.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let output = place.global.output();
    let keys = place::keys(&args.keys)?;
    if let Some(file) = &args.proof {
        return verify_proof::run(file, keys, place, args.no_database);
    }
    let trail = args.which.trail(place)?;
    let (since, outside) = claims(args)?;
    let mut known = if args.no_database {
        Known { silent: Some("it was not asked".to_owned()), ..Known::default() }
    } else {
        place::ask(&trail.config)?
    };
    known.marks.retain(|mark| !args.moved.contains(&mark.chain_uid));
    let told = survey(&trail, since, outside, (keys, known), &output)?;
    Ok(tell(&told, &output))
}

/// The earlier checkpoint, and the claims of the anchors.
fn claims(args: &Args) -> Result<(Option<Claim>, Vec<Claim>), Refused> {
    let mut outside = Vec::new();
    for path in &args.anchors {
        outside.extend(read(path, &Source::Anchor(path.display().to_string()))?);
    }
    let Some(path) = &args.since else { return Ok((None, outside)) };
    let mut since = read(path, &Source::Since(path.display().to_string()))?;
    since.sort_by_key(|claim| claim.checkpoint.size);
    Ok((since.pop(), outside))
}

/// Read at once, in bytes.
const PIECE: usize = 64 << 10;

/// Largest file of anchors that is read, in bytes.
const LARGEST: u64 = 256 << 20;

fn read(path: &Path, source: &Source) -> Result<Vec<Claim>, Refused> {
    let name = path.display();
    let refused = |why: String| {
        let next = "give a file of signed checkpoints: lines of checkpoints.ndjson, or the notes themselves";
        Refused::usage("AUDIT_ANCHOR_WRONG", format!("{name}: {why}"), next)
    };
    let read = bounded(path, LARGEST).map_err(|error| {
        let text = format!("{name} cannot be read: {}", io_cause(&error));
        Refused::incomplete("AUDIT_ANCHOR_UNREADABLE", text, "name a file that this user may read")
    })?;
    let bytes = read.ok_or_else(|| refused("it is larger than any file of checkpoints".to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|_| refused("it is no text".to_owned()))?;
    let claims =
        of_anchor(&text, source).map_err(|line| refused(format!("line {line} is no signed checkpoint")))?;
    if claims.is_empty() { Err(refused("there is no checkpoint in it".to_owned())) } else { Ok(claims) }
}

/// The bytes of a text of no more than so many; `None` where there are more, whatever it says of its length: a device or a
/// pipe says nothing. Reading ends with a zero byte, which no text has.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn bounded(path: &Path, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let (mut file, mut bytes, mut piece) = (std::fs::File::open(path)?, Vec::new(), vec![0; PIECE]);
    loop {
        let count = file.read(&mut piece)?;
        bytes.extend_from_slice(&piece[..count]);
        if bytes.len() as u64 > most {
            return Ok(None);
        }
        if count == 0 || piece[..count].contains(&0) {
            return Ok(Some(bytes));
        }
    }
}

/// Reads the trail and judges it.
fn survey(
    trail: &Trail,
    since: Option<Claim>,
    mut outside: Vec<Claim>,
    (given, known): (Vec<Verifier>, Known),
    output: &Output,
) -> Result<Told, Refused> {
    // What is claimed is read before the records: a server that goes on only adds to them.
    let (mut claims, mut problems) =
        survey::checkpoints(&trail.dir).map_err(|error| unread(&trail.dir, &error))?;
    let chain = chain(trail, &claims)?;
    let foreign = outside.len();
    outside.retain(|claim| claim.checkpoint.origin == origin(&chain));
    let mut doubts = Vec::new();
    if outside.is_empty() && foreign > 0 {
        let what = "the anchors speak of other trails than this one".to_owned();
        doubts.push(Doubt { code: "AUDIT_ANCHOR_FOREIGN", what });
    }
    outside.extend(mark(&known, &chain, &mut problems));
    let from = since.as_ref().map(|claim| claim.checkpoint.size);
    claims.extend(outside.into_iter().chain(since));
    let (segments, examined) = examine(trail, &claims, from, output)?;
    let keys = if given.is_empty() { known.keys(&chain) } else { given };
    let mut verdict = judge(&examined, &claims, &keys);
    if verdict.problems.iter().any(|problem| problem.code == "AUDIT_KEY_UNKNOWN") {
        // What the trail says of its keys may have gone with old segments; rotations left the same words in the database.
        verdict = judge(&examined, &claims, &trusted(&keys, &known.changes(&chain)));
    }
    verdict.problems.append(&mut problems);
    verdict.doubts.append(&mut doubts);
    let beside = survey::beside(&trail.dir);
    let elsewhere = if !trail.is_named || known.of(&chain).is_some() {
        others(&known, &examined, (&chain, &beside), &mut verdict)
    } else {
        Vec::new()
    };
    let last = segments.last().map(|segment| segment.number);
    Ok(Told {
        dir: trail.dir.clone(),
        chain,
        examined,
        verdict,
        last_segment: last,
        database: known.silent,
        beside: beside.into_iter().map(|(name, _)| name).collect(),
        elsewhere,
    })
}

/// Reads the records; once more where retention just took a segment away.
fn examine(
    trail: &Trail,
    claims: &[Claim],
    from: Option<u64>,
    output: &Output,
) -> Result<(Vec<Segment>, Examination), Refused> {
    let mut again = true;
    loop {
        let segments = survey::segments(&trail.dir).map_err(|error| unread(&trail.dir, &error))?;
        let sizes = segments.iter().filter_map(|one| one.path.metadata().ok()).map(|file| file.len());
        let (total, mut shown): (u64, u64) = (sizes.sum(), 0);
        let examined = survey::examine(&segments, claims, from, |read| {
            // At most a hundred times.
            let percent = read * 100 / std::cmp::max(total, 1);
            if total > LARGEST && percent > shown {
                output.progress((read.min(total), total), "bytes", percent / 10 > shown / 10);
                shown = percent;
            }
        });
        match examined {
            Ok(examined) => return Ok((segments, examined)),
            Err(error) if again && error.kind() == std::io::ErrorKind::NotFound => again = false,
            Err(error) => return Err(unread(&trail.dir, &error)),
        }
    }
}

/// The chain's name: as the checkpoints say, else the first record.
fn chain(trail: &Trail, claims: &[Claim]) -> Result<String, Refused> {
    if let Some(name) = claims.first().and_then(|claim| claim.checkpoint.origin.rsplit('/').next()) {
        return Ok(name.to_owned());
    }
    let segments = survey::segments(&trail.dir).map_err(|error| unread(&trail.dir, &error))?;
    let Some(first) = segments.first() else { return Ok(String::new()) };
    let line = reader::first_line(&first.path).map_err(|error| unread(&first.path, &error))?;
    Ok(line.and_then(|line| chain_of(&line)).unwrap_or_default())
}

/// The database's mark of the chain as a claim.
fn mark(known: &Known, chain: &str, problems: &mut Vec<Problem>) -> Option<Claim> {
    let mark = known.of(chain)?;
    let claim = Claim::parse(&mark.note, Source::Database).ok();
    let claim = claim.filter(|claim| i64::try_from(claim.checkpoint.size) == Ok(mark.size));
    if claim.is_none() {
        let what = "the mark in the database is no signed checkpoint of the size beside it".to_owned();
        problems.push(Problem { code: "AUDIT_MARK_UNREADABLE", seq: None, place: None, what });
    }
    Some(Claim { at: Some(mark.at.rfc3339()), ..claim? })
}

/// Chains that the database knows and that are not here: a doubt, but of other servers' they are only given.
fn others(
    known: &Known,
    examined: &Examination,
    (chain, beside): (&str, &[(String, String)]),
    verdict: &mut Verdict,
) -> Vec<ChainMark> {
    let writer = known.of(chain).map(|mark| mark.writer.as_str());
    let is_here = |uid: &str| uid == chain || beside.iter().any(|(_, other)| other == uid);
    // Servers that share a database have a trail each, on their own hosts.
    let is_ours = |other: &str| !known.is_shared || writer == Some(other);
    let (ours, elsewhere): (Vec<&ChainMark>, Vec<&ChainMark>) =
        known.marks.iter().filter(|mark| !is_here(&mark.chain_uid)).partition(|mark| is_ours(&mark.writer));
    for other in ours {
        let what = format!(
            "the database knows a trail of {} records, last signed {}, that is not here: {}",
            other.size,
            other.at.rfc3339(),
            other.chain_uid
        );
        if examined.size() == 0 {
            verdict.problems.push(Problem { code: "AUDIT_TRUNCATED", seq: Some(1), place: None, what });
        } else {
            verdict.doubts.push(Doubt { code: "AUDIT_TRAIL_ELSEWHERE", what });
        }
    }
    elsewhere.into_iter().cloned().collect()
}
