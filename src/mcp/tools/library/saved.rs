//! Listing what a person saved and follows, other than liked songs and playlists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::{ArtistName, Count, Word, parse, schema_of};
use super::super::items::{is_rfc3339, numbered};
use super::super::things::ThingItem;
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::quota::{LIST_OFFSET, PAGE};
use crate::spotify::things::Saved;
use crate::spotify::uri::{ArtistId, Kind};

pub(in crate::mcp) const LIST_LIBRARY: ToolSpec = ToolSpec {
    name: "list_library",
    title: "List the library",
    description: "Lists the albums, shows (podcasts), episodes or audiobooks that the person saved on Spotify, newest \
                  first, or the artists that they follow, a page at a time. For liked songs use get_liked_songs, for \
                  playlists get_user_playlists.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Type {
    Albums,
    Artists,
    Shows,
    Episodes,
    Audiobooks,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// What to list.
    kind: Word<Type>,
    /// How many to return at most.
    #[serde(default = "twenty")]
    limit: Count<1, PAGE>,
    /// How many to skip; take next_offset of the previous answer. Not for artists.
    offset: Option<Count<0, LIST_OFFSET>>,
    /// Of artists: list those behind this one; take next_after of the previous answer.
    after: Option<ArtistName>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn twenty() -> Count<1, PAGE> {
    Count::of(20)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// What was saved, or whom the person follows.
    items: Vec<ThingItem>,
    /// How many rows of this page Spotify no longer has.
    unavailable: u32,
    /// How many there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// The offset of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
    /// Of artists: what to give as after for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<String>,
}

impl Type {
    const fn kind(self) -> Kind {
        match self {
            Self::Albums => Kind::Album,
            Self::Artists => Kind::Artist,
            Self::Shows => Kind::Show,
            Self::Episodes => Kind::Episode,
            Self::Audiobooks => Kind::Audiobook,
        }
    }
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let output = match (input.kind.0, &input.offset, &input.after) {
        (Type::Artists, Some(_), _) => {
            return Err(ToolError::invalid("The argument 'offset' does not go with artists: use after."));
        }
        (Type::Artists, None, _) => artists(context, &input).await?,
        (_, _, Some(_)) => {
            return Err(ToolError::invalid("The argument 'after' goes with artists only: use offset."));
        }
        (kind, offset, None) => saved(context, &input, (kind.kind(), offset.map_or(0, Count::get))).await?,
    };
    output.answer(input.kind.0.kind().name(), input.offset.map_or(0, Count::get))
}

async fn saved(
    context: Context<'_>,
    input: &Input,
    (kind, offset): (Kind, u32),
) -> Result<Output, ToolError> {
    let session = context.session(input.account.as_ref()).await?;
    let (api, page) = (session.api, (input.limit.get(), offset));
    let page = session.call(|token| async move { api.saved(&token, kind, page).await }).await?;
    let item = |row: &Saved| {
        let added_at = row.added_at.clone().filter(|at| is_rfc3339(at));
        Some(ThingItem::of(kind, &row.thing(kind)?)?.saved_at(added_at))
    };
    let items: Vec<_> = page.items.iter().filter_map(item).collect();
    Ok(Output {
        unavailable: u32::try_from(page.items.len() - items.len()).unwrap_or(0),
        items,
        total: page.total,
        next_offset: page.next_offset,
        next_after: None,
    })
}

async fn artists(context: Context<'_>, input: &Input) -> Result<Output, ToolError> {
    let session = context.session(input.account.as_ref()).await?;
    let (api, limit) = (session.api, input.limit.get());
    let after = input.after.as_ref().map(|artist| artist.0.as_str());
    let page = session.call(|token| async move { api.followed_artists(&token, limit, after).await }).await?;
    let items: Vec<_> = page.items.iter().filter_map(|thing| ThingItem::of(Kind::Artist, thing)).collect();
    // Only what has the form of an id goes back to Spotify.
    let next_after = page.after.filter(|after| after.parse::<ArtistId>().is_ok());
    Ok(Output {
        unavailable: u32::try_from(page.items.len() - items.len()).unwrap_or(0),
        items,
        total: page.total,
        next_offset: None,
        next_after,
    })
}

impl Output {
    fn answer(&self, what: &str, offset: u32) -> Result<Answer, ToolError> {
        if self.items.is_empty() && self.unavailable == 0 {
            return Answer::of(format!("No {what}s from there on."), self);
        }
        let total = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let list = numbered(self.items.iter().map(ThingItem::line), offset);
        let gone = match self.unavailable {
            0 => String::new(),
            gone => format!("\n{gone} more are no longer available."),
        };
        let offset = self.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
        let after = self.next_after.as_ref().map(|next| format!("\nMore: after {next}.")).unwrap_or_default();
        Answer::of(format!("{}{total} {what}s:{list}{gone}{offset}{after}", self.items.len()), self)
    }
}
