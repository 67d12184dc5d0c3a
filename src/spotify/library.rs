//! The Web API's library: what a person saved.

use super::api::{Call, check_page};
use super::models::Entry;
use super::page::{Page, RawPage};
use super::quota::{LIST_OFFSET, PAGE};
use super::{AccessToken, Api, ApiError};

impl Api {
    /// One page of the saved ("liked") tracks, newest first (`GET /me/tracks`). `limit` is at most 50.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn saved_tracks(
        &self,
        token: &AccessToken,
        limit: u32,
        offset: u32,
    ) -> Result<Page<Entry>, ApiError> {
        check_page(limit, PAGE, offset, LIST_OFFSET)?;
        let address =
            self.base.at(&["me", "tracks"]).with_number("limit", limit).with_number("offset", offset);
        let page: RawPage<Entry> = self.read(token, Call::get(address)).await?;
        Ok(page.asked(offset, limit))
    }
}
