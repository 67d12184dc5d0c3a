//! Rules of the group data about the database itself, and about tokens in it: SMC3003, 5001 to 5005.

use super::{Facts, posture, seen, settled};
use crate::check::finding::counted;
use crate::check::{Ground, Profile, Severity, Source, Verdict};
use crate::config::Engine;
use crate::store::{PostgresStanding, Reach};

fn at(place: &str) -> Source {
    Source::Database(place.to_owned())
}

/// SMC3003.
pub fn tokens_hashed(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(hashed(facts, ground))
}

fn hashed(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let kinds = seen(&posture(facts, ground.profile)?.hashes, at("token columns"))?;
    let found: Vec<Verdict> = kinds
        .iter()
        .filter(|kind| kind.foreign > 0)
        .map(|kind| {
            let values = counted(kind.values, "value is", "values are");
            let seen = format!("{} of {values} no SHA-256", kind.foreign);
            Verdict::fail(at(kind.kind), seen).about(kind.kind)
        })
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let values: i64 = kinds.iter().map(|kind| kind.values).sum();
    let seen = format!(
        "{} in {}, each of the form of a SHA-256 (that they are made so is tried with --probe)",
        counted(values, "token", "tokens"),
        counted(kinds.len(), "column", "columns"),
    );
    Ok(vec![Verdict::pass(at("token columns"), seen)])
}

/// SMC5001.
pub fn sqlite_sound(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(sound(facts, ground))
}

fn sound(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let place = || at("SQLite");
    if is_of_another(facts, Engine::Postgres) {
        return Ok(vec![Verdict::not_applicable(place(), "the database is PostgreSQL")]);
    }
    let posture = posture(facts, ground.profile)?;
    let Some(sqlite) = seen(&posture.sqlite, place())? else {
        return Ok(vec![Verdict::not_applicable(place(), "the database is PostgreSQL")]);
    };
    let mut found = Vec::new();
    if let Some(first) = sqlite.damage.first() {
        let seen = match sqlite.damage.len() {
            1 => first.clone(),
            count => format!("{count} faults, the first: {first}"),
        };
        let fix = "stop the server, keep the file, and restore a backup: spotify-mcp backup restore";
        found.push(Verdict::fail(place(), seen).about("integrity").mended_by(fix));
    }
    if sqlite.journal == "empty" {
        let fix = "keep the file away from the server, and restore a backup: spotify-mcp backup restore";
        found.push(Verdict::fail(place(), "the file is empty").about("integrity").mended_by(fix));
    } else if sqlite.journal != "wal" && sqlite.damage.is_empty() {
        let seen = format!("the journal is {}", sqlite.journal);
        found.push(
            Verdict::fail(place(), seen).about("journal").mended_by("start the server once: it sets it"),
        );
    }
    if !sqlite.unset.is_empty() {
        let seen = format!("connections of servers are without {}", sqlite.unset.join(", "));
        let fix =
            "this is a fault of the program and not of your configuration: use a build that passes its tests";
        found.push(Verdict::fail(place(), seen).about("settings").mended_by(fix));
    }
    if let Some(name) = posture.shared_disk {
        let seen = format!("the file lies on {name}, whose locks are not to be relied on");
        let fix = "move the data directory to a local disk, or use PostgreSQL";
        found.push(Verdict::fail(place(), seen).about("file system").mended_by(fix));
    }
    if found.is_empty() {
        let seen = "write-ahead log; references kept, commits on the disk, deleted content overwritten; every page, index and reference is whole; on a local disk";
        found.push(Verdict::pass(place(), seen));
    }
    Ok(found)
}

/// No database was seen, and the configuration says that it would be of this engine: what is about the other one does not
/// apply.
fn is_of_another(facts: &Facts, engine: Engine) -> bool {
    facts.database.is_err() && !facts.file_is_unread && facts.config.storage.engine == engine
}

/// PostgreSQL's word; a verdict that it has none where the engine is another.
fn postgres<'a>(facts: &'a Facts, ground: &Ground<'_>) -> Result<&'a PostgresStanding, Vec<Verdict>> {
    let sqlite =
        || vec![Verdict::not_applicable(at("PostgreSQL"), "the database is SQLite, a file of this machine")];
    if is_of_another(facts, Engine::Sqlite) {
        return Err(sqlite());
    }
    let posture = posture(facts, ground.profile)?;
    seen(&posture.postgres, at("PostgreSQL"))?.as_ref().ok_or_else(sqlite)
}

/// SMC5002.
pub fn connection_protected(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let is_strict = |mode: &str| ground.parameters.list("modes").iter().any(|known| known == mode);
    // What the URL asks for is judged also where nobody answers there.
    if let Some(way) = facts.way.as_ref().filter(|way| !way.local && !is_strict(way.mode)) {
        let seen = format!("sslmode={}: an unprotected connection, or one to any server, would do", way.mode);
        return vec![Verdict::fail(Source::key("storage.url"), seen)];
    }
    settled(postgres(facts, ground).map(|standing| {
        let place = at("pg_stat_ssl");
        let strict = is_strict(standing.mode);
        vec![match &standing.protected {
            _ if standing.local => Verdict::pass(
                place,
                "it goes to a socket or a loopback address of this machine (what a relay there does with it is not seen)",
            ),
            Some(tls) if strict => Verdict::pass(place, format!("{tls}, sslmode={}", standing.mode)),
            Some(tls) => {
                Verdict::fail(place, format!("{tls}, but sslmode={} takes any server", standing.mode))
            }
            None => Verdict::fail(place, format!("the session is not protected (sslmode={})", standing.mode)),
        }]
    }))
}

/// SMC5003.
pub fn role_least(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(postgres(facts, ground).map(|standing| {
        let place = || at("pg_roles");
        let Reach { grave, slight } = &standing.reach;
        let failed = |rights: &[String]| {
            let seen = format!("role {} has beyond its own tables: {}", standing.role, rights.join("; "));
            rights.iter().fold(Verdict::fail(place(), seen), Verdict::of_kind)
        };
        let mut found = Vec::new();
        if !grave.is_empty() {
            found.push(failed(grave));
        }
        if !slight.is_empty() {
            let severity =
                if ground.profile == Profile::Development { Severity::Low } else { Severity::Medium };
            let fix = "revoke it where another role can do that; it shows or hastens, and changes no data";
            found.push(failed(slight).about("watching").severe(severity).mended_by(fix));
        }
        if found.is_empty() {
            let seen = "no attribute, membership, parameter, function or table beyond its own (other databases of the server were not looked at)";
            found.push(Verdict::pass(place(), format!("role {} has {seen}", standing.role)));
        }
        found
    }))
}

/// SMC5004.
pub fn password_strong(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(postgres(facts, ground).map(|standing| {
        let place = || at("PostgreSQL");
        let methods = ground.parameters.list("methods");
        let mut found = vec![
            if standing.password_encryption == "scram-sha-256" {
                Verdict::pass(place(), "new passwords are kept as scram-sha-256")
            } else {
                Verdict::fail(place(), format!("new passwords are kept as {}", standing.password_encryption))
            }
            .about("password_encryption"),
        ];
        found.push(
            match &standing.method {
                Some(method) if methods.contains(method) => {
                    Verdict::pass(place(), format!("this session was let in by {method}"))
                }
                Some(method) => Verdict::fail(place(), format!("this session was let in by {method}")),
                None => {
                    let why =
                        "the server is older than PostgreSQL 16 and does not say how it let this session in";
                    Verdict::manual(place(), why).mended_by("see pg_hba.conf")
                }
            }
            .about("method"),
        );
        found
    }))
}

/// SMC5005.
pub fn schema_current(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    settled(current(facts, ground))
}

fn current(facts: &Facts, ground: &Ground<'_>) -> Result<Vec<Verdict>, Vec<Verdict>> {
    let posture = posture(facts, ground.profile)?;
    let schema = seen(&posture.schema, at("_sqlx_migrations"))?;
    let numbers = |list: &[i64]| list.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let place = || at("_sqlx_migrations");
    let mut found = Vec::new();
    if !schema.changed.is_empty() {
        let seen = format!("migrations {} have another text than this program's", numbers(&schema.changed));
        let fix = "find out which program wrote to this database; restore a backup if none of yours did";
        found.push(Verdict::fail(place(), seen).about("changed").mended_by(fix));
    }
    if !schema.unknown.is_empty() {
        let seen = format!("migrations {} are of a newer program", numbers(&schema.unknown));
        found.push(
            Verdict::fail(place(), seen).about("unknown").mended_by("check with the program that serves"),
        );
    }
    if !schema.missing.is_empty() {
        let seen = format!("migrations {} are not applied", numbers(&schema.missing));
        let fix = "restart the server with this version: it migrates when it starts";
        found.push(Verdict::fail(place(), seen).about("missing").mended_by(fix));
    }
    if found.is_empty() {
        let engine = if posture.engine == Engine::Postgres { "PostgreSQL" } else { "SQLite" };
        let seen = format!(
            "{engine}: {} up to {}, each with its text",
            counted(schema.applied.len(), "migration", "migrations"),
            schema.newest
        );
        found.push(Verdict::pass(place(), seen));
    }
    Ok(found)
}
