//! A playbook at work: one incident at a time, one process at a time, each step stored before the next.

use std::time::Duration;

use serde_json::{Value, json};

use super::facts::{Facts, Outcome};
use super::playbooks::{Playbook, Step};
use super::steps::Ready;
use super::{report, steps};
use crate::cli::administer::{Desk, broken};
use crate::cli::boundaries::Boundaries;
use crate::cli::operator::whoever;
use crate::cli::output::{Exit, Refused};
use crate::cli::rotate_keys::{Runner, binary};
use crate::domain::IncidentId;
use crate::domain::event::{Event, EventCode};
use crate::store::{IncidentRow, NewIncident, Recorded};

/// How long every server needs at most to hear that something is closed or ended: one that has not read it by then trusts
/// nothing that it remembers.
pub(super) const HEARD: Duration = Duration::from_millis(1_300);

/// An incident at work.
pub(super) struct Course<'a> {
    pub(super) desk: &'a Desk,
    pub(super) playbook: Playbook,
    /// The secrets of the configuration, each with where it came from.
    pub(super) secrets: Vec<(String, String)>,
    pub(super) row: IncidentRow,
    pub(super) facts: Facts,
    boundaries: Boundaries,
}

/// What a step came to.
pub(super) struct Taken {
    pub(super) outcome: Outcome,
    /// One line each.
    pub(super) said: Vec<String>,
    pub(super) evidence: Value,
}

impl Taken {
    /// It is done, and this shows it.
    pub(super) fn done(said: impl Into<String>, evidence: Value) -> Self {
        Self { outcome: Outcome::Done, said: vec![said.into()], evidence }
    }
}

impl<'a> Course<'a> {
    /// Runs a playbook to its end, or goes on with the one that stopped.
    pub(super) async fn run(
        desk: &'a Desk,
        playbook: Playbook,
        secrets: Vec<(String, String)>,
    ) -> Result<Exit, Refused> {
        let in_progress = on_its_way(desk, &playbook).await?;
        if in_progress.is_none() {
            begins_newly(desk, &playbook).await?;
        }
        let asked = playbook.common().report.clone();
        report::may_be_written(asked.as_deref(), in_progress.as_ref().map(|row| row.id.as_str()))?;
        if playbook.common().dry_run {
            return would(desk, &playbook, in_progress.as_ref()).await;
        }
        let _alone = Runner::take_incident(desk)?;
        let mut course = match in_progress {
            Some(row) => {
                let taken = desk.store.take_up_incident(&row.id).await.map_err(|failure| broken(&failure))?;
                if !taken {
                    return Err(elsewhere());
                }
                desk.output.note(&format!("Incident {} is not over: it goes on.", row.id));
                let mut facts = Facts::parse(&row.facts);
                facts.interrupted += 1;
                Self { desk, playbook, secrets, row, facts, boundaries: Boundaries::default() }
            }
            None => {
                let question = question(desk, &playbook).await?;
                desk.confirm(&question, playbook.common().yes)?;
                steps::make_ready(desk, &playbook).await?;
                Self::begin(desk, playbook, secrets).await?
            }
        };
        if course.take_steps().await? {
            course.end().await?;
        }
        report::conclude(desk, (&course.row.id, asked.as_deref()), course.playbook.new_master_key_file())
            .await
    }

    async fn begin(
        desk: &'a Desk,
        playbook: Playbook,
        secrets: Vec<(String, String)>,
    ) -> Result<Self, Refused> {
        let id = IncidentId::mint(desk.dice.bytes()).as_str().to_owned();
        let (facts, now) = (first_facts(&playbook)?, desk.clock.now());
        let row = IncidentRow {
            id,
            playbook: playbook.name().to_owned(),
            state: "open".to_owned(),
            facts: String::new(),
            began_at: now.millis(),
            ended_at: None,
        };
        let mut course = Self { desk, playbook, secrets, row, facts, boundaries: Boundaries::default() };
        let event = course.event(EventCode::IncidentStarted, |event| event);
        let facts = course.facts.text();
        let new = NewIncident { id: &course.row.id, playbook: &course.row.playbook, facts: &facts, now };
        let begun = desk.store.begin_incident(new, &[event]).await.map_err(|failure| broken(&failure))?;
        if !begun {
            return Err(elsewhere());
        }
        desk.output.note(&format!("Incident {} ({}) is open.", course.row.id, course.row.playbook));
        course.boundaries.passed("begun");
        Ok(course)
    }

    /// Takes the steps that are left; `false` where one has to wait for people.
    async fn take_steps(&mut self) -> Result<bool, Refused> {
        for step in self.playbook.steps() {
            let known = self.facts.step(step.name());
            if known.is_some_and(|done| !matches!(done.outcome, Outcome::Begun | Outcome::NotDone)) {
                continue;
            }
            self.begin_step(step).await?;
            let taken = match steps::take(self, step).await {
                Ok(taken) => taken,
                Err(refused) => {
                    let words =
                        "is open, and what was done stays done: run the same command again, it goes on";
                    self.desk.output.note(&format!("Incident {} {words}.", self.row.id));
                    return Err(refused);
                }
            };
            // What was done and not written down yet is found done by the next run.
            self.boundaries.passed("taken");
            let waits = step == Step::Replaced && taken.outcome == Outcome::NotDone;
            self.store_step(step, taken).await?;
            self.boundaries.passed(step.name());
            if waits {
                let waiting = self.desk.store.let_incident_wait(&self.row.id).await;
                waiting.map_err(|failure| broken(&failure))?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn begin_step(&mut self, step: Step) -> Result<(), Refused> {
        let now = self.desk.clock.now().millis();
        let done = self.facts.step_mut(step.name());
        done.by = whoever();
        if done.began_at == 0 {
            done.began_at = now;
        }
        let before = steps::before(self, step).await?;
        let done = self.facts.step_mut(step.name());
        if done.before.is_null() {
            done.before = before;
        }
        self.note(&[]).await
    }

    async fn store_step(&mut self, step: Step, taken: Taken) -> Result<(), Refused> {
        let now = self.desk.clock.now().millis();
        let word = taken.outcome.words();
        let steps = self.playbook.steps();
        let at = steps.iter().position(|known| *known == step).unwrap_or_default() + 1;
        self.desk.output.note(&format!("{at} of {}  {}: {word}", steps.len(), step.name()));
        let done = self.facts.step_mut(step.name());
        (done.outcome, done.said, done.evidence) = (taken.outcome, taken.said, taken.evidence);
        done.ended_at = Some(now);
        let event =
            self.event(EventCode::IncidentStep, |event| event.status(step.name()).detail("outcome", word));
        self.note(&[event]).await
    }

    async fn end(&mut self) -> Result<(), Refused> {
        let now = self.desk.clock.now();
        let event = self.event(EventCode::IncidentEnded, |event| event);
        let facts = self.facts.text();
        let ended = self.desk.store.end_incident(&self.row.id, (&facts, now), &[event]).await;
        ended.map_err(|failure| broken(&failure))?;
        self.boundaries.passed("contained");
        Ok(())
    }

    /// Stores what is known by now.
    pub(super) async fn note(&self, events: &[Recorded]) -> Result<(), Refused> {
        let noted = self.desk.store.note_incident(&self.row.id, &self.facts.text(), events).await;
        noted.map_err(|failure| broken(&failure))
    }

    /// An event of this incident, to be stored with what it reports.
    pub(super) fn event(&mut self, code: EventCode, more: impl FnOnce(Event) -> Event) -> Recorded {
        let event = more(told(code, (&self.row.id, &self.row.playbook), &self.facts));
        let recorded = self.desk.stamp(event);
        self.facts.events.push(recorded.id.as_str().to_owned());
        recorded
    }
}

/// The event of an incident, with why it is responded to.
pub(super) fn told(code: EventCode, (id, playbook): (&str, &str), facts: &Facts) -> Event {
    let event = Event::new(code).operation(format!("incident {playbook}")).subject(id);
    match &facts.reason {
        Some(reason) => event.because(reason),
        None => event,
    }
}

/// What is known of an incident that begins.
fn first_facts(playbook: &Playbook) -> Result<Facts, Refused> {
    begun(playbook.common().reason.clone(), playbook.asked())
}

/// The same for what has no playbook.
pub(super) fn begun(reason: Option<String>, asked: Value) -> Result<Facts, Refused> {
    let binary = binary().map_err(|failure| {
        Refused::unexpected("PROGRAM_UNREADABLE", &failure, "see that this user may read the program's file")
    })?;
    Ok(Facts {
        reason,
        asked,
        by: whoever(),
        binary,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Facts::default()
    })
}

/// The incident that this command goes on with: the one in progress, or one of this playbook that waits for another
/// program. What only waits keeps nothing else from beginning.
async fn on_its_way(desk: &Desk, playbook: &Playbook) -> Result<Option<IncidentRow>, Refused> {
    let in_progress = desk.store.incident_in_progress().await.map_err(|failure| broken(&failure))?;
    if let Some(row) = in_progress {
        is_this(&row, playbook)?;
        return Ok(Some(row));
    }
    let waiting = desk.store.waiting_incidents(playbook.name()).await.map_err(|failure| broken(&failure))?;
    for row in waiting {
        if playbook.is_about(&Facts::parse(&row.facts).asked) {
            is_this(&row, playbook)?;
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Whatever would refuse a new incident, asked of a dry run too.
async fn begins_newly(desk: &Desk, playbook: &Playbook) -> Result<(), Refused> {
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
async fn question(desk: &Desk, playbook: &Playbook) -> Result<String, Refused> {
    let mut counts = Vec::new();
    for step in playbook.steps() {
        if let Some(counted) = steps::counted(desk, playbook, step).await?.as_str() {
            counts.push(counted.to_owned());
        }
    }
    let whose = steps::whose(desk, playbook).await?;
    let ends = if counts.is_empty() { String::new() } else { format!(" It ends {}.", counts.join("; ")) };
    Ok(format!("{}{whose}{ends} Go on?", playbook.about()))
}

/// Another run does what was begun, or says that it would not.
fn is_this(row: &IncidentRow, playbook: &Playbook) -> Result<(), Refused> {
    if row.playbook != playbook.name() {
        return Err(Refused::incomplete(
            "INCIDENT_IN_PROGRESS",
            format!("incident {} ({}) is not over", row.id, row.playbook),
            format!("run 'incident {}' again: it goes on; 'incident lockdown' works meanwhile", row.playbook),
        ));
    }
    let begun = Facts::parse(&row.facts).asked;
    if begun != playbook.asked() {
        return Err(Refused::usage(
            "INCIDENT_ASKED_OTHERWISE",
            format!("incident {} was begun with other options: {begun}", row.id),
            "run it with the same options until it is over, then begin another",
        ));
    }
    Ok(())
}

fn elsewhere() -> Refused {
    Refused::incomplete(
        "INCIDENT_IN_PROGRESS",
        "another incident began just now",
        "'spotify-mcp incident list' shows it",
    )
}

/// What would be done.
async fn would(desk: &Desk, playbook: &Playbook, goes_on: Option<&IncidentRow>) -> Result<Exit, Refused> {
    let facts = goes_on.map(|row| Facts::parse(&row.facts)).unwrap_or_default();
    let (mut text, mut listed) = (format!("Would run {}:\n", playbook.name()), Vec::new());
    if let Some(row) = goes_on {
        text = format!("Incident {} would go on:\n", row.id);
    }
    for (at, step) in playbook.steps().into_iter().enumerate() {
        let done = facts.step(step.name()).is_some_and(|done| done.ended_at.is_some());
        let before = if done { Value::Null } else { steps::counted(desk, playbook, step).await? };
        let counted = before.as_str().map(|counted| format!(" ({counted})")).unwrap_or_default();
        let mark = if done { "done  " } else { "" };
        text += &format!("  {}. {mark}{}{counted}\n", at + 1, step.title());
        listed.push(json!({ "step": step.name(), "title": step.title(), "done": done, "would_end": before }));
    }
    let id = goes_on.map(|row| row.id.clone());
    let document = json!({
        "dry_run": true, "playbook": playbook.name(), "asked": playbook.asked(), "goes_on": id, "steps": listed,
    });
    desk.output.result(&text, &document);
    Ok(Exit::Done)
}
