//! The evidence of a rotation: what changed, by ids and counts, signed with the server's evidence key; kept in
//! `<data_dir>/evidence`, mode 0600, as JSON and as one page of text. Never: a key.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::client_steps::NO_SERVER;
use super::genuine;
use super::placed::trail;
use super::runner::{stalled, took};
use crate::ambient::Timestamp;
use crate::cli::administer::Desk;
use crate::cli::output::{Exit, Refused};
use crate::config::master_key::{make_data_dir, write_new};
use crate::crypto::SecretString;
use crate::crypto::signature;
use crate::domain::KeyPurpose;
use crate::domain::rotation::Kind;
use crate::failure::{During as _, Failure};
use crate::store::{BackupRow, ExceptionRow, RotationRow};
use crate::vault::KeyRing;
use crate::vault::rotation::{Counts, Facts};

/// Where a rotation's evidence lies.
pub(super) fn path(desk: &Desk, rotation: &str) -> PathBuf {
    desk.config.storage.data_dir.join("evidence").join(format!("{rotation}.json"))
}

/// Shows the evidence of a rotation that has ended; writes it where it is not there. What is shown was checked.
pub(super) async fn show(
    desk: &Desk,
    ring: &KeyRing,
    row: &RotationRow,
    notes: &[String],
) -> Result<Shown, Refused> {
    let path = path(desk, &row.id);
    let exceptions = desk.store.rotation_exceptions(&row.id).await.map_err(|failure| stalled(&failure))?;
    if !path.exists() {
        let document =
            build(desk, ring, row, &exceptions, notes).await.map_err(|failure| stalled(&failure))?;
        let words = in_words(&document["evidence"], &path);
        write(&path, &document, &words).map_err(|failure| stalled(&failure))?;
    }
    let document = genuine::read(desk, ring, (&path, &row.id)).await?;
    let words = in_words(&document["evidence"], &path);
    let well = went_well(row, &exceptions);
    let exit = if well { Exit::Done } else { Exit::Incomplete };
    Ok(Shown { rotation: row.id.clone(), words, document, exit })
}

/// Everything was sealed anew, and the old keys can do nothing any more. Whether an old client secret can is Spotify's.
fn went_well(row: &RotationRow, exceptions: &[ExceptionRow]) -> bool {
    let opened = Facts::parse(&row.facts).probe.opened;
    exceptions.is_empty() && (opened == 0 || row.kind == Kind::SpotifyClient.name())
}

/// The evidence of one rotation, or what one would do, to be printed.
pub(in crate::cli) struct Shown {
    pub(in crate::cli) rotation: String,
    pub(in crate::cli) words: String,
    pub(in crate::cli) document: Value,
    pub(in crate::cli) exit: Exit,
}

impl Shown {
    /// What a rotation would do.
    pub(super) const fn would(words: String, document: Value) -> Self {
        Self { rotation: String::new(), words, document, exit: Exit::Done }
    }
}

/// Prints one, or several as one document.
pub(super) fn print(desk: &Desk, shown: &[Shown], several: bool) -> Exit {
    let words: String = shown.iter().map(|one| one.words.as_str()).collect();
    let document = match shown {
        [one] if !several => one.document.clone(),
        all => json!({ "rotations": all.iter().map(|one| &one.document).collect::<Vec<_>>() }),
    };
    desk.output.result(&words, &document);
    shown.iter().map(|one| one.exit).find(|exit| *exit != Exit::Done).unwrap_or(Exit::Done)
}

async fn build(
    desk: &Desk,
    ring: &KeyRing,
    row: &RotationRow,
    exceptions: &[ExceptionRow],
    notes: &[String],
) -> Result<Value, Failure> {
    let facts = Facts::parse(&row.facts);
    let at = |millis: i64| Timestamp::from_millis(millis).rfc3339();
    let quarantined = |table: &str| exceptions.iter().filter(|row| row.in_table == table).count();
    let evidence = json!({
        "schema": "spotify-mcp/rotation-evidence/v1",
        "rotation_id": row.id,
        "kind": row.kind,
        "emergency": row.emergency.is_some(),
        "state": row.state,
        "outcome": if went_well(row, exceptions) { "completed" } else { "completed_with_exceptions" },
        "old_key": row.old_key,
        "new_key": row.new_key,
        "started_at": at(row.started_at),
        "ended_at": row.ended_at.map(at),
        "tables": tables(&facts, &quarantined),
        "succession": facts.succession,
        "client": facts.client,
        "rewritten": row.rewritten,
        "overtaken_by_others": row.overtaken,
        "begun_again": facts.again,
        "quarantined": exceptions.iter().map(|row| json!({
            "table": row.in_table, "row": row.row_id, "owner": row.user_id, "reason": row.reason,
        })).collect::<Vec<_>>(),
        "verification": { "method": verified_how(&row.kind), "coverage": covered(&facts) },
        "negative_probe": {
            "method": probed_how(&row.kind), "tried": facts.probe.tried, "opened": facts.probe.opened,
        },
        "backups_that_need_the_old_key": backups(desk, row).await?,
        "audit": trail(desk, &facts.events).await?,
        "notes": notes,
        "binary": { "version": env!("CARGO_PKG_VERSION"), "sha256": binary()? },
        "database": if desk.store.is_postgres() { "postgresql" } else { "sqlite" },
    });
    sign(ring, evidence)
}

/// Without a running server, nothing has been seen to use other credentials.
fn covered(facts: &Facts) -> &'static str {
    match &facts.client {
        Some(client) if client.server == NO_SERVER => "none",
        _ => "full",
    }
}

/// The known backups that do not open without the master key that went.
async fn backups(desk: &Desk, row: &RotationRow) -> Result<Vec<Value>, Failure> {
    if row.kind != "master" {
        return Ok(Vec::new());
    }
    let needing = desk.store.backups_needing(&row.old_key).await?;
    let one = |row: BackupRow| json!({ "id": row.id, "made_at": row.made_at.rfc3339(), "file": row.file });
    Ok(needing.into_iter().map(one).collect())
}

fn verified_how(kind: &str) -> &'static str {
    match kind {
        "master" => "every row opened with the new key alone",
        "data" => "every token and signing key opened with the data key that its row names",
        "spotify-client" => "the running server asked Spotify with the credentials that it uses",
        _ => "every key of the server's own opened",
    }
}

fn probed_how(kind: &str) -> &'static str {
    match kind {
        "master" => "the old key tried on every row, under its own name and under the new key's",
        "data" => {
            "the data keys from before looked for: tried is how many there were, opened how many are left"
        }
        "spotify-client" => {
            "the old credentials presented to Spotify: tried is 0 where they were not at hand any more, opened is 1 where \
             Spotify took them"
        }
        _ => "the old evidence key looked for: tried is 1, opened is 1 where it is still there",
    }
}

fn tables(facts: &Facts, quarantined: &dyn Fn(&str) -> usize) -> Map<String, Value> {
    let of = |counts: &Counts, table: &str| json!(counts.get(table).cloned().unwrap_or_default());
    let one = |table: &String| {
        let value = json!({
            "before": of(&facts.before, table),
            "after": of(&facts.after, table),
            "verified": facts.verified.get(table),
            "quarantined": quarantined(table),
        });
        (table.clone(), value)
    };
    facts.after.keys().chain(facts.verified.keys()).map(one).collect()
}

/// Signed is the evidence's JSON with sorted keys and without white space, as it stands in the document.
pub(in crate::cli) fn sign(ring: &KeyRing, evidence: Value) -> Result<Value, Failure> {
    let key = ring.own(KeyPurpose::Evidence)?;
    let signed = signature::sign(key.key(), evidence.to_string().as_bytes())
        .ok_or(Failure::new("the evidence cannot be signed"))?;
    Ok(json!({
        "evidence": evidence,
        "signature": {
            "algorithm": "Ed25519",
            "over": "the member evidence as JSON, keys sorted, no white space",
            "key_id": key.id().to_string(),
            "public_key": STANDARD.encode(signed.public_key),
            "value": STANDARD.encode(signed.signature),
        },
    }))
}

/// SHA-256 of the program that runs: of what the kernel has open, where it can be asked.
pub(in crate::cli) fn binary() -> Result<String, Failure> {
    let open = Path::new("/proc/self/exe");
    let path = if open.exists() {
        open.to_owned()
    } else {
        std::env::current_exe().during("finding this program")?
    };
    let mut file = std::fs::File::open(path).during("reading this program")?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut piece).during("reading this program")? {
            0 => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => digest.update(&piece[..read]),
        }
    }
}

/// The same, of a server that is asked more than once: it runs on when its file is replaced.
pub(in crate::cli) fn running() -> Option<&'static str> {
    static DIGEST: OnceLock<Option<String>> = OnceLock::new();
    DIGEST.get_or_init(|| binary().ok()).as_deref()
}

/// Writes a document, and its words beside it.
pub(super) fn write(path: &Path, document: &Value, words: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        make_data_dir(folder).during("making the folder for evidence")?;
    }
    let text = path.with_extension("txt");
    if !text.exists() {
        let words = SecretString::new(words.trim_end());
        write_new(&text, &words).during("writing the evidence")?;
    }
    write_new(path, &SecretString::new(format!("{document:#}"))).during("writing the evidence")
}

fn in_words(evidence: &Value, path: &Path) -> String {
    let said = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let time = |name: &str| {
        let at = evidence[name].as_str().and_then(|text| {
            time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
        });
        at.map(|at| {
            Timestamp::from_millis(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default())
        })
        .unwrap_or_default()
    };
    let mut text = format!(
        "Rotation {} ({}): {}\n  old key  {}\n  new key  {}\n  from     {}\n  to       {} ({})\n",
        said(&evidence["rotation_id"]),
        said(&evidence["kind"]),
        said(&evidence["outcome"]),
        said(&evidence["old_key"]),
        said(&evidence["new_key"]),
        said(&evidence["started_at"]),
        said(&evidence["ended_at"]),
        took(time("started_at"), time("ended_at")),
    );
    for (table, counts) in evidence["tables"].as_object().into_iter().flatten() {
        text += &format!("  {table}: {}\n", counted(counts));
    }
    for row in evidence["quarantined"].as_array().into_iter().flatten() {
        let (table, id) = (said(&row["table"]), said(&row["row"]));
        text +=
            &format!("  not opened: {table} {id} of {} ({})\n", said(&row["owner"]), said(&row["reason"]));
    }
    text += &client_in_words(&evidence["client"]);
    let probe = &evidence["negative_probe"];
    text += &match said(&evidence["kind"]).as_str() {
        "master" => {
            format!("  the old key was tried on {} rows and opened {}\n", probe["tried"], probe["opened"])
        }
        "spotify-client" => String::new(),
        _ => match (probe["tried"].as_u64(), probe["opened"].as_u64()) {
            (Some(1), Some(0)) => "  the old key was looked for, and is gone\n".to_owned(),
            (Some(1), _) => "  the old key was looked for, and is STILL THERE\n".to_owned(),
            _ => format!("  {} old keys were looked for, {} are left\n", probe["tried"], probe["opened"]),
        },
    };
    let audit = &evidence["audit"];
    text += &match audit["first_sequence"].as_u64() {
        Some(first) => format!("  audit trail: records {first} to {}\n", audit["last_sequence"]),
        None => "  audit trail: the events wait for the next server to write them\n".to_owned(),
    };
    for backup in evidence["backups_that_need_the_old_key"].as_array().into_iter().flatten() {
        text += &format!("  backup {} ({}) needs the old key\n", said(&backup["id"]), said(&backup["file"]));
    }
    for note in evidence["notes"].as_array().into_iter().flatten() {
        text += &format!("  {}\n", said(note));
    }
    text + &format!("  evidence: {}\n", path.display())
}

/// What became of a Spotify app's credentials; nothing for the other kinds.
fn client_in_words(client: &Value) -> String {
    let Some(client) = client.as_object() else { return String::new() };
    let said = |name: &str| client[name].as_str().unwrap_or_default().to_owned();
    let (server, old) = (said("server"), said("old_credentials"));
    let mut text = format!("  server: {server}\n  Spotify to the old credentials: {old}\n");
    if client["links_ended"].as_i64() > Some(0) {
        let (links, people) = (&client["links_ended"], &client["people_concerned"]);
        text += &format!("  linked accounts that end: {links} of {people} people\n");
    }
    text
}

/// What was counted in a table, and nothing of what was not.
fn counted(counts: &Value) -> String {
    let (before, after) = (by_key(&counts["before"]), by_key(&counts["after"]));
    let mut parts = Vec::new();
    if before != "none" || after != "none" {
        parts.push(format!("before {before}, after {after}"));
    }
    parts.extend(counts["verified"].as_u64().map(|verified| format!("{verified} verified")));
    parts.push(format!("{} quarantined", counts["quarantined"]));
    parts.join(", ")
}

fn by_key(counts: &Value) -> String {
    let one = |(key, count): (&String, &Value)| format!("{count} under {}", &key[..key.len().min(8)]);
    let all: Vec<_> = counts.as_object().into_iter().flatten().map(one).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(" and ") }
}
