//! The steps of playbooks. Each may be taken again after a kill, whether it was done or not, and comes to the same.

use serde_json::{Value, json};

use super::course::{Course, Taken};
use super::facts::Outcome;
use super::playbooks::{Playbook, Step};
use super::{beyond, ending, locking, program, review};
use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::rotate_keys::{self, binary};
use crate::config::Engine;
use crate::failure::Failure;

/// Whatever could refuse is asked before an incident begins: whether a new key has a place.
pub(super) async fn make_ready(desk: &Desk, playbook: &Playbook) -> Result<(), Refused> {
    match playbook {
        Playbook::Configuration(of) | Playbook::Network(of) => {
            rotate_keys::make_ready(desk, of.new_master_key_file.as_deref()).await
        }
        Playbook::Authentication(_) | Playbook::Dependency(_) => Ok(()),
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
        Playbook::Authentication(_) | Playbook::Dependency(_) => Ok(Ready::Yes),
        Playbook::Configuration(of) | Playbook::Network(of) => {
            let used = rotate_keys::is_new_key_used(desk, of.new_master_key_file.as_deref()).await?;
            Ok(if used { Ready::KeyInUse } else { Ready::Yes })
        }
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
        (Step::Revoke, Playbook::Authentication(_)) => ending::before(course).await,
        _ => Ok(Value::Null),
    }
}

/// What a step would end, in words; null where it ends nothing that can be counted.
pub(super) async fn counted(
    desk: &Desk,
    (playbook, asked): (&Playbook, &Value),
    step: Step,
) -> Result<Value, Refused> {
    match (step, playbook) {
        (Step::Revoke, Playbook::Authentication(_)) => ending::counted(desk, asked).await,
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
        Step::Lockdown => locking::lock(course).await,
        Step::Revoke => ending::revoke(course).await,
        Step::SigningKeys => signing_keys(course).await,
        Step::Emergency => emergency(course).await,
        Step::Inventory => program::inventory(course),
        Step::Replaced => program::replaced(course),
        Step::Exposed => Ok(exposed(course)),
        Step::Network => network(course),
        Step::Prove => ending::prove(course).await,
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

/// A step that belongs to another playbook.
pub(super) fn nothing() -> Taken {
    Taken::done("nothing to do", Value::Null)
}
