//! Searching for anything but chapters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::{Count, Few, Text, Word, parse, schema_of};
use super::super::items::numbered;
use super::super::things::ThingItem;
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::quota::SEARCH_OFFSET;
use crate::spotify::text::clean;
use crate::spotify::things::Hits;
use crate::spotify::uri::Kind;

pub(in crate::mcp) const SEARCH_CATALOG: ToolSpec = ToolSpec {
    name: "search_catalog",
    title: "Search the catalogue",
    description: "Searches Spotify for albums, artists, playlists, shows (podcasts), episodes, audiobooks or tracks, and \
                  returns the best matches of each type asked for with their URIs. For songs alone, search_tracks \
                  returns more. Ask only for the types that are needed.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Type {
    Album,
    Artist,
    Playlist,
    Track,
    Show,
    Episode,
    Audiobook,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// What to look for: words of the name, or field filters such as artist: or year:.
    query: Text<1, 250>,
    /// Which types to look for.
    types: Few<Word<Type>, 1, 7>,
    /// How many matches of each type to return at most.
    #[serde(default = "five")]
    limit: Count<1, 10>,
    /// How many of each type to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Count<0, SEARCH_OFFSET>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn five() -> Count<1, 10> {
    Count::of(5)
}

const fn start() -> Count<0, SEARCH_OFFSET> {
    Count::of(0)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// What was found, in the order of types.
    results: Vec<Found>,
    /// Where this page began.
    offset: u32,
    /// The offset of the next page; absent where no type has more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    /// The type.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The matches, best first.
    items: Vec<ThingItem>,
    /// How many matches there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let mut kinds: Vec<Kind> = Vec::new();
    for kind in input.types.0.iter().map(|kind| kind.0.kind()) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let session = context.session(input.account.as_ref()).await?;
    let (api, kinds, query) = (session.api, kinds.as_slice(), input.query.as_str());
    let page = (input.limit.get(), input.offset.get());
    let hits = session.call(|token| async move { api.search(&token, kinds, query, page).await }).await?;
    Output::of(&hits, input.offset.get()).answer(query)
}

impl Type {
    const fn kind(self) -> Kind {
        match self {
            Self::Album => Kind::Album,
            Self::Artist => Kind::Artist,
            Self::Playlist => Kind::Playlist,
            Self::Track => Kind::Track,
            Self::Show => Kind::Show,
            Self::Episode => Kind::Episode,
            Self::Audiobook => Kind::Audiobook,
        }
    }
}

impl Output {
    fn of(hits: &[Hits], offset: u32) -> Self {
        let found = |hits: &Hits| Found {
            kind: hits.kind.name(),
            items: hits.page.items.iter().filter_map(|thing| ThingItem::of(hits.kind, thing)).collect(),
            total: hits.page.total,
        };
        let next = hits.iter().filter_map(|hits| hits.page.next_offset).max();
        Self {
            results: hits.iter().map(found).collect(),
            offset,
            next_offset: next.filter(|next| *next <= SEARCH_OFFSET),
        }
    }

    fn answer(&self, query: &str) -> Result<Answer, ToolError> {
        let lines = self.results.iter().flat_map(|found| &found.items).map(ThingItem::line);
        let more = self.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
        let count: usize = self.results.iter().map(|found| found.items.len()).sum();
        let text = match count {
            0 => format!("Nothing of these types matches \"{}\".", clean(query, 250)),
            count => format!("{count} found:{}{more}", numbered(lines, 0)),
        };
        Answer::of(text, self)
    }
}
