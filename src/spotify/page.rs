//! Pages of lists: where the next one begins is counted here.
//!
//! The `next` address of an answer is never followed; it could lead the token elsewhere.

use serde::Deserialize;

use super::lenient;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows; those that came as null are left out, except in playlists, where they have a place.
    pub items: Vec<T>,
    /// How many rows the whole list has, as far as Spotify says.
    pub total: Option<u64>,
    /// Where this page began.
    pub offset: u32,
    /// Where the next page begins; `None` at the end. Counted here, never taken from an address in the answer.
    pub next_offset: Option<u32>,
}

/// A page as it comes. Its `next` address is only asked for being there.
#[derive(Default, Deserialize)]
#[serde(default, bound = "T: Deserialize<'de> + Default")]
pub(crate) struct RawPage<T> {
    #[serde(deserialize_with = "lenient::rows")]
    items: Vec<Option<T>>,
    #[serde(deserialize_with = "lenient::number")]
    total: Option<u64>,
    #[serde(deserialize_with = "lenient::number")]
    limit: Option<u64>,
    #[serde(deserialize_with = "lenient::word")]
    next: Option<String>,
}

impl<T> RawPage<T> {
    /// Completes a page that was asked for with this offset and limit, and keeps a place for each row that came as null.
    pub(crate) fn asked_in_place(mut self, offset: u32, limit: u32) -> Page<T>
    where
        T: Default,
    {
        self.items.iter_mut().for_each(|row| *row = Some(row.take().unwrap_or_default()));
        self.asked(offset, limit)
    }

    /// Completes a page that was asked for with this offset and limit.
    pub(crate) fn asked(self, offset: u32, limit: u32) -> Page<T> {
        let rows = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        // Spotify may have narrowed the limit; empty pages in the middle still take up their places.
        let narrowed =
            self.limit.and_then(|limit| u32::try_from(limit).ok()).filter(|narrowed| *narrowed > 0);
        let end = offset.saturating_add(narrowed.unwrap_or(limit).min(limit).max(rows));
        let more = self.next.is_some() || self.total.is_some_and(|total| total > u64::from(end));
        Page {
            items: self.items.into_iter().flatten().collect(),
            total: self.total,
            offset,
            next_offset: (more && end > offset).then_some(end),
        }
    }
}

/// One page of a list that is read by cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorPage<T> {
    /// The rows; those that came as null are left out.
    pub items: Vec<T>,
    /// How many rows the whole list has, as far as Spotify says.
    pub total: Option<u64>,
    /// Where the next page begins, where there is one: behind this.
    pub after: Option<String>,
    /// The same for lists that are read backwards: before this.
    pub before: Option<String>,
}

/// Such a page as it comes. Its `next` address is only asked for being there.
#[derive(Default, Deserialize)]
#[serde(default, bound = "T: Deserialize<'de> + Default")]
pub(crate) struct RawCursorPage<T> {
    #[serde(deserialize_with = "lenient::list")]
    items: Vec<T>,
    #[serde(deserialize_with = "lenient::number")]
    total: Option<u64>,
    #[serde(deserialize_with = "lenient::word")]
    next: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    cursors: Option<Cursors>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cursors {
    #[serde(deserialize_with = "lenient::word")]
    after: Option<String>,
    #[serde(deserialize_with = "lenient::word")]
    before: Option<String>,
}

impl<T> RawCursorPage<T> {
    /// Without cursors where nothing comes any more.
    pub(crate) fn completed(self) -> CursorPage<T> {
        let cursors = self.cursors.filter(|_| self.next.is_some()).unwrap_or_default();
        CursorPage { items: self.items, total: self.total, after: cursors.after, before: cursors.before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spotify::models::Track;

    fn page(json: &str, offset: u32, limit: u32) -> Page<Track> {
        serde_json::from_str::<RawPage<Track>>(json).unwrap().asked(offset, limit)
    }

    #[test]
    fn pages_advance_by_place_not_by_rows() {
        let middle = page(r#"{"items":[null,{"id":"a"}],"total":100,"limit":10}"#, 20, 10);
        assert_eq!((middle.items.len(), middle.next_offset), (1, Some(30)));
        assert_eq!(page(r#"{"items":[],"next":"https://evil/","limit":10}"#, 0, 10).next_offset, Some(10));
        assert_eq!(page(r#"{"items":[{}],"total":1,"next":null}"#, 0, 10).next_offset, None);
        assert_eq!(page(r#"{"items":[{},{}],"total":9,"limit":2}"#, 0, 10).next_offset, Some(2));
        assert_eq!(page("{}", 0, 10).next_offset, None);
        let raw: RawPage<Track> = serde_json::from_str(r#"{"items":[null,{"id":"a"},7],"total":3}"#).unwrap();
        assert_eq!(raw.asked_in_place(0, 10).items.len(), 3);
    }
}
