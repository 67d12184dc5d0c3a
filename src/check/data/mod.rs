//! Facts and rules of the area `config` that the database, its keys and backups, and the audit trail show, beside a
//! running server or without one.
//!
//! The database is opened for reading alone: nothing is made, migrated or written. Never: a rule that does input or
//! output; a key or anybody's value in a fact.

mod attested;
mod cases;
mod near;
mod posture;
mod rules_audit;
mod rules_backup;
mod rules_database;
mod rules_keys;
mod rules_seal;
mod rules_tasks;
#[cfg(test)]
mod tests;
mod trail;

use std::time::Duration;

use super::config::Seal;
use super::{Ground, Profile, Request, Rule, Runs, Seen, Source, Verdict};
use crate::ambient::Timestamp;
use crate::config::{Config, Engine};
use crate::store::{AttestationRow, UsedRevision, Way};

pub use attested::Vouched;
pub use cases::cases;
pub use posture::{Absent, BackupFile, Posture};
pub use trail::{Anchored, Sample, Trail};

/// What is known of a server by its database and its trail.
#[derive(Clone)]
pub struct Facts {
    /// The configuration, with the default of what was refused.
    pub config: Config,
    /// The configuration file was named and could not be read: where the database is, is not known.
    pub file_is_unread: bool,
    /// Spotify's developer policy was acknowledged.
    pub policy_acknowledged: bool,
    /// Whether the configuration file is sealed, and opens.
    pub seal: Seal,
    /// Which revision of the sealed file servers use; `None`: none has started with it.
    pub used: Seen<Option<UsedRevision>>,
    /// How PostgreSQL is asked for; `None`: the engine is another, or nobody knows.
    pub way: Option<Way>,
    /// The database.
    pub database: Result<Box<Posture>, Absent>,
    /// What operators attested, the last of each task.
    pub attested: Seen<Vec<AttestationRow>>,
    /// Attestations that wait in the database to be written into the trail, by their ids.
    pub unwritten: Seen<Vec<String>>,
    /// The audit trail; `None`: there is none yet.
    pub trail: Seen<Option<Trail>>,
}

/// Looks. Never fails: what cannot be seen is said in the facts.
pub async fn gather(request: &Request, runs: Runs) -> Facts {
    let loaded = &request.loaded;
    let config = loaded.as_far_as_valid().clone();
    let seal = super::config::seal::look(loaded);
    let is_unread = loaded.unread().is_some();
    let looked =
        if is_unread { Err(Absent::unknown()) } else { posture::look(request, seal.lineage(), runs).await };
    let (database, used, (attested, unwritten), chains) = match looked {
        Ok(looked) => {
            let told = (looked.attested, looked.unwritten);
            (Ok(Box::new(looked.posture)), looked.used, told, looked.chains)
        }
        Err(absent) => {
            let unseen = absent.as_unseen();
            (Err(absent), Err(unseen.clone()), (Err(unseen.clone()), Err(unseen.clone())), Err(unseen))
        }
    };
    let shared = database.as_ref().is_ok_and(|posture| posture.engine == Engine::Postgres);
    let wanted = attested.as_deref().unwrap_or_default();
    let trail = match is_unread {
        true => Err(Absent::unknown().as_unseen()),
        false => trail::look(&config, (chains, shared), wanted),
    };
    Facts {
        policy_acknowledged: loaded.facts().policy_acknowledged,
        file_is_unread: is_unread,
        seal,
        used,
        attested,
        unwritten,
        way: Way::of(config.storage.url.expose()).filter(|_| !is_unread),
        config,
        database,
        trail,
    }
}

/// Every rule of this area.
pub const RULES: &[Rule<Facts>] = &[
    Rule { id: "SMC1003", judge: rules_keys::sealed_as_known },
    Rule { id: "SMC1005", judge: rules_keys::keys_young },
    Rule { id: "SMC1006", judge: rules_keys::seals_counted },
    Rule { id: "SMC1007", judge: rules_keys::rotations_ended },
    Rule { id: "SMC1009", judge: rules_keys::keys_apart },
    Rule { id: "SMC2001", judge: rules_seal::authentic },
    Rule { id: "SMC2007", judge: rules_seal::running_is_this_one },
    Rule { id: "SMC3003", judge: rules_database::tokens_hashed },
    Rule { id: "SMC5001", judge: rules_database::sqlite_sound },
    Rule { id: "SMC5002", judge: rules_database::connection_protected },
    Rule { id: "SMC5003", judge: rules_database::role_least },
    Rule { id: "SMC5004", judge: rules_database::password_strong },
    Rule { id: "SMC5005", judge: rules_database::schema_current },
    Rule { id: "SMC5006", judge: rules_backup::backups_fresh },
    Rule { id: "SMC5007", judge: rules_backup::kept_no_longer },
    Rule { id: "SMC6001", judge: rules_audit::chain_holds },
    Rule { id: "SMC6002", judge: rules_audit::signed_and_anchored },
    Rule { id: "SMC6003", judge: rules_audit::fields_present },
    Rule { id: "SMC6008", judge: rules_audit::room_and_time },
    Rule { id: "SMC6009", judge: rules_audit::somebody_is_told },
    Rule { id: "SMC9001", judge: rules_tasks::log_review },
    Rule { id: "SMC9002", judge: rules_tasks::dependency_review },
    Rule { id: "SMC9003", judge: rules_tasks::access_review },
    Rule { id: "SMC9004", judge: rules_tasks::update_review },
    Rule { id: "SMC9005", judge: rules_tasks::restore_test },
    Rule { id: "SMC9006", judge: rules_tasks::incident_drill },
    Rule { id: "SMC9007", judge: rules_tasks::policy_review },
    Rule { id: "SMC9008", judge: rules_tasks::penetration_test },
    Rule { id: "SMC9010", judge: rules_tasks::keys_rotated },
    Rule { id: "SMC9011", judge: rules_tasks::backup_verified },
    Rule { id: "SMC9020", judge: rules_tasks::policy_acknowledged },
    Rule { id: "SMC9021", judge: rules_tasks::contact_named },
];

/// What there is of the database, or the one verdict that stands in the place of every rule about it. A database that
/// was never made is no fault of a development set-up; elsewhere it means that nothing could be assessed.
fn posture(facts: &Facts, profile: Profile) -> Result<&Posture, Vec<Verdict>> {
    let at = Source::key("storage.url");
    facts.database.as_deref().map_err(|absent| {
        vec![match absent {
            Absent::NotMade(why) if profile == Profile::Development => {
                Verdict::not_applicable(at, why.clone())
            }
            Absent::NotMade(why) | Absent::Unseen(why) => Verdict::error(at, why.clone()),
        }]
    })
}

/// What was seen, or the verdict that it was not.
fn seen<T>(fact: &Seen<T>, at: Source) -> Result<&T, Vec<Verdict>> {
    fact.as_ref().map_err(|unseen| vec![Verdict::error(at, unseen.why.clone())])
}

/// A clock may be this far behind another one.
const SLACK: Duration = Duration::from_secs(86_400);

/// How long ago that was. What is said to be later than now would never grow old: that is an error.
fn age(then: Timestamp, ground: &Ground<'_>, at: impl Fn() -> Source) -> Result<Duration, Vec<Verdict>> {
    if then.since(ground.now) > SLACK {
        let why = format!(
            "{} is later than now, {}: a clock is wrong, or somebody wrote it",
            then.rfc3339(),
            ground.now.rfc3339()
        );
        return Err(vec![Verdict::error(at(), why)]);
    }
    Ok(ground.now.since(then))
}

/// A rule that stops where something could not be seen.
fn settled(judged: Result<Vec<Verdict>, Vec<Verdict>>) -> Vec<Verdict> {
    judged.unwrap_or_else(|unseen| unseen)
}
