//! The queue: what comes next, and putting something into it. Nothing can be taken out of it, by anybody.
//!
//! Adds are never repeated blindly: where a confirmation is lost, the queue is counted again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::super::upstream::Session;
use super::super::add_tracks::{Resume, Status, is_ambiguous};
use super::super::amount::are;
use super::super::arguments::{Few, ItemName, parse, schema_of};
use super::super::items::{TrackItem, numbered};
use super::super::{ADDS, AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use super::command::refusal;
use super::current::Input;
use crate::spotify::models::Queue;
use crate::spotify::uri::ItemUri;

/// Most items in one call; each is a request of its own.
const MOST: usize = 20;
/// Most items of a queue told of. Spotify shows about 20.
const SHOWN: usize = 50;
/// How long to wait before the queue is counted again.
const SETTLED: std::time::Duration = std::time::Duration::from_millis(400);

pub(in crate::mcp) const GET_QUEUE: ToolSpec = ToolSpec {
    name: "get_queue",
    title: "Get the queue",
    description: "Tells what plays on Spotify and about 20 items that come next: first what the person queued, then what \
                  the playlist or album brings. Spotify offers no way to remove items from the queue, to clear it or to \
                  reorder it; only to skip, or to play something else.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<QueueOutput>,
    run: |context, arguments| Box::pin(get(context, arguments)),
};

#[derive(Serialize, JsonSchema)]
struct QueueOutput {
    /// What plays; absent where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<TrackItem>,
    /// What comes next, in order.
    queue: Vec<TrackItem>,
}

async fn get(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let api = session.api;
    let queue = session.call(|token| async move { api.queue(&token).await }).await?;
    let output = QueueOutput {
        current: queue.currently_playing.as_ref().and_then(TrackItem::from),
        queue: queue.queue.iter().take(SHOWN).filter_map(TrackItem::from).collect(),
    };
    let current = output
        .current
        .as_ref()
        .map_or_else(|| "Nothing is playing.".to_owned(), |track| format!("Now: {}", track.line()));
    let next = match output.queue.as_slice() {
        [] => "\nNothing comes next.".to_owned(),
        some => format!("\nNext:{}", numbered(some.iter().map(TrackItem::line), 0)),
    };
    Answer::of(format!("{current}{next}\n(Spotify lets nobody remove items from the queue.)"), &output)
}

pub(in crate::mcp) const ADD_TO_QUEUE: ToolSpec = ToolSpec {
    name: "add_to_queue",
    title: "Add to the queue",
    description: "Adds up to 20 tracks or episodes to what plays next on the person's Spotify, in the order given. They \
                  cannot be taken out again. Something must be playing or paused on a device. status tells what is \
                  certain: verified or accepted (all queued), partial (call again with the part of uris from \
                  resume.from_index on), ambiguous (look with get_queue before adding anything again). Needs Spotify \
                  Premium.",
    hints: ADDS,
    input: schema_of::<AddInput>,
    output: output_of::<AddOutput>,
    run: |context, arguments| Box::pin(add(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct AddInput {
    /// What to add, in order: URIs, links or track ids.
    uris: Few<ItemName, 1, MOST>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Serialize, JsonSchema)]
struct AddOutput {
    /// How certain it is.
    status: Status,
    /// How many were given.
    requested: usize,
    /// How many were certainly queued.
    added: usize,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<Resume>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ToolError>,
}

async fn add(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: AddInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let items: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    let output = add_in_order(&session, &items).await?;
    let why = output.failure.as_ref().map(|failure| format!(" {}", failure.message)).unwrap_or_default();
    let rest = match (&output.resume, output.status) {
        (Some(resume), Status::Ambiguous) => format!(
            " It is not certain whether the one at index {} was queued:{why} Look with get_queue before adding it again.",
            resume.from_index
        ),
        (Some(resume), _) => {
            format!(" {} missing; go on from index {}.{why}", are(resume.remaining), resume.from_index)
        }
        (None, _) => String::new(),
    };
    let code = output.failure.as_ref().map(|failure| failure.code);
    let text = format!("Queued {} of {}.{rest}", output.added, output.requested);
    let mut answer = Answer::of(text, &output)?;
    answer.code = code;
    Ok(answer)
}

/// One after the other; each only after the one before is certain.
///
/// # Errors
/// Where nothing was queued.
async fn add_in_order(session: &Session<'_>, items: &[ItemUri]) -> Result<AddOutput, ToolError> {
    let api = session.api;
    let before = look(session).await;
    let mut output =
        AddOutput { status: Status::Accepted, requested: items.len(), added: 0, resume: None, failure: None };
    for item in items {
        let done = match session.time_left() > session.longest_call {
            true => session.attempt(|token| async move { api.enqueue(&token, item).await }).await,
            false => {
                output.stop(Status::Partial, ToolError::timeout());
                break;
            }
        };
        let Err(error) = done else {
            output.added += 1;
            continue;
        };
        if is_ambiguous(&error) {
            if is_there_now(session, before.as_ref(), item, &items[..output.added]).await {
                output.added += 1;
                continue;
            }
            output.stop(Status::Ambiguous, session.told(error));
        } else {
            output.stop(Status::Partial, refusal(session, error).await);
        }
        break;
    }
    match output.failure.take() {
        Some(failure) if output.added == 0 && output.status == Status::Partial => return Err(failure),
        failure => output.failure = failure,
    }
    if output.status == Status::Accepted && grew(session, before.as_ref(), items).await {
        output.status = Status::Verified;
    }
    Ok(output)
}

impl AddOutput {
    fn stop(&mut self, status: Status, failure: ToolError) {
        self.status = status;
        self.failure = Some(failure);
        self.resume =
            Some(Resume { from_index: self.added, remaining: self.requested - self.added, position: None });
    }
}

/// The URIs in the queue, as far as Spotify shows them.
async fn look(session: &Session<'_>) -> Option<Vec<String>> {
    let api = session.api;
    if session.time_left() < session.longest_call {
        return None;
    }
    let queue: Queue = session.attempt(|token| async move { api.queue(&token).await }).await.ok()?;
    Some(queue.queue.into_iter().filter_map(|track| track.uri).collect())
}

/// Whether an item whose confirmation was lost is in the queue. Told only of what was not there before and stands there
/// once: what shows may lag behind, and another of its kind would prove nothing.
async fn is_there_now(
    session: &Session<'_>,
    before: Option<&Vec<String>>,
    item: &ItemUri,
    added: &[ItemUri],
) -> bool {
    let uri = item.to_string();
    if before.is_none_or(|before| before.contains(&uri)) || added.contains(item) {
        return false;
    }
    tokio::time::sleep(SETTLED).await;
    let after = look(session).await.unwrap_or_default();
    after.iter().filter(|known| **known == uri).count() == 1
}

/// Whether the queue holds each of these as often more than before as it stands among them.
async fn grew(session: &Session<'_>, before: Option<&Vec<String>>, items: &[ItemUri]) -> bool {
    let Some(before) = before else { return false };
    tokio::time::sleep(SETTLED).await;
    let Some(after) = look(session).await else { return false };
    let uris: Vec<_> = items.iter().map(ToString::to_string).collect();
    let count = |list: &[String], uri: &String| list.iter().filter(|known| *known == uri).count();
    uris.iter().all(|uri| count(&after, uri) >= count(before, uri) + count(&uris, uri))
}
