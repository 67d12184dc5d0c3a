//! An account's playlists as Spotify lists them, and what it leaves out of the list without a word where a permission is
//! missing (spotify.md 1.10): the one way from the tools to that list, so that none of them shows less than all as all.

use super::super::upstream::Session;
use super::ToolError;
use crate::domain::permission::{enumerated, missing};
use crate::spotify::models::Playlist;
use crate::spotify::permissions::SHORTENS_PLAYLISTS;
use crate::spotify::{ApiError, Page};
use crate::vault::CallError;

/// A page, and the permissions for want of which there may be more playlists than Spotify tells.
///
/// # Errors
/// Also where none is told and one is missing: nobody knows then that there are none.
pub(super) async fn my_playlists(
    session: &Session<'_>,
    (limit, offset): (u32, u32),
) -> Result<(Page<Playlist>, Vec<&'static str>), ToolError> {
    let api = session.api;
    let page = session.call(|token| async move { api.my_playlists(&token, limit, offset).await }).await?;
    let granted = session.account().await.map(|link| link.scope.as_str());
    let missing = granted.map(|granted| missing(SHORTENS_PLAYLISTS, granted)).unwrap_or_default();
    if page.items.is_empty() && page.total.unwrap_or_default() == 0 && !missing.is_empty() {
        return Err(session.told(CallError::Api(ApiError::ScopeMissing(missing))));
    }
    Ok((page, missing))
}

/// What is not among the playlists told for want of these permissions, as a line of its own; nothing where none is missing.
pub(super) fn not_among_them(session: &Session<'_>, missing: &[&'static str]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let kinds: Vec<_> = missing.iter().map(|permission| kind(permission)).collect();
    format!(
        "\nNot among them: {}, because Spotify did not grant {}. {}",
        enumerated(&kinds),
        enumerated(missing),
        session.about().give()
    )
}

fn kind(permission: &str) -> &'static str {
    match permission {
        "playlist-read-collaborative" => "playlists made together with others",
        _ => "private playlists",
    }
}
