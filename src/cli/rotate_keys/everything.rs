//! `rotate-keys --what all`, and `--emergency`: the same with nothing handed over and everything ended that anybody
//! holds, before the first key is replaced and again after the last, so that what was issued meanwhile is dead too.

use serde_json::json;

use super::evidence::Shown;
use super::{Args, master, own};
use crate::cli::Global;
use crate::cli::administer::{Desk, broken};
use crate::cli::output::Refused;
use crate::domain::event::{Event, EventCode};
use crate::domain::rotation::Kind;
use crate::store::Living;

/// Rotates all three kinds; goes on with the one in progress.
pub(super) async fn all(args: &Args, desk: &Desk, global: &Global) -> Result<Vec<Shown>, Refused> {
    let kinds = [Kind::Master, Kind::Signing, Kind::Data];
    let in_progress = desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
    let at = in_progress.and_then(|row| kinds.iter().position(|kind| kind.name() == row.kind));
    let mut shown = Vec::new();
    for kind in kinds.into_iter().skip(at.unwrap_or_default()) {
        shown.push(match kind {
            Kind::Master => master::run(args, desk, global).await?,
            other => own::run(args, desk, other).await?,
        });
    }
    Ok(shown)
}

/// Contains what a leaked key can do here.
pub(super) async fn emergency(args: &Args, desk: &Desk, global: &Global) -> Result<Vec<Shown>, Refused> {
    let living = desk.store.living().await.map_err(|failure| broken(&failure))?;
    if args.dry_run {
        desk.output.note(&format!("Would end {}.", in_words(&living)));
        return all(args, desk, global).await;
    }
    desk.confirm(&format!("Rotate every key and end {}?", in_words(&living)), args.yes)?;
    end(desk, "before").await?;
    let shown = all(args, desk, global).await?;
    end(desk, "after").await?;
    let left = desk.store.living().await.map_err(|failure| broken(&failure))?;
    if left != NOTHING {
        return Err(Refused::incomplete(
            "NOT_CONTAINED",
            format!("the keys are replaced, and there are again {}", in_words(&left)),
            "stop the servers, and run it again",
        ));
    }
    desk.output.note(
        "Every session, token and API key is ended. Servers need the new master key by its file, and a start. Spotify's \
         grants cannot be ended from here: rotate the app's client secret in Spotify's dashboard.",
    );
    Ok(shown)
}

const NOTHING: Living =
    Living { grants: 0, access_tokens: 0, browser_sessions: 0, mcp_sessions: 0, pending: 0, api_keys: 0 };

async fn end(desk: &Desk, when: &str) -> Result<(), Refused> {
    let living = desk.store.living().await.map_err(|failure| broken(&failure))?;
    let event = Event::new(EventCode::EmergencyContainment)
        .operation("rotate-keys --emergency")
        .detail("when", when)
        .detail("ended", json!({
            "grants": living.grants, "access_tokens": living.access_tokens, "browsers": living.browser_sessions,
            "mcp_sessions": living.mcp_sessions, "pending": living.pending, "api_keys": living.api_keys,
        }).to_string());
    let ended = desk.store.end_everything(desk.clock.now(), &[desk.stamp(event)]).await;
    let ended = ended.map_err(|failure| broken(&failure))?;
    desk.output.note(&format!("Ended {}.", in_words(&ended)));
    Ok(())
}

fn in_words(living: &Living) -> String {
    format!(
        "{} grants, {} access tokens, {} browser sessions, {} MCP sessions, {} codes and logins, {} API keys",
        living.grants,
        living.access_tokens,
        living.browser_sessions,
        living.mcp_sessions,
        living.pending,
        living.api_keys
    )
}
