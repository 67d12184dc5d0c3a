//! Removing tracks from a playlist: all copies by URI, or single rows by position, planned first.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;

use super::amount::{amount, are};
use super::arguments::{Count, Few, ItemName, PlaylistName, Text, parse, schema_of};
use super::changing::removal::{Removal, Wanted};
use super::changing::{REPLACES, contents, removal};
use super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use crate::spotify::quota::LIST_OFFSET;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "remove_tracks_from_playlist",
    title: "Remove tracks from a playlist",
    description: "Takes tracks out of a playlist: every copy of the given track_uris, or the single rows at the given \
                  positions (counted from 0; exactly one of both). By default it only plans (dry_run true): it says what \
                  would go and gives a plan_id. Show that to the person, then call again with the same arguments, dry_run \
                  false and the plan_id. undo_change brings them back, but for local files and what is no longer available.",
    hints: REPLACES,
    input: schema_of::<Input>,
    output: output_of::<Removal>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

/// Most rows that are named in one call.
const MOST: usize = 1_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// What to remove, all copies of each: URIs, links, or track ids.
    track_uris: Option<Few<ItemName, 1, MOST>>,
    /// Which rows to remove: their positions, counted from 0.
    positions: Option<Few<Count<0, LIST_OFFSET>, 1, MOST>>,
    /// Only plan; nothing is changed.
    #[serde(default = "yes")]
    dry_run: bool,
    /// The plan to apply; needed with dry_run false.
    plan_id: Option<Text<1, 64>>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn yes() -> bool {
    true
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let which = Which::of(&input)?;
    let session = context.session(input.account.as_ref()).await?;
    let id = &input.playlist_id.0;
    let contents = contents::read(&session, id).await?;
    let goes = which.marks(&contents.uris())?;
    let wanted = Wanted {
        tool: "remove_tracks_from_playlist",
        id,
        asked: format!("{} {}", id.as_str(), which.asked()),
        dry_run: input.dry_run,
        plan_id: input.plan_id.as_ref().map(Text::as_str),
        same_as: &[],
    };
    let strangers = which.not_in(&contents.uris());
    let answer = removal::run(context, &session, wanted, (&contents, &goes)).await?;
    Ok(answer.remarking(&strangers))
}

/// Which rows are meant.
enum Which {
    Uris(Vec<String>),
    Positions(Vec<u32>),
}

impl Which {
    fn of(input: &Input) -> Result<Self, ToolError> {
        match (&input.track_uris, &input.positions) {
            (Some(uris), None) => Ok(Self::Uris(uris.0.iter().map(|name| name.0.to_string()).collect())),
            (None, Some(positions)) => {
                Ok(Self::Positions(positions.0.iter().map(|position| position.get()).collect()))
            }
            _ => Err(ToolError::invalid("Give either track_uris or positions, and not both.")),
        }
    }

    /// The same text for the same rows, in whatever order they were named.
    fn asked(&self) -> String {
        match self {
            Self::Uris(uris) => {
                let mut uris = uris.clone();
                uris.sort_unstable();
                uris.dedup();
                format!("uris {}", uris.join(" "))
            }
            Self::Positions(positions) => {
                let mut positions = positions.clone();
                positions.sort_unstable();
                positions.dedup();
                format!("positions {positions:?}")
            }
        }
    }

    /// How many of those named are not there at all, as a line of its own.
    fn not_in(&self, rows: &[String]) -> String {
        let Self::Uris(uris) = self else { return String::new() };
        let (named, there): (HashSet<_>, HashSet<_>) = (uris.iter().collect(), rows.iter().collect());
        match named.difference(&there).count() {
            0 => String::new(),
            some => format!("\nOf track_uris {} not in it.", are(some)),
        }
    }

    fn marks(&self, rows: &[String]) -> Result<Vec<bool>, ToolError> {
        match self {
            Self::Uris(uris) => {
                let named: HashSet<&String> = uris.iter().collect();
                Ok(rows.iter().map(|row| named.contains(row)).collect())
            }
            Self::Positions(positions) => {
                let mut goes = vec![false; rows.len()];
                for position in positions {
                    let row = goes.get_mut(*position as usize).ok_or_else(|| {
                        ToolError::invalid(format!(
                            "There is no position {position}: the playlist has {}, counted from 0.",
                            amount(rows.len(), "row")
                        ))
                    })?;
                    *row = true;
                }
                Ok(goes)
            }
        }
    }
}
