//! A playbook at work: one incident at a time, one process at a time, each step stored before the next.

use std::time::Duration;

use serde_json::Value;

use super::facts::{Facts, Outcome};
use super::playbooks::{Playbook, Step};
use super::{beginning, locking, report, selected, steps};
use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, broken};
use crate::cli::boundaries::Boundaries;
use crate::cli::operator::whoever;
use crate::cli::output::{Exit, Refused};
use crate::cli::rotate_keys::{Runner, binary};
use crate::domain::IncidentId;
use crate::domain::event::{Event, EventCode};
use crate::store::{IncidentRow, IncidentTurn, NewIncident, Recorded};

/// How long every server needs at most to hear that something is closed or ended: one that has not read it by then trusts
/// nothing that it remembers.
pub(super) const HEARD: Duration = Duration::from_millis(1_300);

/// How often this process shows that it is alive, while a step lasts.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// An incident at work.
pub(super) struct Course<'a> {
    pub(super) desk: &'a Desk,
    pub(super) playbook: Playbook,
    /// The secrets of the configuration, each with where it came from.
    pub(super) secrets: Vec<(String, String)>,
    pub(super) row: IncidentRow,
    pub(super) facts: Facts,
    /// From when on what is selected counts as new, because this run ended it.
    pub(super) revoked_from: Option<Timestamp>,
    /// Whether another run began it.
    taken_up: bool,
    turn: IncidentTurn,
    boundaries: Boundaries,
    _alone: Runner,
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
        let in_progress = beginning::on_its_way(desk, &playbook).await?;
        let mut new = Value::Null;
        if in_progress.is_none() {
            new = selected::asked(desk, &playbook).await?;
            if let Some(id) = report::unreported(desk, (playbook.name(), &new)).await?
                && !playbook.common().dry_run
            {
                return finish(desk, &playbook, &id).await;
            }
            beginning::begins_newly(desk, &playbook).await?;
        }
        let asked = playbook.common().report.clone();
        report::may_be_written(asked.as_deref(), in_progress.as_ref().map(|row| row.id.as_str()))?;
        if playbook.common().dry_run {
            return beginning::would(desk, (&playbook, &new), in_progress.as_ref()).await;
        }
        let alone = Runner::take_incident(desk)?;
        let mut course = match in_progress {
            Some(row) => Self::take_up(desk, playbook, (secrets, alone), &row.id).await?,
            None => {
                let question = beginning::question(desk, (&playbook, &new)).await?;
                desk.confirm(&question, playbook.common().yes)?;
                steps::make_ready(desk, &playbook).await?;
                Self::begin(desk, playbook, (secrets, alone), new).await?
            }
        };
        if course.take_steps().await? {
            course.end().await?;
        }
        report::conclude(desk, (&course.row.id, asked.as_deref()), course.playbook.new_master_key_file())
            .await
    }

    /// Goes on with the one that stopped, as it is when no other process works on it any more.
    async fn take_up(
        desk: &'a Desk,
        playbook: Playbook,
        (secrets, alone): (Vec<(String, String)>, Runner),
        id: &str,
    ) -> Result<Self, Refused> {
        let turn = turn(desk, &alone, id).await?;
        let row = desk.store.incident(id).await.map_err(|failure| broken(&failure))?;
        let row = row.ok_or_else(elsewhere)?;
        desk.output.note(&format!("Incident {} is not over: it goes on.", row.id));
        let mut facts = Facts::parse(&row.facts);
        facts.interrupted += 1;
        let (boundaries, taken_up, revoked_from) = (Boundaries::default(), true, None);
        Ok(Self {
            desk,
            playbook,
            secrets,
            row,
            facts,
            revoked_from,
            taken_up,
            turn,
            boundaries,
            _alone: alone,
        })
    }

    async fn begin(
        desk: &'a Desk,
        playbook: Playbook,
        (secrets, alone): (Vec<(String, String)>, Runner),
        asked: Value,
    ) -> Result<Self, Refused> {
        let id = IncidentId::mint(desk.dice.bytes()).as_str().to_owned();
        let (mut facts, now) = (begun(playbook.common().reason.clone(), asked)?, desk.clock.now());
        let event = desk.stamp(told(EventCode::IncidentStarted, (&id, playbook.name()), &facts));
        facts.events.push(event.id.as_str().to_owned());
        let text = facts.text();
        let new = NewIncident { id: &id, playbook: playbook.name(), facts: &text, now };
        let begun = desk.store.begin_incident(new, &[event]).await.map_err(|failure| broken(&failure))?;
        if !begun {
            return Err(other());
        }
        let turn = turn(desk, &alone, &id).await?;
        let row = IncidentRow {
            id,
            playbook: playbook.name().to_owned(),
            state: "open".to_owned(),
            facts: text,
            began_at: now.millis(),
            ended_at: None,
        };
        desk.output.note(&format!("Incident {} ({}) is open.", row.id, row.playbook));
        let (boundaries, taken_up, revoked_from) = (Boundaries::default(), false, None);
        boundaries.passed("begun");
        Ok(Self {
            desk,
            playbook,
            secrets,
            row,
            facts,
            revoked_from,
            taken_up,
            turn,
            boundaries,
            _alone: alone,
        })
    }

    /// Takes the steps that are left; `false` where one has to wait for people.
    async fn take_steps(&mut self) -> Result<bool, Refused> {
        for step in self.playbook.steps() {
            let known = self.facts.step(step.name());
            let done = known.is_some_and(|done| !matches!(done.outcome, Outcome::Begun | Outcome::NotDone));
            if done && !(self.taken_up && step.is_taken_by_every_run()) {
                continue;
            }
            self.stay_locked(step).await?;
            let outcome = self.take_step(step, done).await?;
            if step == Step::Replaced && outcome == Outcome::NotDone {
                let waiting = self.desk.store.let_incident_wait(&self.turn).await;
                if !waiting.map_err(|failure| broken(&failure))? {
                    return Err(elsewhere());
                }
                return Ok(false);
            }
        }
        self.stay_locked(Step::ByHand).await?;
        Ok(true)
    }

    /// Servers that somebody let answer again are locked down again before anything else is done.
    async fn stay_locked(&mut self, next: Step) -> Result<(), Refused> {
        if next != Step::Lockdown && locking::is_open_again(self).await? {
            self.desk.output.note("Servers were let answer again meanwhile: they are locked down again.");
            self.take_step(Step::Lockdown, true).await?;
        }
        Ok(())
    }

    async fn take_step(&mut self, step: Step, once_more: bool) -> Result<Outcome, Refused> {
        self.begin_step(step).await?;
        let taken = match self.taken(step).await {
            Ok(taken) => taken,
            Err(refused) => {
                let words = "is open, and what was done stays done: run the same command again, it goes on";
                self.desk.output.note(&format!("Incident {} {words}.", self.row.id));
                return Err(refused);
            }
        };
        // What was done and not written down yet is found done by the next run.
        self.passed(if once_more { "retaken" } else { "taken" });
        let outcome = taken.outcome;
        self.store_step(step, taken).await?;
        if !once_more {
            self.passed(step.name());
        }
        Ok(outcome)
    }

    /// Takes a step as long as nobody else has taken the incident up.
    async fn taken(&mut self, step: Step) -> Result<Taken, Refused> {
        let (desk, turn) = (self.desk, self.turn.clone());
        tokio::select! {
            taken = steps::take(self, step) => taken,
            lost = lost(desk, &turn) => Err(lost),
        }
    }

    /// A boundary at which a test has it die.
    pub(super) fn passed(&self, boundary: &'static str) {
        self.boundaries.passed(boundary);
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
        let ended = self.desk.store.end_incident(&self.turn, ("contained", &facts, now), &[event]).await;
        if !ended.map_err(|failure| broken(&failure))? {
            return Err(elsewhere());
        }
        self.passed("contained");
        Ok(())
    }

    /// Stores what is known by now.
    pub(super) async fn note(&self, events: &[Recorded]) -> Result<(), Refused> {
        let (facts, now) = (self.facts.text(), self.desk.clock.now());
        let noted = self.desk.store.note_incident(&self.turn, (&facts, now), events).await;
        if noted.map_err(|failure| broken(&failure))? { Ok(()) } else { Err(elsewhere()) }
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

/// Writes the report of one that was over, and nothing else.
async fn finish(desk: &Desk, playbook: &Playbook, id: &str) -> Result<Exit, Refused> {
    let asked = playbook.common().report.as_deref();
    report::may_be_written(asked, Some(id))?;
    let words = "was over, and its report was not written: here it is. Nothing else was done";
    desk.output.note(&format!("Incident {id} {words}."));
    report::conclude(desk, (id, asked), playbook.new_master_key_file()).await
}

/// The turn to work on an incident.
async fn turn(desk: &Desk, alone: &Runner, id: &str) -> Result<IncidentTurn, Refused> {
    let turn = desk.store.take_incident(id, alone.name(), desk.clock.now()).await;
    turn.map_err(|failure| broken(&failure))?.ok_or_else(elsewhere)
}

/// Shows that this process is alive, until another has taken the turn.
async fn lost(desk: &Desk, turn: &IncidentTurn) -> Refused {
    loop {
        tokio::time::sleep(SIGN_OF_LIFE).await;
        // Where the database fails, the step itself hears of it.
        if let Ok(false) = desk.store.keep_incident(turn, desk.clock.now()).await {
            return elsewhere();
        }
    }
}

fn other() -> Refused {
    Refused::incomplete(
        "INCIDENT_IN_PROGRESS",
        "another incident began just now",
        "'spotify-mcp incident list' shows it",
    )
}

/// Somebody else has the turn.
pub(super) fn elsewhere() -> Refused {
    Refused::incomplete(
        "INCIDENT_ELSEWHERE",
        "another machine, or another process, works on this incident",
        "wait for it; one that was killed elsewhere gives way after half a minute",
    )
}
