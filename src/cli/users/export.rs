//! `spotify-mcp users export`: all that is held of one person, as JSON, without what opens anything.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::export::{Trail, export_of};
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Output, Refused, io_cause};
use crate::cli::serve_start;
use crate::domain::event::{Event, EventCode, clean};
use crate::vault::KeyRing;

/// What `users export` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes every row that the database holds of the person, ended ones too; no token, no hash of one, nothing sealed. With it \
the pseudonym (p_...) by which the audit trail calls them, and the newest 10,000 records there that name them, from this \
server's folder; their addresses opened where the master key is at hand. 'audit query --user' gives older ones. The export \
is recorded there as well.

Examples:
  spotify-mcp users export ada
  spotify-mcp users export ada -o ada.json")]
pub struct Args {
    /// Who: our id (u_...), a Spotify user id or account id
    #[arg(value_name = "USER")]
    user: String,
    /// Write to this new file with mode 0600 instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes it all down.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let user = desk.person(&args.user).await?;
        let trail = Trail { dir: desk.config.audit.dir.clone(), ring: ring(desk).await, bytes: u64::MAX };
        let exported = export_of(&desk.store, &user, desk.clock.now(), trail).await;
        let document = exported.map_err(|failure| broken(&failure))?;
        let Some(document) = document else { return Err(super::gone_meanwhile(&user)) };
        let event = Event::new(EventCode::UserDataExported).subject(user.as_str()).operation("users export");
        // Recorded first: what is given out without a record was never given out.
        desk.store.record(&[desk.stamp(event)]).await.map_err(|failure| broken(&failure))?;
        match &args.output {
            None => desk.output.raw(&format!("{document:#}\n")),
            Some(path) => write(path, &document, &desk.output)?,
        }
        Ok(Exit::Done)
    })
}

/// What opens the addresses in the trail, where the master key is at hand.
async fn ring(desk: &Desk) -> Option<Arc<KeyRing>> {
    let roots = serve_start::roots_at_hand(&desk.config, &Output::silent()).ok()??;
    let opened = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await;
    opened.ok().map(|(ring, _)| Arc::new(ring))
}

fn write(path: &Path, document: &Value, output: &Output) -> Result<(), Refused> {
    let written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(
        |mut file| {
            file.write_all(format!("{document:#}\n").as_bytes())?;
            file.sync_all()
        },
    );
    let name = clean(&path.display().to_string());
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let text = format!("{name} is there already");
            Refused::usage("FILE_EXISTS", text, "name another file, or move that one away")
        }
        _ => {
            let text = format!("cannot write {name}: {}", io_cause(&error));
            Refused::incomplete("OUTPUT_UNWRITABLE", text, "name a folder that this user may write to")
        }
    })?;
    output.result(&format!("Wrote {name}.\n"), &json!({ "written": name }));
    Ok(())
}
