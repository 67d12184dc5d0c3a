//! What signatures and marks make of an examined trail. Missing, unsigned and unknown all count as wrong; what cannot be
//! told is a doubt, never a yes. Pure.

use super::claims::{Claim, Source};
use super::{Examination, Problem, trust};
use crate::audit::merkle::{Frontier, Hash};
use crate::audit::note::{self, NoteError, Verifier};

/// Something that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Stable.
    pub code: &'static str,
    /// What it is.
    pub what: String,
}

/// A claim that the trail fulfils.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Where it comes from.
    pub source: Source,
    /// How many records it speaks for.
    pub size: u64,
    /// When it was made, as its keeper says.
    pub at: Option<String>,
    /// Who signed it.
    pub by: Vec<Verifier>,
}

/// What is to be said of a trail.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What is not as it was written: those of the chain first.
    pub problems: Vec<Problem>,
    /// What cannot be told.
    pub doubts: Vec<Doubt>,
    /// The newest checkpoint beside the trail that holds.
    pub sealed: Option<Mark>,
    /// How many checkpoints beside the trail hold.
    pub checkpoints: u64,
    /// How many claims speak of more records than could be read because something is wrong before them.
    pub unjudged: u64,
    /// The claims from elsewhere that hold.
    pub marks: Vec<Mark>,
    /// The keys that count, those given from outside first.
    pub keys: Vec<Verifier>,
}

impl Verdict {
    /// How many records no mark from elsewhere speaks for.
    pub fn unanchored(&self, size: u64) -> u64 {
        let newest = self.marks.iter().map(|mark| mark.size).max().unwrap_or_default();
        size.saturating_sub(newest)
    }

    fn wrong(&mut self, code: &'static str, claim: &Claim, what: String) {
        self.problems.push(Problem { code, seq: None, place: claim.source.place(), what });
    }
}

/// Judges an examined trail by the claims that were read *before* its lines, with the keys that were given.
pub fn judge(examined: &Examination, claims: &[Claim], given: &[Verifier]) -> Verdict {
    let named: Vec<Verifier> = examined.keys.iter().map(|(_, key)| key.clone()).collect();
    let keys = trust::trusted(if given.is_empty() { &named } else { given }, &examined.changes);
    let mut verdict = Verdict { keys, ..Verdict::default() };
    verdict.problems.extend(examined.problem());
    leading(examined, &mut verdict);
    let mut claims: Vec<&Claim> = claims.iter().collect();
    claims.sort_by_key(|claim| claim.checkpoint.size);
    let mut good = examined.base;
    // A checkpoint of records that are not there any more, by a key of then, says nothing.
    claims.retain(|claim| claim.source.is_outside() || claim.checkpoint.size >= examined.base);
    // Behind a problem nothing was read, not even by which key the rest is signed: what speaks of that may well be true.
    let stopped = examined.problem().is_some();
    let judged = |claim: &&Claim| !stopped || claim.checkpoint.size <= examined.size();
    let (judged, unjudged): (Vec<&Claim>, Vec<&Claim>) = claims.iter().copied().partition(judged);
    verdict.unjudged = unjudged.len() as u64;
    for claim in &judged {
        if signed(examined, claim, &mut verdict)
            .is_some_and(|by| holds(examined, claim, by, good, &mut verdict))
        {
            good = good.max(claim.checkpoint.size);
        }
    }
    missing(examined, &claims, &mut verdict);
    doubts(examined, &claims, given, &mut verdict);
    verdict
}

/// Segments that are not there at the beginning must have been removed in order.
fn leading(examined: &Examination, verdict: &mut Verdict) {
    let Some(first) = examined.first.filter(|first| *first > 1) else { return };
    if examined.resumed || examined.retired().is_some() || examined.problem.is_some() {
        return;
    }
    let what = format!("the segments before {first} are missing, and no record says that they were removed");
    verdict.problems.push(Problem { code: "AUDIT_SEGMENT_MISSING", seq: Some(1), place: None, what });
}

/// Who signed the claim, where the right key did.
fn signed(examined: &Examination, claim: &Claim, verdict: &mut Verdict) -> Option<Vec<Verifier>> {
    let words = claim.source.in_words();
    let size = claim.checkpoint.size;
    let chain = examined.chain().unwrap_or_default();
    if claim.checkpoint.origin != note::origin(chain) {
        verdict.wrong("AUDIT_CHAIN_FOREIGN", claim, format!("{words} is of another chain"));
        return None;
    }
    let by: Vec<Verifier> = match claim.note.check(&verdict.keys) {
        Ok(by) => by.into_iter().cloned().collect(),
        Err(why) => {
            let code = match why {
                NoteError::UnknownKey => "AUDIT_KEY_UNKNOWN",
                NoteError::Unsigned => "AUDIT_UNSIGNED",
                _ => "AUDIT_SIGNATURE",
            };
            verdict.wrong(code, claim, format!("{words} of {size} records is not believed: {why}"));
            return None;
        }
    };
    // Which key was in force where the trail does not reach, nobody can say.
    let in_force = examined.key_at(size).filter(|_| size <= examined.size());
    if in_force.is_some_and(|key| !by.contains(key)) {
        let what = format!("{words} of {size} records is signed by a key that was not in force then");
        verdict.wrong("AUDIT_KEY_NOT_IN_FORCE", claim, what);
        return None;
    }
    Some(by)
}

/// Whether the trail has the records that the claim speaks for. `good`: the size up to which that is known already.
fn holds(examined: &Examination, claim: &Claim, by: Vec<Verifier>, good: u64, verdict: &mut Verdict) -> bool {
    let (size, words) = (claim.checkpoint.size, claim.source.in_words());
    if size > examined.size() {
        let first = examined.size() + 1;
        let what = format!("{words} speaks of {size} records: {} at the end are missing", size - first + 1);
        let place = examined.end_place();
        verdict.problems.push(Problem { code: "AUDIT_TRUNCATED", seq: Some(first), place, what });
        return false;
    }
    // Of a size before the first record that is there, only the signature can be seen.
    if examined.root_at(size).is_some_and(|root| root != claim.checkpoint.root) {
        let first = good.min(size.saturating_sub(1)) + 1;
        let what = format!(
            "the records are not those of {words} of {size} records: one of {first} to {size} was changed, and what \
             follows it was made to fit"
        );
        let place = claim.source.place();
        verdict.problems.push(Problem { code: "AUDIT_ROOT_DIFFERS", seq: Some(first), place, what });
        return false;
    }
    let mark = Mark { source: claim.source.clone(), size, at: claim.at.clone(), by };
    if claim.source.is_outside() {
        verdict.marks.push(mark);
    } else {
        verdict.sealed = Some(mark);
        verdict.checkpoints += 1;
    }
    true
}

/// What nobody signed at all.
fn missing(examined: &Examination, claims: &[&Claim], verdict: &mut Verdict) {
    if examined.size() > 0 && claims.iter().all(|claim| claim.source.is_outside()) {
        let what = "there is no checkpoint beside the trail: nobody signed these records".to_owned();
        verdict.problems.push(Problem {
            code: "AUDIT_UNSIGNED",
            seq: Some(examined.base + 1),
            place: None,
            what,
        });
    }
}

fn doubts(examined: &Examination, claims: &[&Claim], given: &[Verifier], verdict: &mut Verdict) {
    if examined.size() == 0 {
        let what = "there is no record".to_owned();
        verdict.doubts.push(Doubt { code: "AUDIT_EMPTY", what });
        return;
    }
    if given.is_empty() {
        let what = "no key was given, and the database has none: whoever wrote the trail may have signed it with a key \
                    of their own"
            .to_owned();
        verdict.doubts.push(Doubt { code: "AUDIT_NO_KEY", what });
    }
    if !claims.iter().any(|claim| claim.source.is_outside()) {
        let what = "there is neither a mark in the database nor an anchor: nothing shows whether records were cut off \
                    at the end together with their checkpoints"
            .to_owned();
        verdict.doubts.push(Doubt { code: "AUDIT_NO_MARK", what });
    }
}

impl Examination {
    /// The key in force after so many records; `None` before the first record that is there.
    fn key_at(&self, size: u64) -> Option<&Verifier> {
        if size < self.base {
            return None;
        }
        let in_force = self.keys.iter().rev().find(|(from, _)| *from <= size);
        in_force.or(self.keys.first()).map(|(_, key)| key)
    }

    /// The root of this size, which was asked for.
    fn root_at(&self, size: u64) -> Option<Hash> {
        if size == 0 {
            return Some(Frontier::new().root());
        }
        let at = self.roots.binary_search_by_key(&size, |(size, _)| *size).ok()?;
        self.roots.get(at).map(|(_, root)| *root)
    }

    fn end_place(&self) -> Option<super::Place> {
        self.current.as_ref().and_then(|current| super::at(current.number, current.bytes))
    }
}
