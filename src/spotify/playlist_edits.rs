//! The Web API's changes of playlists that are there: details, removing, replacing, moving, the cover.
//!
//! Each is sent once; after [`ApiError::AmbiguousWrite`] it may have been done, and the playlist must be read.

use serde_json::{Value, json};

use super::api::Call;
use super::base::Address;
use super::models::Snapshot;
use super::quota::WRITE;
use super::uri::PlaylistId;
use super::{AccessToken, Api, ApiError};

/// Largest cover in base 64, in bytes (spotify.md 1.8).
pub const COVER: usize = 256 * 1024;

/// What is to be changed of a playlist's details; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetailsChange {
    /// Title, 1 to 100 characters.
    pub name: Option<String>,
    /// Description in one line, 1 to 300 characters: Spotify refuses an empty one.
    pub description: Option<String>,
    /// Shown on the profile.
    pub public: Option<bool>,
    /// Open to others' changes.
    pub collaborative: Option<bool>,
}

/// A range of rows to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Its first row, counted from 0.
    pub start: u32,
    /// How many rows.
    pub length: u32,
    /// The row before which it goes; as many as there are for the end.
    pub before: u32,
}

impl Api {
    /// Changes name, description or visibility (`PUT /playlists/{id}`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn change_playlist(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        change: &DetailsChange,
    ) -> Result<(), ApiError> {
        change.check()?;
        let mut body = json!({});
        let words = [("name", &change.name), ("description", &change.description)];
        for (name, value) in words.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            body[name] = json!(value);
        }
        let switches = [("public", change.public), ("collaborative", change.collaborative)];
        for (name, value) in switches.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            body[name] = json!(value);
        }
        self.call(token, Call::put(self.base.at(&["playlists", id.as_str()]), &body)).await.map(drop)
    }

    /// Removes every copy of 1 to 100 URIs (`DELETE /playlists/{id}/items`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn remove_items(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        uris: &[String],
    ) -> Result<Snapshot, ApiError> {
        if !(1..=WRITE).contains(&uris.len()) {
            return Err(ApiError::InvalidArgument(format!("between 1 and {WRITE} items at once")));
        }
        let named: Vec<_> = uris.iter().map(|uri| json!({"uri": uri})).collect();
        self.edit(token, id, |address, rows| Call::delete(address, &json!({rows: named}))).await
    }

    /// Puts up to 100 items in the place of all; none empties the playlist (`PUT /playlists/{id}/items`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn replace_items(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        uris: &[String],
    ) -> Result<Snapshot, ApiError> {
        if uris.len() > WRITE {
            return Err(ApiError::InvalidArgument(format!("at most {WRITE} items at once")));
        }
        self.edit(token, id, |address, _| Call::put(address, &json!({"uris": uris}))).await
    }

    /// Inserts 1 to 100 items at a position (`POST /playlists/{id}/items`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn insert_items(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        (at, uris): (u32, &[String]),
    ) -> Result<Snapshot, ApiError> {
        if !(1..=WRITE).contains(&uris.len()) {
            return Err(ApiError::InvalidArgument(format!("between 1 and {WRITE} items at once")));
        }
        self.edit(token, id, |address, _| Call::post(address, &json!({"uris": uris, "position": at}))).await
    }

    /// Moves a range of rows, as seen in the state `snapshot` (`PUT /playlists/{id}/items`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn move_items(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        (range, snapshot): (Move, Option<&str>),
    ) -> Result<Snapshot, ApiError> {
        let mut body = json!({
            "range_start": range.start, "insert_before": range.before, "range_length": range.length,
        });
        if let Some(snapshot) = snapshot {
            body["snapshot_id"] = json!(snapshot);
        }
        self.edit(token, id, |address, _| Call::put(address, &body)).await
    }

    /// Gives a playlist another cover: a JPEG in base 64, at most [`COVER`] bytes (`PUT /playlists/{id}/images`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn set_cover(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        base64: &str,
    ) -> Result<(), ApiError> {
        if base64.len() > COVER {
            return Err(ApiError::InvalidArgument(format!("a cover has at most {COVER} bytes in base 64")));
        }
        let address = self.base.at(&["playlists", id.as_str(), "images"]);
        self.call(token, Call::put_picture(address, base64.to_owned())).await.map(drop)
    }

    /// The status confirms the write; the snapshot is a courtesy.
    async fn edit(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        call: impl Fn(Address, &'static str) -> Call,
    ) -> Result<Snapshot, ApiError> {
        let answer = self.rows_of(token, id, call).await?;
        Ok(serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    /// The first of a list of truths, which is what `contains` endpoints answer.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(super) async fn truth_of(&self, token: &AccessToken, address: Address) -> Result<bool, ApiError> {
        let answers: Vec<Value> = self.read(token, Call::get(address)).await?;
        match answers.as_slice() {
            [Value::Bool(first), ..] => Ok(*first),
            _ => Err(ApiError::Malformed),
        }
    }
}

impl DetailsChange {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), ApiError> {
        let refuse = |why: &str| Err(ApiError::InvalidArgument(why.to_owned()));
        if self.is_empty() {
            return refuse("nothing is to be changed");
        }
        if self.name.as_ref().is_some_and(|name| name.trim().is_empty() || name.chars().count() > 100) {
            return refuse("name must have between 1 and 100 characters");
        }
        if let Some(description) = &self.description {
            if description.trim().is_empty() || description.chars().count() > 300 {
                return refuse("description must have between 1 and 300 characters");
            }
            if description.contains(['\r', '\n']) {
                return refuse("description must be a single line");
            }
        }
        if self.public == Some(true) && self.collaborative == Some(true) {
            return refuse("a collaborative playlist cannot be public");
        }
        Ok(())
    }
}
