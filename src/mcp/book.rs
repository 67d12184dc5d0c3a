//! What tools do with a person's linked accounts themselves, and with the counts of their calls: a narrow door to the
//! rooms on the left.
//!
//! Whose accounts is always the caller's; no argument names a person.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::caller::Caller;
use crate::app::accounts::Told;
use crate::app::{App, AppStanding, Room};
use crate::domain::LinkId;
use crate::domain::event::{Event, EventCode};
use crate::domain::linking::Alias;
use crate::failure::Failure;
use crate::store::{Link, LinkPage, Usage, UsageFilter};

/// The door. [`OfApp`] in the program; tests have one without an app.
pub trait AccountBook: Send + Sync + 'static {
    /// Opens a one-time page on which the caller may link another account; `None` where they are gone.
    fn open_page<'a>(
        &'a self,
        caller: &'a Caller,
        alias: Option<&'a Alias>,
    ) -> BoxFuture<'a, Result<Option<LinkPage>, Failure>>;

    /// Makes an account of the caller's the primary one; `false` where it is gone.
    fn make_primary<'a>(
        &'a self,
        caller: &'a Caller,
        link: &'a LinkId,
    ) -> BoxFuture<'a, Result<bool, Failure>>;

    /// Removes an account of the caller's and everything that hangs on it; `false` where it is gone.
    fn unlink<'a>(&'a self, caller: &'a Caller, link: &'a LinkId) -> BoxFuture<'a, Result<bool, Failure>>;

    /// How the Spotify app behind each account stands.
    fn standings<'a>(&'a self, links: &'a [Link]) -> BoxFuture<'a, Result<Vec<AppStanding>, Failure>>;

    /// Where one more account would go of a person who has these.
    fn room<'a>(&'a self, links: &'a [Link]) -> BoxFuture<'a, Result<Room, Failure>>;

    /// The counts of calls that are stored.
    fn usage<'a>(&'a self, filter: &'a UsageFilter) -> BoxFuture<'a, Result<Vec<Usage>, Failure>>;
}

/// The app's own.
pub struct OfApp(pub Arc<App>);

impl AccountBook for OfApp {
    fn open_page<'a>(
        &'a self,
        caller: &'a Caller,
        alias: Option<&'a Alias>,
    ) -> BoxFuture<'a, Result<Option<LinkPage>, Failure>> {
        Box::pin(async move { self.0.open_link_page(&caller.user, alias, &*told(caller)).await })
    }

    fn make_primary<'a>(
        &'a self,
        caller: &'a Caller,
        link: &'a LinkId,
    ) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(async move { self.0.make_primary(&caller.user, link, &*told(caller)).await })
    }

    fn unlink<'a>(&'a self, caller: &'a Caller, link: &'a LinkId) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(async move { self.0.unlink(&caller.user, (link, None), &*told(caller)).await })
    }

    fn standings<'a>(&'a self, links: &'a [Link]) -> BoxFuture<'a, Result<Vec<AppStanding>, Failure>> {
        Box::pin(self.0.standings(links))
    }

    fn room<'a>(&'a self, links: &'a [Link]) -> BoxFuture<'a, Result<Room, Failure>> {
        Box::pin(self.0.room_for_further(links))
    }

    fn usage<'a>(&'a self, filter: &'a UsageFilter) -> BoxFuture<'a, Result<Vec<Usage>, Failure>> {
        Box::pin(self.0.store.usage(filter))
    }
}

/// The caller, as events name whoever did something.
fn told(caller: &Caller) -> Box<Told<'_>> {
    Box::new(|code: EventCode| {
        let event = Event::new(code).by(&caller.user).client(&caller.client);
        event.from(caller.address).request(&caller.request_id)
    })
}
