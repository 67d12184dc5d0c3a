//! `spotify-mcp users disable`: keeps people out and ends all that they hold, on every server within a second.

use serde_json::json;

use crate::app::administration::Hands;
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::domain::UserId;

/// What the trail says was asked.
const OPERATION: &str = "users disable";

/// What `users disable` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends their browser sessions, clients' access with its tokens, API keys, sessions of 2025-era clients, and the calls that \
run by any of them. Whoever then logs in is told that the operator has disabled them. What they linked stays, so that \
'users enable' lets them log in again; nothing that they held before comes back.

Needs the database and no master key.

Examples:
  spotify-mcp users disable ada --reason 'left the group'
  spotify-mcp users disable u_0123456789abcdef0123456789abcdef --dry-run")]
pub struct Args {
    /// Who: our id (u_...), a Spotify user id or account id
    #[arg(value_name = "USER", required = true)]
    users: Vec<String>,
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

/// Disables everybody who is named.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let people = super::everybody(desk, &args.users).await?;
        let hands = Hands { store: &desk.store, clock: &desk.clock, dice: &desk.dice };
        if !args.dry_run && !args.yes {
            desk.confirm(&question(desk, &hands, &people).await?, false)?;
        }
        let (mut text, mut document) = (String::new(), Vec::new());
        for user in &people {
            let before = super::is_disabled(desk, user).await?;
            let counts = if args.dry_run {
                hands.would_disable(user).await.map_err(|failure| broken(&failure))?
            } else {
                let done = hands.disable(user, args.reason.as_deref(), OPERATION).await;
                done.map_err(|failure| broken(&failure))?.ok_or_else(|| super::gone_meanwhile(user))?.1
            };
            let done = match (args.dry_run, before) {
                (true, _) => "Would disable",
                (false, true) => "Was disabled before:",
                (false, false) => "Disabled",
            };
            text +=
                &format!("{done} {user}; ended: {}.\n", crate::cli::revoke_sessions::in_one_line(&counts));
            document.push(json!({
                "id": user, "already_disabled": before, "ended": crate::cli::revoke_sessions::kinds(&counts),
            }));
        }
        desk.output.result(&text, &json!({ "dry_run": args.dry_run, "disabled": document }));
        Ok(Exit::Done)
    })
}

/// Who, and what ends with it.
async fn question(desk: &Desk, hands: &Hands<'_>, people: &[UserId]) -> Result<String, Refused> {
    let mut lines = Vec::new();
    for user in people {
        let counts = hands.would_disable(user).await.map_err(|failure| broken(&failure))?;
        let ends = crate::cli::revoke_sessions::in_one_line(&counts);
        lines.push(format!("{}, which ends {ends}", desk.called(user).await?));
    }
    Ok(format!("Disable {} now, on every server?", lines.join("; ")))
}
