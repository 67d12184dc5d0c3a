//! Ending what people and clients hold on an operator's word, and keeping a person out: the same for the command line and
//! for whatever else deals with an incident. Needs the database and no key; every running server acts on it within a
//! second, and chains what is recorded.

use crate::ambient::{Clock, Dice};
use crate::domain::event::{Event, EventCode};
use crate::domain::ids::EventId;
use crate::domain::selection::Selection;
use crate::domain::{ClientId, UserId};
use crate::failure::Failure;
use crate::store::{Besides, Recorded, Revoked, Revoking, Store};

/// What an operator wants ended, and why.
#[derive(Clone, Debug)]
pub struct Order {
    /// Whose and which.
    pub selection: Selection,
    /// API keys too.
    pub api_keys: bool,
    /// Spotify's tokens too.
    pub spotify_links: bool,
    /// In the operator's words, for the trail.
    pub reason: Option<String>,
    /// What the trail says was asked: `revoke-sessions`.
    pub operation: &'static str,
}

/// The hands of whoever acts: the database, the time and randomness.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    /// The database.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a Clock,
    /// Randomness.
    pub dice: &'a Dice,
}

impl Hands<'_> {
    /// How much an order would end: the same predicates, nothing ended.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn count(&self, order: &Order) -> Result<Revoked, Failure> {
        let event = EventId::mint(self.dice.bytes());
        let what = self.revoking(order, &event);
        Ok(self.store.revoke(what, None).await?.unwrap_or_default())
    }

    /// Carries an order out, with its event (`sessions_revoked`) in the same transaction. `None` where the person of the
    /// selection is not there.
    ///
    /// # Errors
    /// Where the database does not answer: then nothing is ended.
    pub async fn revoke(&self, order: &Order) -> Result<Option<(EventId, Revoked)>, Failure> {
        let event = EventId::mint(self.dice.bytes());
        let what = self.revoking(order, &event);
        let told = |revoked: &Revoked| vec![self.recorded(&event, told_of(order, revoked))];
        let revoked = self.store.revoke(what, Some(&told)).await?;
        Ok(revoked.map(|revoked| (event.clone(), revoked)))
    }

    /// Ends all that a person holds, API keys included, and lets them not log in again; what they linked stays, for the
    /// day on which they are enabled. `None` where there is no such person.
    ///
    /// # Errors
    /// Where the database does not answer: then nothing is ended.
    pub async fn disable(
        &self,
        user: &UserId,
        reason: Option<&str>,
        operation: &'static str,
    ) -> Result<Option<(EventId, Revoked)>, Failure> {
        let order = disabling(user, reason, operation);
        let event = EventId::mint(self.dice.bytes());
        let what = Revoking { besides: Besides::Disable, ..self.revoking(&order, &event) };
        let told = |revoked: &Revoked| {
            let said = Event::new(EventCode::UserDisabled).subject(user.as_str()).operation(operation);
            let said = because(said, reason);
            vec![self.recorded(&event, with_counts(said, revoked))]
        };
        let revoked = self.store.revoke(what, Some(&told)).await?;
        Ok(revoked.map(|revoked| (event.clone(), revoked)))
    }

    /// How much disabling a person would end.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn would_disable(&self, user: &UserId) -> Result<Revoked, Failure> {
        self.count(&disabling(user, None, "")).await
    }

    /// Lets a person log in again. What they held before stays ended. `false` where they were not disabled.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn enable(
        &self,
        user: &UserId,
        reason: Option<&str>,
        operation: &'static str,
    ) -> Result<bool, Failure> {
        let event = Event::new(EventCode::UserEnabled).subject(user.as_str()).operation(operation);
        let event = Recorded::now(because(event, reason), self.clock, self.dice);
        self.store.enable_user(user, &[event]).await
    }

    /// How much forgetting a client would end.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn would_forget(&self, client: &ClientId) -> Result<Revoked, Failure> {
        self.count(&forgetting(client, None, "")).await
    }

    /// Ends all that anybody gave to a client, and forgets the client, unless the configuration names it.
    ///
    /// # Errors
    /// Where the database does not answer: then nothing is ended.
    pub async fn forget_client(
        &self,
        client: &ClientId,
        reason: Option<&str>,
        operation: &'static str,
    ) -> Result<Revoked, Failure> {
        let order = forgetting(client, reason, operation);
        let event = EventId::mint(self.dice.bytes());
        let what = Revoking { besides: Besides::ForgetClient, ..self.revoking(&order, &event) };
        let told = |revoked: &Revoked| {
            let said = Event::new(EventCode::ClientDeleted).subject(client.as_str()).operation(operation);
            vec![self.recorded(&event, with_counts(because(said, reason), revoked))]
        };
        Ok(self.store.revoke(what, Some(&told)).await?.unwrap_or_default())
    }

    fn revoking<'b>(&self, order: &'b Order, event: &'b EventId) -> Revoking<'b> {
        Revoking {
            selection: &order.selection,
            api_keys: order.api_keys,
            spotify_links: order.spotify_links,
            besides: Besides::Nothing,
            event,
            now: self.clock.now(),
        }
    }

    fn recorded(&self, id: &EventId, event: Event) -> Recorded {
        Recorded::known(id.clone(), event, self.clock)
    }
}

/// What disabling a person ends.
fn disabling(user: &UserId, reason: Option<&str>, operation: &'static str) -> Order {
    Order {
        selection: Selection::of(user.clone()),
        api_keys: true,
        spotify_links: false,
        reason: reason.map(str::to_owned),
        operation,
    }
}

/// What forgetting a client ends.
fn forgetting(client: &ClientId, reason: Option<&str>, operation: &'static str) -> Order {
    Order {
        selection: Selection::at(client.clone()),
        api_keys: false,
        spotify_links: false,
        reason: reason.map(str::to_owned),
        operation,
    }
}

fn told_of(order: &Order, revoked: &Revoked) -> Event {
    let selection = &order.selection;
    let mut event = Event::new(EventCode::SessionsRevoked).operation(order.operation);
    if let Some(user) = selection.user() {
        event = event.subject(user.as_str());
    }
    if let Some(client) = selection.client() {
        event = event.client(client);
    }
    if let Some(session) = selection.session() {
        event = event.detail("session", session.as_str());
    }
    if let Some(before) = selection.issued_before() {
        event = event.detail("issued_before", before.rfc3339());
    }
    if selection.is_everything() {
        event = event.detail("all", "yes");
    }
    with_counts(because(event, order.reason.as_deref()), revoked)
}

fn because(event: Event, reason: Option<&str>) -> Event {
    match reason {
        Some(reason) => event.because(reason),
        None => event,
    }
}

/// One detail each for the kinds of which there was something; a record holds sixteen.
fn with_counts(event: Event, revoked: &Revoked) -> Event {
    let ended = revoked.kinds().into_iter().filter(|(_, count)| *count > 0);
    ended.fold(event, |event, (kind, count)| event.detail(kind, count.to_string()))
}
