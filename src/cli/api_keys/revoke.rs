//! `spotify-mcp api-keys revoke`: ends keys now; every running server hears of it within a second.

use serde_json::json;

use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::crypto::token::TokenKind;
use crate::domain::ApiKeyId;
use crate::domain::event::{Event, EventCode, clean};
use crate::store::KeyEnd;

/// What `api-keys revoke` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needs the database and no master key. Ids are those of 'api-keys list', never the keys themselves. Run again, it ends
what is left.

Examples:
  spotify-mcp api-keys revoke ak_0123456789abcdef0123456789abcdef
  spotify-mcp api-keys revoke --yes \\
      ak_0123456789abcdef0123456789abcdef ak_fedcba9876543210fedcba9876543210")]
pub struct Args {
    /// Which keys: ak_...
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// Which keys fared how.
#[derive(Default)]
struct Outcome {
    revoked: Vec<ApiKeyId>,
    before: Vec<ApiKeyId>,
    unknown: Vec<ApiKeyId>,
}

/// Ends the keys that are there, and says which were not.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let mut ids = args.ids.iter().map(|text| id(text)).collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    ids.dedup();
    at_database(place, async |desk| {
        if !args.dry_run {
            let keys = if ids.len() == 1 { "this API key" } else { "these API keys" };
            desk.confirm(&format!("Revoke {keys} now, on every server?"), args.yes)?;
        }
        let mut outcome = Outcome::default();
        for id in &ids {
            revoke(desk, id, args.dry_run, &mut outcome).await?;
        }
        report(desk, &outcome, args.dry_run);
        match outcome.unknown.as_slice() {
            [] => Ok(Exit::Done),
            unknown => Err(Refused::incomplete(
                "KEY_UNKNOWN",
                format!("there is no such API key: {}", words(unknown)),
                "see 'api-keys list'; keys revoked more than a day ago are gone",
            )),
        }
    })
}

fn id(text: &str) -> Result<ApiKeyId, Refused> {
    if text.starts_with(TokenKind::ApiKey.prefix()) {
        return Err(Refused::usage(
            "KEY_INSTEAD_OF_ID",
            "this is an API key, and other users of this machine can see arguments; nothing was changed",
            "find its id with 'api-keys list' and revoke that",
        ));
    }
    text.parse().map_err(|_| {
        Refused::usage("USAGE", format!("not an API key's id: {}", clean(text)), "see 'api-keys list'")
    })
}

async fn revoke(desk: &Desk, id: &ApiKeyId, dry_run: bool, outcome: &mut Outcome) -> Result<(), Refused> {
    let key = desk.store.key_grant_by_id(id).await.map_err(|failure| broken(&failure))?;
    let Some(key) = key else {
        outcome.unknown.push(id.clone());
        return Ok(());
    };
    if dry_run {
        outcome.revoked.push(id.clone());
        return Ok(());
    }
    let event = Event::new(EventCode::ApiKeyRevoked)
        .subject(id.as_str())
        .operation("api-keys revoke")
        .detail("owner", key.user.as_str());
    let ended = desk.store.revoke_api_key(None, id, desk.clock.now(), &[desk.stamp(event)]).await;
    match ended.map_err(|failure| broken(&failure))? {
        KeyEnd::Done => outcome.revoked.push(id.clone()),
        KeyEnd::Before => outcome.before.push(id.clone()),
        KeyEnd::Unknown => outcome.unknown.push(id.clone()),
    }
    Ok(())
}

fn report(desk: &Desk, outcome: &Outcome, dry_run: bool) {
    let document = json!({
        "dry_run": dry_run,
        "revoked": outcome.revoked,
        "already_revoked": outcome.before,
        "not_found": outcome.unknown,
    });
    let done = if dry_run { "Would revoke" } else { "Revoked" };
    let lines = [(done, &outcome.revoked), ("Revoked before:", &outcome.before)];
    let text: String = lines
        .iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(word, ids)| format!("{word} {}\n", words(ids)))
        .collect();
    desk.output.result(&text, &document);
}

fn words(ids: &[ApiKeyId]) -> String {
    ids.iter().map(ApiKeyId::as_str).collect::<Vec<_>>().join(", ")
}
