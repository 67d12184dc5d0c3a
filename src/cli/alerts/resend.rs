//! `spotify-mcp alerts resend`: what was given up is due again; a running server tells it.

use serde_json::json;

use crate::cli::administer::{Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::domain::AlertId;
use crate::domain::event::{Event, EventCode, clean};

/// What `alerts resend` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only what is dead, on every channel that gave it up; a running server tries it within seconds, as often as a new one.
Naming nothing is an error, never all.

Examples:
  spotify-mcp alerts resend al_0123456789abcdef0123456789abcdef
  spotify-mcp alerts resend --all")]
pub struct Args {
    /// Which alert: al_...
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Everything that is dead
    #[arg(long)]
    all: bool,
    /// Only say how many
    #[arg(long)]
    dry_run: bool,
}

/// Makes it due.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let id = args.id.as_deref().map(str::parse::<AlertId>).transpose().map_err(|error| {
        let text = format!("{}: {error}", clean(args.id.as_deref().unwrap_or_default()));
        Refused::usage("ALERT_ID", text, "'spotify-mcp alerts list --state dead' shows the ids")
    })?;
    at_database(place, async |desk| {
        let count = match args.dry_run {
            true => {
                let dead = desk.store.alert_deliveries(Some("dead"), i64::MAX).await;
                let dead = dead.map_err(|failure| broken(&failure))?;
                let is_meant = |found: &str| id.as_ref().is_none_or(|id| id.as_str() == found);
                dead.iter().filter(|row| is_meant(&row.alert.id)).count() as u64
            }
            false => {
                let event = |count: u64| {
                    let event = Event::new(EventCode::AlertsResent).operation("alerts resend");
                    let which = id.as_ref().map_or("all", AlertId::as_str);
                    desk.stamp(event.subject(which).detail("deliveries", count.to_string()))
                };
                let done = desk.store.resend_alerts(id.as_ref(), desk.clock.now(), event).await;
                done.map_err(|failure| broken(&failure))?
            }
        };
        if let (Some(id), 0) = (&id, count) {
            let text = format!("nothing of {id} is dead");
            let next = "'spotify-mcp alerts list --state dead' shows what is";
            return Err(Refused::incomplete("ALERT_UNKNOWN", text, next));
        }
        let (are, key) = match (args.dry_run, count) {
            (true, _) => ("would be", "would_resend"),
            (false, 1) => ("is", "resent"),
            (false, _) => ("are", "resent"),
        };
        let many = if count == 1 { "delivery" } else { "deliveries" };
        desk.output.result(&format!("{count} {many} {are} due again.\n"), &json!({ key: count }));
        Ok(Exit::Done)
    })
}
