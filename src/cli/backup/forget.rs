//! `spotify-mcp backup forget`: somebody says that a backup exists nowhere any more.

use serde_json::json;

use crate::cli::administer::{Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::domain::BackupId;
use crate::domain::event::{Event, EventCode, clean};

/// What `backup forget` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Removes no file. Say it when the last copy is deleted: until then the keys that the backup needs count as needed, and
people who were deleted since live on in it.

Examples:
  spotify-mcp backup forget b_0123456789abcdef0123456789abcdef")]
pub struct Args {
    /// Which backup: b_...
    #[arg(value_name = "ID")]
    id: String,
}

/// Forgets one backup.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let id: BackupId = args.id.parse().map_err(|error| {
        let text = format!("{}: {error}", clean(&args.id));
        Refused::usage("BACKUP_ID", text, "'spotify-mcp backup list' shows the ids")
    })?;
    at_database(place, async |desk| {
        let event = desk.stamp(Event::new(EventCode::BackupForgotten).subject(id.as_str()));
        let known = desk.store.forget_backup(&id, &[event]).await.map_err(|failure| broken(&failure))?;
        if !known {
            let text = format!("there is no backup {id} in the list");
            return Err(Refused::incomplete(
                "BACKUP_UNKNOWN",
                text,
                "'spotify-mcp backup list' shows the ids",
            ));
        }
        desk.output.result(&format!("Forgot backup {id}.\n"), &json!({ "forgotten": id }));
        Ok(Exit::Done)
    })
}
