//! The Web API's catalogue: the person, search, single items.

use super::api::{Call, check_page};
use super::models::{Me, RawSearch, Track};
use super::page::{Page, RawPage};
use super::quota::{BATCH, LIST_OFFSET, SEARCH_OFFSET};
use super::things::{Found, Hits, Several, Thing};
use super::uri::{Kind, Market, ParentUri, ThingUri, TrackId};
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
        check_page(limit, self.mode_of(token).search_page(), offset, SEARCH_OFFSET)?;
        check_query(query)?;
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

    /// One page of each of these kinds (`GET /search`). `limit` is at most [`super::QuotaMode::search_page`], `offset`
    /// at most 1,000; the query is 1 to 250 characters of anything. Chapters cannot be searched for.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn search(
        &self,
        token: &AccessToken,
        kinds: &[Kind],
        query: &str,
        (limit, offset): (u32, u32),
    ) -> Result<Vec<Hits>, ApiError> {
        check_page(limit, self.mode_of(token).search_page(), offset, SEARCH_OFFSET)?;
        check_query(query)?;
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let address = self.base.at(&["search"]).with("q", query).with("type", &names.join(","));
        let address = address.with_number("limit", limit).with_number("offset", offset);
        let mut found: Found = self.read(token, Call::get(address)).await?;
        let mut hits = |kind: Kind| {
            let page = found.take(kind).unwrap_or_default();
            Hits { kind, page: page.asked(offset, limit) }
        };
        Ok(kinds.iter().map(|kind| hits(*kind)).collect())
    }

    /// A thing by itself (`GET /<type>s/{id}`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn thing(&self, token: &AccessToken, thing: &ThingUri) -> Result<Thing, ApiError> {
        let address = self.base.at(&[&thing.kind().plural(), thing.id()]);
        self.read(token, Call::get(address)).await
    }

    /// Several things of one kind at once, null where there is none (`GET /<type>s?ids=`). Only where
    /// [`super::QuotaMode::has_batches`]; at most [`BATCH`].
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn several(
        &self,
        token: &AccessToken,
        kind: Kind,
        ids: &[&str],
    ) -> Result<Vec<Option<Thing>>, ApiError> {
        if !(1..=BATCH).contains(&ids.len()) {
            return Err(ApiError::InvalidArgument(format!("between 1 and {BATCH} ids at once")));
        }
        let address = self.base.at(&[&kind.plural()]).with("ids", &ids.join(","));
        let mut found: Several = self.read(token, Call::get(address)).await?;
        Ok(found.take(kind))
    }

    /// One page of what is inside of a thing: the tracks of an album, the albums of an artist (`groups`: of these groups
    /// alone), the episodes of a show, the chapters of an audiobook. `limit` is at most
    /// [`super::QuotaMode::children_page`].
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn children(
        &self,
        token: &AccessToken,
        parent: &ParentUri,
        (limit, offset): (u32, u32),
        groups: Option<&str>,
    ) -> Result<Page<Thing>, ApiError> {
        check_page(limit, self.mode_of(token).children_page(parent.kind()), offset, LIST_OFFSET)?;
        let address = self.base.at(&[&parent.kind().plural(), parent.id(), &parent.of().plural()]);
        let mut address = address.with_number("limit", limit).with_number("offset", offset);
        if let Some(groups) = groups {
            address = address.with("include_groups", groups);
        }
        let page: RawPage<Thing> = self.read(token, Call::get(address)).await?;
        Ok(page.asked(offset, limit))
    }
}

fn check_query(query: &str) -> Result<(), ApiError> {
    if query.trim().is_empty() || query.chars().count() > LONGEST_QUERY {
        return Err(ApiError::InvalidArgument(format!(
            "query must have between 1 and {LONGEST_QUERY} characters"
        )));
    }
    Ok(())
}
