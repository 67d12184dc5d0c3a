//! Looking things up by name: one request each, or several at once where the app's quota mode has that.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::super::upstream::Session;
use super::super::amount::were;
use super::super::arguments::{Few, ThingName, parse, schema_of};
use super::super::items::numbered;
use super::super::things::ThingItem;
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::ApiError;
use crate::spotify::things::Thing;
use crate::spotify::uri::{Kind, ParentUri, ThingUri};
use crate::vault::CallError;

/// Most things in one call.
const MOST: usize = 20;
/// So many of what is inside of each are told.
const INSIDE: u32 = 10;

pub(in crate::mcp) const GET_ITEMS: ToolSpec = ToolSpec {
    name: "get_items",
    title: "Look things up",
    description: "Looks up to 20 tracks, albums, artists, shows, episodes, audiobooks or chapters up by URI or link. What \
                  Spotify does not know is listed in missing; where that is all, the answer is the error NOT_FOUND. Of episodes and chapters it tells how far the person is, where \
                  they have allowed that. For playlists use the playlist tools; for what is inside \
                  of an album, artist, show or audiobook use list_children.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// What to look up: URIs, links or track ids.
    uris: Few<ThingName, 1, MOST>,
    /// Also tell the first ten things inside of each album, artist, show and audiobook.
    #[serde(default)]
    expand: bool,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Default, Serialize, JsonSchema)]
struct Output {
    /// What was found, in the order asked for, each once.
    items: Vec<ThingItem>,
    /// With expand: what is inside of those that have something inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<Inside>,
    /// URIs that Spotify does not know, or not in the person's country.
    missing: Vec<String>,
    /// URIs that were not asked for any more because Spotify stopped answering; ask for them later.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ToolError>,
}

/// The first things inside of one.
#[derive(Serialize, JsonSchema)]
struct Inside {
    /// Of which.
    of: String,
    /// In Spotify's order; list_children has the rest.
    items: Vec<Child>,
    /// How many there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// One of them.
#[derive(Serialize, JsonSchema)]
struct Child {
    /// Its URI.
    uri: String,
    /// Title.
    name: String,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let mut known = HashSet::new();
    let wanted: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    let wanted: Vec<_> = wanted.into_iter().filter(|uri| known.insert(uri.clone())).collect();
    let session = context.session(input.account.as_ref()).await?;
    let mut output = match session.mode().await?.has_batches() {
        true => in_batches(&session, &wanted).await?,
        false => one_by_one(&session, &wanted).await?,
    };
    if output.items.is_empty() {
        let none = CallError::Api(ApiError::NotFound);
        return Err(session.told(none));
    }
    if input.expand {
        output.expand(&session).await;
    }
    let code = output.failure.as_ref().map(|failure| failure.code);
    let mut answer = Answer::of(output.told(), &output)?;
    answer.code = code;
    Ok(answer)
}

/// # Errors
/// Where nothing was found before Spotify stopped answering.
async fn one_by_one(session: &Session<'_>, wanted: &[ThingUri]) -> Result<Output, ToolError> {
    let (api, mut output) = (session.api, Output::default());
    for (at, uri) in wanted.iter().enumerate() {
        let found = match session.time_left() > session.longest_call {
            true => session.attempt(|token| async move { api.thing(&token, uri).await }).await,
            false => Err(CallError::Api(ApiError::Timeout)),
        };
        match found {
            Ok(thing) => output.take(uri, Some(&thing)),
            Err(CallError::Api(ApiError::NotFound)) => output.take(uri, None),
            Err(error) => {
                let failure = session.told(error);
                return output.stop(failure, &wanted[at..]);
            }
        }
    }
    Ok(output)
}

/// # Errors
/// As [`one_by_one`].
async fn in_batches(session: &Session<'_>, wanted: &[ThingUri]) -> Result<Output, ToolError> {
    let (api, mut output) = (session.api, Output::default());
    let mut found: Vec<(usize, Option<Thing>)> = Vec::with_capacity(wanted.len());
    let mut kinds: Vec<Kind> = wanted.iter().map(ThingUri::kind).collect();
    kinds.dedup();
    for kind in kinds {
        let places: Vec<_> = (0..wanted.len())
            .filter(|at| wanted[*at].kind() == kind && !found.iter().any(|(done, _)| done == at))
            .collect();
        if places.is_empty() {
            continue;
        }
        let ids: Vec<_> = places.iter().map(|at| wanted[*at].id()).collect();
        let ids = ids.as_slice();
        match session.attempt(|token| async move { api.several(&token, kind, ids).await }).await {
            Ok(things) => {
                let things = things.into_iter().chain(std::iter::repeat(None));
                found.extend(places.into_iter().zip(things));
            }
            Err(error) => {
                output.failure = Some(session.told(error));
                break;
            }
        }
    }
    for (at, uri) in wanted.iter().enumerate() {
        match found.iter().find(|(done, _)| *done == at) {
            Some((_, thing)) => output.take(uri, thing.as_ref()),
            None => output.left.push(uri.to_string()),
        }
    }
    match output.failure.take() {
        Some(failure) if output.items.is_empty() => Err(failure),
        failure => Ok(Output { failure, ..output }),
    }
}

impl Output {
    fn take(&mut self, uri: &ThingUri, thing: Option<&Thing>) {
        match thing.and_then(|thing| ThingItem::of(uri.kind(), thing)) {
            Some(item) => self.items.push(item),
            None => self.missing.push(uri.to_string()),
        }
    }

    /// Adds what is inside, one request each, until Spotify stops answering; what was found before stays.
    async fn expand(&mut self, session: &Session<'_>) {
        let api = session.api;
        for item in &self.items {
            let Ok(parent) = item.uri.parse::<ParentUri>() else { continue };
            let found = match session.time_left() > session.longest_call && self.failure.is_none() {
                true => {
                    let parent = &parent;
                    let ask = |token| async move { api.children(&token, parent, (INSIDE, 0), None).await };
                    session.attempt(ask).await
                }
                false => Err(CallError::Api(ApiError::Timeout)),
            };
            match found {
                Ok(page) => {
                    let things = page.items.iter().filter_map(|thing| ThingItem::of(parent.of(), thing));
                    let items = things.map(|thing| Child { uri: thing.uri, name: thing.name }).collect();
                    self.inside.push(Inside { of: item.uri.clone(), items, total: page.total });
                }
                Err(error) => {
                    self.failure.get_or_insert(session.told(error));
                    return;
                }
            }
        }
    }

    fn stop(mut self, failure: ToolError, left: &[ThingUri]) -> Result<Self, ToolError> {
        if self.items.is_empty() {
            return Err(failure);
        }
        self.left = left.iter().map(ToString::to_string).collect();
        self.failure = Some(failure);
        Ok(self)
    }

    fn told(&self) -> String {
        let mut text =
            format!("{} found:{}", self.items.len(), numbered(self.items.iter().map(ThingItem::line), 0));
        if !self.missing.is_empty() {
            text.push_str(&format!("\nSpotify does not know: {}.", self.missing.join(", ")));
        }
        for inside in &self.inside {
            let names: Vec<_> =
                inside.items.iter().map(|child| format!("{} [{}]", child.name, child.uri)).collect();
            text.push_str(&format!("\nInside {}: {}", inside.of, names.join("; ")));
        }
        if let Some(failure) = &self.failure {
            let what = match self.left.len() {
                0 => "What is inside of the rest was".to_owned(),
                left => were(left),
            };
            text.push_str(&format!("\n{what} not looked up: {}", failure.message));
        }
        text
    }
}
