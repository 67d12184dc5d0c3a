//! The evidence of an emergency: what was ended, what was tried and came to nothing, and what nobody can end from here.
//! Signed as the evidence of rotations is, with the key that is in use after it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::evidence::{self, Shown};
use super::super::genuine;
use super::super::placed;
use super::super::runner::stalled;
use super::Facts;
use crate::ambient::Timestamp;
use crate::cli::administer::Desk;
use crate::cli::beyond::{at_spotify, in_words as in_words_of};
use crate::cli::output::{Exit, Refused};
use crate::failure::Failure;
use crate::vault::KeyRing;
use crate::vault::rotation;

/// Where an emergency's evidence lies.
pub(super) fn path(desk: &Desk, id: &str) -> PathBuf {
    desk.config.storage.data_dir.join("evidence").join(format!("{id}.json"))
}

/// Shows the evidence of an emergency that is over, and of its rotations; writes it where it is not there.
pub(super) async fn show(
    desk: &Desk,
    ring: &KeyRing,
    id: &str,
    rotations: &[Shown],
) -> Result<Shown, Refused> {
    let path = path(desk, id);
    if !path.exists() {
        let document = build(desk, ring, rotations).await.map_err(|failure| stalled(&failure))?;
        let words = in_words(&document["evidence"], &path);
        evidence::write(&path, &document, &words).map_err(|failure| stalled(&failure))?;
    }
    let document = genuine::read(desk, ring, (&path, id)).await?;
    let words: String = rotations.iter().map(|one| one.words.as_str()).collect();
    let words = words + &in_words(&document["evidence"], &path);
    let all = json!({
        "emergency": document,
        "rotations": rotations.iter().map(|one| &one.document).collect::<Vec<_>>(),
    });
    let exit = rotations.iter().map(|one| one.exit).find(|exit| *exit != Exit::Done).unwrap_or(Exit::Done);
    Ok(Shown { rotation: id.to_owned(), words, document: all, exit })
}

async fn build(desk: &Desk, ring: &KeyRing, rotations: &[Shown]) -> Result<Value, Failure> {
    let row = desk.store.last_emergency().await?.ok_or(Failure::new("the emergency is not stored"))?;
    let facts: Facts = serde_json::from_str(&row.facts)?;
    let at = |millis: i64| Timestamp::from_millis(millis).rfc3339();
    let evidence = json!({
        "schema": "spotify-mcp/emergency-evidence/v1",
        "emergency_id": row.id,
        "outcome": "contained",
        "taken_up_again": facts.interrupted,
        "began_at": at(row.began_at),
        "frozen_at": facts.frozen_at.map(at),
        "servers_issue_again_since": facts.lifted_at.map(at),
        "ended_at": row.ended_at.map(at),
        "ended": facts.ended,
        "rotations": rotations.iter().map(|one| json!({
            "id": one.rotation,
            "kind": one.document["evidence"]["kind"],
            "old_key": one.document["evidence"]["old_key"],
            "new_key": one.document["evidence"]["new_key"],
            "signature": one.document["signature"]["value"],
        })).collect::<Vec<_>>(),
        "old_master_key": old_root(desk, &facts).await?,
        "probes": {
            "by": "credentials that were issued for this alone, tried while they were good and after they were ended",
            "the_servers_code_in_this_program": facts.here,
            "the_running_server": facts.server,
            "running_server": facts.running_server,
        },
        "cannot_be_ended_here": beyond(desk).await?,
        "audit": placed::trail(desk, &facts.events).await?,
        "binary": { "version": env!("CARGO_PKG_VERSION"), "sha256": evidence::binary()? },
        "database": if desk.store.is_postgres() { "postgresql" } else { "sqlite" },
    });
    evidence::sign(ring, evidence)
}

/// What the old master key was tried on, and opened.
async fn old_root(desk: &Desk, facts: &Facts) -> Result<Value, Failure> {
    for id in &facts.rotations {
        if let Some(row) = desk.store.rotation(id).await?.filter(|row| row.kind == "master") {
            let probe = rotation::Facts::parse(&row.facts).probe;
            return Ok(
                json!({ "id": row.old_key, "tried_on_rows": probe.tried, "opened_rows": probe.opened }),
            );
        }
    }
    Ok(Value::Null)
}

/// What lives on elsewhere, and who ends it where.
async fn beyond(desk: &Desk) -> Result<Value, Failure> {
    let mut all = at_spotify(desk, None).await?;
    all.push(json!({
        "what": "copies of the database, of backups and of a sealed configuration from before: the old key opens them",
        "operator": "find and delete copies that are in wrong hands' reach; replace every secret of the configuration where \
            it came from",
        "people": "nothing",
    }));
    Ok(Value::Array(all))
}

fn in_words(evidence: &Value, path: &std::path::Path) -> String {
    let said = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut text = format!(
        "Emergency {}: {}\n  frozen from {} to {}\n",
        said(&evidence["emergency_id"]),
        said(&evidence["outcome"]),
        said(&evidence["frozen_at"]),
        said(&evidence["servers_issue_again_since"]),
    );
    let root = &evidence["old_master_key"];
    text +=
        &format!("  the old master key opened {} of {} rows\n", root["opened_rows"], root["tried_on_rows"]);
    let probes = &evidence["probes"];
    for (place, name) in [
        ("the_servers_code_in_this_program", "in this program"),
        ("the_running_server", "at the running server"),
    ] {
        for probe in probes[place].as_array().into_iter().flatten() {
            let before =
                probe["before"].as_str().map_or_else(String::new, |before| format!(", before {before}"));
            text += &format!("  {}: {} ({name}{before})\n", said(&probe["probe"]), said(&probe["found"]));
        }
    }
    text += &format!("  running server: {}\n", said(&probes["running_server"]));
    if let Some(beyond) = evidence["cannot_be_ended_here"].as_array() {
        text += &in_words_of(beyond);
    }
    text + &format!("  evidence: {}\n", path.display())
}
