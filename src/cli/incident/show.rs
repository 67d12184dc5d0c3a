//! `incident list` and `incident report`: what there is, and what was done.

use serde_json::{Value, json};

use super::facts::Facts;
use super::playbooks::ALL;
use super::{Report, report};
use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, broken};
use crate::cli::output::{Exit, Refused, paragraph};

/// Incidents that are shown.
const SHOWN: i64 = 50;

/// The playbooks, and the incidents so far. Status 1 where one is not over, or servers are locked down.
pub(super) async fn list(desk: &Desk) -> Result<Exit, Refused> {
    let rows = desk.store.incidents(SHOWN).await.map_err(|failure| broken(&failure))?;
    let locked_by = desk.store.locked_by().await.map_err(|failure| broken(&failure))?;
    let at = |millis: i64| Timestamp::from_millis(millis).rfc3339();
    let mut text = "Playbooks:\n".to_owned();
    for (name, about) in ALL {
        text += &format!("  {name}\n");
        text += &paragraph("      ", about);
    }
    text += "\nIncidents:\n";
    if rows.is_empty() {
        text += "  none\n";
    }
    for row in &rows {
        let facts = Facts::parse(&row.facts);
        let state = report::state(row, &facts);
        text += &format!("  {}  {}\n      {}  {state}\n", row.id, row.playbook, at(row.began_at));
        text += &paragraph("      by ", &facts.by);
        if let Some(reason) = &facts.reason {
            text += &paragraph("      why: ", &crate::domain::event::clean(reason));
        }
    }
    if let Some(by) = &locked_by {
        text += &format!("\nSERVERS ARE LOCKED DOWN, by {by}: 'incident lift' ends it.\n");
    }
    let listed: Vec<Value> = rows
        .iter()
        .map(|row| {
            let facts = Facts::parse(&row.facts);
            json!({
                "id": row.id, "playbook": row.playbook, "state": row.state, "began_at": at(row.began_at),
                "ended_at": row.ended_at.map(at), "complete": report::is_complete(row, &facts),
                "left_to_people": report::left_to_people(&facts).len(),
                "by": facts.by, "reason": facts.reason,
            })
        })
        .collect();
    let playbooks: Vec<Value> =
        ALL.iter().map(|(name, about)| json!({ "playbook": name, "about": about })).collect();
    let document = json!({ "playbooks": playbooks, "incidents": listed, "locked_by": locked_by });
    desk.output.result(&report::harmless(&text), &document);
    let open = locked_by.is_some() || rows.iter().any(|row| row.ended_at.is_none());
    Ok(if open { Exit::Findings } else { Exit::Done })
}

/// The report of an incident, written and signed anew from the database.
pub(super) async fn again(desk: &Desk, asked: &Report) -> Result<Exit, Refused> {
    let id = match &asked.id {
        Some(id) => id.clone(),
        None => {
            let last = desk.store.incidents(1).await.map_err(|failure| broken(&failure))?;
            let none = || {
                Refused::incomplete("INCIDENT_UNKNOWN", "there was no incident yet", "nothing is to be done")
            };
            last.into_iter().next().map(|row| row.id).ok_or_else(none)?
        }
    };
    report::may_be_written(asked.report.as_deref(), Some(&id))?;
    report::conclude(desk, (&id, asked.report.as_deref()), None).await
}
