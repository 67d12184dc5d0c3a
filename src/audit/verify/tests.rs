//! Trails that are whole, and what is said of those that are not: segments, checkpoints, keys, marks.

use super::claims::{Claim, Source, of_anchor};
use super::forge::{CHAIN, Forge, Forged, key, seed};
use super::judge::Verdict;
use super::*;
use crate::audit::note::{Checkpoint, Note, origin};

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.problems.iter().map(|problem| problem.code).collect()
}

fn doubts(verdict: &Verdict) -> Vec<&'static str> {
    verdict.doubts.iter().map(|doubt| doubt.code).collect()
}

/// What is said first of a trail that somebody changed.
fn first(forge: &Forge, change: impl FnOnce(&mut Forged)) -> Problem {
    let mut trail = forge.trail.clone();
    change(&mut trail);
    let verdict = trail.judged(&[forge.mark()]);
    verdict.problems.first().cloned().unwrap_or_else(|| panic!("nothing was found"))
}

#[test]
fn a_whole_trail_is_verified_and_says_how_far() {
    let mut forge = Forge::filled(500, 120, 50);
    let mark = forge.mark();
    for _ in 0..7 {
        forge.record("tool_called");
    }
    let verdict = forge.trail.judged(&[mark]);
    assert_eq!((codes(&verdict), doubts(&verdict)), (vec![], vec![]));
    assert_eq!(verdict.sealed.as_ref().map(|mark| mark.size), Some(500));
    assert_eq!((verdict.marks.len(), verdict.unanchored(forge.seq)), (1, 7));
    assert_eq!(verdict.keys, [key(1), key(2)]);
}

#[test]
fn lines_may_come_in_any_pieces_and_on_any_number_of_threads() {
    let forge = Forge::filled(300, 130, 50);
    let (claims, _) = forge.trail.claims();
    let expected = forge.trail.examined(&claims);
    for (piece, threads) in [(1, 1), (7, 2), (50, 3), (200, 64)] {
        let asked = claims.iter().map(|claim| claim.checkpoint.size).collect();
        let mut examined = Examination::new(asked);
        for (number, lines) in &forge.trail.segments {
            examined.begin(*number);
            let mut offset = 0;
            for lines in lines.chunks(piece).map(<[_]>::concat) {
                examined.take(offset, &lines, threads);
                offset += lines.len() as u64;
            }
        }
        assert_eq!(format!("{examined:?}"), format!("{expected:?}"));
    }
}

#[test]
fn without_a_key_or_a_mark_from_elsewhere_nothing_is_certain() {
    let forge = Forge::filled(100, 60, 50);
    assert_eq!(doubts(&forge.trail.judged_by(&[forge.mark()], &[])), ["AUDIT_NO_KEY"]);
    assert_eq!(doubts(&forge.trail.judged(&[])), ["AUDIT_NO_MARK"]);
    let nothing = Forge::new().trail.judged(&[]);
    assert_eq!((codes(&nothing), doubts(&nothing)), (vec![], vec!["AUDIT_EMPTY"]));
}

#[test]
fn records_that_nobody_signed_are_a_finding() {
    let mut forge = Forge::filled(100, 60, 50);
    let mark = forge.mark();
    forge.trail.checkpoints.clear();
    assert_eq!(codes(&forge.trail.judged(&[mark])), ["AUDIT_UNSIGNED"]);
    // Neither does a checkpoint count whose signature somebody took away.
    let unsigned = Checkpoint { origin: origin(CHAIN), size: 100, root: forge.frontier.root() }.text();
    forge.trail.checkpoints.push(serde_json::json!({ "note": unsigned, "size": 100 }).to_string());
    let verdict = forge.trail.judged(&[]);
    assert_eq!(codes(&verdict), ["AUDIT_UNSIGNED", "AUDIT_UNSIGNED"]);
    assert_eq!(verdict.problems[1].place, Some(Place { file: "checkpoints.ndjson".to_owned(), offset: 0 }));
}

#[test]
fn what_is_signed_behind_a_stop_is_counted_and_not_accused() {
    let forge = Forge::filled(100, 60, 20);
    let mut trail = forge.trail.clone();
    let line = &mut trail.lines(1)[29];
    let at = line.windows(7).position(|part| part == b"payload").unwrap();
    line[at] = b'P';
    let (claims, _) = trail.claims();
    let examined = trail.examined(&claims);
    assert!(examined.bytes() > 0 && examined.size() < 40, "{}", examined.size());
    let behind = claims.iter().filter(|claim| claim.checkpoint.size > examined.size()).count() as u64;
    // Another key signed most of those, which only the records behind the stop tell.
    let verdict = trail.judged(&[forge.mark()]);
    assert_eq!(codes(&verdict), ["AUDIT_RECORD_CHANGED"]);
    assert_eq!((verdict.unjudged, verdict.checkpoints), (behind + 1, claims.len() as u64 - behind));
}

#[test]
fn signatures_by_others_of_something_else_or_out_of_their_time_are_findings() {
    let signed = |forge: &Forge, by: u8| {
        let checkpoint = Checkpoint { origin: origin(CHAIN), size: forge.seq, root: forge.frontier.root() };
        Claim::parse(
            &Note::signed(&checkpoint.text(), &origin(CHAIN), &seed(by)).unwrap().to_string(),
            Source::Anchor("a".to_owned()),
        )
        .unwrap()
    };
    let forge = Forge::filled(100, 60, 50);
    // Key 2 took the place of key 1 at record 51.
    assert_eq!(codes(&forge.trail.judged(&[signed(&forge, 2)])), [""; 0]);
    assert_eq!(codes(&forge.trail.judged(&[signed(&forge, 1)])), ["AUDIT_KEY_NOT_IN_FORCE"]);
    assert_eq!(codes(&forge.trail.judged(&[signed(&forge, 3)])), ["AUDIT_KEY_UNKNOWN"]);
    let forged = forge.mark().note.to_string().replace("\n100\n", "\n99\n");
    let forged = Claim::parse(&forged, Source::Database).unwrap();
    assert_eq!(codes(&forge.trail.judged(&[forged])), ["AUDIT_SIGNATURE"]);
    let other =
        Claim { checkpoint: Checkpoint { origin: origin("other"), size: 1, root: [0; 32] }, ..forge.mark() };
    assert_eq!(codes(&forge.trail.judged(&[other])), ["AUDIT_CHAIN_FOREIGN"]);
}

#[test]
fn trust_passes_from_key_to_key_by_their_signatures_alone() {
    let forge = Forge::filled(100, 60, 30);
    for given in [1, 2] {
        let verdict = forge.trail.judged_by(&[forge.mark()], &[key(given)]);
        assert_eq!(codes(&verdict), [""; 0], "key {given} leads to the other");
    }
    assert!(codes(&forge.trail.judged_by(&[], &[key(3)])).contains(&"AUDIT_KEY_UNKNOWN"));
    let mut forge = Forge::new();
    forge.open();
    forge.checkpoint();
    let change = serde_json::json!({ "old": key(1).to_string(), "new": key(2).to_string() });
    (forge.epoch, forge.key) = (2, 2);
    forge.put("audit_key_changed", "key_change", &change);
    forge.checkpoint();
    assert_eq!(codes(&forge.trail.judged(&[forge.mark()])), ["AUDIT_KEY_UNKNOWN"; 2]);
    let both = forge.trail.judged_by(&[forge.mark()], &[key(1), key(2)]);
    assert_eq!(codes(&both), [""; 0], "both were given");
}

#[test]
fn a_key_change_that_replaces_another_key_is_a_finding() {
    let mut forge = Forge::filled(40, 100, 50);
    let change = serde_json::json!({ "old": key(1).to_string(), "new": key(3).to_string() });
    forge.epoch += 1;
    forge.put("audit_key_changed", "key_change", &change);
    assert_eq!(codes(&forge.trail.judged(&[])), ["AUDIT_KEY_CHANGE"]);
}

#[test]
fn what_an_anchor_speaks_of_must_be_there() {
    let forge = Forge::filled(100, 200, 25);
    let mut trail = forge.trail.clone();
    trail.lines(1).truncate(60);
    trail.checkpoints.truncate(2);
    let problem = trail.judged(&[forge.mark()]).problems.remove(0);
    assert_eq!((problem.code, problem.seq), ("AUDIT_TRUNCATED", Some(61)));
    let bytes = trail.lines(1).concat().len() as u64;
    assert_eq!(problem.place, Some(Place { file: "audit-1.ndjson".to_owned(), offset: bytes }));
    assert!(
        problem.what.contains("the mark in the database speaks of 100 records: 40 at the end"),
        "{problem:?}"
    );
    // Without anything from elsewhere that cannot be seen, and is said.
    let verdict = trail.judged(&[]);
    assert_eq!((codes(&verdict), doubts(&verdict)), (vec![], vec!["AUDIT_NO_MARK"]));
}

#[test]
fn segments_that_are_missing_at_the_beginning_must_have_been_removed_in_order() {
    let mut forge = Forge::filled(500, 120, 50);
    let trail_before = forge.trail.clone();
    let mut trail = forge.trail.clone();
    trail.segments.drain(..2);
    let verdict = trail.judged(&[forge.mark()]);
    assert_eq!(codes(&verdict), ["AUDIT_SEGMENT_MISSING"]);
    forge.remove(2);
    forge.checkpoint();
    let verdict = forge.trail.judged(&[forge.mark()]);
    assert_eq!((codes(&verdict), doubts(&verdict)), (vec![], vec![]));
    let retired = forge.trail.examined(&[]).retired().copied().unwrap();
    assert_eq!((retired.last, retired.tree_size, retired.seq), (2, 240, 501));
    // One less: whoever removed them was killed meanwhile.
    let mut interrupted = forge.trail.clone();
    interrupted.segments.insert(0, trail_before.segments[1].clone());
    let verdict = interrupted.judged(&[forge.mark()]);
    assert_eq!((codes(&verdict), doubts(&verdict)), (vec![], vec![]));
    // One more than the record says.
    forge.trail.segments.remove(0);
    let verdict = forge.trail.judged_by(&[forge.mark()], &[key(1), key(2)]);
    assert_eq!(codes(&verdict), ["AUDIT_SEGMENT_MISSING"]);
}

#[test]
fn records_of_before_the_first_key_count_once_a_checkpoint_covers_them() {
    let mut forge = Forge::new();
    forge.epoch = 0;
    for _ in 0..10 {
        forge.record("tool_called");
    }
    assert_eq!(codes(&forge.trail.judged(&[])), ["AUDIT_UNSIGNED"]);
    forge.begin();
    forge.record("tool_called");
    forge.begin();
    forge.epoch = 1;
    forge.open();
    forge.record("tool_called");
    forge.checkpoint();
    assert_eq!(codes(&forge.trail.judged(&[forge.mark()])), [""; 0]);
    forge.epoch = 0;
    forge.record("tool_called");
    assert_eq!(codes(&forge.trail.judged(&[])), ["AUDIT_EPOCH"]);
}

#[test]
fn what_a_segment_says_of_itself_must_be_true() {
    let forge = Forge::filled(300, 100, 50);
    let opening = |what: &str, with: &str| {
        let mut forge = Forge::new();
        forge.open();
        forge.close();
        forge.begin();
        let segment = serde_json::json!({
            "frontier": forge.frontier.encode(), "keys": [key(1).to_string()], "number": 2, "previous": forge.prev,
            "tree_size": 2,
        });
        let segment: String = segment.to_string().replace(what, with);
        forge.put("audit_segment_opened", "segment", &serde_json::from_str(&segment).unwrap());
        forge.checkpoint();
        codes(&forge.trail.judged(&[]))
    };
    assert_eq!(opening("", ""), [""; 0]);
    assert_eq!(opening("\"number\":2", "\"number\":3"), ["AUDIT_SEGMENT_OPENING"]);
    assert_eq!(opening("\"tree_size\":2", "\"tree_size\":1"), ["AUDIT_SEGMENT_OPENING"]);
    assert_eq!(opening("\"tree_size\":2", "\"tree_size\":3"), ["AUDIT_RECORD_UNREADABLE"]);
    assert_eq!(opening(&key(1).to_string(), &key(2).to_string()), ["AUDIT_SEGMENT_OPENING"]);
    let closing = |words: serde_json::Value| {
        let mut forge = Forge::new();
        forge.open();
        forge.put("audit_segment_closed", "segment", &words);
        forge.checkpoint();
        codes(&forge.trail.judged(&[]))
    };
    assert_eq!(closing(serde_json::json!({ "count": 2, "number": 1, "tree_size": 2 })), [""; 0]);
    for (count, number, tree_size) in [(1, 1, 2), (2, 2, 2), (2, 1, 3)] {
        let words = serde_json::json!({ "count": count, "number": number, "tree_size": tree_size });
        assert_eq!(closing(words), ["AUDIT_SEGMENT_CLOSING"]);
    }
    let mut after = Forge::new();
    after.open();
    after.close();
    after.record("tool_called");
    assert_eq!(codes(&after.trail.judged(&[]))[0], "AUDIT_SEGMENT_CLOSED");
    let mut twice = Forge::new();
    twice.open();
    twice.open();
    assert_eq!(codes(&twice.trail.judged(&[]))[0], "AUDIT_SEGMENT_OPENING");
    let mut never = Forge::new();
    never.open();
    never.begin();
    never.open();
    assert_eq!(codes(&never.trail.judged(&[]))[0], "AUDIT_SEGMENT_NOT_CLOSED");
    let mut bare = Forge::new();
    bare.record("tool_called");
    assert_eq!(codes(&bare.trail.judged(&[]))[0], "AUDIT_SEGMENT_NOT_OPENED");
    let torn = first(&forge, |trail| {
        trail.lines(1).last_mut().unwrap().pop();
    });
    assert_eq!(torn.code, "AUDIT_RECORD_UNREADABLE");
}

#[test]
fn only_what_stands_behind_an_earlier_checkpoint_is_read_again() {
    let forge = Forge::filled(500, 120, 50);
    let (mut claims, _) = forge.trail.claims();
    let mut since = claims[8].clone();
    since.source = Source::Since("s".to_owned());
    claims.push(since);
    let asked: Vec<u64> = claims.iter().map(|claim| claim.checkpoint.size).collect();
    let mut examined = Examination::resumed(asked);
    for (number, lines) in forge.trail.segments.iter().skip(3) {
        examined.begin(*number);
        examined.take(0, &lines.concat(), 1);
    }
    let verdict = judge::judge(&examined, &claims, &[key(2)]);
    assert_eq!((codes(&verdict), doubts(&verdict)), (vec![], vec![]));
    assert_eq!(verdict.marks[0].size, 450);
}

#[test]
fn records_that_waited_in_the_database_are_told_and_no_finding() {
    let mut forge = Forge::new();
    forge.open();
    forge.time -= 4_000;
    forge.record("user_disabled");
    forge.time += 5_000;
    forge.record("tool_called");
    forge.checkpoint();
    let (claims, _) = forge.trail.claims();
    let examined = forge.trail.examined(&claims);
    assert_eq!((examined.times.back, examined.times.furthest, examined.times.furthest_seq), (1, 3_990, 2));
    assert_eq!(codes(&forge.trail.judged(&[])), [""; 0]);
}

#[test]
fn anchors_are_read_as_notes_as_lines_and_out_of_a_collectors_log() {
    let forge = Forge::filled(60, 100, 20);
    let source = Source::Anchor("a".to_owned());
    let sizes = |text: &str| -> Result<Vec<u64>, usize> {
        of_anchor(text, &source).map(|claims| claims.iter().map(|claim| claim.checkpoint.size).collect())
    };
    let note = forge.note().to_string();
    assert_eq!(sizes(&note), Ok(vec![60]));
    assert_eq!(sizes(&format!("{note}\n{note}")), Ok(vec![60, 60]));
    assert_eq!(sizes(&forge.trail.checkpoints.join("\n")), Ok(vec![20, 40, 60, 60]));
    let logged = format!("Nov 21 04:00:00 host spotify-mcp[1]: {}\n\n{note}", forge.trail.checkpoints[0]);
    assert_eq!(sizes(&logged), Ok(vec![20, 60]));
    assert_eq!(sizes(""), Ok(vec![]));
    assert_eq!(sizes("hello\n"), Err(1));
    assert_eq!(sizes(&format!("{note}\n{{}}\n")), Err(7));
}
