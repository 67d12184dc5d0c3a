//! Looking things up by name: one request each, or several at once where the app's quota mode has that.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::super::upstream::Session;
use super::super::arguments::{Few, ThingName, parse, schema_of};
use super::super::items::numbered;
use super::super::things::ThingItem;
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::ApiError;
use crate::spotify::things::Thing;
use crate::spotify::uri::{Kind, ThingUri};
use crate::vault::CallError;

/// Most things in one call.
const MOST: usize = 20;

pub(in crate::mcp) const GET_ITEMS: ToolSpec = ToolSpec {
    name: "get_items",
    title: "Look things up",
    description: "Looks up to 20 tracks, albums, artists, shows, episodes, audiobooks or chapters up by URI or link. What \
                  Spotify does not know is listed in missing. For playlists use the playlist tools; for what is inside \
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
    /// Which linked Spotify account to use: its alias or id. Default: the primary one.
    account: Option<AccountName>,
}

#[derive(Default, Serialize, JsonSchema)]
struct Output {
    /// What was found, in the order asked for, each once.
    items: Vec<ThingItem>,
    /// URIs that Spotify does not know, or not in the person's country.
    missing: Vec<String>,
    /// URIs that were not asked for any more because Spotify stopped answering; ask for them later.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    /// What stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<ToolError>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let mut known = HashSet::new();
    let wanted: Vec<_> = input.uris.0.into_iter().map(|name| name.0).collect();
    let wanted: Vec<_> = wanted.into_iter().filter(|uri| known.insert(uri.clone())).collect();
    let session = context.session(input.account.as_ref()).await?;
    let output = match session.mode().await?.has_batches() {
        true => in_batches(&session, &wanted).await?,
        false => one_by_one(&session, &wanted).await?,
    };
    if output.items.is_empty() {
        let none = CallError::Api(ApiError::NotFound);
        return Err(ToolError::upstream(none, session.reconnect_url));
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
                let failure = ToolError::upstream(error, session.reconnect_url);
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
                output.failure = Some(ToolError::upstream(error, session.reconnect_url));
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
        if let Some(failure) = &self.failure {
            text.push_str(&format!("\n{} were not looked up: {}", self.left.len(), failure.message));
        }
        text
    }
}
