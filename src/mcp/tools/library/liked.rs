//! Liked songs, and pages of tracks as every tool tells them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::amount::share;
use super::super::arguments::{Count, parse, schema_of};
use super::super::items::{TrackItem, by_position, numbered};
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::models::{Entry, Page};
use crate::spotify::quota::{LIST_OFFSET, PAGE};

pub(in crate::mcp) const GET_LIKED_SONGS: ToolSpec = ToolSpec {
    name: "get_liked_songs",
    title: "Get liked songs",
    description: "Lists the tracks that the person saved on Spotify (\"Liked Songs\"), newest first, a page at a time.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<TrackPage>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

type Limit = Count<1, PAGE>;
type Offset = Count<0, LIST_OFFSET>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// How many tracks to return at most.
    #[serde(default = "some")]
    limit: Limit,
    /// How many to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Offset,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn some() -> Limit {
    Count::of(20)
}

const fn start() -> Offset {
    Count::of(0)
}

/// A track where it stands.
#[derive(Serialize, JsonSchema)]
struct RowItem {
    /// Its position in the playlist, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    #[serde(flatten)]
    track: TrackItem,
}

/// One page of tracks.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp) struct TrackPage {
    /// The tracks, in the list's order.
    tracks: Vec<RowItem>,
    /// How many rows of this page have no track that Spotify still knows.
    unavailable: u32,
    /// Their positions in a playlist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unavailable_positions: Vec<u32>,
    /// How many rows the whole list has.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where this page began.
    offset: u32,
    /// The offset of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let (api, limit, offset) = (session.api, input.limit.get(), input.offset.get());
    let page = session.call(|token| async move { api.saved_tracks(&token, limit, offset).await }).await?;
    TrackPage::from(&page).answer("liked song", "")
}

impl TrackPage {
    /// Of a list whose rows have no names of their own.
    pub(in crate::mcp) fn from(page: &Page<Entry>) -> Self {
        let mut listed = Self::in_place(page);
        listed.tracks.iter_mut().for_each(|row| row.position = None);
        listed.unavailable_positions.clear();
        listed
    }

    /// Of a playlist, whose rows are named by their positions.
    pub(in crate::mcp) fn in_place(page: &Page<Entry>) -> Self {
        let mut tracks = Vec::with_capacity(page.items.len());
        let mut unavailable_positions = Vec::new();
        for (position, entry) in (page.offset..).zip(&page.items) {
            match TrackItem::of_entry(entry) {
                Some(track) => tracks.push(RowItem { position: Some(position), track }),
                None => unavailable_positions.push(position),
            }
        }
        Self {
            tracks,
            unavailable: u32::try_from(unavailable_positions.len()).unwrap_or(u32::MAX),
            unavailable_positions,
            total: page.total,
            offset: page.offset,
            next_offset: page.next_offset,
        }
    }

    /// Where the rows of a playlist are that have no track.
    fn at_positions(&self) -> String {
        let all: Vec<_> = self.unavailable_positions.iter().map(ToString::to_string).collect();
        match &*all {
            [] => String::new(),
            [one] => format!(" (position {one})"),
            many => format!(" (positions {})", many.join(", ")),
        }
    }

    /// `what`: one of them; `of`: of what they are.
    pub(in crate::mcp) fn answer(&self, what: &str, of: &str) -> Result<Answer, ToolError> {
        if self.tracks.is_empty() && self.unavailable == 0 {
            let from =
                if self.offset == 0 { String::new() } else { format!(" from offset {} on", self.offset) };
            return Answer::of(format!("No {what}s{of}{from}."), self);
        }
        let gone = match self.unavailable {
            0 => String::new(),
            gone => {
                let are = if gone == 1 { "is" } else { "are" };
                format!("\n{gone} more {are} no longer available{}.", self.at_positions())
            }
        };
        let more = self.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
        let (list, counted) = match self.tracks.iter().any(|row| row.position.is_some()) {
            true => (by_position(self.tracks.iter().map(RowItem::line)), ", by position, counted from 0"),
            false => (numbered(self.tracks.iter().map(RowItem::dated), self.offset), ""),
        };
        let told = share(self.tracks.len(), self.total, what);
        Answer::of(format!("{told}{of}{counted}:{list}{gone}{more}"), self)
    }
}

impl RowItem {
    /// With the position that other tools take it by.
    fn line(&self) -> (u64, String) {
        (self.position.unwrap_or_default().into(), self.dated())
    }

    /// With the day on which it was added.
    fn dated(&self) -> String {
        let day = self.track.added_at.as_deref().and_then(|at| at.get(..10));
        day.map_or_else(|| self.track.line(), |day| format!("{}, added {day}", self.track.line()))
    }
}
