//! `security-check --explain ID`: one check, whole.

use serde_json::{Map, Value, json};

use crate::check::catalogue::Check;
use crate::check::{Catalogue, Profile, Severity, probe};
use crate::cli::output::{Exit, Output, Refused, paragraph};
use crate::domain::event::clean;

/// Prints it.
pub(super) fn run(catalogue: &Catalogue, id: &str, output: &Output) -> Result<Exit, Refused> {
    let called = |check: &&Check| check.id.eq_ignore_ascii_case(id) || check.name.eq_ignore_ascii_case(id);
    let check = catalogue.checks.iter().find(called).ok_or_else(|| {
        let next = "'spotify-mcp security-check --list' shows them";
        Refused::usage("CHECK_UNKNOWN", format!("there is no check {}", clean(id)), next)
    })?;
    output.result(&in_words(catalogue, check), &in_json(catalogue, check));
    Ok(Exit::Done)
}

fn in_words(catalogue: &Catalogue, check: &Check) -> String {
    let mut text = format!("{} {}\n", check.id, check.name);
    text += &paragraph("", &check.title);
    text.push('\n');
    for (head, words) in [
        ("expected   ", &check.expected),
        ("why        ", &check.why),
        ("fix        ", &check.fix),
        ("verify     ", &check.verify),
    ] {
        text += &paragraph(head, words);
    }
    text += &paragraph(
        "run by     ",
        &format!("security-check {}", check.area.name().replace("all", "(every area)")),
    );
    if !check.needs.is_empty() {
        let needs: Vec<_> = check.needs.iter().map(|need| need.name()).collect();
        text += &paragraph("needs      ", &needs.join(", "));
    }
    if probe::tries(&check.id) {
        text += &paragraph("tried      ", "with --probe, on this program started apart");
    }
    text += &paragraph("tags       ", &check.tags.join(", "));
    text += "\nIn each profile\n";
    for profile in Profile::ALL {
        text += &paragraph(&format!("  {:11}  ", profile.name()), &in_profile(catalogue, check, profile));
    }
    text += "\nEvidence that supports\n";
    for (framework, ids) in check.controls.iter().filter(|(_, ids)| !ids.is_empty()) {
        text += &paragraph("  ", &format!("{}: {}", framework_named(catalogue, framework), ids.join(", ")));
        let was = before(catalogue, framework, ids);
        if !was.is_empty() {
            text += &paragraph("    ", &format!("in the edition before: {}", was.join(", ")));
        }
    }
    text
}

fn in_profile(catalogue: &Catalogue, check: &Check, profile: Profile) -> String {
    let Some(severity) = catalogue.severity(check, profile) else { return "off".to_owned() };
    let parameters = catalogue.parameters(check, profile);
    let said = parameters.said().into_iter().map(|(name, value)| format!("{name} = {value}"));
    std::iter::once(severity.name().to_owned()).chain(said).collect::<Vec<_>>().join(", ")
}

fn framework_named(catalogue: &Catalogue, id: &str) -> String {
    catalogue.framework(id).map_or_else(|| id.to_uppercase(), |framework| framework.named())
}

/// Where these controls stood in the edition before.
fn before(catalogue: &Catalogue, framework: &str, ids: &[String]) -> Vec<String> {
    let framework = catalogue.framework(framework);
    let controls = ids.iter().filter_map(|id| framework?.control(id));
    controls.flat_map(|control| control.was.clone()).collect()
}

fn in_json(catalogue: &Catalogue, check: &Check) -> Value {
    let profiles: Map<String, Value> = Profile::ALL
        .iter()
        .map(|profile| (profile.name().to_owned(), profiled(catalogue, check, *profile)))
        .collect();
    let needs: Vec<_> = check.needs.iter().map(|need| need.name()).collect();
    json!({
        "id": check.id, "name": check.name, "title": check.title, "area": check.area.name(), "needs": needs,
        "probed": probe::tries(&check.id), "severity": check.severity.name(), "tags": check.tags, "expected": check.expected, "why": check.why,
        "fix": check.fix, "verify": check.verify, "profiles": profiles, "controls": check.controls,
    })
}

fn profiled(catalogue: &Catalogue, check: &Check, profile: Profile) -> Value {
    let parameters = catalogue.parameters(check, profile);
    let said: Map<String, Value> =
        parameters.said().into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    json!({ "severity": catalogue.severity(check, profile).map_or("off", Severity::name), "parameters": said })
}
