//! Rules of the group maintenance: the tasks that come again, by what the database shows of them or else by who attested
//! them, and an operator's standing duties.

use super::{Facts, age, posture, seen, settled};
use crate::ambient::Timestamp;
use crate::check::{Ground, Profile, Source, Verdict};
use crate::config::Engine;
use crate::domain::rotation::{Kind, State};
use crate::store::AttestationRow;

fn at(place: &str) -> Source {
    Source::Database(place.to_owned())
}

/// A task that somebody attests: done within its days, not yet due, overdue, or not known.
fn attested(facts: &Facts, ground: &Ground<'_>, task: &str) -> Vec<Verdict> {
    settled(judged(facts, ground, task))
}

fn judged(facts: &Facts, ground: &Ground<'_>, task: &str) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let place = || at("attestations");
    posture(facts, ground.profile)?;
    let attested = seen(&facts.attested, place())?;
    let most = ground.parameters.number("days").unsigned_abs();
    let last = attested.iter().filter(|one| one.task == task).max_by_key(|one| one.at);
    let fix = format!("do it, then: spotify-mcp security-check attest {task} --by WHO --evidence TEXT");
    Ok(vec![
        match last {
            Some(last) => {
                let days = days_since(Timestamp::from_millis(last.at), ground)?;
                let seen = format!("{} ago, by {}: {}", self::days(days), last.by_whom, last.evidence);
                if days <= most {
                    standing(facts, ground.profile, last, (seen, fix))
                } else {
                    Verdict::fail(place(), seen).expecting(format!("within {most} days")).mended_by(fix)
                }
            }
            None => {
                let age = days_since(born(facts, ground)?, ground)?;
                if age < most {
                    not_due(place(), age, most)
                } else {
                    Verdict::fail(place(), "nobody ever attested it")
                        .expecting(format!("within {}", days(most)))
                        .mended_by(fix)
                }
            }
        }
        .about(task),
    ])
}

/// Whether the audit trail says the same: whoever may write to the database alone has attested nothing.
fn standing(facts: &Facts, profile: Profile, row: &AttestationRow, (seen, fix): (String, String)) -> Verdict {
    let unsure = |why: &str| Verdict::error(at("attestations"), format!("{seen}; {why}"));
    let wrong = |why: &str| {
        let expected = "a record of it in the audit trail (task_attested), as 'attest' writes it";
        Verdict::fail(at("attestations"), format!("{seen}; {why}")).expecting(expected).mended_by(&fix)
    };
    let trail = match &facts.trail {
        Err(unseen) => {
            return unsure(&format!("the audit trail that would say so is not seen: {}", unseen.why));
        }
        // Servers on other hosts may have theirs.
        Ok(None) if posture(facts, profile).is_ok_and(|posture| posture.engine == Engine::Postgres) => {
            return unsure("there is no audit trail here that would say so");
        }
        Ok(None) => return wrong("it stands in the database alone, without an audit trail"),
        Ok(Some(trail)) => trail,
    };
    if let Some(problem) = trail.problems.first().or(trail.doubts.first()) {
        return unsure(&format!("the audit trail that would say so is not sound (SMC6001): {problem}"));
    }
    let (signed, _) = trail.signed.unwrap_or_default();
    match trail.attested.iter().find(|record| record.id == row.id) {
        Some(record) if record.digest != row.digest() => {
            wrong(&format!("record {} of the audit trail is of other words or another time", record.seq))
        }
        Some(record) if record.seq > signed => unsure(&format!(
            "record {} of the audit trail says so, and is not signed yet (audit.checkpoint_seconds)",
            record.seq
        )),
        Some(record) => Verdict::pass(at("attestations"), format!("{seen} (record {})", record.seq)),
        None if facts.unwritten.iter().flatten().any(|id| *id == row.id) => {
            unsure("it waits to be written into the audit trail: start the server, then look again")
        }
        None if trail.others > 0 => unsure(&format!(
            "this audit trail has no record of it, and another server's may have: there are {} more",
            trail.others
        )),
        None if trail.is_shortened && trail.began.is_none_or(|began| began.millis() > row.at) => {
            unsure("the audit trail's records of that time were removed when their time was over")
        }
        None => wrong("it stands in the database alone: the audit trail has no record of it"),
    }
}

/// What was never done and need not have been: no evidence of anything.
fn not_due(place: Source, age: u64, most: u64) -> Verdict {
    let why = format!("not due yet: the database is {}, and it is wanted within {}", days(age), days(most));
    Verdict::not_applicable(place, why)
}

fn days(count: u64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// Whole days since then; what is said to come later than now is an error, because it would never grow old.
fn days_since(then: Timestamp, ground: &Ground<'_>) -> Result<u64, Vec<Verdict>> {
    age(then, ground, || at("times")).map(|age| age.as_secs() / 86_400)
}

/// When the database got its first master key.
fn born(facts: &Facts, ground: &Ground<'_>) -> Result<Timestamp, Vec<Verdict>> {
    let masters = seen(&posture(facts, ground.profile)?.masters, at("master_keys"))?;
    Ok(Timestamp::from_secs(masters.iter().map(|row| row.created_at).min().unwrap_or_default()))
}

/// SMC9001.
pub fn log_review(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    attested(facts, ground, "log-review")
}

/// SMC9002.
pub fn dependency_review(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    attested(facts, ground, "dependency-review")
}

/// SMC9003.
pub fn access_review(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    attested(facts, ground, "access-review")
}

/// SMC9004.
pub fn update_review(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    attested(facts, ground, "update-review")
}

/// SMC9005.
pub fn restore_test(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    attested(facts, ground, "restore-test")
}

/// SMC9006.
pub fn incident_drill(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    attested(facts, ground, "incident-drill")
}

/// SMC9007.
pub fn policy_review(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    attested(facts, ground, "policy-review")
}

/// SMC9008.
pub fn penetration_test(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    attested(facts, ground, "penetration-test")
}

/// SMC9010: by what the database keeps of rotations.
pub fn keys_rotated(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(rotated(facts, ground))
}

fn rotated(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let rotations = seen(&posture(facts, ground.profile)?.rotations, at("rotations"))?;
    let most = ground.parameters.number("days").unsigned_abs();
    let of_master = |kind: &str| Kind::named(kind) == Some(Kind::Master);
    let ended = |state: &str| State::named(state) == Some(State::Retired);
    let last = rotations
        .iter()
        .filter(|(row, _)| of_master(&row.kind) && ended(&row.state))
        .max_by_key(|(row, _)| row.ended_at)
        .and_then(|(row, _)| Some((row.id.as_str(), Timestamp::from_millis(row.ended_at?))));
    let (days, seen) = match last {
        Some((id, ended)) => (days_since(ended, ground)?, format!("rotation {id} ended {}", ended.rfc3339())),
        None => {
            let age = days_since(born(facts, ground)?, ground)?;
            (age, format!("no rotation of the master key yet; the database is {} old", days(age)))
        }
    };
    Ok(vec![if days <= most {
        Verdict::pass(at("rotations.ended_at"), seen)
    } else {
        Verdict::fail(at("rotations.ended_at"), seen).expecting(format!("within {most} days"))
    }])
}

/// SMC9011: by what the database keeps of backups.
pub fn backup_verified(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(verified(facts, ground))
}

fn verified(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let backups = seen(&posture(facts, ground.profile)?.backups, at("backups"))?;
    let most = ground.parameters.number("days").unsigned_abs();
    let last = backups.iter().filter_map(|row| Some((row.verified_at?, &row.id))).max_by_key(|(at, _)| *at);
    let place = || at("backups.verified_at");
    let (days, seen) = match last {
        Some((when, id)) => {
            (days_since(when, ground)?, format!("backup {id} was verified {}", when.rfc3339()))
        }
        None => match days_since(born(facts, ground)?, ground)? {
            age if age < most => return Ok(vec![not_due(place(), age, most)]),
            age => (age + 1, format!("no backup was verified yet; the database is {} old", days(age))),
        },
    };
    Ok(vec![if days <= most {
        Verdict::pass(place(), seen)
    } else {
        Verdict::fail(place(), seen).expecting(format!("within {most} days"))
    }])
}

/// SMC9020.
pub fn policy_acknowledged(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let place = Source::key("spotify.policy_acknowledged");
    vec![if facts.file_is_unread {
        Verdict::error(place, "the configuration file cannot be read, so what it says is not known")
    } else if facts.policy_acknowledged {
        Verdict::pass(place, "the operator has read it")
    } else {
        Verdict::fail(place, "nobody has said that they have read it")
    }]
}

/// SMC9021.
pub fn contact_named(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let place = Source::key("server.security_contact");
    vec![match &facts.config.server.security_contact {
        _ if facts.file_is_unread => {
            Verdict::error(place, "the configuration file cannot be read, so what it says is not known")
        }
        Some(contact) => Verdict::pass(place, contact.split('?').next().unwrap_or_default()),
        None => Verdict::fail(place, "security.txt names nobody"),
    }]
}
