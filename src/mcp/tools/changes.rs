//! The journal of what tools changed, as its person may look at it.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amount::{are, share};
use super::arguments::{Count, parse, schema_of};
use super::items::{numbered, to_the_second};
use super::{AccountName, Answer, Arguments, Context, Hints, ToolError, ToolSpec, output_of};
use crate::domain::LinkId;
use crate::domain::change::Progress;
use crate::spotify::text::clean;
use crate::spotify::uri::PlaylistId;
use crate::vault::changes::Change;

/// Asks nobody but our own tables.
const OURS: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };

pub(super) const LIST_CHANGES: ToolSpec = ToolSpec {
    name: "list_changes",
    title: "List recent changes",
    description: "Lists what these tools changed in the person's playlists and library, the newest first, with the change_id \
                  that undo_change takes: removed and added tracks, new orders, new names, playlists that were made, followed \
                  or left. Changes are forgotten after some days. One that was begun and never finished may have been done in \
                  part.",
    hints: OURS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// How many changes to return at most.
    #[serde(default = "ten")]
    limit: Count<1, 50>,
    /// How many to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Count<0, 100>,
    /// Only changes made with this linked Spotify account: its alias or id. Default: all.
    account: Option<AccountName>,
}

const fn ten() -> Count<1, 50> {
    Count::of(10)
}

const fn start() -> Count<0, 100> {
    Count::of(0)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The changes, the newest first.
    changes: Vec<ChangeItem>,
    /// How many there are in all.
    total: u64,
    /// Where this page began.
    offset: u32,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
}

/// One change.
#[derive(Serialize, JsonSchema)]
struct ChangeItem {
    /// To be given to undo_change.
    change_id: String,
    /// The tool that made it.
    tool: String,
    /// What it did.
    done: String,
    /// verified, accepted, partial, ambiguous; begun where its end was never written down; unreadable where it does not
    /// open any more.
    state: &'static str,
    /// The playlist's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    playlist_id: Option<String>,
    /// The playlist's name at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    playlist: Option<String>,
    /// The page at open.spotify.com.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// With which linked account: its alias.
    account: String,
    /// When (RFC 3339).
    at: String,
    /// When it is forgotten (RFC 3339).
    expires_at: String,
    /// When it was undone (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_at: Option<String>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let link = match &input.account {
        Some(account) => Some(context.session(Some(account)).await?.link),
        None => None,
    };
    let (limit, offset) = (input.limit.get(), input.offset.get());
    let Some(journal) = context.server.upstream.changes() else {
        return answer(Output { changes: Vec::new(), total: 0, offset, next_offset: None });
    };
    let listed = journal.list((&context.caller.user, link.as_ref()), (offset, limit)).await;
    let (changes, total) = listed.map_err(|failure| ToolError::internal(&failure))?;
    let aliases: HashMap<LinkId, String> =
        context.links().await?.into_iter().map(|link| (link.id, clean(&link.alias, 60))).collect();
    let total = total.unsigned_abs();
    let next = offset.saturating_add(limit);
    let changes = changes.iter().map(|change| ChangeItem::of(change, &aliases)).collect();
    answer(Output { changes, total, offset, next_offset: (u64::from(next) < total).then_some(next) })
}

fn answer(output: Output) -> Result<Answer, ToolError> {
    if output.changes.is_empty() && output.total > 0 {
        let text = format!("None from offset {} on: {} on record.", output.offset, are(output.total));
        return Answer::of(text, &output);
    }
    if output.changes.is_empty() {
        return Answer::of("No changes are on record.", &output);
    }
    let list = numbered(output.changes.iter().map(ChangeItem::line), output.offset);
    let more = output.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
    let told = share(output.changes.len(), Some(output.total), "change");
    Answer::of(format!("{told}:{list}{more}"), &output)
}

impl ChangeItem {
    fn of(change: &Change, aliases: &HashMap<LinkId, String>) -> Self {
        let summary = change.summary.as_ref();
        let id = summary.and_then(|summary| summary.playlist.parse::<PlaylistId>().ok());
        Self {
            change_id: change.id.as_str().to_owned(),
            tool: change.tool.clone(),
            done: summary.map(|summary| summary.done.clone()).unwrap_or_default(),
            state: summary.map_or("unreadable", |summary| word(summary.progress)),
            playlist: summary.map(|summary| clean(&summary.name, 200)).filter(|name| !name.is_empty()),
            url: id.as_ref().map(PlaylistId::link),
            playlist_id: id.map(|id| id.as_str().to_owned()),
            account: aliases.get(&change.link).cloned().unwrap_or_default(),
            at: change.created_at.rfc3339(),
            expires_at: change.expires_at.rfc3339(),
            undone_at: change.undone_at.map(|at| at.rfc3339()),
        }
    }

    fn line(&self) -> String {
        let playlist = self.playlist.as_ref().or(self.playlist_id.as_ref());
        let playlist = playlist.map(|name| format!("\"{name}\": ")).unwrap_or_default();
        let undone = if self.undone_at.is_some() { ", undone" } else { "" };
        let url = self.url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
        format!(
            "{}: {playlist}{} ({}, {}{undone}) [{}]{url}",
            to_the_second(&self.at),
            self.done,
            self.account,
            self.state,
            self.change_id
        )
    }
}

const fn word(progress: Progress) -> &'static str {
    match progress {
        Progress::Begun => "begun",
        Progress::Verified => "verified",
        Progress::Accepted => "accepted",
        Progress::Partial => "partial",
        Progress::Ambiguous => "ambiguous",
    }
}
