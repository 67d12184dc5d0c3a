//! What a person plays most and played last, as Spotify lists it: nothing is derived from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::amount::amount;
use super::super::arguments::{Count, Word, parse, schema_of, whole};
use super::super::items::{TrackItem, is_rfc3339, numbered, to_the_second};
use super::super::things::ThingItem;
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::library::{Range, Since};
use crate::spotify::models::Played;
use crate::spotify::quota::{LIST_OFFSET, PAGE};
use crate::spotify::uri::Kind;

pub(in crate::mcp) const GET_TOP_ITEMS: ToolSpec = ToolSpec {
    name: "get_top_items",
    title: "Get top tracks or artists",
    description: "Lists the tracks or the artists that the person plays most on Spotify, over about four weeks (short), six \
                  months (medium) or a year (long), a page at a time.",
    hints: LOOKS,
    input: schema_of::<TopInput>,
    output: output_of::<Top>,
    run: |context, arguments| Box::pin(top(context, arguments)),
};

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    Tracks,
    Artists,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Over {
    Short,
    Medium,
    Long,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct TopInput {
    /// Tracks or artists.
    kind: Word<What>,
    /// Over how long a time; default: medium.
    time_range: Option<Word<Over>>,
    /// How many to return at most.
    #[serde(default = "twenty")]
    limit: Count<1, PAGE>,
    /// How many to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Count<0, LIST_OFFSET>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

const fn twenty() -> Count<1, PAGE> {
    Count::of(20)
}

const fn start() -> Count<0, LIST_OFFSET> {
    Count::of(0)
}

#[derive(Serialize, JsonSchema)]
struct Top {
    /// The tracks, where those were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tracks: Vec<TrackItem>,
    /// The artists, where those were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artists: Vec<ThingItem>,
    /// How many there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where this page began.
    offset: u32,
    /// The offset of the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
}

async fn top(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: TopInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let api = session.api;
    let range = match input.time_range {
        Some(Word(Over::Short)) => Range::Short,
        Some(Word(Over::Long)) => Range::Long,
        Some(Word(Over::Medium)) | None => Range::Medium,
    };
    let (offset, asked) = (input.offset.get(), (input.limit.get(), input.offset.get()));
    let mut top = Top { tracks: vec![], artists: vec![], total: None, offset, next_offset: None };
    match input.kind.0 {
        What::Tracks => {
            let page =
                session.call(|token| async move { api.top_tracks(&token, range, asked).await }).await?;
            (top.total, top.next_offset) = (page.total, page.next_offset);
            top.tracks = page.items.iter().filter_map(TrackItem::from).collect();
        }
        What::Artists => {
            let page =
                session.call(|token| async move { api.top_artists(&token, range, asked).await }).await?;
            (top.total, top.next_offset) = (page.total, page.next_offset);
            top.artists = page.items.iter().filter_map(|thing| ThingItem::of(Kind::Artist, thing)).collect();
        }
    }
    let lines: Vec<_> =
        top.tracks.iter().map(TrackItem::line).chain(top.artists.iter().map(ThingItem::line)).collect();
    let more = top.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
    let text = match lines.len() {
        0 => "Spotify lists nothing there.".to_owned(),
        count => format!("{count} most played:{}{more}", numbered(lines.into_iter(), offset)),
    };
    Answer::of(text, &top)
}

pub(in crate::mcp) const GET_RECENTLY_PLAYED: ToolSpec = ToolSpec {
    name: "get_recently_played",
    title: "Get recently played tracks",
    description: "Lists the tracks that the person played last on Spotify, the newest first, with the time. Spotify \
                  remembers about 50, and no podcasts.",
    hints: LOOKS,
    input: schema_of::<RecentInput>,
    output: output_of::<Recent>,
    run: |context, arguments| Box::pin(recent(context, arguments)),
};

/// The farthest moment that is asked for: the year 2100.
const FARTHEST: u64 = 4_102_444_800_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct RecentInput {
    /// How many to return at most.
    #[serde(default = "twenty")]
    limit: Count<1, PAGE>,
    /// Only what was played before this moment (milliseconds since 1970); take next_before of the previous answer.
    before: Option<Moment>,
    /// Only what was played after this moment (milliseconds since 1970), the first ones after it; take next_after to go on.
    /// Not together with before.
    after: Option<Moment>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

/// Milliseconds since 1970.
#[derive(Clone, Copy)]
struct Moment(u64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let at = whole(from)?.and_then(|at| u64::try_from(at).ok()).filter(|at| *at <= FARTHEST);
        at.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("it must be a whole number from 0 to {FARTHEST}"))
        })
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "integer", "minimum": 0, "maximum": FARTHEST})
    }
}

#[derive(Serialize, JsonSchema)]
struct Recent {
    /// The tracks, the newest first.
    tracks: Vec<PlayedItem>,
    /// What to give as before for earlier ones; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<u64>,
    /// What to give as after for later ones, where after was given; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct PlayedItem {
    /// When it was played (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    played_at: Option<String>,
    #[serde(flatten)]
    track: TrackItem,
}

impl PlayedItem {
    fn of(played: &Played) -> Option<Self> {
        let played_at = played.played_at.clone().filter(|at| is_rfc3339(at));
        Some(Self { played_at, track: TrackItem::from(played.track.as_ref()?)? })
    }

    fn line(&self) -> String {
        match &self.played_at {
            Some(at) => format!("{}: {}", to_the_second(at), self.track.line()),
            None => self.track.line(),
        }
    }
}

async fn recent(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: RecentInput = parse(arguments)?;
    let since = match (input.before, input.after) {
        (Some(_), Some(_)) => return Err(ToolError::invalid("Give before or after, not both.")),
        (Some(before), None) => Since::Before(before.0),
        (None, Some(after)) => Since::After(after.0),
        (None, None) => Since::Now,
    };
    let session = context.session(input.account.as_ref()).await?;
    let (api, limit) = (session.api, input.limit.get());
    let page = session.call(|token| async move { api.recently_played(&token, limit, since).await }).await?;
    let moment = |cursor: Option<String>| cursor?.parse().ok().filter(|at| *at <= FARTHEST);
    let goes_forward = matches!(since, Since::After(_));
    let recent = Recent {
        tracks: page.items.iter().filter_map(PlayedItem::of).collect(),
        next_before: moment(page.before).filter(|_| !goes_forward),
        next_after: moment(page.after).filter(|_| goes_forward),
    };
    let list = numbered(recent.tracks.iter().map(PlayedItem::line), 0);
    let more = match (recent.next_before, recent.next_after) {
        (Some(before), _) => format!("\nEarlier: before {before}."),
        (None, Some(after)) => format!("\nLater: after {after}."),
        (None, None) => String::new(),
    };
    let text = match (recent.tracks.len(), since) {
        (0, _) => "Nothing was played there.".to_owned(),
        (count, Since::Now) => format!("{count} played last:{list}{more}"),
        (count, Since::Before(_)) => {
            format!("{count} played before that moment, the newest first:{list}{more}")
        }
        (count, Since::After(_)) => {
            format!(
                "The first {} played after that moment, the newest of them first:{list}{more}",
                amount(count, "track")
            )
        }
    };
    Answer::of(text, &recent)
}
