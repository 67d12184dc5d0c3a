//! The steps of playbooks. Each may be taken again after a kill, whether it was done or not, and comes to the same.

use serde_json::{Value, json};

use super::course::{Course, HEARD, Taken};
use super::facts::Outcome;
use super::playbooks::{Playbook, Step};
use super::{Compromise, beyond, lockdown, program, review};
use crate::ambient::Timestamp;
use crate::app::administration::{Hands, Order};
use crate::cli::administer::{Desk, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::rotate_keys::{self, Proof, Tried, binary, remove_tried};
use crate::cli::{revoke_sessions, serve_start};
use crate::config::Engine;
use crate::domain::event::EventCode;
use crate::failure::Failure;

/// Whatever could refuse is asked before an incident begins: who is meant, and whether a new key has a place.
pub(super) async fn make_ready(desk: &Desk, playbook: &Playbook) -> Result<(), Refused> {
    match playbook {
        Playbook::Authentication(of) => order(desk, of, None).await.map(drop),
        Playbook::Configuration(of) | Playbook::Network(of) => {
            rotate_keys::make_ready(desk, of.new_master_key_file.as_deref()).await
        }
        Playbook::Dependency(_) => Ok(()),
    }
}

/// Whether a new incident could begin.
pub(super) enum Ready {
    Yes,
    /// The file of the new key holds one that was in use.
    KeyInUse,
}

/// The same questions without making anything, for a dry run and for what is said of a key that was used.
pub(super) async fn could_begin(desk: &Desk, playbook: &Playbook) -> Result<Ready, Refused> {
    match playbook {
        Playbook::Authentication(of) => order(desk, of, None).await.map(|_| Ready::Yes),
        Playbook::Configuration(of) | Playbook::Network(of) => {
            let used = rotate_keys::is_new_key_used(desk, of.new_master_key_file.as_deref()).await?;
            Ok(if used { Ready::KeyInUse } else { Ready::Yes })
        }
        Playbook::Dependency(_) => Ok(Ready::Yes),
    }
}

/// Whose, for the question: an id and a name where a person was named.
pub(super) async fn whose(desk: &Desk, playbook: &Playbook) -> Result<String, Refused> {
    let Playbook::Authentication(of) = playbook else { return Ok(String::new()) };
    let mut said = String::new();
    if let Some(named) = &of.user {
        let user = desk.person(named).await?;
        said += &format!(" Person: {}.", desk.called(&user).await?);
    }
    if let Some(client) = &of.client {
        said += &format!(" Client: {}.", crate::domain::event::clean(client));
    }
    if let Some(before) = &of.issued_before {
        said += &format!(" Issued before: {}.", crate::domain::event::clean(before));
    }
    Ok(said)
}

/// What is noted before a step is taken: a second run would find it changed.
pub(super) async fn before(course: &Course<'_>, step: Step) -> Result<Value, Refused> {
    match (step, &course.playbook) {
        (Step::Revoke, Playbook::Authentication(of)) => {
            let order = order(course.desk, of, course.facts.reason.clone()).await?;
            let counts = hands(course.desk).count(&order).await.map_err(|failure| broken(&failure))?;
            Ok(json!({ "counts": revoke_sessions::kinds(&counts), "at": course.desk.clock.now().rfc3339() }))
        }
        _ => Ok(Value::Null),
    }
}

/// What a step would end, in words; null where it ends nothing that can be counted.
pub(super) async fn counted(desk: &Desk, playbook: &Playbook, step: Step) -> Result<Value, Refused> {
    match (step, playbook) {
        (Step::Revoke, Playbook::Authentication(of)) => {
            let order = order(desk, of, None).await?;
            let counts = hands(desk).count(&order).await.map_err(|failure| broken(&failure))?;
            Ok(json!(revoke_sessions::in_one_line(&counts)))
        }
        (Step::Emergency, _) => {
            let living = desk.store.living().await.map_err(|failure| broken(&failure))?;
            Ok(json!(rotate_keys::in_words(&living)))
        }
        _ => Ok(Value::Null),
    }
}

/// Takes a step.
pub(super) async fn take(course: &mut Course<'_>, step: Step) -> Result<Taken, Refused> {
    match step {
        Step::Preserve => preserve(course).await,
        Step::Lockdown => lock(course).await,
        Step::Revoke => revoke(course).await,
        Step::SigningKeys => signing_keys(course).await,
        Step::Emergency => emergency(course).await,
        Step::Inventory => program::inventory(course),
        Step::Replaced => program::replaced(course),
        Step::Exposed => Ok(exposed(course)),
        Step::Network => network(course),
        Step::Prove => prove(course).await,
        Step::Review => review::take(course),
        Step::ByHand => beyond::take(course).await,
    }
}

async fn preserve(course: &Course<'_>) -> Result<Taken, Refused> {
    let desk = course.desk;
    let preserved = async {
        let waiting = desk.store.outbox(i64::from(i16::MAX)).await?.len();
        let masters: Vec<String> = desk.store.master_keys().await?.into_iter().map(|row| row.id).collect();
        let living = desk.store.living().await?;
        Ok::<_, Failure>(json!({
            "trail": review::head(&desk.config.audit.dir),
            "events_waiting": waiting,
            "master_keys": masters,
            "good_at_present": rotate_keys::in_words(&living),
            "program": { "version": env!("CARGO_PKG_VERSION"), "sha256": binary()? },
            "database": if desk.store.is_postgres() { "postgresql" } else { "sqlite" },
        }))
    };
    let evidence = preserved.await.map_err(|failure| broken(&failure))?;
    let head = &evidence["trail"]["last_record"];
    let said = match head["sequence"].as_u64() {
        Some(sequence) => {
            let folder = desk.config.audit.dir.display();
            format!("the trail ended with record {sequence}: keep a copy of its folder, {folder}")
        }
        None => {
            "no trail is in this machine's audit folder: preserve it where the server writes it".to_owned()
        }
    };
    Ok(Taken::done(said, evidence))
}

async fn lock(course: &mut Course<'_>) -> Result<Taken, Refused> {
    let event = course.event(EventCode::LockdownBegan, |event| event);
    let (desk, id) = (course.desk, course.row.id.clone());
    let locked = desk.store.lock_down(&id, &[event]).await.map_err(|failure| broken(&failure))?;
    tokio::time::sleep(HEARD).await;
    let probe = lockdown::probe(desk, false).await;
    let by = desk.store.locked_by().await.map_err(|failure| broken(&failure))?;
    let already = (!locked && by.as_deref() != Some(id.as_str())).then_some(by).flatten();
    let evidence = json!({ "locked_by": already.clone().unwrap_or(id), "probe": probe.evidence });
    let said = match already {
        Some(before) => format!("servers were locked down before, by {before}"),
        None => {
            "every server of this database answers nothing but probes of its health, until 'incident lift'"
                .to_owned()
        }
    };
    let outcome = probe.outcome();
    Ok(Taken { outcome, said: vec![said, probe.said], evidence })
}

async fn revoke(course: &Course<'_>) -> Result<Taken, Refused> {
    let Playbook::Authentication(of) = &course.playbook else { return Ok(nothing()) };
    let order = order(course.desk, of, course.facts.reason.clone()).await?;
    let ended = hands(course.desk).revoke(&order).await.map_err(|failure| broken(&failure))?;
    let before = course.facts.step(Step::Revoke.name()).map(|done| done.before.clone()).unwrap_or_default();
    let event = ended.as_ref().map(|(event, _)| event.as_str().to_owned());
    let counts = ended.as_ref().map(|(_, counts)| revoke_sessions::kinds(counts));
    let said = ended.map_or_else(
        || "this person is not there any more: nothing of theirs is left".to_owned(),
        |(_, counts)| match counts.is_nothing() {
            true => "there was nothing to end".to_owned(),
            false => {
                let ended = revoke_sessions::in_one_line(&counts);
                format!("ended {ended}, on every server within a second")
            }
        },
    );
    let evidence = json!({
        "found_before": before["counts"], "ended_by_this_run": counts, "event": event,
        "issued_before": course.desk.clock.now().rfc3339(),
    });
    Ok(Taken::done(said, evidence))
}

async fn signing_keys(course: &Course<'_>) -> Result<Taken, Refused> {
    let began = Timestamp::from_millis(course.row.began_at);
    let shown = rotate_keys::signing_since(course.desk, began).await?;
    let of = &shown.document["evidence"];
    let said = format!(
        "the keys of tickets, pending logins and evidence are new (rotation {})",
        of["rotation_id"].as_str().unwrap_or_default()
    );
    Ok(Taken::done(
        said,
        json!({ "rotation": of["rotation_id"], "negative_probe": of["negative_probe"], "signature": shown.document["signature"]["value"] }),
    ))
}

async fn emergency(course: &Course<'_>) -> Result<Taken, Refused> {
    let (Playbook::Configuration(of) | Playbook::Network(of)) = &course.playbook else {
        return Ok(nothing());
    };
    let began = Timestamp::from_millis(course.row.began_at);
    let shown = rotate_keys::emergency_since(course.desk, of.new_master_key_file.as_deref(), began).await?;
    let evidence = &shown.document["emergency"]["evidence"];
    let root = &evidence["old_master_key"];
    let said = vec![
        format!(
            "every key is new and everything is ended (emergency {}): the old master key opened {} of {} rows",
            evidence["emergency_id"].as_str().unwrap_or_default(),
            root["opened_rows"],
            root["tried_on_rows"],
        ),
        format!("running server: {}", evidence["probes"]["running_server"].as_str().unwrap_or_default()),
    ];
    let kept = json!({
        "emergency": evidence["emergency_id"],
        "signature": shown.document["emergency"]["signature"]["value"],
        "old_master_key": root,
        "probes": evidence["probes"],
        "rotations": evidence["rotations"],
        "ended": evidence["ended"],
    });
    let outcome = if shown.exit == Exit::Done { Outcome::Done } else { Outcome::Findings };
    Ok(Taken { outcome, said, evidence: kept })
}

fn exposed(course: &Course<'_>) -> Taken {
    let named: Vec<Value> =
        course.secrets.iter().map(|(key, origin)| json!({ "key": key, "origin": origin })).collect();
    // This playbook replaces the master key itself.
    let is_master = |key: &str| key.starts_with("security.master_key");
    let keys: Vec<&str> =
        course.secrets.iter().map(|(key, _)| key.as_str()).filter(|key| !is_master(key)).collect();
    let mut said = vec![match keys.as_slice() {
        [] => "the configuration holds no secret but the master key".to_owned(),
        some => format!("whoever has read it knows: {}. Replace each where it came from", some.join(", ")),
    }];
    if course.secrets.iter().any(|(key, _)| is_master(key)) {
        said.push("the master key was in it too: step emergency-rotation replaces it".to_owned());
    }
    let outcome = if keys.is_empty() { Outcome::Done } else { Outcome::Findings };
    Taken { outcome, said, evidence: json!({ "secrets": named }) }
}

fn network(course: &Course<'_>) -> Result<Taken, Refused> {
    let config = &course.desk.config;
    let listens = config.server.listen().to_string();
    let evidence = json!({
        "listens": listens,
        "public_url": config.server.public_url.as_str(),
        "tls": config.server.tls.is_some(),
        "trusted_proxies": config.server.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "allowed_hosts": config.network.allowed_hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "database": if config.storage.engine == Engine::Postgres { "postgresql" } else { "sqlite" },
    });
    let said = format!(
        "it listens on {listens}, and may reach Spotify and {} hosts beside",
        config.network.allowed_hosts.len()
    );
    Ok(Taken {
        outcome: Outcome::Findings,
        said: vec![said, "see that each of these is meant".to_owned()],
        evidence,
    })
}

async fn prove(course: &mut Course<'_>) -> Result<Taken, Refused> {
    let Playbook::Authentication(of) = course.playbook.clone() else { return Ok(nothing()) };
    tokio::time::sleep(HEARD).await;
    let desk = course.desk;
    let revoked =
        course.facts.step(Step::Revoke.name()).map(|done| done.evidence.clone()).unwrap_or_default();
    let until = revoked["issued_before"].as_str().map(str::to_owned);
    // Whoever logs in meanwhile holds something new.
    let narrowed = Compromise { issued_before: of.issued_before.clone().or(until), ..of.clone() };
    let order = order(desk, &narrowed, None).await?;
    let left = hands(desk).count(&order).await.map_err(|failure| broken(&failure))?;
    let good = left.is_nothing();
    let mut said = vec![match good {
        true => "nothing of what was selected is good any more".to_owned(),
        false => format!("STILL GOOD: {}", revoke_sessions::in_one_line(&left)),
    }];
    let mut evidence = json!({ "left": revoke_sessions::kinds(&left) });
    let mut wrong = !good;
    if of.is_everybody() {
        let proof = tried(course).await?;
        wrong |= proof.is_wrong;
        said.push(proof.said);
        evidence["probes"] = proof.evidence;
    }
    Ok(Taken { outcome: if wrong { Outcome::NotDone } else { Outcome::Done }, said, evidence })
}

/// Credentials issued for this alone are ended as all were, and tried.
async fn tried(course: &mut Course<'_>) -> Result<Proof, Refused> {
    let desk = course.desk;
    let Some((root, _)) = serve_start::present_root(&desk.config)? else {
        let said = "no master key is at hand: nothing was tried".to_owned();
        return Ok(Proof { is_wrong: false, said, evidence: Value::Null });
    };
    let canaries = Tried::mint(desk);
    course.facts.canaries.extend(canaries.names());
    course.note(&[]).await?;
    let proof = canaries.run(desk, root).await?;
    remove_tried(desk, &course.facts.canaries).await?;
    course.facts.canaries.clear();
    Ok(proof)
}

/// What the options select, as `revoke-sessions` would.
async fn order(desk: &Desk, of: &Compromise, reason: Option<String>) -> Result<Order, Refused> {
    let selection = revoke_sessions::selection(
        desk,
        (of.user.as_deref(), of.client.as_deref(), of.issued_before.as_deref()),
    );
    let selection = selection.await?;
    let api_keys = selection.reaches_keys_and_links();
    Ok(Order {
        selection,
        api_keys,
        spotify_links: false,
        reason,
        operation: "incident authentication-compromise",
    })
}

const fn hands(desk: &Desk) -> Hands<'_> {
    Hands { store: &desk.store, clock: &desk.clock, dice: &desk.dice }
}

/// A step that belongs to another playbook.
fn nothing() -> Taken {
    Taken::done("nothing to do", Value::Null)
}
