//! Doing the steps of an edit one after the other, each after the one before it is certain, and proving the end.

use std::collections::HashMap;
use std::time::Duration;

use super::super::super::upstream::Session;
use super::super::ToolError;
use super::super::amount::amount;
use super::super::items::is_snapshot;
use super::contents::{self, Contents};
use super::outcome::{Status, contradicted};
use super::timing::{Sent, seen, send};
use crate::domain::edits::Step;
use crate::spotify::ApiError;
use crate::spotify::models::Snapshot;
use crate::spotify::quota::Bucket;
use crate::spotify::uri::PlaylistId;
use crate::vault::CallError;

/// How long Spotify may take to show what it confirmed, before it is read once more.
const SETTLING: Duration = Duration::from_millis(400);
/// The longest pause before it is looked whether a step that was lost is not there.
const LONGEST_SETTLING: Duration = Duration::from_secs(15);
/// So often one step is sent again.
const MOST_REPEATS: u32 = 4;
/// Nothing is sent again with less time left.
const LEAST: Duration = Duration::from_secs(20);

/// What came of the steps.
pub(in crate::mcp::tools) struct Applied {
    /// How certain it is.
    pub(in crate::mcp::tools) status: Status,
    /// How many steps are certain.
    pub(in crate::mcp::tools) done: usize,
    /// The name of the state afterwards, where it is known.
    pub(in crate::mcp::tools) snapshot: Option<String>,
    /// What stopped it, or keeps it uncertain.
    pub(in crate::mcp::tools) failure: Option<ToolError>,
    /// How many rows there are after the steps that are certain.
    pub(in crate::mcp::tools) rows: usize,
    /// How many of these rows are away that should be there in the end.
    pub(in crate::mcp::tools) missing: usize,
}

impl Applied {
    /// Whether certainly nothing was done.
    pub(in crate::mcp::tools) fn is_nothing(&self) -> bool {
        self.status == Status::Partial && self.done == 0
    }
}

/// Asks everything of ours, and what Spotify has said, whether all the steps fit in before the first of them is done. A
/// single step is done or not, and asks by itself.
///
/// # Errors
/// Where they do not: why, and when they will.
pub(in crate::mcp::tools) async fn check(
    session: &Session<'_>,
    (rows, steps): (&[String], &[Step]),
) -> Result<(), ToolError> {
    if steps.len() < 2 {
        return Ok(());
    }
    let mut after = rows.to_vec();
    steps.iter().for_each(|step| step.done_to(&mut after));
    let (writes, api) = (steps.len() as u64, session.api);
    let requests = writes + u64::from(contents::requests(after.len()));
    let room = session
        .call(|token| std::future::ready(Ok(api.room_for(&token, Bucket::Playlists, (requests, writes)))));
    let turns = room.await?.map_err(|error| no_room(session, requests, error))?;
    match session.has_time_to_write(steps.len(), turns) {
        true => Ok(()),
        false => Err(too_slow(steps.len(), turns)),
    }
}

/// Does the steps to a list as it was read, and reads it again at the end. Several go on from the first to the last:
/// nothing of ours refuses them then, and what passes at Spotify is waited out.
pub(in crate::mcp::tools) async fn apply(
    session: &Session<'_>,
    id: &PlaylistId,
    (before, steps): (&Contents, &[Step]),
) -> Applied {
    let mut rows = before.uris();
    let mut applied = Applied {
        status: Status::Accepted,
        done: 0,
        snapshot: None,
        failure: None,
        rows: rows.len(),
        missing: 0,
    };
    if let Err(failure) = check(session, (&rows, steps)).await {
        return applied.stopped(Status::Partial, failure);
    }
    // Two people who write one list at once would mangle it.
    let turn = if steps.len() > 1 { session.rewriting.free(id) } else { None };
    if steps.len() > 1 {
        if turn.is_none() {
            return applied.stopped(Status::Partial, somebody_else());
        }
        session.going.go_on(session.longest(steps.len()));
    }
    let (mut wanted, mut state) = (rows.clone(), Some(before.snapshot.clone()));
    steps.iter().for_each(|step| step.done_to(&mut wanted));
    for step in steps {
        let may_repeat = applied.done > 0;
        match done(session, id, (step, may_repeat), (&mut rows, state.as_ref())).await {
            Ok(snapshot) => (applied.snapshot, state) = (snapshot.clone(), snapshot),
            Err((status, failure)) => return applied.stopped(status, failure),
        }
        applied.done += 1;
        (applied.rows, applied.missing) = (rows.len(), missing(&rows, &wanted));
    }
    if steps.len() > 1 {
        session.going.mend();
    }
    let applied = prove(session, id, &rows, applied).await;
    drop(turn);
    applied
}

/// Another person's change of the same playlist is under way.
fn somebody_else() -> ToolError {
    let mut error = ToolError::new(
        "RATE_LIMITED",
        "Somebody else is writing this playlist at this moment, so nothing was done. Look at it, and plan anew when they \
         have ended.",
    );
    error.retry_after_seconds = Some(10);
    error
}

/// How many rows that are wanted are not there, copies counted.
fn missing(there: &[String], wanted: &[String]) -> usize {
    let mut copies: HashMap<&String, usize> = HashMap::new();
    there.iter().for_each(|row| *copies.entry(row).or_default() += 1);
    let is_missing = |row: &&String| match copies.get_mut(*row).filter(|copies| **copies > 0) {
        Some(copies) => {
            *copies -= 1;
            false
        }
        None => true,
    };
    wanted.iter().filter(is_missing).count()
}

/// What is there after a step whose confirmation is lost.
enum There {
    /// What was there before it.
    AsBefore,
    /// Something else.
    Now(Box<Contents>),
    /// It cannot be seen.
    Unseen,
}

/// Looks at it: in the state from before the step it need not be read as a whole.
async fn look(session: &Session<'_>, id: &PlaylistId, (rows, state): (&[String], Option<&String>)) -> There {
    if let Some(state) = state {
        match seen(session, contents::head(session, id)).await {
            Some((_, now)) if now == *state => return There::AsBefore,
            Some(_) => {}
            None => return There::Unseen,
        }
    }
    match seen(session, contents::read(session, id)).await {
        Some(now) if now.uris() == rows => There::AsBefore,
        Some(now) => There::Now(Box::new(now)),
        None => There::Unseen,
    }
}

/// Does one step to `rows`, which are in this state. Where its confirmation is lost, what is there then tells whether it
/// was done; where it was not, it is sent again, some times, if others were done before it: they must not be left alone.
async fn done(
    session: &Session<'_>,
    id: &PlaylistId,
    (step, may_repeat): (&Step, bool),
    (rows, state): (&mut Vec<String>, Option<&String>),
) -> Result<Option<String>, (Status, ToolError)> {
    let mut after = rows.clone();
    step.done_to(&mut after);
    let (mut settling, mut repeats) = (SETTLING, if may_repeat { MOST_REPEATS } else { 0 });
    loop {
        let failure = match sent(session, id, step).await {
            Sent::Confirmed(answer) => {
                *rows = after;
                return Ok(answer.snapshot_id.filter(|id| is_snapshot(id)));
            }
            Sent::Refused(failure) => return Err((Status::Partial, failure)),
            Sent::Lost(failure) => failure,
        };
        let mut there = look(session, id, (rows, state)).await;
        if may_repeat && matches!(there, There::AsBefore) {
            // It may be on its way still.
            settling = (settling * 3).min(LONGEST_SETTLING);
            session.going.pause(settling).await;
            there = look(session, id, (rows, state)).await;
        }
        match there {
            There::Now(now) if now.uris() == after => {
                *rows = after;
                return Ok(Some(now.snapshot));
            }
            There::AsBefore if repeats > 0 && session.writing_time_left() > LEAST => repeats -= 1,
            _ => return Err((Status::Ambiguous, failure)),
        }
    }
}

fn no_room(session: &Session<'_>, requests: u64, error: ApiError) -> ToolError {
    let is_share = matches!(error, ApiError::ShareUsed { .. });
    let mut told = session.told(CallError::Api(error));
    let hours = told.retry_after_seconds.map_or(1, |wait| wait.div_ceil(3600));
    let why = match is_share {
        false => told.message,
        true => format!(
            "This person's share of this server's daily Spotify quota has no room for so many now. In {} at the \
             latest their first requests of the day count no more; something smaller may fit earlier, or they connect with a Spotify client id of their own.",
            amount(usize::try_from(hours).unwrap_or(usize::MAX), "hour")
        ),
    };
    told.message = format!(
        "Nothing was changed: it takes about {requests} requests to Spotify, and the playlist must not be left half \
         written. {why}"
    );
    told
}

fn too_slow(steps: usize, turns: Duration) -> ToolError {
    let why = match turns.is_zero() {
        true => "Spotify is so slow at the moment",
        false => "this server sends so few at the moment",
    };
    ToolError::new(
        "UPSTREAM_TIMEOUT",
        format!(
            "Nothing was changed: it takes {steps} requests one after the other, and {why} that the playlist might be left \
             half written. Try again later."
        ),
    )
}

impl Applied {
    fn stopped(self, status: Status, failure: ToolError) -> Self {
        Self { status, failure: Some(failure), ..self }
    }
}

/// Reads the list again: verified where it is what it should be. Where it cannot be read, Spotify's word stands.
async fn prove(session: &Session<'_>, id: &PlaylistId, rows: &[String], applied: Applied) -> Applied {
    for wait in [Duration::ZERO, SETTLING] {
        tokio::time::sleep(wait).await;
        match seen(session, contents::read(session, id)).await {
            Some(now) if now.uris() == rows => {
                return Applied { status: Status::Verified, snapshot: Some(now.snapshot), ..applied };
            }
            Some(_) => {}
            // What was read once and is something else is not confirmed by a second look that fails.
            None if wait.is_zero() => return applied,
            None => break,
        }
    }
    Applied { snapshot: None, ..applied }.stopped(Status::Ambiguous, contradicted())
}

async fn sent(session: &Session<'_>, id: &PlaylistId, step: &Step) -> Sent<Snapshot> {
    let api = session.api;
    match step {
        Step::Delete(uris) => {
            send(session, |token| async move { api.remove_items(&token, id, uris).await }).await
        }
        Step::Replace(uris) => {
            send(session, |token| async move { api.replace_items(&token, id, uris).await }).await
        }
        Step::Insert(at, uris) => {
            let at = u32::try_from(*at).unwrap_or(u32::MAX);
            send(session, |token| async move { api.insert_items(&token, id, (at, uris)).await }).await
        }
    }
}
