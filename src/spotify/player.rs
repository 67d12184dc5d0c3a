//! The Web API's player, as far as it is looked at.

use super::api::Call;
use super::models::{Device, Devices, Playback};
use super::{AccessToken, Api, ApiError};

/// Episodes are asked for, or Spotify shows them as nothing.
const KINDS: &str = "track,episode";

impl Api {
    /// What plays; `None` where nothing does (`GET /me/player/currently-playing`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn currently_playing(&self, token: &AccessToken) -> Result<Option<Playback>, ApiError> {
        let address = self.base.at(&["me", "player", "currently-playing"]).with("additional_types", KINDS);
        self.read_or_nothing(token, Call::get(address)).await
    }

    /// What plays, where and how; `None` where nothing does (`GET /me/player`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn playback_state(&self, token: &AccessToken) -> Result<Option<Playback>, ApiError> {
        let address = self.base.at(&["me", "player"]).with("additional_types", KINDS);
        self.read_or_nothing(token, Call::get(address)).await
    }

    /// What could play (`GET /me/player/devices`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn devices(&self, token: &AccessToken) -> Result<Vec<Device>, ApiError> {
        let address = self.base.at(&["me", "player", "devices"]);
        let found: Option<Devices> = self.read_or_nothing(token, Call::get(address)).await?;
        Ok(found.unwrap_or_default().devices)
    }
}
