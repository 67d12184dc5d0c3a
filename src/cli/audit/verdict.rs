//! What `audit verify` says, for people and for programs.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::ambient::Timestamp;
use crate::audit::note::Verifier;
use crate::audit::verify::claims::Source;
use crate::audit::verify::judge::{Mark, Verdict};
use crate::audit::verify::{Examination, Problem};
use crate::cli::output::{Exit, Output};
use crate::domain::event::clean;
use crate::store::ChainMark;

/// Everything there is to say.
pub(super) struct Told {
    pub(super) dir: PathBuf,
    pub(super) chain: String,
    pub(super) examined: Examination,
    pub(super) verdict: Verdict,
    pub(super) last_segment: Option<u32>,
    /// Why the database said nothing.
    pub(super) database: Option<String>,
    /// Folders below with trails of their own, which were not read.
    pub(super) beside: Vec<String>,
    /// Trails of other servers on the same database.
    pub(super) elsewhere: Vec<ChainMark>,
}

/// Says it; the status is that of the worst.
pub(super) fn tell(told: &Told, output: &Output) -> Exit {
    output.result(&text(told), &document(told));
    match &told.verdict {
        verdict if !verdict.problems.is_empty() => Exit::Findings,
        verdict if !verdict.doubts.is_empty() => Exit::Incomplete,
        _ => Exit::Done,
    }
}

fn text(told: &Told) -> String {
    let (examined, verdict) = (&told.examined, &told.verdict);
    let (first, size) = (examined.base() + 1, examined.size());
    let mut text = format!("Trail {} in {}\n", clean(&told.chain), told.dir.display());
    let first_segment = examined.first_segment();
    if let (Some(from), Some(to)) = (first_segment, told.last_segment) {
        let read = format!(
            "  read        records {first} to {size}, {} bytes, segments {from} to {to}\n",
            examined.bytes()
        );
        text += &read;
    }
    if let Some(gone) = examined.retired() {
        text += &format!(
            "  retired     records 1 to {}, segments 1 to {}, by record {} of {}\n",
            examined.base(),
            first_segment.unwrap_or_default().saturating_sub(1),
            gone.seq,
            Timestamp::from_millis(gone.time).rfc3339()
        );
    }
    for problem in &verdict.problems {
        text += &in_words(problem);
    }
    for doubt in &verdict.doubts {
        text += &format!("  CANNOT TELL [{}] {}\n", doubt.code, clean_line(&doubt.what));
    }
    if verdict.unjudged > 0 {
        let unjudged = verdict.unjudged;
        text +=
            &format!("  not judged  {unjudged} signed sizes behind it: what they speak of was not read\n");
    }
    text += &signatures(told);
    let times = examined.times();
    // Fractions of a second are in every trail: what a request did waits for its transaction.
    if times.furthest >= 1000 {
        text += &format!(
            "  times       {} records are older than one before them, record {} by {} s: they waited in the database\n",
            times.back,
            times.furthest_seq,
            times.furthest / 1000
        );
    }
    if examined.torn() > 0 {
        text += &format!("  torn        {} bytes at the end are no whole record (yet)\n", examined.torn());
    }
    text + match (verdict.problems.is_empty(), verdict.doubts.is_empty()) {
        (true, true) => "Verified: every record is as it was written and signed.\n",
        (true, false) => {
            "Not verified: nothing is wrong with what can be seen, and it does not show enough.\n"
        }
        (false, _) => {
            "NOT as it was written. Keep a copy of the folder as it is; docs/audit.md says what each code means.\n"
        }
    }
}

fn in_words(problem: &Problem) -> String {
    let seq = problem.seq.map_or_else(String::new, |seq| format!(" record {seq}"));
    let place = problem
        .place
        .as_ref()
        .map_or_else(String::new, |at| format!(" in {} at byte {}", at.file, at.offset));
    let before = if seq.is_empty() && place.is_empty() { "" } else { ":" };
    format!("  WRONG [{}]{seq}{place}{before} {}\n", problem.code, clean_line(&problem.what))
}

/// Cleaned of what could forge a line; a longer one is not cut off.
fn clean_line(text: &str) -> String {
    text.chars().filter(|c| !crate::domain::event::is_deceptive(*c)).collect()
}

fn signatures(told: &Told) -> String {
    let (verdict, size) = (&told.verdict, told.examined.size());
    let mut text = String::new();
    if let Some(sealed) = &verdict.sealed {
        text += &format!(
            "  signed      {} records{}, {} checkpoints; {} records after the last\n",
            sealed.size,
            at(sealed),
            verdict.checkpoints,
            size - sealed.size
        );
    }
    for mark in &verdict.marks {
        text += &format!(
            "  verified    against {} at size {}{}; {} records after it are unanchored\n",
            clean_line(&mark.source.in_words()),
            mark.size,
            at(mark),
            size - mark.size
        );
    }
    if let Some(why) = &told.database {
        text += &format!("  database    said nothing: {why}\n");
    }
    for name in &told.beside {
        text += &format!(
            "  beside      {name} has a trail of its own: --dir {}\n",
            told.dir.join(name).display()
        );
    }
    for other in &told.elsewhere {
        text += &format!(
            "  elsewhere   trail {} of another server: {} records, signed {}\n",
            clean(&other.chain_uid),
            other.size,
            other.at.rfc3339()
        );
    }
    for key in &verdict.keys {
        text += &format!("  key         {key}\n");
    }
    text
}

fn at(mark: &Mark) -> String {
    mark.at.as_ref().map_or_else(String::new, |at| format!(" of {}", clean(at)))
}

fn document(told: &Told) -> Value {
    let (examined, verdict) = (&told.examined, &told.verdict);
    let times = examined.times();
    let keys = |keys: &[Verifier]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "verified": verdict.problems.is_empty() && verdict.doubts.is_empty(),
        "folder": told.dir,
        "chain": told.chain,
        "records": { "first": examined.base() + 1, "last": examined.size() },
        "segments": { "first": examined.first_segment(), "last": told.last_segment },
        "retired": examined.retired().map(|gone| json!({
            "records": examined.base(), "segments": examined.first_segment().map(|first| first - 1), "seq": gone.seq,
            "at": Timestamp::from_millis(gone.time).rfc3339(),
        })),
        "bytes": examined.bytes(),
        "torn_bytes": examined.torn(),
        "problems": verdict.problems.iter().map(|problem| json!({
            "code": problem.code,
            "seq": problem.seq,
            "file": problem.place.as_ref().map(|place| &place.file),
            "offset": problem.place.as_ref().map(|place| place.offset),
            "what": problem.what,
        })).collect::<Value>(),
        "doubts": verdict.doubts.iter().map(|doubt| json!({ "code": doubt.code, "what": doubt.what })).collect::<Value>(),
        "signed": verdict.sealed.as_ref().map(|sealed| json!({
            "size": sealed.size, "at": sealed.at, "checkpoints": verdict.checkpoints, "by": keys(&sealed.by),
        })),
        "unjudged": verdict.unjudged,
        "unsigned": examined.size() - verdict.sealed.as_ref().map_or(0, |sealed| sealed.size),
        "marks": verdict.marks.iter().map(mark).collect::<Value>(),
        "unanchored": verdict.unanchored(examined.size()),
        "keys": keys(&verdict.keys),
        "times": { "back": times.back, "furthest_ms": times.furthest, "furthest_seq": times.furthest_seq },
        "beside": told.beside,
        "elsewhere": told.elsewhere.iter().map(|other| json!({
            "chain": other.chain_uid, "records": other.size, "at": other.at.rfc3339(),
        })).collect::<Value>(),
        "database": told.database.as_deref().unwrap_or("asked"),
    })
}

fn mark(mark: &Mark) -> Value {
    let (source, file) = match &mark.source {
        Source::Checkpoints(_) => ("checkpoints", None),
        Source::Database => ("database", None),
        Source::Anchor(file) => ("anchor", Some(file)),
        Source::Since(file) => ("since", Some(file)),
    };
    json!({ "source": source, "file": file, "size": mark.size, "at": mark.at })
}
