//! Liked songs, and pages of tracks as every tool tells them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::{Count, parse, schema_of};
use super::super::items::{TrackItem, numbered};
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
    /// Which linked Spotify account to use: its alias or id. Default: the primary one.
    account: Option<AccountName>,
}

const fn some() -> Limit {
    Count::of(20)
}

const fn start() -> Offset {
    Count::of(0)
}

/// One page of tracks.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp) struct TrackPage {
    /// The tracks, in the list's order.
    tracks: Vec<TrackItem>,
    /// How many rows of this page have no track that Spotify still knows.
    unavailable: u32,
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
    TrackPage::from(&page).answer("liked songs")
}

impl TrackPage {
    pub(in crate::mcp) fn from(page: &Page<Entry>) -> Self {
        let mut tracks = Vec::with_capacity(page.items.len());
        let mut unavailable = 0;
        for entry in &page.items {
            match TrackItem::of_entry(entry) {
                Some(track) => tracks.push(track),
                None => unavailable += 1,
            }
        }
        Self { tracks, unavailable, total: page.total, offset: page.offset, next_offset: page.next_offset }
    }

    pub(in crate::mcp) fn answer(&self, what: &str) -> Result<Answer, ToolError> {
        if self.tracks.is_empty() && self.unavailable == 0 {
            return Answer::of(format!("No {what} from offset {} on.", self.offset), self);
        }
        let total = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let list = numbered(self.tracks.iter().map(TrackItem::line), self.offset);
        let gone = match self.unavailable {
            0 => String::new(),
            gone => format!("\n{gone} more are no longer available."),
        };
        let more = self.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
        Answer::of(format!("{}{total} {what}:{list}{gone}{more}", self.tracks.len()), self)
    }
}
