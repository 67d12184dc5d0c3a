//! `incident abandon`: ends the incident in progress as it is, so that another can begin; its report says that it was
//! left. Never: undoing what was done, or opening servers that are locked down.

use serde_json::{Value, json};

use super::course::{elsewhere, told};
use super::facts::{Facts, Outcome};
use super::{Abandon, report};
use crate::cli::administer::{Desk, broken};
use crate::cli::operator::whoever;
use crate::cli::output::{Exit, Refused};
use crate::cli::rotate_keys::{Runner, remove_tried};
use crate::domain::event::EventCode;
use crate::store::IncidentRow;

/// The step that says so in the report.
pub(super) const STEP: &str = "abandon";
/// The playbook that may wait.
const WAITS: &str = "dependency-vulnerability";
/// The state of what was left.
pub(super) const STATE: &str = "abandoned";

/// Ends it.
pub(super) async fn take(desk: &Desk, asked: &Abandon) -> Result<Exit, Refused> {
    report::may_be_written(asked.report.as_deref(), None)?;
    let Some(row) = meant(desk, asked.id.as_deref()).await? else {
        desk.output.result(
            "No incident is in progress; nothing was changed.\n",
            &json!({ "playbook": "abandon", "incident_id": null, "changed": false }),
        );
        return Ok(Exit::Done);
    };
    desk.confirm("End the incident in progress as it is, with what it has not done left undone?", asked.yes)?;
    let runner = Runner::take_incident(desk)?;
    let turn = desk.store.take_incident(&row.id, runner.name(), desk.clock.now()).await;
    let turn = turn.map_err(|failure| broken(&failure))?.ok_or_else(elsewhere)?;
    let row = desk.store.incident(&row.id).await.map_err(|failure| broken(&failure))?;
    let row = row.ok_or_else(elsewhere)?;

    let read = Facts::read(&row.facts);
    let mut said = vec![format!("abandoned: {}", asked.reason)];
    if read.is_none() {
        said.push(
            "WHAT WAS STORED OF IT COULD NOT BE READ: what it did is in the audit trail alone".to_owned(),
        );
    }
    said.push("what was done stays done, and what is not listed as done was not done".to_owned());
    let mut facts = read.unwrap_or_default();
    remove_tried(desk, &facts.canaries).await?;
    facts.canaries.clear();
    let now = desk.clock.now();
    let why = Facts { reason: Some(asked.reason.clone()), ..Facts::default() };
    let event = told(EventCode::IncidentEnded, (&row.id, &row.playbook), &why).detail("outcome", STATE);
    let event = desk.stamp(event);
    facts.events.push(event.id.as_str().to_owned());
    let done = facts.step_mut(STEP);
    (done.by, done.began_at, done.ended_at) = (whoever(), now.millis(), Some(now.millis()));
    (done.outcome, done.said, done.evidence) = (Outcome::Done, said, Value::Null);
    let ended = desk.store.end_incident(&turn, (STATE, &facts.text(), now), &[event]).await;
    if !ended.map_err(|failure| broken(&failure))? {
        return Err(elsewhere());
    }
    // The report is not complete; what was asked for here is done.
    report::conclude(desk, (&row.id, asked.report.as_deref()), None).await.map(|_| Exit::Done)
}

/// The one that is named, the one in progress, or the only one that waits.
async fn meant(desk: &Desk, named: Option<&str>) -> Result<Option<IncidentRow>, Refused> {
    let in_progress = desk.store.incident_in_progress().await.map_err(|failure| broken(&failure))?;
    let waiting = desk.store.waiting_incidents(WAITS).await.map_err(|failure| broken(&failure))?;
    if let Some(id) = named {
        let found = in_progress.into_iter().chain(waiting).find(|row| row.id == id);
        return found.map(Some).ok_or_else(|| report::unknown(id));
    }
    if waiting.len() > 1 && in_progress.is_none() {
        return Err(Refused::usage(
            "INCIDENT_UNKNOWN",
            "several incidents wait for another program; nothing was changed",
            "name one: 'spotify-mcp incident list' shows their ids",
        ));
    }
    Ok(in_progress.or_else(|| waiting.into_iter().next()))
}
