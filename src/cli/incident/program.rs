//! The steps that look at programs: which one runs and what it was built from, and whether another has taken its place.
//! Nothing is changed.

use serde_json::{Value, json};

use super::course::{Course, Taken};
use super::facts::Outcome;
use super::playbooks::Playbook;
use crate::cli::administer::{Desk, broken};
use crate::cli::control;
use crate::cli::output::Refused;
use crate::cli::rotate_keys::binary;

/// The packages that this program was built with, and some that it was not (those of tests and other systems).
const LOCK_FILE: &str = include_str!("../../../Cargo.lock");

/// Which program runs, and which dependencies it was built from.
pub(super) fn inventory(course: &Course<'_>) -> Result<Taken, Refused> {
    let Playbook::Dependency(of) = &course.playbook else {
        return Ok(Taken::done("nothing to do", Value::Null));
    };
    let all = packages();
    let named: Vec<&(String, String)> =
        all.iter().filter(|(name, _)| of.package.iter().any(|wanted| wanted == name)).collect();
    let mut said = vec![format!(
        "this program is {} ({}), built from at most {} packages",
        course.facts.version,
        &course.facts.binary[..course.facts.binary.len().min(16)],
        all.len()
    )];
    for wanted in &of.package {
        let versions: Vec<&str> =
            named.iter().filter(|(name, _)| name == wanted).map(|(_, version)| version.as_str()).collect();
        said.push(match versions.as_slice() {
            [] => format!("{wanted} is not among them"),
            some => format!("{wanted} is there: {}", some.join(", ")),
        });
    }
    let evidence = json!({
        "advisories": of.advisory,
        "program": { "version": course.facts.version, "sha256": course.facts.binary },
        "packages": all.len(),
        "of_the_lock_file": "tests and other systems included: a superset of what was linked",
        "named": named,
        "running_server": running_server(course.desk),
    });
    Ok(Taken { outcome: Outcome::Done, said, evidence })
}

/// Name and version of each package of the lock file.
fn packages() -> Vec<(String, String)> {
    let value = |line: &str, name: &str| {
        line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"').map(str::to_owned)
    };
    let (mut all, mut name) = (Vec::new(), None);
    for line in LOCK_FILE.lines() {
        if let Some(found) = value(line, "name") {
            name = Some(found);
        } else if let (Some(version), Some(name)) =
            (value(line, "version"), name.take_if(|_| line.starts_with("version")))
        {
            all.push((name, version));
        }
    }
    all
}

/// Whether another program has taken this one's place.
pub(super) fn replaced(course: &Course<'_>) -> Result<Taken, Refused> {
    let Playbook::Dependency(of) = &course.playbook else {
        return Ok(Taken::done("nothing to do", Value::Null));
    };
    let now = binary().map_err(|failure| broken(&failure))?;
    let server = running_server(course.desk);
    let evidence = json!({
        "before": course.facts.binary, "now": now, "version": env!("CARGO_PKG_VERSION"), "running_server": server,
        "accepted": of.accept,
    });
    let same = "this is still the program with which the incident began";
    let taken = |outcome, said: Vec<String>| Ok(Taken { outcome, said, evidence: evidence.clone() });
    if let Some(why) = &of.accept {
        return taken(Outcome::Findings, vec![format!("ended with this program all the same: {why}")]);
    }
    if now == course.facts.binary {
        let next = "install the mended one on every machine, restart the servers, and run the same command with it; \
                    or --accept REASON";
        return taken(Outcome::NotDone, vec![same.to_owned(), next.to_owned()]);
    }
    match server["program"].as_str() {
        Some(running) if running != now => taken(
            Outcome::NotDone,
            vec![
                "the running server is another program than this one: restart it, and run the same command"
                    .to_owned(),
            ],
        ),
        Some(_) => {
            taken(Outcome::Done, vec!["this program and the running server are the new one".to_owned()])
        }
        None => taken(
            Outcome::Done,
            vec![
                "this program is another one; no server of this data directory runs that could be asked"
                    .to_owned(),
            ],
        ),
    }
}

/// What the server of this data directory says of itself.
fn running_server(desk: &Desk) -> Value {
    match control::ask(&desk.config.storage.data_dir, control::Question::Status) {
        Ok(status) => {
            json!({ "runs": true, "program": status["program"], "master_key": status["master_key_id"] })
        }
        Err(_) => json!({ "runs": false }),
    }
}
