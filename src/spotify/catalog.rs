//! The Web API's catalogue: the person, search, single items.

use super::api::{Call, check_page};
use super::models::{Me, RawSearch, Track};
use super::page::Page;
use super::quota::SEARCH_OFFSET;
use super::uri::{Market, TrackId};
use super::{AccessToken, Api, ApiError};

/// Longest search, in characters.
const LONGEST_QUERY: usize = 250;

impl Api {
    /// Whom the token speaks for (`GET /me`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn me(&self, token: &AccessToken) -> Result<Me, ApiError> {
        self.read(token, Call::get(self.base.at(&["me"]))).await
    }

    /// One page of tracks (`GET /search`). `limit` is at most [`super::QuotaMode::search_page`], `offset` at most 1,000;
    /// the query is 1 to 250 characters of anything.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn search_tracks(
        &self,
        token: &AccessToken,
        query: &str,
        limit: u32,
        offset: u32,
        market: Option<&Market>,
    ) -> Result<Page<Track>, ApiError> {
        check_page(limit, self.mode().search_page(), offset, SEARCH_OFFSET)?;
        if query.trim().is_empty() || query.chars().count() > LONGEST_QUERY {
            return Err(ApiError::InvalidArgument(format!(
                "query must have between 1 and {LONGEST_QUERY} characters"
            )));
        }
        let mut address = self.base.at(&["search"]).with("q", query).with("type", "track");
        address = address.with_number("limit", limit).with_number("offset", offset);
        if let Some(market) = market {
            address = address.with("market", market.as_str());
        }
        let found: RawSearch = self.read(token, Call::get(address)).await?;
        Ok(found.tracks.unwrap_or_default().asked(offset, limit))
    }

    /// A track (`GET /tracks/{id}`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn track(&self, token: &AccessToken, id: &TrackId) -> Result<Track, ApiError> {
        self.read(token, Call::get(self.base.at(&["tracks", id.as_str()]))).await
    }
}
