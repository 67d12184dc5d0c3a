//! An account that somebody linked beside the one that they log in with, and that Spotify no longer answers to them for,
//! gives way to whoever logs in with it at Spotify and wants it for themselves. What still works never does.

use crate::app::App;
use crate::domain::event::Event;
use crate::failure::Failure;
use crate::store::Link;

use super::Visitor;

/// Whether it gives way. Spotify is asked where nobody has noticed yet; whom the operator keeps out does not come in
/// again by an account of theirs.
///
/// # Errors
/// Where the database fails.
pub(super) async fn gives_way(app: &App, link: &Link) -> Result<bool, Failure> {
    if link.opens {
        return Ok(false);
    }
    let owner = app.store.user(&link.user).await?;
    if owner.is_some_and(|owner| owner.disabled_at.is_some()) {
        return Ok(false);
    }
    Ok(app.is_lost(link) || !app.vault.is_honoured(link).await?)
}

/// Unlinks it from whoever linked it.
///
/// # Errors
/// Where the database fails: then nothing is changed.
pub(super) async fn let_go(app: &App, link: &Link, visitor: &Visitor) -> Result<(), Failure> {
    let told = |code| {
        let event = Event::new(code).from(visitor.address).request(&visitor.request);
        event.because("taken_by_its_owner").detail("whose", link.user.as_str())
    };
    app.unlink(&link.user, (&link.id, None), &told).await.map(drop)
}
