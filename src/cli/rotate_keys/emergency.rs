//! `rotate-keys --emergency`: the old keys are in wrong hands. Issuing is frozen on every server, everything that anybody
//! holds is ended, every key is replaced with nothing handed over, and what is dead is tried, before servers issue again.
//! Each step is stored before the next: a killed run leaves the freeze, and the next one goes on.

mod ask;
mod canary;
mod probes;
mod proof;
mod refusals;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use self::ask::At;
pub(super) use self::canary::{Canary, Name};
use self::probes::Probe;
pub(super) use self::probes::Trial;
use self::refusals::{elsewhere, no_other_key, not_contained, not_tried};
pub(in crate::cli) use self::words::in_words;
use super::evidence::Shown;
use super::runner::{Follow, Runner, stalled};
use super::{Args, everything, master, own};
use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, broken};
use crate::cli::control::{self, Question};
use crate::cli::output::{Exit, Refused};
use crate::cli::serve_start;
use crate::domain::event::{Event, EventCode};
use crate::domain::rotation::{CONTAINED_AGAIN, Kind, State, answers_again};
use crate::domain::{ClientId, EmergencyId, UserId};
use crate::failure::Failure;
use crate::store::{EmergencyRow, Living, Recorded};
use crate::vault::KeyRing;
use crate::vault::rotation::Witness as _;

/// How long every server needs at most to hear that something is frozen, or is not any more: one that has not read it
/// by then trusts nothing that it remembers.
pub(super) const HEARD: Duration = Duration::from_millis(1_300);

/// What is remembered of an emergency beside its state, for the next run and for the evidence.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Facts {
    /// Everybody who exists only to be tried: person and client.
    canaries: Vec<(String, String)>,
    /// How often it was taken up again.
    interrupted: u32,
    /// What was ended, and when in its course.
    ended: Vec<Value>,
    frozen_at: Option<i64>,
    lifted_at: Option<i64>,
    /// The rotations, in order.
    rotations: Vec<String>,
    /// What the server's code in this program said, before servers issued again.
    here: Vec<Probe>,
    /// What the running server said, after.
    server: Vec<Probe>,
    /// How the running server stands to it.
    running_server: String,
    /// The ids of its events in the audit trail.
    events: Vec<String>,
}

/// An emergency at work.
struct Course<'a> {
    args: &'a Args,
    desk: &'a Desk,
    id: String,
    began_at: i64,
    facts: Facts,
    follow: Follow,
}

/// Contains what leaked keys can do here.
pub(super) async fn run(args: &Args, desk: &Desk) -> Result<Exit, Refused> {
    let living = desk.store.living().await.map_err(|failure| broken(&failure))?;
    if args.dry_run {
        desk.output.note(&format!("Would freeze what is issued, and end {}.", in_words(&living)));
        return everything::all(args, desk).await.map(|shown| super::evidence::print(desk, &shown, true));
    }
    let in_progress = desk.store.emergency_in_progress().await.map_err(|failure| broken(&failure))?;
    if in_progress.is_none()
        && let Some(shown) = contained_already(args, desk).await?
    {
        return Ok(super::evidence::print(desk, &[shown], false));
    }
    desk.confirm(&format!("Rotate every key and end {}?", in_words(&living)), args.yes)?;
    let mut shown = contained(args, desk).await?;
    shown.document["done_now"] = json!(true);
    Ok(super::evidence::print(desk, &[shown], false))
}

/// Contains it, or goes on containing it, and gives the evidence.
pub(super) async fn contained(args: &Args, desk: &Desk) -> Result<Shown, Refused> {
    let in_progress = desk.store.emergency_in_progress().await.map_err(|failure| broken(&failure))?;
    let _alone = Runner::take_emergency(desk)?;
    let follow = Follow::new(desk.output);
    let mut course = match in_progress {
        Some(row) => {
            desk.output.note(&format!("Emergency {} is not over ({}): it goes on.", row.id, row.state));
            let mut facts: Facts = serde_json::from_str(&row.facts).unwrap_or_default();
            facts.interrupted += 1;
            let lifted = row.state == "lifted";
            let course = Course { args, desk, id: row.id, began_at: row.began_at, facts, follow };
            if lifted {
                return course.end(None).await;
            }
            course
        }
        None => Course::begin(args, desk, follow).await?,
    };
    let old = course.contain().await?;
    course.end(Some(old)).await
}

/// The same command again, because somebody did not see its end.
async fn contained_already(args: &Args, desk: &Desk) -> Result<Option<Shown>, Refused> {
    let last = desk.store.last_emergency().await.map_err(|failure| broken(&failure))?;
    let Some(row) = last.filter(|_| !args.again) else { return Ok(None) };
    let Some(ended) = row.ended_at.map(Timestamp::from_millis) else { return Ok(None) };
    if !answers_again(ended, desk.clock.now(), CONTAINED_AGAIN) {
        return Ok(None);
    }
    desk.output.note(&format!(
        "The last emergency was over at {}: nothing is done now. If keys leaked since then, '--again' rotates and ends \
         everything once more.",
        ended.rfc3339()
    ));
    shown_of(args, desk, &row).await.map(|shown| Some(words::again(shown, ended)))
}

/// The evidence of the last emergency, which is over.
pub(super) async fn show_last(args: &Args, desk: &Desk) -> Result<Shown, Refused> {
    let last = desk.store.last_emergency().await.map_err(|failure| broken(&failure))?;
    shown_of(args, desk, &last.ok_or_else(elsewhere)?).await
}

async fn shown_of(args: &Args, desk: &Desk, row: &EmergencyRow) -> Result<Shown, Refused> {
    let roots = master::roots(args, desk)?;
    let (ring, _) = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await?;
    let facts: Facts = serde_json::from_str(&row.facts).unwrap_or_default();
    let rotations = rotations_shown(desk, &ring, &facts).await?;
    proof::show(desk, &ring, &row.id, &rotations).await
}

impl<'a> Course<'a> {
    /// Whatever could refuse is asked before anything is frozen.
    async fn begin(args: &'a Args, desk: &'a Desk, follow: Follow) -> Result<Self, Refused> {
        master::make_ready(args, desk).await?;
        let (id, now) = (EmergencyId::mint(desk.dice.bytes()).as_str().to_owned(), desk.clock.now());
        let facts = Facts::default();
        let begun = desk.store.begin_emergency(&id, &text(&facts), now).await;
        if !begun.map_err(|failure| broken(&failure))? {
            return Err(elsewhere());
        }
        follow.passed("begun");
        Ok(Self { args, desk, id, began_at: now.millis(), facts, follow })
    }

    /// Everything up to the moment from which servers issue again. Gives what is dead, to be tried once more.
    async fn contain(&mut self) -> Result<(Canary, Vec<(&'static str, String)>), Refused> {
        let ring = self.ring().await?;
        let old = self.plant(&ring).await?;
        let server = At::server(self.desk);
        let before = Trial { desk: self.desk, at: &server }.before(&old).await;
        self.freeze().await?;
        // A call that began before is over by then, or finds what it came with ended.
        tokio::time::sleep(HEARD).await;
        let rotated = self.rotate().await?;
        self.facts.rotations = rotated;
        self.note().await?;
        self.hand_to_running_server();

        let ring = self.ring().await?;
        let fresh = self.plant(&ring).await?;
        let here = At::here(self.desk, &ring.active()).await.map_err(|failure| stalled(&failure))?;
        self.facts.here = Trial { desk: self.desk, at: &here }.after(&old, &fresh, &before).await;
        here.close().await;
        self.note().await?;
        if let Some(bad) = self.facts.here.iter().find(|probe| !probe.is_good()) {
            return Err(not_contained(bad, "servers issue nothing until"));
        }
        self.follow.passed("proved");
        self.lift().await?;
        Ok((old, before))
    }

    /// Tries the running server, removes every canary, and writes the evidence.
    async fn end(mut self, old: Option<(Canary, Vec<(&'static str, String)>)>) -> Result<Shown, Refused> {
        let ring = self.ring().await?;
        match old {
            Some((old, before)) => {
                tokio::time::sleep(HEARD).await;
                let fresh = self.plant(&ring).await?;
                let server = At::server(self.desk);
                let trial = Trial { desk: self.desk, at: &server };
                let served = trial.serves(&fresh).await;
                if served == "200" {
                    self.facts.server = trial.after(&old, &fresh, &before).await;
                    "tried".clone_into(&mut self.facts.running_server);
                } else {
                    let locked_by = self.desk.store.locked_by().await.map_err(|failure| stalled(&failure))?;
                    self.facts.running_server = not_tried(&served, locked_by.is_some());
                }
            }
            None => "not tried: the command was killed after servers could issue again"
                .clone_into(&mut self.facts.running_server),
        }
        if let Some(bad) = self.facts.server.iter().find(|probe| !probe.is_good()).cloned() {
            self.freeze().await?;
            return Err(not_contained(&bad, "servers issue nothing again until"));
        }
        let event = self.event(EventCode::EmergencyContained, |event| event);
        let canaries = self
            .facts
            .canaries
            .iter()
            .filter_map(|(user, client)| Some((user.parse::<UserId>().ok()?, ClientId::parse(client)?)));
        let canaries: Vec<_> = canaries.collect();
        let (facts, now) = (text(&self.facts), self.desk.clock.now());
        let ended = self.desk.store.end_emergency(&self.id, (&facts, now), &canaries, &[event]).await;
        if !ended.map_err(|failure| stalled(&failure))? {
            return Err(elsewhere());
        }
        self.follow.passed("contained");
        let shown = rotations_shown(self.desk, &ring, &self.facts).await?;
        proof::show(self.desk, &ring, &self.id, &shown).await
    }

    /// Nothing is issued from now on, and what was is ended.
    async fn freeze(&mut self) -> Result<(), Refused> {
        let now = self.desk.clock.now();
        self.facts.frozen_at.get_or_insert(now.millis());
        let (living, event) = self.ending("when it was frozen", EventCode::IssuanceFrozen).await?;
        let facts = text(&self.facts);
        let frozen = self.desk.store.freeze(&self.id, &facts, now, &event).await;
        if !frozen.map_err(|failure| broken(&failure))? {
            return Err(elsewhere());
        }
        self.desk.output.note(&format!("Servers issue nothing. Ended {}.", in_words(&living)));
        self.follow.passed("frozen");
        Ok(())
    }

    async fn lift(&mut self) -> Result<(), Refused> {
        let now = self.desk.clock.now();
        self.facts.lifted_at = Some(now.millis());
        let (_, events) = self.ending("before servers issued again", EventCode::IssuanceResumed).await?;
        let lifted = self.desk.store.lift_freeze(&self.id, &text(&self.facts), now, &events).await;
        if !lifted.map_err(|failure| stalled(&failure))? {
            return Err(elsewhere());
        }
        self.follow.passed("lifted");
        Ok(())
    }

    /// What is about to be ended, and the two events that say so.
    async fn ending(&mut self, when: &str, code: EventCode) -> Result<(Living, Vec<Recorded>), Refused> {
        let canaries: Vec<UserId> =
            self.facts.canaries.iter().filter_map(|(user, _)| user.parse().ok()).collect();
        let living = self.desk.store.living_but_of(&canaries).await.map_err(|failure| broken(&failure))?;
        let counts = json!({
            "grants": living.grants, "access_tokens": living.access_tokens, "browsers": living.browser_sessions,
            "mcp_sessions": living.mcp_sessions, "pending": living.pending, "api_keys": living.api_keys,
            "approvals": living.approvals,
        });
        let ended = self.event(EventCode::EmergencyContainment, |event| {
            event.detail("when", when).detail("ended", counts.to_string())
        });
        let frozen = self.event(code, |event| event);
        self.facts.ended.push(json!({ "when": when, "without_canaries": canaries.len(), "counts": counts }));
        Ok((living, vec![ended, frozen]))
    }

    /// Rotates the three kinds; what this emergency has rotated already stays as it is.
    async fn rotate(&mut self) -> Result<Vec<String>, Refused> {
        self.finish_routine().await?;
        let mut rotations = Vec::new();
        for (kind, boundary) in [
            (Kind::Master, "rotated-master"),
            (Kind::Signing, "rotated-signing"),
            (Kind::Data, "rotated-data"),
        ] {
            let id = match self.rotated(kind).await? {
                Some(id) => {
                    if kind == Kind::Master {
                        master::end_again(self.args, self.desk, &id).await?;
                    }
                    id
                }
                None => {
                    match kind {
                        Kind::Master => master::run(self.args, self.desk).await?,
                        other => own::run(self.args, self.desk, other).await?,
                    };
                    // What answered must be of this emergency, not of a rotation before it.
                    self.rotated(kind).await?.ok_or_else(no_other_key)?
                }
            };
            rotations.push(id);
            self.follow.passed(boundary);
        }
        Ok(rotations)
    }

    /// A rotation that was on its way before ends first, as it was begun; then another takes its place.
    async fn finish_routine(&self) -> Result<(), Refused> {
        let row = self.desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
        let Some(row) = row.filter(|row| row.emergency.is_none()) else { return Ok(()) };
        match Kind::named(&row.kind) {
            Some(Kind::Master) => master::run(self.args, self.desk).await.map(drop),
            Some(kind @ (Kind::Data | Kind::Signing)) => own::run(self.args, self.desk, kind).await.map(drop),
            // Given way to before.
            Some(Kind::SpotifyClient) | None => Ok(()),
        }
    }

    /// This emergency's rotation of a kind, where it is complete.
    async fn rotated(&self, kind: Kind) -> Result<Option<String>, Refused> {
        let rotations = self.desk.store.rotations(1_000).await.map_err(|failure| broken(&failure))?;
        let of_this = |row: &crate::store::RotationRow| {
            row.kind == kind.name()
                && row.emergency.is_some()
                && row.state == State::Retired.name()
                && row.started_at >= self.began_at
        };
        Ok(rotations.into_iter().find(of_this).map(|row| row.id))
    }

    /// Where the server of this data directory finds the new key by itself, it takes it now.
    fn hand_to_running_server(&self) {
        if let Ok(answer) = control::ask(&self.desk.config.storage.data_dir, Question::TakeKey)
            && answer["ok"] == true
        {
            self.desk.output.note("The server of this data directory was told to look for the new key.");
        }
    }

    async fn ring(&self) -> Result<KeyRing, Refused> {
        let roots = master::roots(self.args, self.desk)?;
        let (ring, _) =
            serve_start::ring(&self.desk.store, &roots, (&self.desk.clock, &self.desk.dice)).await?;
        Ok(ring)
    }

    /// Noted before it is stored, so that whoever comes after a kill removes it.
    async fn plant(&mut self, ring: &KeyRing) -> Result<Canary, Refused> {
        let name = Name::mint(self.desk);
        self.facts.canaries.push((name.user.as_str().to_owned(), name.client.as_str().to_owned()));
        self.note().await?;
        Canary::plant(self.desk, ring, &name).await.map_err(|failure| stalled(&failure))
    }

    async fn note(&self) -> Result<(), Refused> {
        let noted = self.desk.store.note_emergency(&self.id, &text(&self.facts)).await;
        noted.map_err(|failure: Failure| stalled(&failure))
    }

    fn event(&mut self, code: EventCode, more: impl FnOnce(Event) -> Event) -> Recorded {
        let event = more(Event::new(code).operation("rotate-keys --emergency").subject(&self.id));
        let recorded = self.desk.stamp(event);
        self.facts.events.push(recorded.id.as_str().to_owned());
        recorded
    }
}

/// The evidence of each rotation.
async fn rotations_shown(desk: &Desk, ring: &KeyRing, facts: &Facts) -> Result<Vec<Shown>, Refused> {
    let mut shown = Vec::new();
    for id in &facts.rotations {
        let row = desk.store.rotation(id).await.map_err(|failure| stalled(&failure))?;
        if let Some(row) = row {
            shown.push(super::evidence::show(desk, ring, &row, &[]).await?);
        }
    }
    Ok(shown)
}

fn text(facts: &Facts) -> String {
    // Strings, numbers and values that were parsed cannot fail.
    serde_json::to_string(facts).unwrap_or_default()
}
