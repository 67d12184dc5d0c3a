//! Rules about backups and about what is kept no longer: SMC5006, 5007.

use std::path::Path;

use super::{BackupFile, Facts, age, posture, seen, settled};
use crate::ambient::Timestamp;
use crate::check::finding::counted;
use crate::check::{Ground, Severity, Source, Verdict};
use crate::store::BackupRow;

fn at(place: &str) -> Source {
    Source::Database(place.to_owned())
}

/// SMC5006.
pub fn backups_fresh(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(fresh(facts, ground))
}

fn fresh(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let posture = posture(facts, ground.profile)?;
    let backups = seen(&posture.backups, at("backups"))?;
    let most = ground.parameters.number("hours").unsigned_abs();
    let hours = |then: Timestamp| age(then, ground, || at("backups")).map(|age| age.as_secs() / 3_600);
    let Some(newest) = backups.iter().max_by_key(|row| row.made_at) else {
        let youth = hours(first_key(facts, ground)?)?;
        return Ok(vec![if youth < most {
            let why = format!(
                "none is due yet: the database is {} old, and one is wanted within {most}",
                counted(youth, "hour", "hours")
            );
            Verdict::not_applicable(at("backups"), why)
        } else {
            Verdict::fail(at("backups"), "no backup is on record")
        }]);
    };
    let age = hours(newest.made_at)?;
    let seen_age =
        format!("the newest was made {} ago ({})", counted(age, "hour", "hours"), newest.made_at.rfc3339());
    let mut found = vec![if age <= most {
        Verdict::pass(at("backups.made_at"), seen_age).about("age")
    } else {
        Verdict::fail(at("backups.made_at"), seen_age)
            .about("age")
            .expecting(format!("at most {} ago", counted(most, "hour", "hours")))
    }];
    found
        .push(openable(newest, seen(&posture.masters, at("master_keys"))?.iter().map(|row| row.id.as_str())));
    found.push(file(newest, &posture.newest_backup, elsewhere(backups, &facts.config.storage.data_dir)));
    Ok(found)
}

/// The newest backup's file. Files go elsewhere for good reasons: one that is not there any more is no fault.
fn file(backup: &BackupRow, seen: &BackupFile, elsewhere: usize) -> Verdict {
    let at = Source::file(&backup.file);
    let verdict = match seen {
        BackupFile::Whole => {
            let others = match elsewhere {
                0 => String::new(),
                count => format!(
                    "; the modes of {} outside of the data directory's folder 'backups' are not looked at",
                    counted(count, "backup on record", "backups on record")
                ),
            };
            Verdict::pass(at, format!("it is sealed, and as long as on record{others}"))
        }
        BackupFile::Gone => Verdict::not_applicable(
            at,
            "the newest backup is not where it was seen last: it was taken elsewhere",
        ),
        BackupFile::Other(why) => Verdict::fail(at, format!("the newest backup's file: {why}"))
            .severe(Severity::High)
            .mended_by("make another (spotify-mcp backup create), and find out what changed this one"),
        BackupFile::Unseen(why) => Verdict::error(at, format!("the newest backup's file: {why}")),
    };
    verdict.about("file")
}

/// How many backups lie where SMC2004 does not look.
fn elsewhere(backups: &[BackupRow], data_dir: &Path) -> usize {
    let folder = data_dir.join("backups");
    backups.iter().filter(|row| Path::new(&row.file).parent() != Some(&folder)).count()
}

/// Whether each key that the backup needs is on record here.
fn openable<'a>(backup: &BackupRow, known: impl Iterator<Item = &'a str>) -> Verdict {
    let known: Vec<&str> = known.collect();
    let missing: Vec<&str> =
        backup.key_ids.iter().map(String::as_str).filter(|needed| !known.contains(needed)).collect();
    let verdict = if backup.key_ids.is_empty() {
        Verdict::fail(at("backup_keys"), "which master keys it needs is not on record")
            .severe(Severity::Medium)
    } else if missing.is_empty() {
        let keys = counted(backup.key_ids.len(), "master key", "master keys");
        Verdict::pass(at("backup_keys"), format!("sealed; it needs {keys}, on record here"))
    } else {
        Verdict::fail(
            at("backup_keys"),
            format!("it needs master keys that are not known here: {}", missing.join(", ")),
        )
    };
    verdict.about("keys")
}

/// When the database got its first master key.
fn first_key(facts: &Facts, ground: &Ground<'_>) -> Result<Timestamp, Vec<Verdict>> {
    let masters = seen(&posture(facts, ground.profile)?.masters, at("master_keys"))?;
    Ok(Timestamp::from_secs(masters.iter().map(|row| row.created_at).min().unwrap_or_default()))
}

/// SMC5007.
pub fn kept_no_longer(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(kept(facts, ground))
}

/// What housekeeping removes a day after its end, in hours.
const KEPT: u64 = 24;

fn kept(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let posture = posture(facts, ground.profile)?;
    let oldest = seen(&posture.oldest, at("expires_at"))?;
    let patience = ground.parameters.number("hours").unsigned_abs();
    let all = [
        ("logins", oldest.login, 0),
        ("browser_sessions", oldest.browser_session, 0),
        ("mcp_sessions", oldest.mcp_session, 0),
        ("codes", oldest.code, KEPT),
        ("access_tokens", oldest.access_token, KEPT),
    ];
    let mut found = Vec::new();
    for (table, ended, kept) in all {
        let Some(ended) = ended else { continue };
        let late = ground.now.since(Timestamp::from_secs(ended)).as_secs() / 3_600;
        if late > kept + patience {
            let seen =
                format!("a row of {table} ended {} ago and is still there", counted(late, "hour", "hours"));
            let fix = "start a server: it removes what has ended each minute; else see its log";
            found.push(Verdict::fail(at(table), seen).about(table).mended_by(fix));
        }
    }
    let risen = *seen(&posture.risen, at("tombstones"))?;
    if risen > 0 {
        let seen = format!("{risen} people or links are there again whose deletion is on record");
        let fix = "restore with 'spotify-mcp backup restore', which replays deletions, and delete them again";
        found.push(
            Verdict::fail(at("tombstones"), seen).about("deleted").severe(Severity::High).mended_by(fix),
        );
    }
    if found.is_empty() {
        let seen = "nothing is kept past its time, and nobody is back whose deletion is on record";
        found.push(Verdict::pass(at("expires_at"), seen));
    }
    Ok(found)
}
