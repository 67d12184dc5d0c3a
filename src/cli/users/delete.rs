//! `spotify-mcp users delete`: people and everything of theirs, in the database and in the bytes of its files.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::domain::UserId;
use crate::domain::event::{Event, EventCode};
use crate::vault::turns::LIVES;

/// How long readers of a SQLite database may keep its log from being emptied.
const PATIENCE: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(200);

/// What `users delete` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Removes the person, their linked accounts with Spotify's tokens, keys, clients' access, sessions, API keys, approvals and \
usage. Of a SQLite database what was deleted is overwritten, and its write-ahead log is emptied before this says that it \
is done. The audit trail keeps what was done under their pseudonym (p_...), which then leads to nobody, and their addresses \
in it cannot be opened any more. Backups from before still hold them until they are deleted; restoring one deletes them \
again.

What Spotify granted cannot be revoked from here: they remove it at spotify.com/account/apps. Export first, if they ask \
what was held: 'users export'.

Examples:
  spotify-mcp users delete ada --dry-run
  spotify-mcp users delete ada --yes")]
pub struct Args {
    /// Who: our id (u_...), a Spotify user id or account id
    #[arg(value_name = "USER", required = true)]
    users: Vec<String>,
    /// Why, for the audit trail. It stays there: name nobody
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

/// Deletes everybody who is named.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        let people = super::everybody(desk, &args.users).await?;
        if args.dry_run {
            return would_delete(desk, &people).await;
        }
        if !args.yes {
            desk.confirm(&question(desk, &people).await?, false)?;
        }
        for user in &people {
            let event = Event::new(EventCode::UserDeleted).subject(user.as_str()).operation("users delete");
            let event = match &args.reason {
                Some(reason) => event.because(reason),
                None => event,
            };
            await_turn(desk, user).await?;
            let gone = desk.store.delete_user(user, desk.clock.now(), &[desk.stamp(event)]).await;
            if !gone.map_err(|failure| broken(&failure))? {
                desk.output.note(&format!("{user} was deleted by somebody else just now."));
            }
        }
        without_traces(desk).await?;
        let text: String =
            people.iter().map(|user| format!("Deleted {user} and everything of theirs.\n")).collect();
        desk.output.result(&text, &json!({ "dry_run": false, "deleted": people }));
        Ok(Exit::Done)
    })
}

/// Waits for a change that is being written with an account of theirs: it would be left in its middle. Nobody begins
/// another one then.
async fn await_turn(desk: &Desk, user: &UserId) -> Result<(), Refused> {
    // One whose server has died is not believed in any longer.
    let until = Instant::now() + LIVES + BETWEEN;
    loop {
        if desk
            .store
            .take_change_turn((user, "users delete"), LIVES)
            .await
            .map_err(|failure| broken(&failure))?
        {
            return Ok(());
        }
        if desk.store.user(user).await.map_err(|failure| broken(&failure))?.is_none() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Refused::incomplete(
                "CHANGE_UNDER_WAY",
                format!(
                    "{user} is not deleted: a change is still being written at Spotify with an account of theirs"
                ),
                "run it again when that has ended, in four minutes at most; or stop the servers first",
            ));
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Who, and what goes with them.
async fn question(desk: &Desk, people: &[UserId]) -> Result<String, Refused> {
    let mut lines = Vec::new();
    for user in people {
        lines.push(format!("{}, with {}", desk.called(user).await?, in_words(&counts(desk, user).await?)));
    }
    Ok(format!("Delete {} and everything of theirs? This cannot be undone.", lines.join("; ")))
}

async fn would_delete(desk: &Desk, people: &[UserId]) -> Result<Exit, Refused> {
    let (mut text, mut document) = (String::new(), Vec::new());
    for user in people {
        let counts = counts(desk, user).await?;
        text += &format!("Would delete {user}, with {}.\n", in_words(&counts));
        document.push(json!({ "id": user, "rows": counts }));
    }
    desk.output.result(&text, &json!({ "dry_run": true, "deleted": document }));
    Ok(Exit::Done)
}

/// How many rows of each kind are theirs.
async fn counts(desk: &Desk, user: &UserId) -> Result<Map<String, Value>, Refused> {
    let held = desk.store.holdings(user).await.map_err(|failure| broken(&failure))?;
    let Some(held) = held else { return Err(super::gone_meanwhile(user)) };
    let rows = held.as_object().into_iter().flatten();
    Ok(rows
        .filter_map(|(name, rows)| Some((name.clone(), json!(rows.as_array()?.len()))))
        .filter(|(_, count)| *count != 0)
        .collect())
}

fn in_words(counts: &Map<String, Value>) -> String {
    let said: Vec<_> =
        counts.iter().map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
    if said.is_empty() { "nothing else".to_owned() } else { said.join(", ") }
}

/// Waits until nothing of what was deleted is left in SQLite's log.
async fn without_traces(desk: &Desk) -> Result<(), Refused> {
    for _ in 0..PATIENCE {
        if desk.store.empty_log().await {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Err(Refused::incomplete(
        "LOG_NOT_EMPTIED",
        "they are deleted, and the database's write-ahead log still holds old bytes: something reads it all the time",
        "a running server empties it within a minute; look for a long query or a copy of the database in progress",
    ))
}
