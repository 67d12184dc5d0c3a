//! The Web API's library: what a person saved and follows, what they play most and played last.
//!
//! `/me/library` takes every type at once. Apps from before February 2026 have been seen to be refused there; what is
//! learned of an app is remembered, and its people's changes go to the older endpoints of each type (spotify.md 1.11).

use http::Method;
use serde::Deserialize;

use super::api::{Call, check_page};
use super::models::{Entry, Played, Track};
use super::named::LibraryUri;
use super::older::{Older, may_be_older};
use super::page::{CursorPage, Page, RawCursorPage, RawPage};
use super::quota::{LIST_OFFSET, PAGE};
use super::things::{Saved, Thing};
use super::uri::Kind;
use super::{AccessToken, Api, ApiError, QuotaMode, lenient};

/// Most URIs of one [`Api::ask_library`] call.
pub const LIBRARY_WRITE: usize = 40;
/// Most ids of one call of an older endpoint: albums take no more.
const OLD_WRITE: usize = 20;

/// What is asked of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// Save, or follow.
    Save,
    /// Remove, or unfollow.
    Remove,
    /// Tell which are there.
    Check,
}

impl Library {
    const fn method(self) -> Method {
        match self {
            Self::Save => Method::PUT,
            Self::Remove => Method::DELETE,
            Self::Check => Method::GET,
        }
    }
}

/// Over how long a time something was played most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// About four weeks.
    Short,
    /// About six months.
    Medium,
    /// About a year.
    Long,
}

impl Range {
    const fn name(self) -> &'static str {
        match self {
            Self::Short => "short_term",
            Self::Medium => "medium_term",
            Self::Long => "long_term",
        }
    }
}

/// From which moment on, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The last ones.
    Now,
    /// Played before.
    Before(u64),
    /// Played after.
    After(u64),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Following {
    #[serde(deserialize_with = "lenient::object")]
    artists: Option<RawCursorPage<Thing>>,
}

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
        self.mine(token, &["me", "tracks"], (limit, offset)).await
    }

    /// One page of the saved albums, shows, episodes or audiobooks, newest first (`GET /me/<type>s`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn saved(
        &self,
        token: &AccessToken,
        kind: Kind,
        page: (u32, u32),
    ) -> Result<Page<Saved>, ApiError> {
        self.mine(token, &["me", &kind.plural()], page).await
    }

    async fn mine<T: serde::de::DeserializeOwned + Default>(
        &self,
        token: &AccessToken,
        path: &[&str],
        (limit, offset): (u32, u32),
    ) -> Result<Page<T>, ApiError> {
        check_page(limit, PAGE, offset, LIST_OFFSET)?;
        let address = self.base.at(path).with_number("limit", limit).with_number("offset", offset);
        let page: RawPage<T> = self.read(token, Call::get(address)).await?;
        Ok(page.asked(offset, limit))
    }

    /// One page of the artists that the person follows, behind the one with this id (`GET /me/following`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn followed_artists(
        &self,
        token: &AccessToken,
        limit: u32,
        after: Option<&str>,
    ) -> Result<CursorPage<Thing>, ApiError> {
        check_page(limit, PAGE, 0, LIST_OFFSET)?;
        let address = self.base.at(&["me", "following"]).with("type", "artist").with_number("limit", limit);
        let address = match after {
            Some(after) => address.with("after", after),
            None => address,
        };
        let found: Following = self.read(token, Call::get(address)).await?;
        Ok(found.artists.unwrap_or_default().completed())
    }

    /// What the person plays most (`GET /me/top/tracks`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn top_tracks(
        &self,
        token: &AccessToken,
        range: Range,
        page: (u32, u32),
    ) -> Result<Page<Track>, ApiError> {
        self.top(token, "tracks", range, page).await
    }

    /// Whom the person plays most (`GET /me/top/artists`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn top_artists(
        &self,
        token: &AccessToken,
        range: Range,
        page: (u32, u32),
    ) -> Result<Page<Thing>, ApiError> {
        self.top(token, "artists", range, page).await
    }

    async fn top<T: serde::de::DeserializeOwned + Default>(
        &self,
        token: &AccessToken,
        what: &str,
        range: Range,
        (limit, offset): (u32, u32),
    ) -> Result<Page<T>, ApiError> {
        check_page(limit, PAGE, offset, LIST_OFFSET)?;
        let address = self.base.at(&["me", "top", what]).with("time_range", range.name());
        let address = address.with_number("limit", limit).with_number("offset", offset);
        let page: RawPage<T> = self.read(token, Call::get(address)).await?;
        Ok(page.asked(offset, limit))
    }

    /// What the person played last, the newest first; about 50, and no episodes (`GET /me/player/recently-played`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn recently_played(
        &self,
        token: &AccessToken,
        limit: u32,
        since: Since,
    ) -> Result<CursorPage<Played>, ApiError> {
        check_page(limit, PAGE, 0, LIST_OFFSET)?;
        let address = self.base.at(&["me", "player", "recently-played"]).with_number("limit", limit);
        let address = match since {
            Since::Now => address,
            Since::Before(at) => address.with("before", &at.to_string()),
            Since::After(at) => address.with("after", &at.to_string()),
        };
        let page: Option<RawCursorPage<Played>> = self.read_or_nothing(token, Call::get(address)).await?;
        Ok(page.unwrap_or_default().completed())
    }

    /// Saves, removes or checks 1 to 40 things (`PUT`, `DELETE /me/library`, `GET /me/library/contains`), for an app that
    /// goes by this name. Artists are followed; they go by themselves, never with others. A check answers one truth for
    /// each, in their order; a change answers nothing.
    ///
    /// # Errors
    /// [`ApiError`]. All of it can be repeated: what is saved is saved.
    pub async fn ask_library(
        &self,
        token: &AccessToken,
        app: &str,
        what: Library,
        uris: &[LibraryUri],
    ) -> Result<Vec<bool>, ApiError> {
        if !(1..=LIBRARY_WRITE).contains(&uris.len()) {
            return Err(ApiError::InvalidArgument(format!("between 1 and {LIBRARY_WRITE} items at once")));
        }
        let artists = uris.iter().all(|uri| uri.kind() == Kind::Artist);
        // Development mode has lost the older endpoints; whether artists go with the new one is not certain.
        let has_older = artists || self.mode_of(token) != QuotaMode::Development;
        let older = if artists { Older::Artists } else { Older::Library };
        if has_older && self.learned.knows(app, older) {
            return self.library_by_type(token, what, uris).await;
        }
        match self.library_together(token, what, uris).await {
            Err(refused) if has_older && may_be_older(&refused) => {
                let done = self.library_by_type(token, what, uris).await?;
                self.learned.learn(app, older);
                Ok(done)
            }
            done => done,
        }
    }

    async fn library_together(
        &self,
        token: &AccessToken,
        what: Library,
        uris: &[LibraryUri],
    ) -> Result<Vec<bool>, ApiError> {
        let list: Vec<_> = uris.iter().map(ToString::to_string).collect();
        let path: &[&str] = match what {
            Library::Check => &["me", "library", "contains"],
            Library::Save | Library::Remove => &["me", "library"],
        };
        let address = self.base.at(path).with("uris", &list.join(","));
        self.asked_of_library(token, what, address, uris.len()).await
    }

    /// One kind after the other.
    async fn library_by_type(
        &self,
        token: &AccessToken,
        what: Library,
        uris: &[LibraryUri],
    ) -> Result<Vec<bool>, ApiError> {
        let mut answers = vec![false; uris.len()];
        let kinds = [Kind::Track, Kind::Album, Kind::Artist, Kind::Show, Kind::Episode, Kind::Audiobook];
        for kind in kinds {
            let places: Vec<_> = (0..uris.len()).filter(|at| uris[*at].kind() == kind).collect();
            for places in places.chunks(OLD_WRITE) {
                let ids: Vec<_> = places.iter().map(|at| uris[*at].id()).collect();
                let plural = kind.plural();
                let (mut path, artist) = match kind {
                    Kind::Artist => (vec!["me", "following"], Some("artist")),
                    _ => (vec!["me", plural.as_str()], None),
                };
                if what == Library::Check {
                    path.push("contains");
                }
                let mut address = self.base.at(&path);
                if let Some(artist) = artist {
                    address = address.with("type", artist);
                }
                let address = address.with("ids", &ids.join(","));
                let found = self.asked_of_library(token, what, address, places.len()).await?;
                for (at, found) in places.iter().zip(found) {
                    answers[*at] = found;
                }
            }
        }
        Ok(if what == Library::Check { answers } else { Vec::new() })
    }

    async fn asked_of_library(
        &self,
        token: &AccessToken,
        what: Library,
        address: super::base::Address,
        count: usize,
    ) -> Result<Vec<bool>, ApiError> {
        let call = Call::bare(what.method(), address);
        if what != Library::Check {
            return self.order(token, call).await.map(|()| Vec::new());
        }
        let found: Vec<Option<bool>> = self.read(token, call).await?;
        // An answer of another length says nothing of which is which.
        let found: Vec<_> = found.into_iter().flatten().collect();
        if found.len() == count { Ok(found) } else { Err(ApiError::Malformed) }
    }
}
