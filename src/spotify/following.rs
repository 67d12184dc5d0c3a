//! Playlists in a library: followed, left, looked for. By `/me/library`, which every regime may serve, and where an
//! older app refuses that, by the endpoints from before February 2026 (spotify.md 1.3, 1.11).

use http::Method;
use serde_json::json;

use super::api::Call;
use super::base::Address;
use super::uri::PlaylistId;
use super::{AccessToken, Api, ApiError, QuotaMode};

impl Api {
    /// Puts a playlist into the person's library.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn follow_playlist(&self, token: &AccessToken, id: &PlaylistId) -> Result<(), ApiError> {
        match self.call(token, Call::bare(Method::PUT, self.in_library(id))).await {
            Err(error) if self.has_older_way(token, &error) => {
                // Without a body Spotify would show it on the profile.
                let call = Call::put(self.followers_of(id), &json!({"public": false}));
                self.call(token, call).await.map(drop)
            }
            done => done.map(drop),
        }
    }

    /// Takes a playlist out of the person's library. A playlist of their own is what its owner calls deleted.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn unfollow_playlist(&self, token: &AccessToken, id: &PlaylistId) -> Result<(), ApiError> {
        match self.call(token, Call::bare(Method::DELETE, self.in_library(id))).await {
            Err(error) if self.has_older_way(token, &error) => {
                self.call(token, Call::bare(Method::DELETE, self.followers_of(id))).await.map(drop)
            }
            done => done.map(drop),
        }
    }

    /// Whether a playlist is in the person's library.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn follows_playlist(&self, token: &AccessToken, id: &PlaylistId) -> Result<bool, ApiError> {
        let address = self.base.at(&["me", "library", "contains"]).with("uris", &id.uri());
        match self.truth_of(token, address).await {
            Err(error) if self.has_older_way(token, &error) => {
                let address = self.base.at(&["playlists", id.as_str(), "followers", "contains"]);
                self.truth_of(token, address).await
            }
            done => done,
        }
    }

    fn in_library(&self, id: &PlaylistId) -> Address {
        self.base.at(&["me", "library"]).with("uris", &id.uri())
    }

    fn followers_of(&self, id: &PlaylistId) -> Address {
        self.base.at(&["playlists", id.as_str(), "followers"])
    }

    /// Only what says that the way itself is closed: never a missing permission, a limit or a lost confirmation.
    fn has_older_way(&self, token: &AccessToken, error: &ApiError) -> bool {
        let closed = matches!(
            error,
            ApiError::InvalidArgument(_)
                | ApiError::NotFound
                | ApiError::NotAvailableInMode
                | ApiError::Forbidden
        );
        closed && self.mode_of(token) != QuotaMode::Development
    }
}
