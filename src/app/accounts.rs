//! A person's linked Spotify accounts: what pages and tools do with them alike, each with its event in the transaction
//! of the change, and at once on every server.

use std::time::Duration;

use tokio::time::Instant;

use super::App;
use crate::config::Signup;
use crate::domain::event::{Event, EventCode};
use crate::domain::ids::LinkPageId;
use crate::domain::linking::Alias;
use crate::domain::own_app::opens_the_door;
use crate::domain::{LinkId, UserId};
use crate::failure::Failure;
use crate::policy::Environment;
use crate::store::{Leaving, Link, LinkPage, Renamed};
use crate::vault::turns::{LIVES, Turn};

/// How long a one-time page waits to be opened.
pub const LINK_PAGE_LIFE: Duration = Duration::from_secs(10 * 60);
/// How long whoever disconnects an account waits for a change that is being written with it: longer than one is believed
/// in whose server has died.
const TURN_WITHIN: Duration = LIVES.saturating_add(Duration::from_secs(2));

/// Who does something, as an event without a code would say it: from where, through which client, in which request.
pub type Told<'a> = dyn Fn(EventCode) -> Event + Send + Sync + 'a;

impl App {
    /// Whether an account answers no more until the person logs in at Spotify with it.
    pub fn is_lost(&self, link: &Link) -> bool {
        let in_use = self.vault.apps().in_use(&link.app, link.own_app.is_some());
        link.reconnect.is_some() || !in_use
    }

    /// The turn of this person's next change: nothing of theirs is written at Spotify while somebody has it. `None` where
    /// one that is under way does not end in time.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn turn_of(&self, user: &UserId) -> Result<Option<Turn>, Failure> {
        self.vault.turn(user, Instant::now() + TURN_WITHIN).await
    }

    /// Whether somebody new may come by a Spotify app of their own, as far as that depends on the operator alone.
    pub fn newcomers_may_bring(&self) -> bool {
        let live = self.live();
        let in_development = self.config.security.environment == Environment::Development;
        self.vault.apps().own_ones_may_come()
            && match live.signup {
                Signup::Open => opens_the_door(live.signup_is_said, in_development),
                Signup::Allowlist => true,
                Signup::Invite => false,
            }
    }

    /// Opens a one-time page on which this person may link another account; `None` where the person is gone.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn open_link_page(
        &self,
        user: &UserId,
        alias: Option<&Alias>,
        told: &Told<'_>,
    ) -> Result<Option<LinkPage>, Failure> {
        let now = self.now();
        let page = LinkPage {
            id: LinkPageId::mint(self.dice.bytes()),
            user: user.clone(),
            alias: alias.map(|alias| alias.as_str().to_owned()),
            expires_at: now.plus(LINK_PAGE_LIFE),
        };
        let event = told(EventCode::AccountLinkRequested);
        let kept = self.store.open_link_page(&page, now, &[self.stamp(event)]).await?;
        Ok(kept.then_some(page))
    }

    /// Removes a linked account with its tokens and everything that hangs on it; `false` where the person has none such.
    /// `heir`: the one that they log in with from then on, where this one is that now. Without, it alone comes back as
    /// this person.
    ///
    /// # Errors
    /// Where the database does not answer: then nothing is removed.
    pub async fn unlink(
        &self,
        user: &UserId,
        (link, heir): (&LinkId, Option<&LinkId>),
        told: &Told<'_>,
    ) -> Result<bool, Failure> {
        let links = self.store.links(user).await?;
        let Some(known) = links.into_iter().find(|known| known.id == *link) else { return Ok(false) };
        let heir = heir.filter(|_| known.opens);
        let former = self.vault.former(&known.identity);
        let mut event = told(EventCode::AccountUnlinked).link(link);
        if known.opens {
            event = event.detail("logs_in", heir.map_or("nobody", LinkId::as_str));
        }
        let leaving = Leaving { former, heir, now: self.now() };
        let gone = self.store.unlink(user, link, leaving, &[self.stamp(event)]).await?;
        self.settled(gone).await
    }

    /// Makes a linked account the one that tools use where none is named; `false` where the person has none such.
    ///
    /// # Errors
    /// Where the database does not answer: then nothing is changed.
    pub async fn make_primary(&self, user: &UserId, link: &LinkId, told: &Told<'_>) -> Result<bool, Failure> {
        let event = told(EventCode::AccountDefaultChanged).link(link);
        let done = self.store.make_primary(user, link, self.now(), &[self.stamp(event)]).await?;
        self.settled(done).await
    }

    /// Gives a linked account another name.
    ///
    /// # Errors
    /// Where the database does not answer: then nothing is changed.
    pub async fn rename(
        &self,
        user: &UserId,
        link: &LinkId,
        alias: &Alias,
        told: &Told<'_>,
    ) -> Result<Renamed, Failure> {
        let event = told(EventCode::AccountRenamed).link(link);
        self.store.rename_link(user, link, alias, &[self.stamp(event)]).await
    }

    /// What was changed must not be remembered on this server; the others hear of it within a second.
    async fn settled(&self, done: bool) -> Result<bool, Failure> {
        if done {
            self.notice_revocations().await;
        }
        Ok(done)
    }
}
