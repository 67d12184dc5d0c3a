//! `spotify-mcp clients delete`: forgets clients and ends all that they hold, on every server within a second.

use serde_json::json;

use crate::app::administration::Hands;
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::revoke_sessions::{in_one_line, kinds};
use crate::domain::ClientId;
use crate::domain::event::clean;

/// What the trail says was asked.
const OPERATION: &str = "clients delete";

/// What `clients delete` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends what the client was given by anybody (grants, tokens, codes, sessions, approvals) and forgets the client. One that \
registered itself has to register again; one that a document describes comes back when it is next used, and has to ask \
again: 'auth.client_documents' keeps it out. One of 'auth.clients' is taken out of the configuration instead.

Needs the database and no master key.

Examples:
  spotify-mcp clients delete c_0123456789abcdef0123456789abcdef --dry-run
  spotify-mcp clients delete https://client.example/id.json --yes")]
pub struct Args {
    /// Which clients
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Count what would be ended, and end nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// Deletes the clients.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let mut clients = Vec::with_capacity(args.ids.len());
        for named in &args.ids {
            clients.push(known(named, desk).await?);
        }
        clients.sort();
        clients.dedup();
        if !args.dry_run {
            let these = if clients.len() == 1 { "this client" } else { "these clients" };
            desk.confirm(&format!("Delete {these} and end all that they hold, on every server?"), args.yes)?;
        }
        let hands = Hands { store: &desk.store, clock: &desk.clock, dice: &desk.dice };
        let (mut text, mut document) = (String::new(), Vec::new());
        for client in &clients {
            let counts = if args.dry_run {
                hands.would_forget(client).await.map_err(|failure| broken(&failure))?
            } else {
                let done = hands.forget_client(client, args.reason.as_deref(), OPERATION).await;
                done.map_err(|failure| broken(&failure))?
            };
            let done = if args.dry_run { "Would delete" } else { "Deleted" };
            text += &format!("{done} {client}; ended: {}.\n", in_one_line(&counts));
            document.push(json!({ "id": client.as_str(), "ended": kinds(&counts) }));
        }
        desk.output.result(&text, &json!({ "dry_run": args.dry_run, "deleted": document }));
        Ok(Exit::Done)
    })
}

async fn known(named: &str, desk: &Desk) -> Result<ClientId, Refused> {
    let unknown = || {
        Refused::incomplete(
            "CLIENT_UNKNOWN",
            format!("there is no client {}; nothing was changed", clean(named)),
            "'spotify-mcp clients list' shows the ids",
        )
    };
    let id = ClientId::parse(named).ok_or_else(unknown)?;
    if desk.config.auth.clients.iter().any(|client| client.id == id) {
        return Err(Refused::usage(
            "CLIENT_CONFIGURED",
            format!(
                "{id} is one of auth.clients, and servers would know it all the same; nothing was changed"
            ),
            "take it out of the configuration and restart; 'revoke-sessions --client' ends what it holds now",
        ));
    }
    // What it held once is kept for a while, and is nothing to delete: a second time says so.
    let hands = Hands { store: &desk.store, clock: &desk.clock, dice: &desk.dice };
    let is_there = desk.store.has_client(&id).await.map_err(|failure| broken(&failure))?;
    let held = hands.would_forget(&id).await.map_err(|failure| broken(&failure))?;
    if is_there || !held.is_nothing() { Ok(id) } else { Err(unknown()) }
}
