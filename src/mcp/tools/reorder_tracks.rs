//! Moving a range of rows of a playlist: of the state that was meant, and proven afterwards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::amount::amount;
use super::arguments::{Count, PlaylistName, Text, parse, schema_of};
use super::changing::MOVES;
use super::changing::contents::{Contents, read};
use super::changing::journal::{About, Noted};
use super::changing::outcome::{Outcome, Status, contradicted};
use super::changing::timing::{Sent, seen, send};
use super::items::is_snapshot;
use super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use crate::domain::change::PreImage;
use crate::spotify::playlist_edits::Move;
use crate::spotify::quota::LIST_OFFSET;
use crate::spotify::uri::PlaylistId;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "reorder_playlist_tracks",
    title: "Move tracks within a playlist",
    description: "Moves range_length rows of a playlist, from the row at range_start on, to before the row that is now at \
                  insert_before (the number of rows: to the end). Positions count from 0. Give the snapshot_id of \
                  get_playlist so that nothing is moved where the playlist has changed since the positions were looked up. \
                  undo_change moves them back. To sort or shuffle a whole list make a new one with create_playlist in that order: \
                  each move reads the list anew.",
    hints: MOVES,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

/// So many of the rows before those that move are written down.
const NEIGHBOURS: usize = 20;

type Position = Count<0, LIST_OFFSET>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// The first row that moves, counted from 0.
    range_start: Position,
    /// The row before which it goes, counted before anything moves; the number of rows: to the end.
    insert_before: Position,
    /// How many rows move.
    #[serde(default = "one")]
    range_length: Count<1, 100>,
    /// The state of the playlist that the positions are of; without it, the present one.
    snapshot_id: Option<Text<1, 128>>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn one() -> Count<1, 100> {
    Count::of(1)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The playlist's id.
    playlist_id: String,
    /// How many rows moved.
    moved: u32,
    #[serde(flatten)]
    outcome: Outcome,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let range = Move {
        start: input.range_start.get(),
        length: input.range_length.get(),
        before: input.insert_before.get(),
    };
    let id = &input.playlist_id.0;
    let contents = read(&session, id).await?;
    if input.snapshot_id.as_ref().is_some_and(|snapshot| snapshot.as_str() != contents.snapshot) {
        return Err(ToolError::invalid(format!(
            "Nothing was moved: the playlist has changed since that snapshot_id. Look at it again; its present one is {}.",
            contents.snapshot
        )));
    }
    let outcome = move_rows(context, &session, (id, &contents), ("reorder_playlist_tracks", range)).await?;
    let rows = amount(range.length, "row");
    let text = match moves(range) {
        false => format!(
            "Nothing was moved in \"{}\": what is at position {} stands there already.",
            contents.title(),
            range.start
        ),
        true => format!(
            "Moved {rows} of \"{}\" from position {} to before position {}.{}",
            contents.title(),
            range.start,
            range.before,
            outcome.told()
        ),
    };
    let code = outcome.code();
    let output = Output {
        playlist_id: id.as_str().to_owned(),
        moved: if moves(range) { range.length } else { 0 },
        outcome,
    };
    let mut answer = Answer::of(text, &output)?;
    answer.code = code;
    Ok(answer)
}

/// Moves rows of a list as it was read, and reads it again.
pub(super) async fn move_rows(
    context: Context<'_>,
    session: &Session<'_>,
    (id, contents): (&PlaylistId, &Contents),
    (tool, range): (&'static str, Move),
) -> Result<Outcome, ToolError> {
    let rows = contents.uris();
    let moved = moved(&rows, range).ok_or_else(|| {
        let (argument, at) = match range.start.saturating_add(range.length) as usize > rows.len() {
            true if range.start as usize >= rows.len() => ("range_start", range.start),
            true => ("range_length", range.length),
            false => ("insert_before", range.before),
        };
        ToolError::invalid(format!(
            "Nothing was moved: the argument '{argument}' ({at}) leads beyond the playlist, which has {}, counted from 0.",
            amount(rows.len(), "row")
        ))
    })?;
    if moved == rows {
        return Ok(Outcome::verified());
    }
    let done = format!(
        "{} moved from position {} to before position {}",
        amount(range.length, "row"),
        range.start,
        range.before
    );
    let start = range.start as usize;
    let pre_image = PreImage::Moved {
        start: range.start,
        length: range.length,
        before: range.before,
        rows: rows[start..start + range.length as usize].to_vec(),
        neighbours: rows[..start].iter().rev().take(NEIGHBOURS).cloned().collect(),
    };
    let about = About { tool, id, playlist: &contents.playlist, done };
    let mut noted = Noted::begin(context, session, about, &pre_image).await?;
    noted.left(&moved);
    let (api, state) = (session.api, Some(contents.snapshot.as_str()));
    let sent = send(session, |token| async move { api.move_items(&token, id, (range, state)).await }).await;
    let mut told = None;
    let lost = match sent {
        Sent::Confirmed(answer) => {
            told = answer.snapshot_id.filter(|id| is_snapshot(id));
            None
        }
        Sent::Lost(failure) => Some(failure),
        Sent::Refused(failure) => {
            noted.forget().await;
            return Err(failure);
        }
    };
    let (status, snapshot_id, failure) = match (seen(session, read(session, id)).await, lost) {
        (Some(now), _) if now.uris() == moved => (Status::Verified, Some(now.snapshot), None),
        (Some(_), lost) => (Status::Ambiguous, None, lost.or_else(|| Some(contradicted()))),
        (None, Some(lost)) => (Status::Ambiguous, None, Some(lost)),
        (None, None) => (Status::Accepted, told, None),
    };
    let outcome = Outcome { status, change_id: noted.id(), snapshot_id: snapshot_id.clone(), failure };
    noted.finish(status, snapshot_id).await;
    Ok(outcome)
}

/// Whether a range comes to stand elsewhere.
const fn moves(range: Move) -> bool {
    range.before < range.start || range.before > range.start.saturating_add(range.length)
}

/// The rows after a move; `None` where there are no such rows.
fn moved(rows: &[String], range: Move) -> Option<Vec<String>> {
    let (start, length, before) = (range.start as usize, range.length as usize, range.before as usize);
    let end = start.checked_add(length).filter(|end| *end <= rows.len())?;
    if before > rows.len() {
        return None;
    }
    let mut moved = rows.to_vec();
    let part: Vec<_> = moved.drain(start..end).collect();
    let at = if before >= end { before - length } else { before.min(start) };
    moved.splice(at..at, part);
    Some(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_move_both_ways_and_never_beyond_the_end() {
        let rows: Vec<String> = "abcd".chars().map(String::from).collect();
        for (start, length, before, after) in
            [(0, 2, 4, "cdab"), (2, 2, 0, "cdab"), (1, 1, 1, "abcd"), (1, 2, 2, "abcd"), (0, 1, 2, "bacd")]
        {
            let range = Move { start, length, before };
            assert_eq!(moved(&rows, range).map(|rows| rows.concat()).as_deref(), Some(after));
            assert_eq!(moves(range), after != "abcd");
        }
        for (start, length, before) in [(4, 1, 0), (3, 2, 0), (0, 1, 5), (u32::MAX, 1, 0)] {
            assert_eq!(moved(&rows, Move { start, length, before }), None);
        }
    }
}
