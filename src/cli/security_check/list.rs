//! `security-check --list`: every check, profile, framework and task.

use serde_json::{Value, json};

use crate::check::catalogue::Check;
use crate::check::{Catalogue, Profile, probe};
use crate::cli::output::{Exit, Output, Refused, paragraph};

/// Prints the list.
pub(super) fn run(catalogue: &Catalogue, output: &Output) -> Result<Exit, Refused> {
    output.result(&in_words(catalogue), &in_json(catalogue));
    Ok(Exit::Done)
}

fn in_words(catalogue: &Catalogue) -> String {
    let mut text = format!("{} checks\n", catalogue.checks.len());
    for check in &catalogue.checks {
        let head = format!("  {}  {:8}  {:7}  ", check.id, check.severity.name(), check.area.name());
        text += &paragraph(&head, &check.title);
    }
    text += "\nProfiles (--profile)\n";
    for entry in Profile::ALL.iter().filter_map(|profile| catalogue.profiles.entry(*profile)) {
        text += &paragraph(&format!("  {:11}  ", entry.id.name()), &entry.title);
    }
    text += "\nFrameworks\n";
    for framework in &catalogue.frameworks {
        let line = format!("{}: {} controls", framework.named(), framework.controls.len());
        text += &paragraph(&format!("  {:16}  ", framework.id), &line);
    }
    text += "\nTasks that come again ('attest TASK --by WHO --evidence TEXT': one was done)\n";
    for task in &catalogue.tasks {
        text += &paragraph(&format!("  {:17}  {:9}  ", task.id, task.every.name()), &task.title);
    }
    text + "\nOne check, whole: 'spotify-mcp security-check --explain ID'\n"
}

fn in_json(catalogue: &Catalogue) -> Value {
    let profile = |profile: &Profile| {
        let entry = catalogue.profiles.entry(*profile);
        json!({ "id": profile.name(), "title": entry.map(|entry| entry.title.as_str()) })
    };
    json!({
        "checks": catalogue.checks.iter().map(check).collect::<Vec<_>>(),
        "profiles": Profile::ALL.iter().map(profile).collect::<Vec<_>>(),
        "frameworks": catalogue.frameworks.iter().map(|framework| json!({
            "id": framework.id, "title": framework.title, "version": framework.version,
            "status": framework.status, "source": framework.source, "controls": framework.controls.len(),
        })).collect::<Vec<_>>(),
        "tasks": catalogue.tasks.iter().map(|task| json!({
            "id": task.id, "title": task.title, "every": task.every.name(), "days": task.every.days(),
            "evidence": task.evidence,
        })).collect::<Vec<_>>(),
        "policies": { "origin": catalogue.origin, "sha256": catalogue.digest },
    })
}

fn check(check: &Check) -> Value {
    json!({
        "id": check.id, "name": check.name, "title": check.title, "area": check.area.name(),
        "severity": check.severity.name(), "tags": check.tags,
        "probed": probe::tries(&check.id),
        "needs": check.needs.iter().map(|need| need.name()).collect::<Vec<_>>(),
    })
}
