//! `spotify-mcp alerts list`: what was told, is due, or was given up.

use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use crate::ambient::Timestamp;
use crate::cli::administer::{Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::table::columns;
use crate::domain::event::clean;
use crate::store::DeliveryRow;

/// What `alerts list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The newest first, one line for each channel. due: it is tried again; sent: the channel took it; dead: it was tried as
often as alerts.max_attempts allows, or 1,000 waited already. Alerts stay for 30 days.

Examples:
  spotify-mcp alerts list
  spotify-mcp alerts list --state dead --format json")]
pub struct Args {
    /// Only these
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(["due", "sent", "dead"]))]
    state: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

/// Prints the list.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let rows = desk.store.alert_deliveries(args.state.as_deref(), args.limit.into()).await;
        let rows = rows.map_err(|failure| broken(&failure))?;
        desk.output.result(&table(&rows), &Value::Array(rows.iter().map(one).collect()));
        Ok(Exit::Done)
    })
}

fn one(row: &DeliveryRow) -> Value {
    let alert = &row.alert;
    json!({
        "id": alert.id,
        "rule": alert.rule,
        "about": alert.about,
        "event": alert.code,
        "events": alert.events,
        "audit_records": alert.records.split_ascii_whitespace().collect::<Vec<_>>(),
        "last_event_at": Timestamp::from_millis(alert.happened_at).rfc3339(),
        "raised_at": Timestamp::from_secs(alert.raised_at).rfc3339(),
        "channel": row.channel,
        "state": row.state,
        "tries": row.tries,
        "next_try_at": (row.state == "due").then(|| Timestamp::from_millis(row.next_at).rfc3339()),
        "error": row.error,
        "ended_at": row.ended_at.map(|at| Timestamp::from_secs(at).rfc3339()),
    })
}

fn table(rows: &[DeliveryRow]) -> String {
    if rows.is_empty() {
        return "No alerts.\n".to_owned();
    }
    let line = |row: &DeliveryRow| {
        [
            row.alert.id.clone(),
            Timestamp::from_secs(row.alert.raised_at).rfc3339()[..19].replace('T', " "),
            row.alert.rule.clone(),
            clean(&row.alert.about),
            row.alert.events.to_string(),
            row.channel.clone(),
            row.state.clone(),
            row.tries.to_string(),
            row.error.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<[String; 9]> = rows.iter().map(line).collect();
    columns(&["ID", "RAISED", "RULE", "ABOUT", "EVENTS", "CHANNEL", "STATE", "TRIES", "ERROR"], &rows)
}
