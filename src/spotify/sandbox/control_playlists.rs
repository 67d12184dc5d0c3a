//! The control plane's hand on playlists: what another client of the person does between two calls.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::control::{Control, Uncontrollable};
use super::world::World;
use super::world::playlists::{Entry, MOST, Playlist};

/// A playlist as the control plane sees it: the truth, whatever the Web API answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaylistView {
    /// Whose.
    pub owner: String,
    /// Title.
    pub name: String,
    /// Description.
    pub description: String,
    /// Shown on the profile.
    pub public: bool,
    /// Open to others' changes.
    pub collaborative: bool,
    /// The name of its state.
    pub snapshot_id: String,
    /// Its cover; 0 is the one it came with.
    pub cover: u64,
    /// What is in it, in order; an empty text is what Spotify no longer has.
    pub uris: Vec<String>,
}

/// What another client changes; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlaylistChange {
    /// Title.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Shown on the profile.
    pub public: Option<bool>,
    /// Open to others' changes.
    pub collaborative: Option<bool>,
    /// Everything in it, in order: also local files, and empty texts for what Spotify no longer has.
    pub uris: Option<Vec<String>>,
}

impl Control {
    /// A playlist.
    pub fn playlist(&self, id: &str) -> Option<PlaylistView> {
        self.0.playlists.read(&id.to_owned(), |list| PlaylistView {
            owner: list.owner.to_string(),
            name: list.name.clone(),
            description: list.description.clone(),
            public: list.public,
            collaborative: list.collaborative,
            snapshot_id: list.snapshot(),
            cover: list.cover,
            uris: list.entries.iter().map(|entry| entry.uri.to_string()).collect(),
        })
    }

    /// Changes a playlist as another client of its owner would: the snapshot changes.
    ///
    /// # Errors
    /// No such playlist, or more in it than a playlist takes.
    pub fn change_playlist(&self, id: &str, change: PlaylistChange) -> Result<(), Uncontrollable> {
        if change.uris.as_ref().is_some_and(|uris| uris.len() > MOST) {
            return Err(Uncontrollable::BadChange);
        }
        let now = self.0.now().millis();
        let changed = self.0.playlists.update(&id.to_owned(), |list| {
            apply(list, change, now);
            list.revision += 1;
        });
        self.0.saver.changed();
        changed.ok_or(Uncontrollable::NoPlaylist)
    }

    /// Makes a playlist of a person with this in it; says its id.
    ///
    /// # Errors
    /// No such person, or they have too many.
    pub fn create_playlist(&self, user: &str, change: PlaylistChange) -> Result<String, Uncontrollable> {
        let owner = self.0.person(user).ok_or(Uncontrollable::NoPerson)?;
        if change.uris.as_ref().is_some_and(|uris| uris.len() > MOST) {
            return Err(Uncontrollable::BadChange);
        }
        let mut list = Playlist {
            id: self.0.fresh_id(&owner.marker),
            owner: owner.id.clone(),
            name: "A playlist".to_owned(),
            description: String::new(),
            public: false,
            collaborative: false,
            revision: 1,
            cover: 0,
            entries: Vec::new(),
        };
        apply(&mut list, change, self.0.now().millis());
        let id = list.id.clone();
        if self.0.keep_playlist(&owner, list) { Ok(id) } else { Err(Uncontrollable::NotAdded) }
    }
}

fn apply(list: &mut Playlist, change: PlaylistChange, now: i64) {
    list.name = change.name.unwrap_or_else(|| std::mem::take(&mut list.name));
    list.description = change.description.unwrap_or_else(|| std::mem::take(&mut list.description));
    list.public = change.public.unwrap_or(list.public);
    list.collaborative = change.collaborative.unwrap_or(list.collaborative);
    let Some(uris) = change.uris else { return };
    let owner = list.owner.clone();
    // What stays keeps its date; of copies, the first ones do.
    let mut there: HashMap<Arc<str>, VecDeque<Entry>> = HashMap::new();
    for entry in std::mem::take(&mut list.entries) {
        there.entry(entry.uri.clone()).or_default().push_back(entry);
    }
    let entry = |uri: String| {
        let stays = there.get_mut(uri.as_str()).and_then(VecDeque::pop_front);
        stays.unwrap_or_else(|| Entry {
            uri: uri.as_str().into(),
            title: None,
            added_at: now,
            added_by: owner.clone(),
        })
    };
    list.entries = uris.into_iter().map(entry).collect();
}

pub(super) async fn look(State(world): State<Arc<World>>, Path(id): Path<String>) -> Response {
    match Control(world).playlist(&id) {
        Some(view) => Json(view).into_response(),
        None => Uncontrollable::NoPlaylist.into_response(),
    }
}

pub(super) async fn change(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    Json(change): Json<PlaylistChange>,
) -> Result<StatusCode, Uncontrollable> {
    Control(world).change_playlist(&id, change).map(|()| StatusCode::NO_CONTENT)
}

pub(super) async fn create(
    State(world): State<Arc<World>>,
    Path(user): Path<String>,
    Json(change): Json<PlaylistChange>,
) -> Result<Response, Uncontrollable> {
    let id = Control(world).create_playlist(&user, change)?;
    Ok((StatusCode::CREATED, Json(serde_json::json!({ "id": id }))).into_response())
}
