//! `incident lockdown` and `incident lift`: one transaction each, whatever else is in progress; then a look whether the
//! running server does what it was told. A lift looks first whether it is safe.

use serde_json::{Value, json};

use super::course::{HEARD, begun, told};
use super::facts::{Done, Facts, Outcome};
use super::report;
use super::review;
use super::{Common, Lift};
use crate::cli::administer::{Desk, broken};
use crate::cli::boundaries::Boundaries;
use crate::cli::operator::whoever;
use crate::cli::output::{Exit, Refused};
use crate::cli::{healthcheck, serve_start};
use crate::domain::IncidentId;
use crate::domain::event::{EventCode, clean};
use crate::failure::Failure;
use crate::store::{IncidentRow, IncidentTurn, NewIncident};

/// Of how many incidents one that was killed is looked for.
const LOOKED_THROUGH: i64 = 100;

/// What the server of this configuration answered to a probe.
pub(super) struct Probed {
    pub(super) said: String,
    pub(super) evidence: Value,
    /// Whether it answered otherwise than it has to.
    pub(super) is_wrong: bool,
    /// Whether anything answered at all.
    pub(super) was_asked: bool,
}

impl Probed {
    /// What a step came to that this was to show.
    pub(super) const fn outcome(&self) -> Outcome {
        match (self.is_wrong, self.was_asked) {
            (true, _) => Outcome::NotDone,
            (false, false) => Outcome::Findings,
            (false, true) => Outcome::Done,
        }
    }
}

/// Asks the server that this configuration describes, whether it serves.
pub(super) async fn probe(desk: &Desk, has_to_serve: bool) -> Probed {
    let at = (healthcheck::reachable(desk.config.server.listen()), desk.config.server.tls.is_some());
    let ask = move |path: &str| healthcheck::status(at, path).ok();
    let asked = tokio::task::spawn_blocking(move || (ask("/livez"), ask("/readyz"), ask("/")));
    let (live, ready, page) = asked.await.unwrap_or_default();
    let evidence = json!({ "livez": live, "readyz": ready, "page": page });
    if live.is_none() {
        let said = format!(
            "NO SERVER ANSWERS at {}, this configuration's address, so nothing was tried: see that servers use this \
             database ({})",
            at.0,
            if desk.store.is_postgres() { "postgresql".to_owned() } else { data_dir(desk) }
        );
        let evidence = json!({ "livez": live, "readyz": ready, "page": page, "asked": at.0.to_string() });
        return Probed { said, evidence, is_wrong: false, was_asked: false };
    }
    let serves = |status: Option<u16>| status.is_some_and(|status| status < 400);
    let right = serves(ready) == has_to_serve && serves(page) == has_to_serve;
    let words =
        |status: Option<u16>| status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
    let why = if has_to_serve && ready == Some(503) {
        ". Does it have the key in use? Put it where its source is, then 'spotify-mcp config reload'; its log says why"
    } else {
        ""
    };
    let said = format!(
        "{}the running server answers {} to /readyz, {} to its first page{why}",
        if right { "" } else { "NOT AS IT HAS TO BE: " },
        words(ready),
        words(page)
    );
    Probed { said, evidence, is_wrong: !right, was_asked: true }
}

fn data_dir(desk: &Desk) -> String {
    format!("the one in {}", desk.config.storage.data_dir.display())
}

/// Locks every server down.
pub(super) async fn begin(desk: &Desk, asked: &Common) -> Result<Exit, Refused> {
    let locked_by = desk.store.locked_by().await.map_err(|failure| broken(&failure))?;
    if asked.dry_run {
        let (text, would) = match &locked_by {
            None => ("Would lock every server of this database down.\n".to_owned(), true),
            Some(by) => (format!("Servers are locked down already, by {by}.\n"), false),
        };
        desk.output.result(&text, &json!({ "dry_run": true, "playbook": "lockdown", "would_lock": would }));
        return Ok(Exit::Done);
    }
    report::may_be_written(asked.report.as_deref(), None)?;
    let boundaries = Boundaries::default();
    let (id, facts) = match locked_by {
        Some(by) => match unfinished(desk, |row| row.id == by && row.playbook == "lockdown").await? {
            Some(row) => (row.id, Facts::parse(&row.facts)),
            None => return Ok(already(desk, &by)),
        },
        None => {
            desk.confirm("Have every server answer nothing but probes of its health?", asked.yes)?;
            match begin_with(desk, asked, "lockdown").await? {
                Some(begun) => begun,
                // Another command was faster, to the same end.
                None => {
                    tokio::time::sleep(HEARD).await;
                    let by = desk.store.locked_by().await.map_err(|failure| broken(&failure))?;
                    return by.map(|by| already(desk, &by)).ok_or_else(faster);
                }
            }
        }
    };
    boundaries.passed("locked");
    tokio::time::sleep(HEARD).await;
    let probed = probe(desk, false).await;
    let outcome = probed.outcome();
    let said = vec![
        "every server of this database answers nothing but probes of its health, also after a restart, until \
         'incident lift'"
            .to_owned(),
        probed.said,
    ];
    end(desk, (&id, "lockdown", facts), (outcome, said, probed.evidence)).await?;
    boundaries.passed("contained");
    report::conclude(desk, (&id, asked.report.as_deref()), None).await
}

fn already(desk: &Desk, by: &str) -> Exit {
    let text = format!("Servers are locked down already, by {}; nothing was changed.\n", clean(by));
    desk.output.result(&text, &json!({ "playbook": "lockdown", "locked_by": by, "changed": false }));
    Exit::Done
}

/// Lets servers answer again.
pub(super) async fn lift(desk: &Desk, asked: &Lift) -> Result<Exit, Refused> {
    let common = &asked.common;
    let locked_by = desk.store.locked_by().await.map_err(|failure| broken(&failure))?;
    let resumed = match locked_by {
        Some(_) => None,
        None => match unfinished(desk, |row| row.playbook == "lift").await? {
            Some(row) => Some(row),
            None => {
                desk.output.result(
                    "Servers are not locked down; nothing was changed.\n",
                    &json!({ "playbook": "lift", "locked_by": null, "changed": false }),
                );
                return Ok(Exit::Done);
            }
        },
    };
    let checks = checks(desk).await.map_err(|failure| broken(&failure))?;
    let failing: Vec<&Check> = checks.iter().filter(|check| !check.good).collect();
    if common.dry_run {
        return Ok(would_lift(desk, &checks));
    }
    if !failing.is_empty() && asked.despite.is_none() && resumed.is_none() {
        return Err(not_safe(&failing));
    }
    report::may_be_written(common.report.as_deref(), None)?;
    let boundaries = Boundaries::default();
    let (id, facts) = match resumed {
        Some(row) => (row.id, Facts::parse(&row.facts)),
        None => {
            desk.confirm("Let servers answer again?", common.yes)?;
            let reason = asked.despite.clone().or_else(|| common.reason.clone());
            begin_with(desk, &Common { reason, ..common.clone() }, "lift").await?.ok_or_else(faster)?
        }
    };
    boundaries.passed("lifted");
    tokio::time::sleep(HEARD).await;
    let probed = probe(desk, true).await;
    let mut said: Vec<String> = checks.iter().map(Check::in_words).collect();
    said.extend(asked.despite.iter().map(|why| format!("lifted all the same: {why}")));
    let outcome = probed.outcome();
    said.push("servers answer again".to_owned());
    said.push(probed.said);
    let evidence =
        json!({ "checks": checks.iter().map(Check::as_json).collect::<Vec<_>>(), "probe": probed.evidence });
    let outcome = match (outcome, failing.is_empty()) {
        (Outcome::Done, false) => Outcome::Findings,
        (outcome, _) => outcome,
    };
    end(desk, (&id, "lift", facts), (outcome, said, evidence)).await?;
    boundaries.passed("contained");
    report::conclude(desk, (&id, common.report.as_deref()), None).await
}

/// What a lift would find.
fn would_lift(desk: &Desk, checks: &[Check]) -> Exit {
    let safe = checks.iter().all(|check| check.good);
    let text: String = checks.iter().map(|check| format!("  {}\n", check.in_words())).collect();
    let listed: Vec<Value> = checks.iter().map(Check::as_json).collect();
    desk.output.result(
        &format!("Would let servers answer again, after these checks:\n{text}"),
        &json!({ "dry_run": true, "playbook": "lift", "checks": listed, "would_lift": safe }),
    );
    if safe { Exit::Done } else { Exit::Findings }
}

fn not_safe(failing: &[&Check]) -> Refused {
    let words: Vec<String> = failing.iter().map(|check| check.in_words()).collect();
    Refused::new(
        Exit::Findings,
        "LIFT_NOT_SAFE",
        format!("servers stay locked down: {}", words.join("; ")),
        "mend it and run it again, or --despite REASON",
    )
}

/// Stores the incident with the change, in one transaction; `None` where somebody else made the change.
async fn begin_with(
    desk: &Desk,
    asked: &Common,
    playbook: &'static str,
) -> Result<Option<(String, Facts)>, Refused> {
    let id = IncidentId::mint(desk.dice.bytes()).as_str().to_owned();
    let mut facts = begun(asked.reason.clone(), Value::Null)?;
    let changed = if playbook == "lift" { EventCode::LockdownLifted } else { EventCode::LockdownBegan };
    let now = desk.clock.now();
    facts.steps.push(Done {
        step: playbook.to_owned(),
        by: whoever(),
        began_at: now.millis(),
        ..Done::default()
    });
    let event = desk.stamp(told(changed, (&id, playbook), &facts));
    facts.events.push(event.id.as_str().to_owned());
    let text = facts.text();
    let new = NewIncident { id: &id, playbook, facts: &text, now };
    let done = match playbook {
        "lift" => desk.store.lift_lockdown(new, &[event]).await,
        _ => desk.store.begin_lockdown(new, &[event]).await,
    };
    Ok(done.map_err(|failure| broken(&failure))?.then_some((id, facts)))
}

fn faster() -> Refused {
    Refused::incomplete(
        "INCIDENT_ELSEWHERE",
        "another command was faster",
        "'spotify-mcp incident list' shows what holds now",
    )
}

async fn end(
    desk: &Desk,
    (id, playbook, mut facts): (&str, &str, Facts),
    (outcome, said, evidence): (Outcome, Vec<String>, Value),
) -> Result<(), Refused> {
    let now = desk.clock.now();
    let event = desk.stamp(told(EventCode::IncidentEnded, (id, playbook), &facts));
    facts.events.push(event.id.as_str().to_owned());
    let done = facts.step_mut(playbook);
    (done.outcome, done.said, done.evidence, done.ended_at) = (outcome, said, evidence, Some(now.millis()));
    let (turn, text) = (IncidentTurn::beside(id), facts.text());
    let ended = desk.store.end_incident(&turn, ("contained", &text, now), &[event]).await;
    // Where another run has ended it, its words stand.
    ended.map(drop).map_err(|failure| broken(&failure))
}

/// One of the last incidents that a killed command left without its end.
async fn unfinished(
    desk: &Desk,
    is_it: impl Fn(&IncidentRow) -> bool,
) -> Result<Option<IncidentRow>, Refused> {
    let rows = desk.store.incidents(LOOKED_THROUGH).await.map_err(|failure| broken(&failure))?;
    Ok(rows.into_iter().find(|row| row.ended_at.is_none() && is_it(row)))
}

/// What has to hold before servers answer again.
struct Check {
    name: &'static str,
    good: bool,
    said: String,
}

impl Check {
    fn in_words(&self) -> String {
        let mark = if self.good { "good" } else { "NOT GOOD" };
        format!("{mark}: {}: {}", self.name, self.said)
    }

    fn as_json(&self) -> Value {
        json!({ "check": self.name, "good": self.good, "said": self.said })
    }
}

/// The checks of a secure restart. None changes anything.
async fn checks(desk: &Desk) -> Result<Vec<Check>, Failure> {
    let check = |name, good, said: String| Check { name, good, said };
    let mut checks = Vec::new();
    let incident = desk.store.incident_in_progress().await?;
    let incident = match incident {
        Some(row) => Some(row),
        None => locked_until_over(desk).await?,
    };
    checks.push(match incident {
        None => check("incident", true, "none is in progress".to_owned()),
        Some(row) => check(
            "incident",
            false,
            format!("{} ({}) is not over: run it again", row.id, clean(&row.playbook)),
        ),
    });
    let emergency = desk.store.emergency_in_progress().await?;
    checks.push(match emergency {
        None => check("emergency", true, "none is in progress".to_owned()),
        Some(row) => {
            check("emergency", false, format!("{} is not over: run rotate-keys --emergency again", row.id))
        }
    });
    let rotation = desk.store.rotation_in_progress().await?;
    checks.push(match rotation {
        None => check("rotation", true, "none is in progress".to_owned()),
        Some(row) => check("rotation", false, format!("{} is not over: run rotate-keys again", row.id)),
    });
    checks.push(master_key(desk).await);
    let damage = review::damage(desk).await?;
    checks.push(match damage {
        None => {
            check("trail", true, "its newest segment holds, and reaches as far as it was signed".to_owned())
        }
        Some(what) => check("trail", false, what),
    });
    Ok(checks)
}

/// The incident that locked servers down and still waits for what the lockdown was for.
async fn locked_until_over(desk: &Desk) -> Result<Option<IncidentRow>, Failure> {
    let Some(by) = desk.store.locked_by().await? else { return Ok(None) };
    let row = desk.store.incident(&by).await?;
    Ok(row.filter(|row| row.ended_at.is_none() && row.playbook != "lockdown"))
}

/// Whether the key at hand is the one in use, and opens what the server needs.
async fn master_key(desk: &Desk) -> Check {
    let name = "master key";
    let root = match serve_start::present_root(&desk.config) {
        Ok(Some((root, _))) => root,
        Ok(None) => {
            let said = "none is at hand here: run it where the server's key is".to_owned();
            return Check { name, good: false, said };
        }
        Err(refused) => return Check { name, good: false, said: refused.message().to_owned() },
    };
    match serve_start::ring(&desk.store, &[root], (&desk.clock, &desk.dice)).await {
        Ok((ring, _)) => Check {
            name,
            good: true,
            said: format!("{} is in use and opens the server's own keys", ring.active().id()),
        },
        Err(refused) => Check { name, good: false, said: refused.message().to_owned() },
    }
}
