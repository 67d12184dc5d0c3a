//! The report of an incident: every step with who took it, when, and what shows it; as JSON and as Markdown, in
//! `<data_dir>/evidence`, mode 0600. Signed as the evidence of rotations is, where a master key is at hand. Never: a secret.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::abandon;
use super::facts::{Done, Facts, Outcome};
use super::playbooks::Step;
use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, broken};
use crate::cli::output::{Exit, Refused, paragraph};
use crate::cli::rotate_keys::{roots, sign, trail};
use crate::cli::serve_start;
use crate::config::master_key::make_data_dir;
use crate::domain::event::is_deceptive;
use crate::failure::{During as _, Failure};
use crate::store::IncidentRow;

/// Shows the report of an incident as it is now, writes it beside the data, and where it was asked for.
pub(super) async fn conclude(
    desk: &Desk,
    (id, asked): (&str, Option<&Path>),
    new_master_key_file: Option<&Path>,
) -> Result<Exit, Refused> {
    let row = desk.store.incident(id).await.map_err(|failure| broken(&failure))?;
    let row = row.ok_or_else(|| unknown(id))?;
    let facts = Facts::parse(&row.facts);
    let document =
        build(desk, (&row, &facts), new_master_key_file).await.map_err(|failure| broken(&failure))?;
    let page = harmless(&in_markdown(&document));
    let kept = kept_at(desk, id);
    write(&kept, &format!("{document:#}\n")).map_err(|failure| unwritten(&kept, &failure))?;
    let beside = kept.with_extension("md");
    write(&beside, &page).map_err(|failure| unwritten(&beside, &failure))?;
    if let Some(path) = asked {
        may_be_written(asked, Some(id))?;
        let is_json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        let text = if is_json { format!("{document:#}\n") } else { page.clone() };
        write(path, &text).map_err(|failure| unwritten(path, &failure))?;
    }
    reported(desk, &row, &facts).await?;
    desk.output.result(&harmless(&in_words(&row, &facts, &document, (&kept, asked))), &document);
    Ok(if is_complete(&row, &facts) { Exit::Done } else { Exit::Incomplete })
}

/// For how long the same command finishes the report of an incident that was over, instead of beginning another, in
/// milliseconds.
const FINISHED: i64 = 10 * 60 * 1000;

/// The last incident of a playbook, where it was asked for the same, is over since a short while, and was killed before
/// its report was written.
pub(super) async fn unreported(
    desk: &Desk,
    (playbook, asked): (&str, &Value),
) -> Result<Option<String>, Refused> {
    let rows = desk.store.incidents(20).await.map_err(|failure| broken(&failure))?;
    let Some(last) = rows.into_iter().find(|row| row.playbook == playbook) else { return Ok(None) };
    let since = desk.clock.now().millis() - FINISHED;
    let facts = Facts::read(&last.facts).filter(|facts| !facts.reported && is_asked(&facts.asked, asked));
    let over = last.state == "contained" && last.ended_at.is_some_and(|at| at >= since);
    Ok(facts.filter(|_| over).map(|_| last.id))
}

/// The same options; an age such as `2h` means another instant by now.
fn is_asked(before: &Value, now: &Value) -> bool {
    let of = |asked: &Value| {
        let mut asked = asked.clone();
        if let Some(members) = asked.as_object_mut() {
            members.remove("issued_before_at");
        }
        asked
    };
    of(before) == of(now)
}

/// Keeps that it was written: the same command begins another from now on.
async fn reported(desk: &Desk, row: &IncidentRow, facts: &Facts) -> Result<(), Refused> {
    if row.ended_at.is_none() || facts.reported {
        return Ok(());
    }
    let facts = Facts { reported: true, ..facts.clone() };
    desk.store.incident_reported(row, &facts.text()).await.map_err(|failure| broken(&failure))
}

/// Whether nothing is left to do, or to look at.
pub(super) fn is_complete(row: &IncidentRow, facts: &Facts) -> bool {
    row.ended_at.is_some() && row.state != abandon::STATE && facts.is_complete()
}

/// What only people can do, which no step here can see done: it may be open although everything else is complete.
pub(super) fn left_to_people(facts: &Facts) -> Vec<&str> {
    let by_hand = facts.steps.iter().filter(|done| done.outcome == Outcome::ByHand);
    by_hand.flat_map(|done| &done.said).map(String::as_str).collect()
}

/// Without what forges a line or steers a terminal: what is stored may be another's words.
pub(super) fn harmless(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !is_deceptive(*c)).collect()
}

/// Longest file that is looked into, in bytes: a report of ours is far shorter.
const LONGEST: u64 = 4 << 20;

/// Whether a report may be written there: nothing is written over but another state of the same report, and no folder is
/// made. Asked before anything is done.
pub(super) fn may_be_written(path: Option<&Path>, incident: Option<&str>) -> Result<(), Refused> {
    let Some(path) = path else { return Ok(()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let text = format!("there is no folder {}", folder.display());
        return Err(Refused::usage("REPORT_UNWRITTEN", text, "make it, or name another file with --report"));
    }
    let Ok(known) = path.symlink_metadata() else { return Ok(()) };
    let is_same = known.is_file()
        && known.len() <= LONGEST
        && incident.is_some_and(|id| {
            std::fs::read_to_string(path).is_ok_and(|text| text.contains("incident") && text.contains(id))
        });
    if is_same {
        return Ok(());
    }
    let text = format!("{} exists, and is not this incident's report", path.display());
    Err(Refused::usage("FILE_EXISTS", text, "name a file that is not there yet with --report"))
}

/// No such incident.
pub(super) fn unknown(id: &str) -> Refused {
    Refused::incomplete(
        "INCIDENT_UNKNOWN",
        format!("there is no incident {}", crate::domain::event::clean(id)),
        "'spotify-mcp incident list' shows those that there are",
    )
}

fn kept_at(desk: &Desk, id: &str) -> PathBuf {
    desk.config.storage.data_dir.join("evidence").join(format!("{id}.json"))
}

async fn build(
    desk: &Desk,
    (row, facts): (&IncidentRow, &Facts),
    new_master_key_file: Option<&Path>,
) -> Result<Value, Failure> {
    let at = |millis: i64| Timestamp::from_millis(millis).rfc3339();
    let steps: Vec<Value> = facts.steps.iter().map(|done| step(done, &at)).collect();
    let evidence = json!({
        "schema": "spotify-mcp/incident-report/v1",
        "incident_id": row.id,
        "playbook": row.playbook,
        "state": row.state,
        "complete": is_complete(row, facts),
        "left_to_people": left_to_people(facts),
        "reason": facts.reason,
        "asked": facts.asked,
        "begun_by": facts.by,
        "began_at": at(row.began_at),
        "ended_at": row.ended_at.map(at),
        "taken_up_again": facts.interrupted,
        "steps": steps,
        "audit": trail(desk, &facts.events).await?,
        "program": { "version": facts.version, "sha256": facts.binary },
        "written_at": desk.clock.now().rfc3339(),
    });
    signed(desk, evidence, new_master_key_file).await
}

fn step(done: &Done, at: &dyn Fn(i64) -> String) -> Value {
    json!({
        "step": done.step,
        "title": title(&done.step),
        "outcome": done.outcome,
        "by": done.by,
        "began_at": at(done.began_at),
        "ended_at": done.ended_at.map(at),
        "said": done.said,
        "evidence": done.evidence,
    })
}

fn title(step: &str) -> &'static str {
    const ALL: [Step; 12] = [
        Step::Preserve,
        Step::Lockdown,
        Step::Revoke,
        Step::SigningKeys,
        Step::Emergency,
        Step::Inventory,
        Step::Replaced,
        Step::Exposed,
        Step::Network,
        Step::Prove,
        Step::Review,
        Step::ByHand,
    ];
    if step == abandon::STEP {
        return "End the incident as it is";
    }
    let known = ALL.into_iter().find(|known| known.name() == step);
    known.map_or("Look whether it is safe, and let servers answer again", Step::title)
}

/// With the key at hand that is in use; without one, the report says so.
async fn signed(desk: &Desk, evidence: Value, new_master_key_file: Option<&Path>) -> Result<Value, Failure> {
    let unsigned = |why: &str| {
        Ok(json!({
            "evidence": evidence,
            "signature": null,
            "unsigned_because": why,
        }))
    };
    // An emergency's new key is not yet where servers have theirs from.
    let Ok(roots) = roots(desk, new_master_key_file) else {
        return unsigned("no master key was at hand: 'incident report' where it is signs it");
    };
    match serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await {
        Ok((ring, _)) => sign(&ring, evidence),
        Err(_) => {
            unsigned("the master key at hand is not the one in use: 'incident report' with it signs it")
        }
    }
}

/// One page for people.
fn in_markdown(document: &Value) -> String {
    let of = &document["evidence"];
    let said = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut page =
        format!("# Incident {}: {}\n\n| | |\n|---|---|\n", said(&of["incident_id"]), said(&of["playbook"]));
    for (name, member) in [
        ("state", "state"),
        ("every step done here, or given to people", "complete"),
        ("reason", "reason"),
        ("begun by", "begun_by"),
        ("began", "began_at"),
        ("ended", "ended_at"),
        ("taken up again", "taken_up_again"),
    ] {
        if !of[member].is_null() {
            page += &format!("| {name} | {} |\n", cell(&said(&of[member])));
        }
    }
    for (name, value) in of["asked"].as_object().into_iter().flatten() {
        if let Some(value) = asked_in_words(value) {
            page += &format!("| asked: {} | {} |\n", name.replace('_', " "), cell(&value));
        }
    }
    for (at, step) in of["steps"].as_array().into_iter().flatten().enumerate() {
        let outcome: Outcome = serde_json::from_value(step["outcome"].clone()).unwrap_or_default();
        page += &format!(
            "\n## {}. {}\n\n{}, by {}",
            at + 1,
            said(&step["title"]),
            outcome.words(),
            said(&step["by"])
        );
        page += &format!(", from {} to {}.\n\n", said(&step["began_at"]), said(&step["ended_at"]));
        for line in step["said"].as_array().into_iter().flatten() {
            page += &format!("- {}\n", in_one_line(&said(line)));
        }
        if !step["evidence"].is_null() {
            page += &format!("\n```json\n{:#}\n```\n", step["evidence"]);
        }
    }
    page += &format!("\n## Evidence\n\n- audit trail: {}\n", trail_in_words(&of["audit"]));
    page += &match document["signature"]["value"].as_str() {
        Some(value) => format!(
            "- signed with the evidence key {} (Ed25519): `{value}`. What is signed is the member `evidence` of the JSON report.\n",
            said(&document["signature"]["key_id"])
        ),
        None => format!("- NOT SIGNED: {}\n", said(&document["unsigned_because"])),
    };
    page
}

/// What was asked for; nothing of what was not.
fn asked_in_words(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some("yes".to_owned()),
        Value::Array(all) if all.is_empty() => None,
        Value::Array(all) => {
            Some(all.iter().map(|one| one.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn trail_in_words(audit: &Value) -> String {
    let events = audit["events"].as_array().map_or(0, Vec::len);
    match (audit["first_sequence"].as_u64(), audit["last_sequence"].as_u64()) {
        (Some(first), Some(last)) => format!(
            "{} of {events} events of this incident stand between records {first} and {last}",
            audit["in_trail"]
        ),
        _ => format!("{events} events wait for the server to write them"),
    }
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    in_one_line(&text.replace('|', "\\|"))
}

fn in_one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// How it stands, in a word or two.
pub(super) fn state(row: &IncidentRow, facts: &Facts) -> String {
    let waits = facts.step(Step::Replaced.name()).is_some_and(|done| done.outcome == Outcome::NotDone);
    let ended = match row.playbook.as_str() {
        "lockdown" => "locked down",
        "lift" => "lifted",
        _ => row.state.as_str(),
    };
    match row.ended_at {
        None if waits => "OPEN, waits for another program".to_owned(),
        None => "OPEN".to_owned(),
        Some(_) if row.state == abandon::STATE => ended.to_owned(),
        Some(_) if !facts.is_complete() => format!("{ended}, with something left"),
        Some(_) => match left_to_people(facts).len() {
            0 => ended.to_owned(),
            some => format!("{ended}; {some} things are left to people"),
        },
    }
}

fn in_words(
    row: &IncidentRow,
    facts: &Facts,
    document: &Value,
    (kept, asked): (&Path, Option<&Path>),
) -> String {
    let state = state(row, facts);
    let mut text = format!("Incident {} ({}): {state}\n", row.id, row.playbook);
    for (at, done) in facts.steps.iter().enumerate() {
        text += &paragraph(
            &format!("  {}. ", at + 1),
            &format!("{}: {}", title(&done.step), done.outcome.words()),
        );
        for line in &done.said {
            text += &paragraph("     - ", line);
        }
    }
    if row.ended_at.is_none() {
        let next = format!("It is not over: run 'incident {}' with the same options again.", row.playbook);
        text += &paragraph("  ", &next);
    }
    if let Some(why) = document["unsigned_because"].as_str() {
        text += &paragraph("  NOT SIGNED: ", why);
    }
    text += &format!("  report: {} and .md beside it\n", kept.display());
    if let Some(asked) = asked {
        text += &format!("  report: {}\n", asked.display());
    }
    text
}

/// Writes a report, or another state of it, in one rename; 0600.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        make_data_dir(folder).during("making the folder of the report")?;
    }
    let mut name = path.file_name().ok_or(Failure::new("a report needs a file name"))?.to_owned();
    name.push(".new");
    let next = folder.join(name);
    let _left_behind = std::fs::remove_file(&next);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).during("writing the report")?;
    std::fs::rename(&next, path).during("putting the report in its place")
}

fn unwritten(path: &Path, failure: &Failure) -> Refused {
    Refused::unexpected(
        "REPORT_UNWRITTEN",
        failure,
        format!(
            "what was done stays done and is stored; see that {} can be written, and run 'incident report'",
            path.display()
        ),
    )
}
