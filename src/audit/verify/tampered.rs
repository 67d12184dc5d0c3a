//! A trail of 10,000 records with every record edited, deleted, doubled, forged, moved and cut off once, and every
//! segment swapped, left out and doubled: each is found, and where it is. Nothing is found in the trail itself.
//!
//! Reading the whole trail for each of some 100,000 changes would take hours; an examination is cloned before each
//! record instead, and goes on from there over what the change leaves. What it says does not depend on where it began.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::forge::{CHAIN, Forge, Forged, key};
use super::{Examination, Place, Problem, judge};
use crate::audit::line::hex;
use crate::audit::reader::End;
use crate::audit::verify::claims::Claim;

const RECORDS: u64 = 10_000;
/// So many records behind a change are given at most: then it must have been found.
const WITHIN: usize = 4;

static TRAIL: LazyLock<Forge> = LazyLock::new(|| Forge::filled(RECORDS, 1_500, 64));

/// A record of the trail: where it stands, and the examination of everything before it.
struct Point {
    before: Examination,
    segment: usize,
    line: usize,
    offset: u64,
    seq: u64,
}

/// Calls with every record of the trail, in order.
fn each_record(mut look: impl FnMut(&Point, &Forged)) {
    let trail = &TRAIL.trail;
    let (claims, _) = trail.claims();
    let asked = claims.iter().map(|claim| claim.checkpoint.size).collect();
    let mut point = Point {
        before: Examination::new(asked).of_chain(Some(CHAIN.to_owned())),
        segment: 0,
        line: 0,
        offset: 0,
        seq: 1,
    };
    for (segment, (number, lines)) in trail.segments.iter().enumerate() {
        point.before.begin(*number);
        (point.segment, point.offset) = (segment, 0);
        for (line, text) in lines.iter().enumerate() {
            point.line = line;
            look(&point, trail);
            point.before.take(point.offset, text, 1);
            point.offset += text.len() as u64;
            point.seq += 1;
        }
    }
    assert_eq!((point.before.problem(), point.seq), (None, RECORDS + 1));
}

/// What is found where these lines stand instead of the next `gone` ones: of the chain, else of the last checkpoint and
/// the mark.
fn found(point: &Point, trail: &Forged, instead: &[Vec<u8>], gone: usize) -> Option<Problem> {
    let mut examined = point.before.clone();
    let mut offset = point.offset;
    let rest = trail.segments[point.segment].1[point.line..].iter().skip(gone);
    let give = |examined: &mut Examination, line: &Vec<u8>, offset: &mut u64| {
        examined.take(*offset, line, 1);
        *offset += line.len() as u64;
    };
    for line in instead.iter().chain(rest).take(instead.len() + WITHIN) {
        give(&mut examined, line, &mut offset);
    }
    let (mut left, at_the_end) =
        (WITHIN, point.line + gone + WITHIN >= trail.segments[point.segment].1.len());
    for (number, lines) in trail.segments.iter().skip(point.segment + 1).filter(|_| at_the_end) {
        examined.begin(*number);
        let mut offset = 0;
        for line in lines.iter().take(left) {
            give(&mut examined, line, &mut offset);
        }
        left = left.saturating_sub(lines.len());
        if left == 0 || examined.is_over() {
            break;
        }
    }
    let problem = examined.problem();
    // Behind the last record, only what was signed shows it.
    problem.or_else(|| judge::judge(&examined, &newest(trail), &[key(1)]).problems.into_iter().next())
}

/// The last checkpoint beside the trail, and the mark in the database.
fn newest(trail: &Forged) -> Vec<Claim> {
    let (mut claims, _) = trail.claims();
    claims.drain(..claims.len() - 1);
    claims.push(TRAIL.mark());
    claims
}

/// Whether a problem names this record, and for changes of the chain the place.
fn names(problem: Option<&Problem>, seq: u64, place: Option<(&Forged, &Point)>) {
    let problem = problem.unwrap_or_else(|| panic!("a change at record {seq} was not found"));
    assert_eq!(problem.seq, Some(seq), "{problem:?}");
    if let Some((trail, point)) = place {
        let file = format!("audit-{}.ndjson", trail.segments[point.segment].0);
        assert_eq!(problem.place, Some(Place { file, offset: point.offset }), "{problem:?}");
    }
}

fn replaced(line: &[u8], what: &str, with: &str) -> Vec<u8> {
    let text = std::str::from_utf8(line).unwrap();
    assert!(text.contains(what), "{text}");
    text.replacen(what, with, 1).into_bytes()
}

#[test]
fn nothing_is_found_in_the_trail_itself() {
    let (claims, problems) = TRAIL.trail.claims();
    assert_eq!((claims.len(), problems.len()), (157, 0));
    let verdict = TRAIL.trail.judged(&[TRAIL.mark()]);
    assert_eq!((verdict.problems, verdict.doubts), (vec![], vec![]));
}

#[test]
fn every_edited_record_is_found() {
    each_record(|point, trail| {
        let line = &trail.segments[point.segment].1[point.line];
        let seq = point.seq;
        let edited = match seq % 8 {
            0 => replaced(line, "\"metadata\"", "\"metadatA\""),
            1 => replaced(line, "\"time\":", "\"time\":1"),
            2 => replaced(line, &format!("\"sequence\":{seq}"), &format!("\"sequence\":{}", seq + 1)),
            3 => replaced(line, CHAIN, &CHAIN.replace('0', "1")),
            4 => replaced(line, "\"epoch\":", "\"epoch\":1"),
            5 => replaced(line, "\"status_detail\":\"payload\"", "\"status_detail\":\"payload\" "),
            6 => line[..line.len() - 2].iter().copied().chain([b'\n']).collect(),
            _ => replaced(line, "\"uid\":\"e_", "\"uid\":\"e_f"),
        };
        let problem = found(point, trail, &[edited], 1);
        // Of the last two records, which of them it was cannot be told.
        names(problem.as_ref(), seq, (seq < RECORDS - 1).then_some((trail, point)));
        let payload = replaced(line, "payload", "Payload");
        let problem = found(point, trail, &[payload], 1);
        if seq < RECORDS {
            names(problem.as_ref(), seq, Some((trail, point)));
        } else {
            assert_eq!(problem.unwrap().code, "AUDIT_ROOT_DIFFERS");
        }
    });
}

#[test]
fn every_edited_link_is_found() {
    each_record(|point, trail| {
        let line = &trail.segments[point.segment].1[point.line];
        let prev = format!("\"prev\":\"{}\"", hex(&point.before.hash));
        let prev = if point.seq == 1 { format!("\"prev\":\"{}\"", "0".repeat(64)) } else { prev };
        let edited = replaced(line, &prev, &format!("\"prev\":\"{}\"", "7".repeat(64)));
        let problem = found(point, trail, &[edited], 1);
        match point.seq {
            RECORDS => names(problem.as_ref(), RECORDS - 1, None),
            seq => names(problem.as_ref(), seq, Some((trail, point))),
        }
    });
}

#[test]
fn every_deleted_doubled_or_moved_record_is_found() {
    each_record(|point, trail| {
        let lines = &trail.segments[point.segment].1;
        let line = lines[point.line].clone();
        if point.seq < RECORDS {
            let place = (point.line + 1 < lines.len()).then_some((trail, point));
            names(found(point, trail, &[], 1).as_ref(), point.seq, place);
        } else {
            names(found(point, trail, &[], 1).as_ref(), RECORDS, None);
        }
        names(found(point, trail, &[line.clone(), line.clone()], 1).as_ref(), point.seq + 1, None);
        if let Some(next) = lines.get(point.line + 1) {
            let problem = found(point, trail, &[next.clone(), line], 2);
            names(problem.as_ref(), point.seq, Some((trail, point)));
        }
    });
}

/// Somebody who knows the format puts in a record of their own that fits what stands before it.
#[test]
fn every_inserted_record_is_found() {
    each_record(|point, trail| {
        if point.seq == 1 {
            return;
        }
        let epoch = point.before.epoch;
        let forged = serde_json::json!({
            "metadata": { "event_code": "tool_called", "sequence": point.seq }, "time": 0,
            "unmapped": { "chain_uid": CHAIN, "epoch": epoch, "prev": hex(&point.before.hash) },
        });
        let problem = found(point, trail, &[format!("{forged}\n").into_bytes()], 0).unwrap();
        // A segment begins and ends with records of its own: there, the forged one does not even fit.
        assert!([point.seq, point.seq + 1].contains(&problem.seq.unwrap()), "{problem:?}");
    });
}

#[test]
fn every_truncation_is_found_by_the_mark() {
    let newest = newest(&TRAIL.trail);
    each_record(|point, _| {
        // The database names the newest key too.
        let problem = judge::judge(&point.before, &newest, &[key(1), key(2)]).problems.into_iter().next();
        names(problem.as_ref(), point.seq, None);
        assert_eq!(problem.unwrap().code, "AUDIT_TRUNCATED");
    });
}

/// Whoever changes a record and makes everything behind it fit has no key to sign the next checkpoint with.
#[test]
fn every_change_that_was_made_to_fit_is_found_by_the_next_checkpoint() {
    let (claims, _) = TRAIL.trail.claims();
    each_record(|point, trail| {
        if !point.seq.is_multiple_of(7) {
            return;
        }
        let lines = &trail.segments[point.segment].1;
        let Some(claim) = claims.iter().find(|claim| claim.checkpoint.size >= point.seq) else { return };
        let reach = usize::try_from(claim.checkpoint.size - point.seq).unwrap() + 1;
        // Over the end of a segment its opening would have to be made anew as well: the checkpoint is the same.
        if point.line + reach > lines.len() {
            return;
        }
        let (mut examined, mut offset) = (point.before.clone(), point.offset);
        let mut hash: Option<(String, String)> = None;
        for line in &lines[point.line..point.line + reach] {
            let line = match &hash {
                None => replaced(line, "payload", "Payload"),
                Some((old, new)) => replaced(line, old, new),
            };
            let old = &trail.segments[point.segment].1;
            let at = point.line + usize::try_from(examined.size() + 1 - point.seq).unwrap();
            hash = Some((digest(&old[at]), digest(&line)));
            examined.take(offset, &line, 1);
            offset += line.len() as u64;
        }
        assert_eq!(examined.problem(), None, "it fits");
        let verdict = judge::judge(&examined, std::slice::from_ref(claim), &[key(1)]);
        let problem = verdict.problems.first().unwrap();
        assert_eq!(problem.code, "AUDIT_ROOT_DIFFERS");
    });
}

fn digest(line: &[u8]) -> String {
    hex(&Sha256::digest(line.strip_suffix(b"\n").unwrap()))
}

#[test]
fn every_swapped_missing_or_doubled_segment_is_found() {
    let count = TRAIL.trail.segments.len();
    assert_eq!(count, 7);
    let check = |change: &dyn Fn(&mut Forged)| {
        let mut trail = TRAIL.trail.clone();
        change(&mut trail);
        let verdict = trail.judged(&[TRAIL.mark()]);
        verdict.problems.first().cloned().expect("it is found")
    };
    for one in 0..count {
        for other in one + 1..count {
            let problem = check(&|trail| {
                let lines = std::mem::take(&mut trail.segments[one].1);
                trail.segments[one].1 = std::mem::replace(&mut trail.segments[other].1, lines);
            });
            let seq = if one == 0 { None } else { Some(one as u64 * 1_500 + 1) };
            assert!(seq.is_none_or(|seq| problem.seq == Some(seq)), "{one} {other}: {problem:?}");
        }
        let missing = check(&|trail| {
            trail.segments.remove(one);
        });
        let expected = if one + 1 == count { "AUDIT_TRUNCATED" } else { "AUDIT_SEGMENT_MISSING" };
        assert_eq!(missing.code, expected);
        let renumbered = check(&|trail| {
            trail.segments.remove(one);
            (1..).zip(&mut trail.segments).for_each(|(number, segment)| segment.0 = number);
        });
        assert_ne!(renumbered.code, "AUDIT_SEGMENT_MISSING");
        let doubled = check(&|trail| {
            let lines = trail.segments[one].1.clone();
            trail.segments.insert(one, (0, lines));
            (1..).zip(&mut trail.segments).for_each(|(number, segment)| segment.0 = number);
        });
        assert!(doubled.seq.is_some(), "{doubled:?}");
        let cut = check(&|trail| {
            let text = trail.segments[one].1.last_mut().unwrap();
            text.truncate(text.len() / 2);
        });
        assert!(cut.seq.is_some(), "{cut:?}");
    }
}

#[test]
fn a_file_whose_last_line_is_torn_is_told_apart_from_one_that_goes_on() {
    let mut examined = Examination::new(vec![]);
    let trail = &TRAIL.trail;
    examined.begin(1);
    examined.take(0, &trail.segments[0].1.concat(), 2);
    let end = End { bytes: 10, torn: 5, endless: false };
    let mut last = examined.clone();
    last.end(end, true);
    assert_eq!((last.problem(), last.torn), (None, 5));
    examined.end(end, false);
    assert_eq!(examined.problem().unwrap().code, "AUDIT_RECORD_UNREADABLE");
}
