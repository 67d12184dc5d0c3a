//! `spotify-mcp audit verify --proof`: one record, its path and a signed root, without the trail.

use std::path::Path;

use serde_json::{Value, json};

use super::place::{self, Known};
use super::verify::bounded;
use crate::audit::line::LONGEST_LINE;
use crate::audit::note::{NoteError, Verifier};
use crate::audit::proof::{Proof, ProofError};
use crate::audit::verify::trust::trusted;
use crate::cli::administer::{Place, configured_place_as_far_as_valid};
use crate::cli::output::{Exit, Refused, io_cause};

/// Largest proof that is read, in bytes: a record in base64, a path and a note.
const LARGEST: u64 = 2 * LONGEST_LINE as u64 + (128 << 10);

/// Checks a proof with the keys that were given, else with those that the database knows of its trail; and with the keys
/// that these lead to, by the words that rotations left in the database.
pub(super) fn run(
    file: &Path,
    keys: Vec<Verifier>,
    place: &Place<'_>,
    no_database: bool,
) -> Result<Exit, Refused> {
    let wrong = |why: String| {
        let text = format!("{}: {why}", file.display());
        let next = "get the proof anew from whoever made it: 'spotify-mcp audit prove'";
        Refused::new(Exit::Findings, "AUDIT_PROOF_WRONG", text, next)
    };
    let text = read(file)?;
    let proof = Proof::parse(&text).map_err(|error| wrong(error.to_string()))?;
    let checkpoint = proof.checkpoint().ok_or_else(|| wrong(ProofError::Malformed.to_string()))?;
    let chain = checkpoint.origin.rsplit('/').next().unwrap_or_default().to_owned();
    let known =
        if no_database { Known::default() } else { place::ask(&configured_place_as_far_as_valid(place)?)? };
    let keys = if keys.is_empty() { known.keys(&chain) } else { keys };
    if keys.is_empty() {
        return Err(Refused::incomplete(
            "AUDIT_NO_KEY",
            "there is no key to check the proof with: none was given, and the database knows none of its trail",
            "give the trail's public key with --vkey, as its operator published it",
        ));
    }
    let keys = trusted(&keys, &known.changes(&chain));
    let (checkpoint, by) = proof.check(&keys).map_err(|error| match error {
        ProofError::Checkpoint(NoteError::UnknownKey) => wrong(
            "none of the keys that are trusted here signed it, nor one that they lead to: give the key that was in force \
             then with --vkey"
                .to_owned(),
        ),
        error => wrong(error.to_string()),
    })?;
    let record: Value = serde_json::from_slice(&proof.record)
        .map_err(|_| wrong("what is proven is no record of a trail".to_owned()))?;
    let by: Vec<String> = by.into_iter().map(ToString::to_string).collect();
    let seq = proof.index + 1;
    let words = format!(
        "Proven: record {seq} of the {} records of trail {chain}, signed by\n  {}\n{record}\n",
        checkpoint.size,
        by.join("\n  ")
    );
    let told = json!({
        "proven": true, "seq": seq, "chain": chain, "size": checkpoint.size, "signed_by": by, "record": record,
    });
    place.global.output().result(&words, &told);
    Ok(Exit::Done)
}

fn read(file: &Path) -> Result<String, Refused> {
    let refused = |why: String| {
        let text = format!("{} cannot be read: {why}", file.display());
        Refused::incomplete("AUDIT_PROOF_UNREADABLE", text, "name a file that this user may read")
    };
    let read = bounded(file, LARGEST).map_err(|error| refused(io_cause(&error)))?;
    let bytes = read.ok_or_else(|| refused("it is larger than any proof".to_owned()))?;
    String::from_utf8(bytes).map_err(|_| refused("it is no text".to_owned()))
}
