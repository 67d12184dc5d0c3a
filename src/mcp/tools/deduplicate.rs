//! Taking duplicates out of a playlist: what counts as the same, which copy stays; planned first.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::arguments::{PlaylistName, Text, Word, parse, schema_of};
use super::changing::contents::{self, Row};
use super::changing::removal::{Removal, Wanted};
use super::changing::{REPLACES, removal};
use super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use crate::domain::edits::is_writable;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "deduplicate_playlist",
    title: "Remove duplicates from a playlist",
    description: "Takes duplicates out of a playlist and keeps one copy of each track. The same are tracks with the same uri, \
                  the same recording (isrc), or the same title and first artists (title: finds re-releases, but look at the \
                  plan for live versions). Local files stay. By default it only plans (dry_run true): it says what would go, how many requests \
                  it takes, and gives a plan_id. Show that to the person, then call again with the same arguments, dry_run \
                  false and the plan_id. Rows written anew lose the date at which they were added.",
    hints: REPLACES,
    input: schema_of::<Input>,
    output: output_of::<Removal>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

/// What counts as the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum By {
    #[default]
    Uri,
    Isrc,
    Title,
}

/// Which copy stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Keep {
    #[default]
    First,
    Last,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// What counts as the same: uri (default), isrc or title.
    #[serde(default)]
    by: Word<By>,
    /// Which copy stays: the first (default) or the last in the playlist's order.
    #[serde(default)]
    keep: Word<Keep>,
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
    let session = context.session(input.account.as_ref()).await?;
    let id = &input.playlist_id.0;
    let contents = contents::read(&session, id).await?;
    let same_as = duplicates(&contents.rows, input.by.0, input.keep.0);
    let goes: Vec<bool> = same_as.iter().map(Option::is_some).collect();
    let wanted = Wanted {
        tool: "deduplicate_playlist",
        id,
        asked: format!("{} {:?} {:?}", id.as_str(), input.by.0, input.keep.0),
        dry_run: input.dry_run,
        plan_id: input.plan_id.as_ref().map(Text::as_str),
        same_as: &same_as,
    };
    removal::run(context, &session, wanted, (&contents, &goes)).await
}

/// For each row that goes, the one that stays in its place.
fn duplicates(rows: &[Row], by: By, keep: Keep) -> Vec<Option<usize>> {
    let keys: Vec<_> = rows.iter().map(|row| key(row, by)).collect();
    let mut kept: HashMap<&str, usize> = HashMap::new();
    for (at, key) in keys.iter().enumerate() {
        let Some(key) = key else { continue };
        match keep {
            Keep::First => drop(kept.entry(key).or_insert(at)),
            Keep::Last => drop(kept.insert(key, at)),
        }
    }
    let stays = |key: &Option<String>| key.as_deref().and_then(|key| kept.get(key).copied());
    keys.iter().enumerate().map(|(at, key)| stays(key).filter(|stays| *stays != at)).collect()
}

/// What a row is the same as others by; `None` for what is like nothing else: what Spotify no longer names, and local
/// files, of which no copy could be kept.
fn key(row: &Row, by: By) -> Option<String> {
    if !is_writable(&row.uri) {
        return None;
    }
    let by_uri = || Some(format!("uri {}", row.uri));
    match by {
        By::Uri => by_uri(),
        // Two tracks without a code are not the same for that.
        By::Isrc => row.isrc.as_ref().map(|isrc| format!("isrc {isrc}")).or_else(by_uri),
        // A title of marks alone says nothing.
        By::Title if folded(&row.name).is_empty() => by_uri(),
        By::Title => Some(format!("title {}\n{}", folded(&row.name), folded(&row.artists))),
    }
}

/// Without case and without what only decorates.
fn folded(text: &str) -> String {
    let letters: String = text
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .flat_map(char::to_lowercase)
        .collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(uri: &str, name: &str, isrc: Option<&str>) -> Row {
        Row {
            uri: uri.to_owned(),
            name: name.into(),
            artists: "A".into(),
            isrc: isrc.map(Into::into),
            added_at: None,
        }
    }

    #[test]
    fn the_same_is_what_was_asked_for_and_one_copy_stays() {
        let rows = [
            row("spotify:track:1", "Song", Some("X")),
            row("spotify:track:2", "song!", Some("X")),
            row("spotify:track:1", "Song", Some("X")),
            row("spotify:track:3", "Other", None),
            row("spotify:local:4", "Song", Some("X")),
            row("", "", None),
            row("", "", None),
        ];
        let marks = |by, keep| {
            let goes = duplicates(&rows, by, keep);
            goes.iter().map(|stays| stays.map_or(".".to_owned(), |at| at.to_string())).collect::<String>()
        };
        assert_eq!(marks(By::Uri, Keep::First), "..0....");
        assert_eq!(marks(By::Uri, Keep::Last), "2......");
        assert_eq!(marks(By::Isrc, Keep::First), ".00....");
        assert_eq!(marks(By::Title, Keep::Last), "22.....");
    }
}
