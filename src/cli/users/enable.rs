//! `spotify-mcp users enable`: lets people log in again; what they held before stays ended.

use serde_json::json;

use crate::app::administration::Hands;
use crate::cli::administer::{Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::domain::UserId;

/// What the trail says was asked.
const OPERATION: &str = "users enable";

/// What `users enable` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
They log in as before. Sessions, clients, tokens and API keys from before they were disabled stay ended.

Examples:
  spotify-mcp users enable ada")]
pub struct Args {
    /// Who: our id (u_...), a Spotify user id or account id
    #[arg(value_name = "USER", required = true)]
    users: Vec<String>,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Accepted for scripts: nothing here needs to be confirmed
    #[arg(short, long)]
    yes: bool,
}

/// Enables everybody who is named.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let people = super::everybody(desk, &args.users).await?;
        let hands = Hands { store: &desk.store, clock: &desk.clock, dice: &desk.dice };
        let (mut enabled, mut before): (Vec<&UserId>, Vec<&UserId>) = (Vec::new(), Vec::new());
        for user in &people {
            let done = if args.dry_run {
                super::is_disabled(desk, user).await?
            } else {
                let done = hands.enable(user, args.reason.as_deref(), OPERATION).await;
                done.map_err(|failure| broken(&failure))?
            };
            if done { enabled.push(user) } else { before.push(user) }
        }
        let word = if args.dry_run { "Would enable" } else { "Enabled" };
        let said = enabled.iter().map(|user| format!("{word} {user}.\n"));
        let text: String =
            said.chain(before.iter().map(|user| format!("{user} was not disabled.\n"))).collect();
        let document = json!({ "dry_run": args.dry_run, "enabled": enabled, "not_disabled": before });
        desk.output.result(&text, &document);
        Ok(Exit::Done)
    })
}
