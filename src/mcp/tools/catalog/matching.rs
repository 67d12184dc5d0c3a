//! Finding the tracks of a list that a person has as titles. Never adds anything anywhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::super::upstream::Session;
use super::super::arguments::{Count, Few, Text, parse, schema_of};
use super::super::changing::timing::out_of_time;
use super::super::items::TrackItem;
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use super::likeness::{Described, Likeness, likeness, same_album};
use crate::spotify::text::clean;
use crate::spotify::uri::{Isrc, NotAnIsrc};

/// Most titles in one call; each is a search of its own, and some are two.
const MOST: usize = 50;
/// How many results of a search are judged.
const JUDGED: u32 = 10;
/// Most tracks offered beside the best one.
const OTHERS: usize = 2;

pub(in crate::mcp) const MATCH_TRACKS: ToolSpec = ToolSpec {
    name: "match_tracks",
    title: "Find the tracks of a list",
    description: "Finds up to 50 songs on Spotify by title and artist (or ISRC) in one call, for turning a list of titles \
                  into URIs. verdict tells for each: confident (the same title, artist and kind of recording, or the same \
                  ISRC), uncertain (show the person what was found and ask), none. Adds nothing; give the URIs that are \
                  right to create_playlist or add_tracks_to_playlist.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// The songs, in order.
    items: Few<Wanted, 1, MOST>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Title. Give this or isrc.
    title: Option<Text<1, 200>>,
    /// Artist; without one nothing is confident.
    artist: Option<Text<1, 200>>,
    /// Album, to choose among equals.
    album: Option<Text<1, 200>>,
    /// International Standard Recording Code: 12 letters and digits.
    isrc: Option<Text<1, 40>>,
    /// Length in milliseconds.
    duration_ms: Option<Count<1, 86_400_000>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Confident,
    Uncertain,
    None,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// One for each song, in order, as far as Spotify answered.
    matches: Vec<Match>,
    /// How many are confident.
    confident: usize,
    /// The index in items of the first song that was not looked for; absent where all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ToolError>,
}

#[derive(Serialize, JsonSchema)]
struct Match {
    /// Its index in items.
    index: usize,
    /// How sure it is.
    verdict: Verdict,
    /// The best that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<TrackItem>,
    /// Others that it could be, where it is uncertain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<TrackItem>,
    /// What was wrong with the ISRC.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let nameless = |wanted: &Wanted| wanted.title.is_none() && wanted.isrc.is_none();
    if let Some(index) = input.items.0.iter().position(nameless) {
        return Err(ToolError::invalid(format!(
            "The argument 'items[{index}]' is not valid: give a `title` (with its `artist`, where that is known) or an `isrc`."
        )));
    }
    let session = context.session(input.account.as_ref()).await?;
    let mut output = Output { matches: Vec::new(), confident: 0, next_offset: None, failure: None };
    for (index, wanted) in input.items.0.iter().enumerate() {
        let found = match session.time_left() > session.longest_call || index == 0 {
            true => look_for(&session, wanted).await,
            false => Err(out_of_time()),
        };
        match found {
            Ok(found) => output.matches.push(wanted.judge(index, found)),
            Err(failure) if index == 0 => return Err(failure),
            Err(failure) => {
                (output.next_offset, output.failure) = (Some(index), Some(failure));
                break;
            }
        }
    }
    output.confident = output.matches.iter().filter(|found| found.verdict == Verdict::Confident).count();
    let code = output.failure.as_ref().map(|failure| failure.code);
    let mut answer = Answer::of(output.told(&input.items.0), &output)?;
    answer.code = code;
    Ok(answer)
}

/// By its code first, which names one recording; else by its words.
async fn look_for(session: &Session<'_>, wanted: &Wanted) -> Result<Vec<TrackItem>, ToolError> {
    if let Some(Ok(isrc)) = wanted.code() {
        let code = isrc.as_str();
        let found = search(session, &format!("isrc:{code}")).await?;
        let right = |track: &TrackItem| track.isrc.as_deref() == Some(code);
        if found.iter().any(right) {
            return Ok(found);
        }
    }
    let Some(title) = &wanted.title else { return Ok(Vec::new()) };
    let artist = wanted.artist.as_ref().map(|artist| format!(" {}", artist.as_str())).unwrap_or_default();
    let query: String = format!("{}{artist}", title.as_str()).chars().take(250).collect();
    search(session, &query).await
}

async fn search(session: &Session<'_>, query: &str) -> Result<Vec<TrackItem>, ToolError> {
    let api = session.api;
    let page =
        session.call(|token| async move { api.search_tracks(&token, query, JUDGED, 0, None).await }).await?;
    Ok(page.items.iter().filter_map(TrackItem::from).collect())
}

impl Wanted {
    /// The recording's code, however it is written: with hyphens too.
    fn code(&self) -> Option<Result<Isrc, NotAnIsrc>> {
        let text: String = self.isrc.as_ref()?.as_str().chars().filter(|c| *c != '-' && *c != ' ').collect();
        Some(text.parse())
    }

    fn name(&self) -> &str {
        let code = || self.isrc.as_ref().map(Text::as_str);
        self.title.as_ref().map(Text::as_str).or_else(code).unwrap_or_default()
    }

    fn described<'a>(&'a self, code: Option<&'a Isrc>) -> Described<'a> {
        Described {
            title: self.title.as_ref().map_or("", |title| title.as_str()),
            artists: self.artist.iter().map(Text::as_str).collect(),
            album: self.album.as_ref().map(Text::as_str),
            isrc: code.map(Isrc::as_str),
            duration_ms: self.duration_ms.map(|length| u64::from(length.get())),
        }
    }

    /// The best first: the surest, then of the album that was named, then as Spotify ranks them.
    fn judge(&self, index: usize, found: Vec<TrackItem>) -> Match {
        let (code, note) = match self.code() {
            None => (None, None),
            Some(Ok(code)) => (Some(code), None),
            Some(Err(why)) => (None, Some(format!("{why}; this one was left out"))),
        };
        let wanted = self.described(code.as_ref());
        let mut judged: Vec<_> = found
            .into_iter()
            .map(|track| {
                let other = described(&track);
                (likeness(&wanted, &other), same_album(&wanted, &other), track)
            })
            .filter(|(like, _, _)| *like > Likeness::None)
            .collect();
        judged.sort_by_key(|(like, album, _)| std::cmp::Reverse((*like, *album)));
        let verdict = match judged.first() {
            Some((Likeness::Confident, _, _)) => Verdict::Confident,
            Some(_) => Verdict::Uncertain,
            None => Verdict::None,
        };
        let mut tracks = judged.into_iter().map(|(_, _, track)| track);
        let track = tracks.next();
        let others = if verdict == Verdict::Uncertain { tracks.take(OTHERS).collect() } else { Vec::new() };
        Match { index, verdict, track, others, note }
    }
}

fn described(track: &TrackItem) -> Described<'_> {
    Described {
        title: &track.name,
        artists: track.artists.iter().map(String::as_str).collect(),
        album: track.album.as_deref(),
        isrc: track.isrc.as_deref(),
        duration_ms: track.duration_ms,
    }
}

impl Output {
    fn told(&self, items: &[Wanted]) -> String {
        let mut text = format!("{} of {} found for sure:", self.confident, items.len());
        for (found, wanted) in self.matches.iter().zip(items) {
            let line = match (&found.track, found.verdict) {
                (Some(track), Verdict::Confident) => track.line(),
                (Some(track), _) => {
                    let others = found.others.iter().map(|track| format!("; or {}", track.line()));
                    format!("uncertain: {}{}", track.line(), others.collect::<String>())
                }
                (None, _) => format!("not found: {}", clean(wanted.name(), 200)),
            };
            let note = found.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
            text.push_str(&format!("\n{}. {line}{note}", found.index + 1));
        }
        if let (Some(next), Some(failure)) = (self.next_offset, &self.failure) {
            text.push_str(&format!("\nNot looked for from index {next} on: {}", failure.told()));
        }
        text
    }
}
