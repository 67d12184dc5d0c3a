//! What a command would begin or go on with, and what is asked before it does. Nothing here changes anything.

use serde_json::{Value, json};

use super::facts::Facts;
use super::playbooks::Playbook;
use super::selected;
use super::steps::{self, Ready};
use crate::cli::administer::{Desk, broken};
use crate::cli::output::{Exit, Refused};
use crate::domain::event::clean;
use crate::store::IncidentRow;

/// The incident that this command goes on with: the one in progress, or one of this playbook that waits for another
/// program. What only waits keeps nothing else from beginning.
pub(super) async fn on_its_way(desk: &Desk, playbook: &Playbook) -> Result<Option<IncidentRow>, Refused> {
    let in_progress = desk.store.incident_in_progress().await.map_err(|failure| broken(&failure))?;
    if let Some(row) = in_progress {
        is_this(desk, &row, playbook).await?;
        return Ok(Some(row));
    }
    let waiting = desk.store.waiting_incidents(playbook.name()).await.map_err(|failure| broken(&failure))?;
    for row in waiting {
        if playbook.is_about(&Facts::parse(&row.facts).asked) {
            is_this(desk, &row, playbook).await?;
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Whatever would refuse a new incident, asked of a dry run too.
pub(super) async fn begins_newly(desk: &Desk, playbook: &Playbook) -> Result<(), Refused> {
    match steps::could_begin(desk, playbook).await? {
        Ready::Yes => Ok(()),
        Ready::KeyInUse => {
            let last = desk.store.incidents(1).await.map_err(|failure| broken(&failure))?;
            let over =
                last.first().is_some_and(|row| row.playbook == playbook.name() && row.ended_at.is_some());
            let next = match over {
                true => {
                    "this one is over: 'spotify-mcp incident report' shows it. For another, name a file that is not there yet"
                }
                false => "name a file that is not there yet, and a key is made in it",
            };
            let text = "the key in that file is in use, or was: a new incident replaces it by one that nobody has seen";
            Err(Refused::usage("NEW_KEY_USED_BEFORE", text, next))
        }
    }
}

/// What is asked before it begins, with what would end.
pub(super) async fn question(desk: &Desk, (playbook, asked): (&Playbook, &Value)) -> Result<String, Refused> {
    let mut counts = Vec::new();
    for step in playbook.steps() {
        if let Some(counted) = steps::counted(desk, (playbook, asked), step).await?.as_str() {
            counts.push(counted.to_owned());
        }
    }
    let whose = steps::whose(desk, playbook).await?;
    let ends = if counts.is_empty() { String::new() } else { format!(" It ends {}.", counts.join("; ")) };
    Ok(format!("{}{whose}{ends} Go on?", playbook.about()))
}

/// Another run does what was begun, or says that it would not.
async fn is_this(desk: &Desk, row: &IncidentRow, playbook: &Playbook) -> Result<(), Refused> {
    if row.playbook != playbook.name() {
        let of = clean(&row.playbook);
        return Err(Refused::incomplete(
            "INCIDENT_IN_PROGRESS",
            format!("incident {} ({of}) is not over", row.id),
            format!(
                "run 'incident {of}' again: it goes on; 'incident abandon' ends it as it is; 'incident lockdown' works \
                 meanwhile"
            ),
        ));
    }
    let facts = Facts::read(&row.facts).ok_or_else(|| selected::unreadable(&row.id))?;
    if matches!(playbook, Playbook::Authentication(_)) && selected::selection(&facts.asked).is_none() {
        return Err(selected::unreadable(&row.id));
    }
    if !selected::is_same(desk, playbook, &facts.asked).await? {
        return Err(Refused::usage(
            "INCIDENT_ASKED_OTHERWISE",
            format!("incident {} was begun with other options: {}", row.id, clean(&facts.asked.to_string())),
            "run it with the same options until it is over, or end it as it is with 'incident abandon', then begin another",
        ));
    }
    Ok(())
}

/// What would be done.
pub(super) async fn would(
    desk: &Desk,
    (playbook, new): (&Playbook, &Value),
    goes_on: Option<&IncidentRow>,
) -> Result<Exit, Refused> {
    let facts = goes_on.map(|row| Facts::parse(&row.facts)).unwrap_or_default();
    let asked = if goes_on.is_some() { &facts.asked } else { new };
    let (mut text, mut listed) = (format!("Would run {}:\n", playbook.name()), Vec::new());
    if let Some(row) = goes_on {
        text = format!("Incident {} would go on:\n", row.id);
    }
    for (at, step) in playbook.steps().into_iter().enumerate() {
        let done = facts.step(step.name()).is_some_and(|done| done.ended_at.is_some())
            && !step.is_taken_by_every_run();
        let before = if done { Value::Null } else { steps::counted(desk, (playbook, asked), step).await? };
        let counted = before.as_str().map(|counted| format!(" ({counted})")).unwrap_or_default();
        let mark = if done { "done  " } else { "" };
        text += &format!("  {}. {mark}{}{counted}\n", at + 1, step.title());
        listed.push(json!({ "step": step.name(), "title": step.title(), "done": done, "would_end": before }));
    }
    let id = goes_on.map(|row| row.id.clone());
    let document = json!({
        "dry_run": true, "playbook": playbook.name(), "asked": asked, "goes_on": id, "steps": listed,
    });
    desk.output.result(&text, &document);
    Ok(Exit::Done)
}
