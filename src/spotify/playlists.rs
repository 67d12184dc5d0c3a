//! The Web API's playlists, by the paths that work in every quota mode (spotify.md 1.11).

use serde_json::json;

use super::api::{Call, check_page, from_json};
use super::base::Address;
use super::models::{Entry, Playlist, Snapshot};
use super::page::{Page, RawPage};
use super::quota::{LIST_OFFSET, PAGE, WRITE};
use super::uri::{Base62, ItemUri, Market, PlaylistId};
use super::{AccessToken, Api, ApiError};

/// A playlist to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPlaylist {
    /// Title, 1 to 100 characters.
    pub name: String,
    /// Description, at most 300 characters; empty for none.
    pub description: String,
    /// Shown on the profile.
    pub public: bool,
    /// Open to others' changes; must not be public.
    pub collaborative: bool,
}

impl Api {
    /// One page of the person's playlists, own and followed (`GET /me/playlists`). `limit` is at most 50.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn my_playlists(
        &self,
        token: &AccessToken,
        limit: u32,
        offset: u32,
    ) -> Result<Page<Playlist>, ApiError> {
        check_page(limit, PAGE, offset, LIST_OFFSET)?;
        let address = self.base.at(&["me", "playlists"]);
        let address = address.with_number("limit", limit).with_number("offset", offset);
        let page: RawPage<Playlist> = self.read(token, Call::get(address)).await?;
        Ok(page.asked(offset, limit))
    }

    /// A playlist without its items (`GET /playlists/{id}`); see [`Playlist::total`] for whether they are readable.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn playlist(&self, token: &AccessToken, id: &PlaylistId) -> Result<Playlist, ApiError> {
        const FIELDS: &str = "id,uri,name,description,owner(id,display_name),public,collaborative,snapshot_id,\
                              external_urls,items(total),tracks(total)";
        let address = self.base.at(&["playlists", id.as_str()]).with("fields", FIELDS);
        self.read(token, Call::get(address)).await
    }

    /// One page of a playlist's items (`GET /playlists/{id}/items`). `limit` is at most 50.
    ///
    /// # Errors
    /// [`ApiError`]; [`ApiError::Forbidden`] for playlists of others in development mode.
    pub async fn playlist_items(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        limit: u32,
        offset: u32,
        market: Option<&Market>,
    ) -> Result<Page<Entry>, ApiError> {
        check_page(limit, PAGE, offset, LIST_OFFSET)?;
        let call = |address: Address, _| {
            let address = address.with_number("limit", limit).with_number("offset", offset);
            let address = address.with("additional_types", "track,episode");
            Call::get(match market {
                Some(market) => address.with("market", market.as_str()),
                None => address,
            })
        };
        let answer = self.rows_of(token, id, call).await?;
        let page: RawPage<Entry> = from_json(answer.body()).map_err(|_| ApiError::Malformed)?;
        Ok(page.asked_in_place(offset, limit))
    }

    /// Makes an empty playlist (`POST /me/playlists`).
    ///
    /// # Errors
    /// [`ApiError`]; after [`ApiError::AmbiguousWrite`] it may or may not be there.
    pub async fn create_playlist(
        &self,
        token: &AccessToken,
        new: &NewPlaylist,
    ) -> Result<Playlist, ApiError> {
        new.check()?;
        let mut body = json!({"name": new.name, "public": new.public, "collaborative": new.collaborative});
        if !new.description.is_empty() {
            // Spotify refuses an empty description.
            body["description"] = json!(new.description);
        }
        let made: Playlist = self.read(token, Call::post(self.base.at(&["me", "playlists"]), &body)).await?;
        if made.id.as_deref().and_then(Base62::parse).is_none() {
            return Err(ApiError::AmbiguousWrite { cause: "unreadable_answer" });
        }
        Ok(made)
    }

    /// Puts 1 to 100 items into a playlist, in this order, at `position` or at the end
    /// (`POST /playlists/{id}/items`).
    ///
    /// # Errors
    /// [`ApiError`]; after [`ApiError::AmbiguousWrite`] they may or may not be there: read before repeating.
    pub async fn add_items(
        &self,
        token: &AccessToken,
        id: &PlaylistId,
        items: &[ItemUri],
        position: Option<u32>,
    ) -> Result<Snapshot, ApiError> {
        if !(1..=WRITE).contains(&items.len()) {
            return Err(ApiError::InvalidArgument(format!("between 1 and {WRITE} items at once")));
        }
        let uris: Vec<_> = items.iter().map(ToString::to_string).collect();
        let mut body = json!({"uris": uris});
        if let Some(position) = position {
            body["position"] = json!(position);
        }
        let answer = self.rows_of(token, id, |address, _| Call::post(address, &body)).await?;
        // The status confirms the write; the snapshot is a courtesy.
        Ok(serde_json::from_slice(answer.body()).unwrap_or_default())
    }
}

impl NewPlaylist {
    fn check(&self) -> Result<(), ApiError> {
        let refuse = |why: &str| Err(ApiError::InvalidArgument(why.to_owned()));
        if self.name.trim().is_empty() || self.name.chars().count() > 100 {
            return refuse("name must have between 1 and 100 characters");
        }
        if self.description.chars().count() > 300 {
            return refuse("description must have at most 300 characters");
        }
        if self.description.contains(['\r', '\n']) {
            return refuse("description must be a single line");
        }
        if self.public && self.collaborative {
            return refuse("a collaborative playlist cannot be public");
        }
        Ok(())
    }
}
