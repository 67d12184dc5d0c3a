//! Gathers what the audit trail shows: whether it is as it was written, how far it is signed and told elsewhere, and
//! what its newest records say. Reads only; a server may write meanwhile. Never: a person's name or address in a fact.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;

use super::attested::{self, Vouched, written_at};
use super::near::{self, Near};
use super::posture::Chain;
use crate::ambient::Timestamp;
use crate::audit::line::chain_of;
use crate::audit::note::Verifier;
use crate::audit::verify::claims::{Claim, Source};
use crate::audit::verify::judge::judge;
use crate::audit::{reader, survey};
use crate::check::{Seen, Unseen};
use crate::config::Config;
use crate::domain::event::EventCode;
use crate::reading::io_cause;
use crate::store::AttestationRow;

/// What the trail shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Records.
    pub records: u64,
    /// When its oldest record was written.
    pub began: Option<Timestamp>,
    /// What is not as it was written: code and words.
    pub problems: Vec<String>,
    /// What cannot be told: code and words.
    pub doubts: Vec<String>,
    /// Its oldest segments were removed when their time was over.
    pub is_shortened: bool,
    /// Trails of other servers with this database.
    pub others: usize,
    /// What it says of attestations.
    pub attested: Vec<Vouched>,
    /// Up to which record the newest checkpoint speaks, and when it was signed.
    pub signed: Option<(u64, Option<Timestamp>)>,
    /// Up to which record each place outside was told.
    pub anchored: Vec<Anchored>,
    /// What the newest records say.
    pub sample: Sample,
    /// When its oldest checkpoint was signed.
    pub first_signed: Option<Timestamp>,
    /// Which places that are told of checkpoints are on this machine.
    pub near: Near,
    /// Room on its disk: bytes, and percent of it.
    pub room: Option<(u64, u64)>,
}

/// A place outside that was told of checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// `file`, `syslog` or `webhook`.
    pub place: String,
    /// Records.
    pub size: u64,
    /// When.
    pub at: Timestamp,
}

/// The newest records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many were looked at.
    pub looked: usize,
    /// The first faults, each with its record's number.
    pub faults: Vec<String>,
}

/// Looks at the trail of this configuration; `None`: there is none.
pub fn look(
    config: &Config,
    (chains, shared): (Seen<Vec<Chain>>, bool),
    wanted: &[AttestationRow],
) -> Seen<Option<Trail>> {
    let dir = &config.audit.dir;
    read(dir, (chains, shared), wanted)
        .map(|trail| trail.map(|trail| Trail { near: near::look(config), ..trail }))
        .map_err(|error| Unseen::because(format!("{} cannot be read: {}", dir.display(), io_cause(&error))))
}

fn read(
    dir: &Path,
    (chains, shared): (Seen<Vec<Chain>>, bool),
    wanted: &[AttestationRow],
) -> io::Result<Option<Trail>> {
    // What is claimed is read before the records: a server that goes on only adds to them.
    let (mut claims, beside) = survey::checkpoints(dir)?;
    let segments = survey::segments(dir)?;
    if segments.is_empty() && claims.is_empty() && !is_known(dir, &chains, shared) {
        return Ok(None);
    }
    let named =
        claims.first().and_then(|claim| claim.checkpoint.origin.rsplit('/').next().map(str::to_owned));
    let oldest = match segments.first() {
        Some(first) => reader::first_line(&first.path)?,
        None => None,
    };
    let chain = named.or_else(|| oldest.as_deref().and_then(chain_of)).unwrap_or_default();
    let is_other = |known: &&Chain| known.mark.size > 0 && known.mark.chain_uid != chain;
    let others = match shared {
        true => chains.iter().flatten().filter(is_other).count(),
        false => survey::beside(dir).len(),
    };
    let mut trail = Trail {
        began: oldest.as_deref().and_then(written_at),
        is_shortened: segments.first().is_some_and(|first| first.number > 1),
        others,
        attested: attested::find(&segments, wanted)?,
        ..Trail::default()
    };
    let known = chains.as_ref().ok().and_then(|all| all.iter().find(|known| known.mark.chain_uid == chain));
    if let Err(unseen) = &chains {
        trail.doubts.push(format!("AUDIT_NO_MARK: {unseen}"));
    }
    let newest = claims.last().map(|claim| (claim.checkpoint.size, claim.at.clone()));
    let signed_at = |claim: &Claim| claim.at.as_deref().and_then(Timestamp::parse_rfc3339);
    trail.first_signed = claims.iter().filter_map(signed_at).min();
    trail.signed = newest.map(|(size, at)| (size, at.as_deref().and_then(Timestamp::parse_rfc3339)));
    let keys = match known {
        Some(known) => trail.take(known, &mut claims),
        None => Vec::new(),
    };
    if segments.is_empty() && claims.is_empty() {
        let what = "AUDIT_TRUNCATED: the database knows a trail that was signed, and nothing of it is here";
        trail.problems.push(what.to_owned());
    }
    let examined = survey::examine(&segments, &claims, None, |_| {})?;
    let verdict = judge(&examined, &claims, &keys);
    let wrong = verdict.problems.iter().chain(&beside);
    trail.problems.extend(wrong.map(|problem| format!("{}: {}", problem.code, problem.what)));
    if chains.is_ok() {
        trail.doubts.extend(verdict.doubts.iter().map(|doubt| format!("{}: {}", doubt.code, doubt.what)));
    }
    trail.records = examined.size();
    if let Some(last) = segments.last() {
        trail.sample = sample(&last.path)?;
    }
    trail.room = room(dir);
    Ok(Some(trail))
}

impl Trail {
    /// What the database knows of it: the keys that sign it, up to where it was signed, and who was told.
    fn take(&mut self, Chain { mark, told }: &Chain, claims: &mut Vec<Claim>) -> Vec<Verifier> {
        let mut keys: Vec<Verifier> =
            [&mark.first_key, &mark.key].into_iter().filter_map(|text| Verifier::parse(text)).collect();
        keys.dedup();
        match Claim::parse(&mark.note, Source::Database) {
            Ok(claim) => claims.push(claim),
            Err(_) => {
                self.problems.push("AUDIT_MARK_UNREADABLE: the database's mark is no checkpoint".to_owned())
            }
        }
        let anchored = |(place, size, at): &(String, i64, i64)| Anchored {
            place: place.clone(),
            size: size.unsigned_abs(),
            at: Timestamp::from_millis(*at),
        };
        self.anchored = told.iter().map(anchored).collect();
        keys
    }
}

/// Whether the database knows a trail that ought to be here. Servers that share one have a trail each, on their own hosts.
fn is_known(dir: &Path, chains: &Seen<Vec<Chain>>, shared: bool) -> bool {
    let beside = survey::beside(dir);
    let is_here = |uid: &str| beside.iter().any(|(_, chain)| chain == uid);
    let is_missed = |known: &Chain| known.mark.size > 0 && !is_here(&known.mark.chain_uid);
    !shared && chains.as_ref().is_ok_and(|all| all.iter().any(is_missed))
}

/// The end of a segment that is looked at, in bytes.
const END: u64 = 1 << 20;
/// Faults that are told.
const TOLD: usize = 5;

fn sample(path: &Path) -> io::Result<Sample> {
    let length = path.metadata()?.len();
    let start = length.saturating_sub(END);
    let mut sample = Sample::default();
    let mut is_first = start > 0;
    reader::read(path, start, |offset, lines| {
        for (_, line) in reader::lines(offset, lines) {
            // The first one may be the end of a line.
            if std::mem::take(&mut is_first) {
                continue;
            }
            sample.looked += 1;
            if let Some(fault) = fault(line)
                && sample.faults.len() < TOLD
            {
                sample.faults.push(fault);
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(sample)
}

/// What a record lacks of the fields that every record has (OCSF 1.8, and the eight of this trail).
fn fault(line: &[u8]) -> Option<String> {
    let Ok(record) = serde_json::from_slice::<Value>(line) else {
        return Some("a line is no JSON".to_owned());
    };
    let number = |pointer: &str| record.pointer(pointer).and_then(Value::as_i64);
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let either = |one: &str, other: &str| record.pointer(one).or_else(|| record.pointer(other)).is_some();
    let seq = number("/metadata/sequence").unwrap_or_default();
    let class =
        number("/class_uid").zip(number("/activity_id")).map(|(class, activity)| class * 100 + activity);
    let code = text("/metadata/event_code");
    let at = number("/time").map(|time| Timestamp::from_millis(time).rfc3339());
    let lacks = [
        (number("/time").is_none(), "time"),
        (at.as_deref() != text("/time_dt"), "time_dt, the same instant in UTC"),
        (class.is_none() || class != number("/type_uid"), "type_uid, of its class and activity"),
        (!number("/severity_id").is_some_and(|severity| (1..=6).contains(&severity)), "severity_id"),
        (!number("/status_id").is_some_and(|status| (1..=2).contains(&status)), "status_id"),
        (text("/status_code").is_none(), "status_code"),
        (text("/status_detail").is_none(), "status_detail"),
        (
            !code.is_some_and(|code| EventCode::ALL.iter().any(|known| known.name() == code)),
            "a known event_code",
        ),
        (record.pointer("/actor/user").is_none(), "actor.user"),
        (!either("/api", "/unmapped/api"), "api"),
        (!either("/src_endpoint", "/unmapped/src_endpoint"), "src_endpoint"),
        (!text("/metadata/uid").is_some_and(|uid| uid.starts_with("e_")), "metadata.uid"),
    ];
    let lacks: Vec<&str> = lacks.into_iter().filter(|(lacks, _)| *lacks).map(|(_, what)| what).collect();
    (!lacks.is_empty()).then(|| format!("record {seq} lacks {}", lacks.join(", ")))
}

fn room(dir: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    let percent = disk.f_bavail.saturating_mul(100).checked_div(disk.f_blocks)?;
    Some((disk.f_bavail.saturating_mul(disk.f_frsize), percent))
}
