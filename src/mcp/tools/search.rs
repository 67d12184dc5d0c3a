//! Search. Any text is a search: what looks like code or quotes is looked for, never refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amount::share;
use super::arguments::{Count, Country, Text, parse, schema_of};
use super::items::{TrackItem, numbered};
use super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::models::{Page, Track};
use crate::spotify::quota::SEARCH_OFFSET;
use crate::spotify::text::clean;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "search_tracks",
    title: "Search tracks",
    description: "Searches Spotify's catalogue for tracks (songs) and returns them with their URIs, best match first. \
                  Use it to find the URI of a song before adding it to a playlist. The query is free text; the field \
                  filters artist:, track:, album:, year: and isrc: narrow it, for example: track:Dreams \
                  artist:\"Fleetwood Mac\".",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

type Limit = Count<1, 50>;
type Offset = Count<0, SEARCH_OFFSET>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// What to look for: words of the title, artist or album, or field filters.
    query: Text<1, 250>,
    /// How many tracks to return at most.
    #[serde(default = "few")]
    limit: Limit,
    /// How many matches to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Offset,
    /// Only what is available in this country (two letters, ISO 3166-1); default: the account's own.
    market: Option<Country>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn few() -> Limit {
    Count::of(5)
}

const fn start() -> Offset {
    Count::of(0)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The matches, best first.
    tracks: Vec<TrackItem>,
    /// How many matches there are in all, as far as Spotify says.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where this page began.
    offset: u32,
    /// The offset of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
    /// True where fewer came than were asked for because Spotify stopped answering; go on at next_offset.
    truncated: bool,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let found = gather(context, &input).await?;
    if found.tracks.is_empty() {
        return Answer::of(format!("No tracks match \"{}\".", clean(input.query.as_str(), 250)), &found);
    }
    let told = share(found.tracks.len(), found.total, "track");
    let list = numbered(found.tracks.iter().map(TrackItem::line), found.offset);
    let more = found.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
    Answer::of(format!("{told}:{list}{more}"), &found)
}

/// Asks for pages of the size that the quota mode allows, one after the other, until `limit` are found.
async fn gather(context: Context<'_>, input: &Input) -> Result<Output, ToolError> {
    let session = context.session(input.account.as_ref()).await?;
    let (limit, offset) = (input.limit.get(), input.offset.get());
    let market = input.market.as_ref().map(|country| &country.0);
    let api = session.api;
    let mut found = Output { tracks: vec![], total: None, offset, next_offset: None, truncated: false };
    let (mut at, mut wanted) = (offset, limit);
    while wanted > 0 {
        let query = input.query.as_str();
        let page = session
            .call(|token| async move {
                let size = wanted.min(api.mode_of(&token).search_page());
                api.search_tracks(&token, query, size, at, market).await
            })
            .await;
        let page: Page<Track> = match page {
            Ok(page) => page,
            // What was found already is worth more than the error.
            Err(_) if at > offset => {
                found.truncated = true;
                break;
            }
            Err(error) => return Err(error),
        };
        found.total = page.total.or(found.total);
        found.tracks.extend(page.items.iter().filter_map(TrackItem::from));
        found.next_offset = page.next_offset.filter(|next| *next <= SEARCH_OFFSET);
        let Some(next) = found.next_offset else { break };
        wanted = wanted.saturating_sub(next - at);
        at = next;
    }
    Ok(found)
}
