//! Adding tracks to a playlist: in order, a hundred at a time, with an exact point to resume from.
//!
//! A write is never repeated blindly: where Spotify's confirmation is lost, the playlist is read again, and what
//! cannot be proven is reported as ambiguous.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::amount::{amount, are, share};
use super::arguments::{Count, Few, ItemName, PlaylistName, parse, schema_of};
use super::changing::adding::add_noted;
use super::changing::contents::{known, read, title};
use super::changing::journal::Noted;
pub(super) use super::changing::outcome::Status;
use super::changing::timing::out_of_time;
use super::items::is_snapshot;
use super::{ADDS, AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use crate::spotify::ApiError;
use crate::spotify::models::{Entry, Page, Playlist};
use crate::spotify::quota::{LIST_OFFSET, PAGE, WRITE};
use crate::spotify::uri::{ItemUri, PlaylistId};
use crate::vault::CallError;

/// Most rows of a playlist that are read to find duplicates: 60 pages.
const MOST_READ: u32 = 3_000;
/// Most rows of a playlist that are read so that adding without looking for duplicates can be undone: 10 pages.
const MOST_COUNTED: u64 = 500;
/// Most tracks in one call.
pub(super) const MOST: usize = 1_000;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "add_tracks_to_playlist",
    title: "Add tracks to a playlist",
    description: "Adds tracks (or podcast episodes) to a playlist that the person owns or collaborates on, in the order \
                  given, at the end or at a position. Up to 1,000 at once. Tracks that are in the playlist already are \
                  left out unless skip_duplicates is false. The status tells what is certain: accepted or verified (all \
                  there), partial (call again with the part of track_uris from resume.from_index on), ambiguous (look at \
                  the playlist before adding anything again).",
    hints: ADDS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// What to add, in order: URIs (spotify:track:... or spotify:episode:...), links, or track ids.
    track_uris: Few<ItemName, 1, MOST>,
    /// Where to put the first one, counted from 0. Default: at the end.
    position: Option<Count<0, LIST_OFFSET>>,
    /// Leave out what the playlist has already, and repetitions within track_uris.
    #[serde(default = "yes")]
    skip_duplicates: bool,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn yes() -> bool {
    true
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The playlist's id.
    playlist_id: String,
    /// Its name.
    playlist: String,
    /// Its page at open.spotify.com.
    url: String,
    /// How many tracks were given.
    requested: usize,
    /// How many were left out because they were there already.
    skipped_duplicates: usize,
    #[serde(flatten)]
    added: Added,
}

/// What came of adding.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Added {
    /// How certain the change is.
    pub(super) status: Status,
    /// How many were certainly added.
    pub(super) added: usize,
    /// Names the playlist's new state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snapshot_id: Option<String>,
    /// For undo_change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change_id: Option<String>,
    /// Where to go on after a partial or ambiguous change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resume: Option<Resume>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<ToolError>,
}

/// The first track that was not certainly added.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Resume {
    /// Its index in track_uris as given, counted from 0.
    pub(super) from_index: usize,
    /// How many were not certainly added.
    pub(super) remaining: usize,
    /// The position to give when going on, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<u32>,
}

/// What is to be added, and where.
pub(super) struct Plan {
    /// Each with its index in the caller's list.
    pub(super) items: Vec<(usize, ItemUri)>,
    pub(super) position: Option<u32>,
    /// How many rows the playlist has before, where that is known.
    pub(super) rows_before: Option<u64>,
    /// Which of the items it has already, and how often; `None` where it was not looked at.
    pub(super) there: Option<BTreeMap<String, u32>>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let playlist = &input.playlist_id.0;
    let requested = input.track_uris.0.len();
    let items = input.track_uris.0.into_iter().map(|name| name.0).enumerate().collect();
    let api = session.api;
    let about = session.call(|token| async move { api.playlist(&token, playlist).await }).await?;
    let mut plan = Plan {
        items,
        position: input.position.map(Count::get),
        rows_before: about.total(),
        there: input.skip_duplicates.then(BTreeMap::new),
    };
    check_position(&plan)?;
    let rows_seen = match input.skip_duplicates {
        true => leave_out_duplicates(&session, playlist, &mut plan.items).await?,
        // One that does not tell its size is one that may not be read, which this says.
        false if plan.rows_before.is_none() => first_page(&session, playlist, 1).await?.total,
        false => None,
    };
    plan.rows_before = rows_seen.or(plan.rows_before);
    if plan.there.is_none() && Noted::is_kept(context) {
        plan.there = there(&session, (playlist, &about), &plan.items).await;
    }
    let skipped_duplicates = requested - plan.items.len();
    let added = add_noted(context, &session, (playlist, &about), ("add_tracks_to_playlist", &plan)).await?;
    answer(Output {
        playlist_id: playlist.as_str().to_owned(),
        playlist: title(&about),
        url: playlist.link(),
        requested,
        skipped_duplicates,
        added,
    })
}

/// Which of these a playlist has already, and how often, so that undoing can tell them apart; `None` where that is not known
/// and takes too many requests.
pub(super) async fn there(
    session: &Session<'_>,
    (id, playlist): (&PlaylistId, &Playlist),
    items: &[(usize, ItemUri)],
) -> Option<BTreeMap<String, u32>> {
    let contents = match known(session, id, playlist) {
        Some(contents) => contents,
        None if playlist.total()? <= MOST_COUNTED => read(session, id).await.ok()?,
        None => return None,
    };
    let uris: HashSet<_> = items.iter().map(|(_, uri)| uri.to_string()).collect();
    let mut there = BTreeMap::new();
    for row in contents.rows.into_iter().filter(|row| uris.contains(&row.uri)) {
        *there.entry(row.uri).or_default() += 1;
    }
    Some(there)
}

/// Whether the tracks can come to stand there.
fn check_position(plan: &Plan) -> Result<(), ToolError> {
    match (plan.position, plan.rows_before) {
        (Some(position), Some(rows)) if u64::from(position) > rows => Err(ToolError::invalid(format!(
            "The argument 'position' is not valid: the playlist has {}, so that it must be from 0 to {rows}.",
            amount(rows, "row")
        ))),
        _ => Ok(()),
    }
}

fn answer(output: Output) -> Result<Answer, ToolError> {
    // Nothing was changed: then it is simply an error.
    if output.added.added == 0
        && output.added.status == Status::Partial
        && let Some(failure) = output.added.failure
    {
        return Err(failure);
    }
    let skipped = match output.skipped_duplicates {
        0 => String::new(),
        skipped => format!(" Left out: {}.", amount(skipped, "duplicate")),
    };
    let undo = output.added.undo_told();
    let text = format!(
        "Added {} to \"{}\" [{}].{skipped}{}{undo}\n{}",
        share(output.added.added, u64::try_from(output.requested).ok(), "track"),
        output.playlist,
        output.playlist_id,
        output.added.told(),
        output.url
    );
    let code = output.added.code();
    let mut answer = Answer::of(text, &output)?;
    answer.code = code;
    Ok(answer)
}

/// What Spotify's word alone is worth.
const UNREAD: &str = " Spotify confirmed it; it was not read again.";

impl Added {
    /// What is to be said about an end that is not simply good.
    pub(super) fn told(&self) -> String {
        let Some(resume) = &self.resume else {
            let read_again = self.status != Status::Accepted || self.added == 0;
            return if read_again { String::new() } else { UNREAD.to_owned() };
        };
        let why = self.failure.as_ref().map(|failure| format!(" {}", failure.told())).unwrap_or_default();
        match self.status {
            Status::Ambiguous => format!(
                " It is not certain whether the tracks from index {} on were added:{why} Look at the playlist before \
                 adding them again.",
                resume.from_index
            ),
            _ => format!(" {} missing; go on from index {}.{why}", are(resume.remaining), resume.from_index),
        }
    }

    /// How to take it back.
    pub(super) fn undo_told(&self) -> String {
        let id = self.change_id.as_ref();
        id.map(|id| format!(" To undo it: undo_change with change_id {id}.")).unwrap_or_default()
    }

    pub(super) fn code(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|failure| failure.code)
    }
}

/// Drops what the playlist has and what repeats itself; answers how many rows the playlist has.
async fn leave_out_duplicates(
    session: &Session<'_>,
    playlist: &PlaylistId,
    items: &mut Vec<(usize, ItemUri)>,
) -> Result<Option<u64>, ToolError> {
    let mut seen = HashSet::new();
    let mut page = first_page(session, playlist, PAGE).await?;
    let total = page.total;
    if total.is_some_and(|total| total > u64::from(MOST_READ)) {
        return Err(ToolError::invalid(format!(
            "The playlist has more than {MOST_READ} tracks, too many to look for duplicates. Nothing was added. Set \
             skip_duplicates to false to add without looking."
        )));
    }
    loop {
        seen.extend(page.items.iter().filter_map(uri_of).map(str::to_owned));
        let Some(next) = page.next_offset.filter(|next| *next <= MOST_READ) else { break };
        if session.time_left() < session.longest_call {
            return Err(ToolError::timeout());
        }
        page = read_page(session, playlist, PAGE, next).await?;
    }
    items.retain(|(_, uri)| seen.insert(uri.to_string()));
    Ok(total)
}

async fn first_page(
    session: &Session<'_>,
    playlist: &PlaylistId,
    size: u32,
) -> Result<Page<Entry>, ToolError> {
    read_page(session, playlist, size, 0).await
}

async fn read_page(
    session: &Session<'_>,
    playlist: &PlaylistId,
    size: u32,
    at: u32,
) -> Result<Page<Entry>, ToolError> {
    let api = session.api;
    session.call(|token| async move { api.playlist_items(&token, playlist, size, at, None).await }).await
}

fn uri_of(entry: &Entry) -> Option<&str> {
    entry.track().and_then(|track| track.uri.as_deref())
}

/// Adds batch after batch, each after the one before it is certain. Stops early enough that no call is cut off in
/// the middle by the tool's deadline.
pub(super) async fn add_in_order(session: &Session<'_>, playlist: &PlaylistId, plan: &Plan) -> Added {
    let mut added = Added {
        // With nothing to add, all of it was seen in place.
        status: if plan.items.is_empty() { Status::Verified } else { Status::Accepted },
        added: 0,
        snapshot_id: None,
        change_id: None,
        resume: None,
        failure: None,
    };
    for batch in plan.items.chunks(WRITE) {
        if session.time_left() < session.longest_call {
            added.stop(Status::Partial, plan, out_of_time());
            break;
        }
        match add_batch(session, playlist, plan, batch, added.added).await {
            Ok(snapshot) => added.snapshot_id = snapshot,
            Err(error) if is_ambiguous(&error) => {
                if !is_in_place(session, playlist, plan, batch, added.added).await {
                    added.stop(Status::Ambiguous, plan, session.told(error));
                    break;
                }
                added.status = Status::Verified;
            }
            Err(error) => {
                added.stop(Status::Partial, plan, session.told(error));
                break;
            }
        }
        added.added += batch.len();
    }
    added
}

impl Added {
    fn stop(&mut self, status: Status, plan: &Plan, failure: ToolError) {
        self.status = status;
        self.failure = Some(failure);
        self.resume = plan.items.get(self.added).map(|(from_index, _)| Resume {
            from_index: *from_index,
            remaining: plan.items.len() - self.added,
            position: plan.position_after(self.added),
        });
    }
}

impl Plan {
    fn position_after(&self, done: usize) -> Option<u32> {
        let done = u32::try_from(done).unwrap_or(u32::MAX);
        self.position.map(|position| position.saturating_add(done))
    }
}

async fn add_batch(
    session: &Session<'_>,
    playlist: &PlaylistId,
    plan: &Plan,
    batch: &[(usize, ItemUri)],
    done: usize,
) -> Result<Option<String>, CallError> {
    let api = session.api;
    let uris: Vec<_> = batch.iter().map(|(_, uri)| uri.clone()).collect();
    let (uris, position) = (&uris, plan.position_after(done));
    let snapshot =
        session.attempt(|token| async move { api.add_items(&token, playlist, uris, position).await }).await?;
    Ok(snapshot.snapshot_id.filter(|id| is_snapshot(id)))
}

/// Whether a write may have been done although it failed.
pub(super) const fn is_ambiguous(error: &CallError) -> bool {
    matches!(error, CallError::Api(ApiError::AmbiguousWrite { .. }))
}

/// Reads the playlist again: true only where it grew by exactly this batch and the batch stands where it belongs.
async fn is_in_place(
    session: &Session<'_>,
    playlist: &PlaylistId,
    plan: &Plan,
    batch: &[(usize, ItemUri)],
    done: usize,
) -> bool {
    let Some(before) = plan.rows_before else { return false };
    let end = u32::try_from(before.saturating_add(done as u64)).unwrap_or(u32::MAX);
    let begin = plan.position_after(done).unwrap_or(end);
    let grown = u64::from(end) + batch.len() as u64;
    let mut seen = Vec::with_capacity(batch.len());
    while seen.len() < batch.len() {
        let at = begin.saturating_add(u32::try_from(seen.len()).unwrap_or(u32::MAX));
        let Ok(page) = read_page(session, playlist, PAGE, at).await else { return false };
        if page.total != Some(grown) || page.items.is_empty() {
            return false;
        }
        seen.extend(page.items.iter().map(|entry| uri_of(entry).unwrap_or_default().to_owned()));
    }
    batch.iter().zip(&seen).all(|((_, wanted), found)| wanted.to_string() == *found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(count: usize, position: Option<u32>) -> Plan {
        let uri: ItemUri = "4uLU6hMCjMI75M1A2tKUQC".parse().unwrap();
        // As after leaving out every other track.
        Plan {
            items: (0..count).map(|n| (n * 2, uri.clone())).collect(),
            position,
            rows_before: Some(7),
            there: None,
        }
    }

    #[test]
    fn the_resume_point_speaks_of_the_callers_own_list() {
        let plan = plan(250, Some(5));
        let mut added = Added {
            status: Status::Accepted,
            added: 100,
            snapshot_id: None,
            change_id: None,
            resume: None,
            failure: None,
        };
        added.stop(Status::Partial, &plan, ToolError::timeout());
        assert_eq!(added.resume, Some(Resume { from_index: 200, remaining: 150, position: Some(105) }));
        assert!(added.told().contains("go on from index 200"));
    }

    #[test]
    fn nothing_changed_is_an_error_and_not_a_partial_success() {
        let plan = plan(3, None);
        let mut added = Added {
            status: Status::Accepted,
            added: 0,
            snapshot_id: None,
            change_id: None,
            resume: None,
            failure: None,
        };
        added.stop(Status::Partial, &plan, ToolError::timeout());
        let output = Output {
            playlist_id: "p".to_owned(),
            playlist: "P".to_owned(),
            url: String::new(),
            requested: 3,
            skipped_duplicates: 0,
            added,
        };
        assert_eq!(answer(output).err().map(|error| error.code), Some("UPSTREAM_TIMEOUT"));
    }
}
