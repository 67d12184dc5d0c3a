//! The lockdown as a step of a playbook: it holds until the playbook is over. The event of it is in the report if it
//! happened, and only then.

use serde_json::{Value, json};

use super::course::{Course, HEARD, Taken, told};
use super::facts::Outcome;
use super::lockdown;
use super::playbooks::Step;
use crate::cli::administer::broken;
use crate::cli::output::Refused;
use crate::domain::event::EventCode;

/// Locks every server down, where none is locked yet.
pub(super) async fn lock(course: &mut Course<'_>) -> Result<Taken, Refused> {
    let (desk, id) = (course.desk, course.row.id.clone());
    let known = course.facts.step(Step::Lockdown.name()).cloned().unwrap_or_default();
    let was_done = known.ended_at.is_some();
    let mut again = known.evidence["locked_again"].as_u64().unwrap_or_default();
    let mut locked = false;
    if by(course).await?.is_none() {
        let event = desk.stamp(told(EventCode::LockdownBegan, (&id, &course.row.playbook), &course.facts));
        // Known before it happens: a run that finds it happened, and was not the one that did it, knows its event.
        course.facts.step_mut(Step::Lockdown.name()).before = json!({ "event": event.id.as_str() });
        course.note(&[]).await?;
        locked = desk.store.lock_down(&id, &[event]).await.map_err(|failure| broken(&failure))?;
        course.passed("locked");
    }
    let by = by(course).await?;
    if by.as_deref() == Some(id.as_str()) {
        add_event(course);
    }
    again += u64::from(locked && was_done);
    if locked || !was_done {
        tokio::time::sleep(HEARD).await;
    }
    let probe = lockdown::probe(desk, false).await;
    let mut said = vec![match &by {
        None => "NOT LOCKED: somebody lets servers answer at this moment".to_owned(),
        Some(by) if *by != id => format!("servers were locked down before, by {by}"),
        Some(_) => {
            "every server of this database answers nothing but probes of its health, until 'incident lift'"
                .to_owned()
        }
    }];
    if again > 0 {
        said.push(format!(
            "servers were let answer again before this was over, and were locked down again ({again} times)"
        ));
    }
    let outcome = if by.is_none() { Outcome::NotDone } else { probe.outcome() };
    said.push(probe.said);
    let evidence = json!({ "locked_by": by, "locked_again": again, "probe": probe.evidence });
    Ok(Taken { outcome, said, evidence })
}

/// Whether servers answer although this playbook has locked them down.
pub(super) async fn is_open_again(course: &Course<'_>) -> Result<bool, Refused> {
    let known = course.facts.step(Step::Lockdown.name());
    Ok(known.is_some_and(|done| done.ended_at.is_some()) && by(course).await?.is_none())
}

async fn by(course: &Course<'_>) -> Result<Option<String>, Refused> {
    course.desk.store.locked_by().await.map_err(|failure| broken(&failure))
}

fn add_event(course: &mut Course<'_>) {
    let before = course.facts.step(Step::Lockdown.name()).map_or(&Value::Null, |done| &done.before);
    let event = before["event"].as_str().map(str::to_owned);
    if let Some(event) = event.filter(|event| !course.facts.events.contains(event)) {
        course.facts.events.push(event);
    }
}
