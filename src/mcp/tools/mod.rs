//! The tools, one file per topic, and what they share: their description, their context, their answer.
//!
//! A tool reads its arguments into types, calls the Web API through a [`Session`], and answers. It never sees a
//! token's text, another person's data, or the request's identity in any argument.

mod accounts;
mod add_tracks;
mod agreeing;
mod amount;
mod arguments;
mod catalog;
mod changes;
mod changing;
mod compare;
mod copy_playlist;
mod cover;
mod create_playlist;
mod deduplicate;
mod error;
mod find_in_playlists;
mod following;
mod items;
mod library;
mod misfit;
mod outputs;
mod own_playlists;
mod player;
mod playlist;
mod playlists;
mod remove_tracks;
mod reorder_tracks;
mod search;
mod standing;
pub(super) mod status;
mod things;
mod undo;
mod usage;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use rmcp::model::{Tool, ToolAnnotations};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::asking::Asking;
use super::caller::Caller;
use super::going::Going;
use super::server::Inner;
use super::several::{Accounts, Used};
use super::upstream::Session;
pub(super) use arguments::AccountName;
pub(crate) use error::{About, ToolError};
use outputs::output_of;

use crate::failure::Failure;
use crate::spotify::text::clean;
use crate::store::Link;

/// Every tool, sorted by name.
pub(super) const ALL: [&ToolSpec; 47] = [
    &player::ADD_TO_QUEUE,
    &add_tracks::TOOL,
    &library::CHECK_LIBRARY,
    &compare::TOOL,
    &copy_playlist::TOOL,
    &create_playlist::TOOL,
    &deduplicate::TOOL,
    &find_in_playlists::TOOL,
    &following::FOLLOW_PLAYLIST,
    &player::GET_CURRENT_TRACK,
    &catalog::GET_ITEMS,
    &library::GET_LIKED_SONGS,
    &player::GET_PLAYBACK_STATE,
    &playlist::GET_PLAYLIST,
    &playlists::GET_PLAYLIST_TRACKS,
    &player::GET_QUEUE,
    &library::GET_RECENTLY_PLAYED,
    &status::TOOL,
    &library::GET_TOP_ITEMS,
    &usage::TOOL,
    &playlists::GET_USER_PLAYLISTS,
    &accounts::LINK_ACCOUNT,
    &changes::LIST_CHANGES,
    &catalog::LIST_CHILDREN,
    &player::LIST_DEVICES,
    &library::LIST_LIBRARY,
    &accounts::LIST_MY_ACCOUNTS,
    &catalog::MATCH_TRACKS,
    &player::PAUSE,
    &player::PLAY,
    &library::REMOVE_FROM_LIBRARY,
    &remove_tracks::TOOL,
    &reorder_tracks::TOOL,
    &library::SAVE_TO_LIBRARY,
    &catalog::SEARCH_CATALOG,
    &search::TOOL,
    &player::SEEK,
    &accounts::SET_DEFAULT_ACCOUNT,
    &player::SET_PLAYER,
    &cover::TOOL,
    &player::SKIP_TO_NEXT,
    &player::SKIP_TO_PREVIOUS,
    &player::TRANSFER_PLAYBACK,
    &undo::UNDO_CHANGE,
    &following::UNFOLLOW_PLAYLIST,
    &accounts::UNLINK_ACCOUNT,
    &playlist::UPDATE_PLAYLIST,
];

/// The mark that Spotify asks for next to its content (spotify.md 1.9).
pub(super) const FOOTER: &str = "\n\nData from Spotify";

/// The arguments of a call as they came.
pub(super) type Arguments = Map<String, Value>;

/// What a tool is.
pub(super) struct ToolSpec {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// For a model that has never seen it.
    pub(super) description: &'static str,
    pub(super) hints: Hints,
    pub(super) input: fn() -> Map<String, Value>,
    pub(super) output: fn() -> Map<String, Value>,
    pub(super) run: Run,
}

/// How a tool is run.
pub(super) type Run = for<'a> fn(Context<'a>, Arguments) -> BoxFuture<'a, Result<Answer, ToolError>>;

/// The four annotations; all are always stated, because the protocol's defaults are the dangerous ones.
#[derive(Clone, Copy)]
pub(super) struct Hints {
    pub(super) read_only: bool,
    pub(super) destructive: bool,
    pub(super) idempotent: bool,
    pub(super) open_world: bool,
}

/// The hints of a tool that asks Spotify and changes nothing.
const LOOKS: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: true };
/// The hints of a tool that adds something at Spotify.
const ADDS: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: true };

impl ToolSpec {
    /// As the protocol lists it.
    pub(super) fn listed(&self, accounts: &Accounts) -> Tool {
        let (input, output) = accounts.schemas(self);
        let hints = ToolAnnotations::new()
            .read_only(self.hints.read_only)
            .destructive(self.hints.destructive)
            .idempotent(self.hints.idempotent)
            .open_world(self.hints.open_world);
        Tool::new(self.name, self.description, Arc::new(input))
            .with_title(self.title)
            .with_raw_output_schema(Arc::new(output))
            .with_annotations(hints)
    }
}

/// What a tool is given beside its arguments.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) server: &'a Inner,
    pub(super) caller: &'a Caller,
    pub(super) deadline: Instant,
    /// Which accounts come to be used, for the trail.
    pub(super) used: &'a Used,
    /// What the person may be asked, and what they replied.
    pub(super) asking: &'a Asking,
    /// How far it goes.
    pub(super) going: &'a Going,
}

impl<'a> Context<'a> {
    /// The linked account that is meant: the primary one, or the one whose alias or id is `account`.
    pub(super) async fn session(&self, account: Option<&AccountName>) -> Result<Session<'a>, ToolError> {
        let link = match (account, &self.caller.link) {
            (Some(account), _) => self.named(account).await?.id,
            (None, Some(link)) => link.clone(),
            (None, None) => return Err(ToolError::no_account(&self.server.reconnect_url)),
        };
        self.used.note(&link);
        Ok(Session {
            api: &self.server.api,
            upstream: self.server.upstream.as_ref(),
            user: &self.caller.user,
            link,
            deadline: self.deadline,
            longest_call: self.server.api_timeout,
            reconnect_url: &self.server.reconnect_url,
            going: self.going,
            rewriting: &self.server.rewriting,
            slowest: AtomicU64::new(0),
            known: OnceLock::new(),
        })
    }

    /// The person's linked accounts.
    pub(super) async fn links(&self) -> Result<Vec<Link>, ToolError> {
        let links = self.server.upstream.links(&self.caller.user).await;
        links.map_err(|failure: Failure| ToolError::internal(&failure))
    }

    /// By what a person and a tool call an account.
    pub(super) fn name_of(&self, link: &Link) -> String {
        super::several::name(link)
    }

    async fn named(&self, account: &AccountName) -> Result<Link, ToolError> {
        let links = self.links().await?;
        the_one_named(&links, account.as_str()).cloned()
    }
}

/// None of a person's accounts is called so.
pub(super) fn unknown_account(links: &[Link]) -> ToolError {
    let known = known_names(links);
    ToolError::new(
        "ACCOUNT_UNKNOWN",
        format!("No linked Spotify account has that alias or id. Linked: {known}."),
    )
}

/// The account that is meant by a name: the one that is called exactly so, else the only one that the name fits.
pub(super) fn the_one_named<'a>(links: &'a [Link], name: &str) -> Result<&'a Link, ToolError> {
    if let Some(link) = links.iter().find(|link| link.alias == name) {
        return Ok(link);
    }
    let mut fitting = links.iter().filter(|link| is_named(link, name));
    // People call an account by its name on Spotify, which may be that of several.
    let mut called = links.iter().filter(|link| link.display_name.eq_ignore_ascii_case(name));
    match (fitting.next(), fitting.next()) {
        (Some(link), None) => Ok(link),
        (None, _) => match (called.next(), called.next()) {
            (Some(link), None) => Ok(link),
            _ => Err(unknown_account(links)),
        },
        (Some(one), Some(other)) => Err(ToolError::new(
            "ACCOUNT_UNKNOWN",
            format!(
                "Two linked Spotify accounts fit that name: {} and {}. Nothing was done. Write the alias to the letter, or the \
                 account's id as list_my_accounts tells it.",
                super::several::name(one),
                super::several::name(other),
            ),
        )),
    }
}

pub(super) fn is_named(link: &Link, name: &str) -> bool {
    name.eq_ignore_ascii_case(&link.alias)
        || [link.id.as_str(), &link.identity, &link.spotify_user_id].contains(&name)
}

fn known_names(links: &[Link]) -> String {
    let names: Vec<_> = links
        .iter()
        .take(20)
        .map(|link| {
            let is_default = link.primary && links.len() > 1;
            let called = if is_default { ", the default" } else { "" };
            format!("{} ({}{called})", super::several::name(link), clean(&link.display_name, 60))
        })
        .collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// What a tool answers when it worked, at least in part.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) structured: Value,
    /// The code of what went wrong in part, for the trail.
    pub(super) code: Option<&'static str>,
}

impl Answer {
    /// An answer with content from Spotify.
    pub(super) fn of(text: impl Into<String>, output: &impl Serialize) -> Result<Self, ToolError> {
        let mut text = text.into();
        text.push_str(FOOTER);
        Self::own(text, output)
    }

    /// The same with what else there is to know, before the mark.
    pub(super) fn remarking(mut self, remarks: &str) -> Self {
        match self.text.strip_suffix(FOOTER) {
            Some(text) if !remarks.is_empty() => self.text = format!("{text}{remarks}{FOOTER}"),
            _ => self.text.push_str(remarks),
        }
        self
    }

    /// An answer that is all ours.
    pub(super) fn own(text: impl Into<String>, output: &impl Serialize) -> Result<Self, ToolError> {
        let structured = serde_json::to_value(output)
            .map_err(|cause| ToolError::internal(&Failure::caused("writing an answer", cause)))?;
        Ok(Self { text: text.into(), structured, code: None })
    }
}

/// Every tool's name and input schema, for the fuzz targets.
#[cfg(any(test, doc, fuzzing))]
pub(crate) fn input_schemas() -> Vec<(&'static str, Map<String, Value>)> {
    ALL.iter().map(|tool| (tool.name, (tool.input)())).collect()
}

/// Reads arguments as the tool of this name would, and no more, for the fuzz targets.
#[cfg(any(test, doc, fuzzing))]
pub(crate) fn read_arguments(tool: &str, arguments: Arguments) -> Result<(), ToolError> {
    use arguments::parse;
    match tool {
        "add_to_queue" => parse::<player::AddInput>(arguments).map(drop),
        "add_tracks_to_playlist" => parse::<add_tracks::Input>(arguments).map(drop),
        "remove_from_library" => parse::<library::RemoveInput>(arguments).map(drop),
        "check_library" | "save_to_library" => parse::<library::ChangeInput>(arguments).map(drop),
        "compare_playlists" => parse::<compare::Input>(arguments).map(drop),
        "copy_playlist" => parse::<copy_playlist::Input>(arguments).map(drop),
        "create_playlist" => parse::<create_playlist::Input>(arguments).map(drop),
        "deduplicate_playlist" => parse::<deduplicate::Input>(arguments).map(drop),
        "find_in_playlists" => parse::<find_in_playlists::Input>(arguments).map(drop),
        "follow_playlist" => parse::<following::Input>(arguments).map(drop),
        "unfollow_playlist" => parse::<following::LeaveInput>(arguments).map(drop),
        "get_current_track" | "get_playback_state" | "get_queue" | "list_devices" | "pause"
        | "skip_to_next" | "skip_to_previous" => parse::<player::Input>(arguments).map(drop),
        "get_items" => parse::<catalog::ItemsInput>(arguments).map(drop),
        "get_liked_songs" => parse::<library::Input>(arguments).map(drop),
        "get_playlist" => parse::<playlist::LookInput>(arguments).map(drop),
        "get_playlist_tracks" => parse::<playlists::TracksInput>(arguments).map(drop),
        "get_recently_played" => parse::<library::RecentInput>(arguments).map(drop),
        "get_status" => parse::<status::Input>(arguments).map(drop),
        "get_top_items" => parse::<library::TopInput>(arguments).map(drop),
        "get_user_playlists" => parse::<playlists::ListInput>(arguments).map(drop),
        "list_changes" => parse::<changes::Input>(arguments).map(drop),
        "list_children" => parse::<catalog::ChildrenInput>(arguments).map(drop),
        "list_library" => parse::<library::ListInput>(arguments).map(drop),
        "match_tracks" => parse::<catalog::MatchInput>(arguments).map(drop),
        "get_usage" => parse::<usage::Input>(arguments).map(drop),
        "link_account" => parse::<accounts::LinkInput>(arguments).map(drop),
        "list_my_accounts" => parse::<accounts::Nothing>(arguments).map(drop),
        "play" => parse::<player::PlayInput>(arguments).map(drop),
        "remove_tracks_from_playlist" => parse::<remove_tracks::Input>(arguments).map(drop),
        "reorder_playlist_tracks" => parse::<reorder_tracks::Input>(arguments).map(drop),
        "search_catalog" => parse::<catalog::SearchInput>(arguments).map(drop),
        "search_tracks" => parse::<search::Input>(arguments).map(drop),
        "seek" => parse::<player::SeekInput>(arguments).map(drop),
        "set_player" => parse::<player::SetInput>(arguments).map(drop),
        "set_playlist_cover" => parse::<cover::Input>(arguments).map(drop),
        "transfer_playback" => parse::<player::TransferInput>(arguments).map(drop),
        "undo_change" => parse::<undo::Input>(arguments).map(drop),
        "update_playlist" => parse::<playlist::UpdateInput>(arguments).map(drop),
        "set_default_account" => parse::<accounts::DefaultInput>(arguments).map(drop),
        "unlink_account" => parse::<accounts::UnlinkInput>(arguments).map(drop),
        other => Err(ToolError::invalid(format!("no tool is called {other}"))),
    }
}
