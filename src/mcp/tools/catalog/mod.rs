//! The catalogue: searching for anything, looking things up, what is inside of them, and finding the tracks of a list.

mod children;
mod likeness;
mod lookup;
mod matching;
mod search;

pub(in crate::mcp) use children::LIST_CHILDREN;
pub(in crate::mcp) use lookup::GET_ITEMS;
pub(in crate::mcp) use matching::MATCH_TRACKS;
pub(in crate::mcp) use search::SEARCH_CATALOG;

/// What the tools read, for the fuzz targets.
#[cfg(any(test, doc, fuzzing))]
pub(in crate::mcp) use {
    children::Input as ChildrenInput, lookup::Input as ItemsInput, matching::Input as MatchInput,
    search::Input as SearchInput,
};
