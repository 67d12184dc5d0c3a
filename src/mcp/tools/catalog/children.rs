//! What is inside of a thing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::{Count, Few, ParentName, Word, parse, schema_of};
use super::super::items::numbered;
use super::super::things::ThingItem;
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::quota::{LIST_OFFSET, PAGE};
use crate::spotify::uri::Kind;

pub(in crate::mcp) const LIST_CHILDREN: ToolSpec = ToolSpec {
    name: "list_children",
    title: "List what is inside",
    description: "Lists the tracks of an album, the albums and singles of an artist (album_type), the episodes of a show (podcast; the newest \
                  first) or the chapters of an audiobook, a page at a time. Spotify offers neither an artist's top \
                  tracks nor related artists.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Group {
    Album,
    Single,
    AppearsOn,
    Compilation,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// The album, artist, show or audiobook: URI or link.
    uri: ParentName,
    /// How many to return at most.
    #[serde(default = "twenty")]
    limit: Count<1, PAGE>,
    /// How many to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Count<0, LIST_OFFSET>,
    /// Of an artist: only albums of these groups.
    groups: Option<Few<Word<Group>, 1, 4>>,
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
struct Output {
    /// What is inside, in Spotify's order.
    items: Vec<ThingItem>,
    /// How many there are in all.
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

impl Input {
    /// What is listed, as people say it.
    fn what(&self) -> String {
        let groups = self.groups.as_ref().map(|groups| groups.0.as_slice()).unwrap_or_default();
        match (self.uri.0.kind(), groups) {
            (Kind::Artist, [only]) => only.0.many().to_owned(),
            // Albums, singles and compilations: each line says which it is.
            (Kind::Artist, _) => "releases".to_owned(),
            _ => format!("{}s", self.uri.0.of().name()),
        }
    }
}

impl Group {
    const fn many(self) -> &'static str {
        match self {
            Self::Album => "albums",
            Self::Single => "singles",
            Self::AppearsOn => "releases of others",
            Self::Compilation => "compilations",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Album => "album",
            Self::Single => "single",
            Self::AppearsOn => "appears_on",
            Self::Compilation => "compilation",
        }
    }
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    if input.groups.is_some() && input.uri.0.kind() != Kind::Artist {
        return Err(ToolError::invalid("The argument 'groups' goes with an artist only."));
    }
    let found = gather(context, &input).await?;
    let total = found.total.map(|total| format!(" of {total}")).unwrap_or_default();
    let what = input.what();
    let text = match found.items.as_slice() {
        [] if found.offset == 0 => format!("No {what}."),
        [] => format!("No {what} from offset {} on.", found.offset),
        some => {
            let more = found.next_offset.map(|next| format!("\nMore: offset {next}.")).unwrap_or_default();
            let list = numbered(some.iter().map(ThingItem::line), found.offset);
            format!("{}{total} {what}:{list}{more}", some.len())
        }
    };
    Answer::of(text, &found)
}

/// Asks for pages of the size that the quota mode allows, one after the other, until `limit` are found.
async fn gather(context: Context<'_>, input: &Input) -> Result<Output, ToolError> {
    let session = context.session(input.account.as_ref()).await?;
    let (api, parent, offset) = (session.api, &input.uri.0, input.offset.get());
    let groups: Option<Vec<_>> =
        input.groups.as_ref().map(|groups| groups.0.iter().map(|group| group.0.name()).collect());
    let groups = groups.map(|groups| groups.join(","));
    let groups = groups.as_deref();
    let mut found = Output { items: vec![], total: None, offset, next_offset: None, truncated: false };
    let (mut at, mut wanted) = (offset, input.limit.get());
    while wanted > 0 {
        let page = session
            .call(|token| async move {
                let most = api.mode_of(&token).children_page(parent.kind());
                api.children(&token, parent, (wanted.min(most), at), groups).await
            })
            .await;
        let page = match page {
            Ok(page) => page,
            // What was found already is worth more than the error.
            Err(_) if at > offset => {
                found.truncated = true;
                break;
            }
            Err(error) => return Err(error),
        };
        found.total = page.total.or(found.total);
        found.items.extend(page.items.iter().filter_map(|thing| ThingItem::of(parent.of(), thing)));
        found.next_offset = page.next_offset.filter(|next| *next <= LIST_OFFSET);
        let Some(next) = found.next_offset else { break };
        wanted = wanted.saturating_sub(next - at);
        at = next;
    }
    Ok(found)
}
