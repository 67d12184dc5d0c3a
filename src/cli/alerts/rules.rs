//! `spotify-mcp alerts rules`: what somebody is told of, as this configuration has it.

use serde_json::{Value, json};

use crate::cli::administer::{Place, configured_place};
use crate::cli::output::{Exit, Refused};
use crate::cli::table::columns;
use crate::domain::event::EventCode;
use crate::policy::AlertRule;
use crate::policy::alerts::{BUILT_IN, rules};

/// What `alerts rules` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A rule is changed by alerts.rules, for example [\"failed_logins=50/10m\", \"configuration=off\"]. What to do about each
is in docs/monitoring.md and in the alert itself.

Examples:
  spotify-mcp alerts rules
  spotify-mcp alerts rules --format json")]
pub struct Args {}

/// Prints them, those that are off too.
pub fn run(_: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let (config, _) = configured_place(place)?;
    let on = rules(&config.alerts.rules);
    let all: Vec<(&AlertRule, bool)> = BUILT_IN
        .iter()
        .map(|built_in| {
            on.iter().find(|rule| rule.name == built_in.name).map_or((built_in, false), |rule| (rule, true))
        })
        .collect();
    let document = all.iter().map(|(rule, on)| one(rule, *on)).collect();
    place.global.output().result(&table(&all), &Value::Array(document));
    Ok(Exit::Done)
}

fn codes(rule: &AlertRule) -> Vec<&'static str> {
    rule.events.iter().copied().map(EventCode::name).collect()
}

fn one(rule: &AlertRule, on: bool) -> Value {
    json!({
        "name": rule.name,
        "on": on,
        "severity": rule.severity.name(),
        "threshold": rule.threshold,
        "window_seconds": rule.window_seconds,
        "events": codes(rule),
        "summary": rule.summary,
        "action": rule.action,
    })
}

fn table(all: &[(&AlertRule, bool)]) -> String {
    let row = |(rule, on): &(&AlertRule, bool)| {
        let when = format!("{} in {}", rule.threshold, spell(rule.window_seconds));
        let when = if *on { when } else { "off".to_owned() };
        [rule.name.clone(), when, rule.severity.name().to_owned(), codes(rule).join(" ")]
    };
    let rows: Vec<[String; 4]> = all.iter().map(row).collect();
    columns(&["RULE", "TOLD AT", "SEVERITY", "EVENTS"], &rows)
}

fn spell(seconds: u32) -> String {
    crate::config::value::spell(std::time::Duration::from_secs(seconds.into()))
}
