//! Fetches a client's metadata document, judges it and keeps it: once for everybody who waits, in ten seconds and
//! 5 kB, without following anything. What came back or went wrong is told to the log alone, as a code.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{self, HeaderMap};
use http::{Request, Response, StatusCode};

use crate::ambient::{Clock, Dice, Timestamp};
use crate::app::{App, DocumentProblem, Fetched};
use crate::domain::client::ClientMetadata;
use crate::domain::client_document::{DocumentUrl, LARGEST, judge};
use crate::domain::event::{Event, EventCode};
use crate::domain::freshness::{LONGEST, Told, fresh_for};
use crate::egress::{Bytes, EgressError, Gate, Limits};
use crate::failure::Failure;
use crate::store::{Client, DocumentClient, NewDocument, Recorded, Store};

use super::Visitor;

/// For all of a fetch: its turn, name, connection, TLS and every byte.
const DEADLINE: Duration = Duration::from_secs(10);

/// For its turn, where many are under way: a fetch that has one has most of its time left for itself, so that what it
/// meets is the document's doing.
const TURN: Duration = Duration::from_secs(3);

/// How long a document that was not accepted is not asked for again. It holds back floods and is no cache: whoever
/// mends a document waits no longer than this.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// The same where a built-in description stands in.
const AFTER_FAILURE_OF_WELL_KNOWN: Duration = Duration::from_secs(600);

/// The client that a document describes: what is kept of it while that is fresh, fetched otherwise. Where a
/// well-known client's cannot be fetched, its built-in description.
///
/// # Errors
/// The inner one: it describes none. The outer one: the database.
pub async fn describe(app: &App, url: &DocumentUrl, visitor: &Visitor) -> Result<Fetched, Failure> {
    let kept = app.store.client_document(url.id()).await?;
    if let Some(kept) = &kept
        && is_fresh(kept, app.now())
    {
        return Ok(Ok(kept.client.clone()));
    }
    let fetched = fetch(app, url, visitor).await;
    let stands_in = stands_in(&fetched, kept.as_ref());
    let Some(built_in) = app.clients.well_known(url.id()).filter(|_| stands_in) else { return Ok(fetched) };
    if kept.is_none_or(|kept| !says_the_same(&kept.client, &built_in)) {
        let job = Job::of(app, url, visitor);
        job.keep(&metadata_of(&built_in), None).await?;
    }
    Ok(Ok(built_in))
}

/// Whether a built-in description stands in: where the document cannot be fetched. Where nobody had the time to, only
/// if it never was: one that was fetched before may be as good as it was.
fn stands_in(fetched: &Fetched, kept: Option<&DocumentClient>) -> bool {
    match fetched {
        Err(DocumentProblem::Unavailable(_)) => true,
        Err(DocumentProblem::Busy) => kept.is_none_or(|kept| kept.fresh_until.is_none()),
        _ => false,
    }
}

async fn fetch(app: &App, url: &DocumentUrl, visitor: &Visitor) -> Fetched {
    let now = app.now();
    if let Some(problem) = app.clients.failed_lately(url.id(), now) {
        return Err(problem);
    }
    let Some(gate) = app.clients.gate(url) else { return Err(DocumentProblem::Refused("loopback")) };
    let most = app.config.limits.client_documents_per_address_per_minute;
    let waiting = app.clients.flights().join(url.id(), visitor.address, most > 0, || {
        let may = app.clients.may_fetch(visitor.address, most, now);
        may.then(|| Job::of(app, url, visitor).run(gate.clone()).boxed())
    })?;
    let elsewhere = visitor.waits_elsewhere();
    let fetched = waiting.end().await;
    drop(elsewhere);
    if let Err(problem) = fetched
        && problem != DocumentProblem::Busy
    {
        let pause = match app.clients.well_known(url.id()) {
            Some(_) => AFTER_FAILURE_OF_WELL_KNOWN,
            None => AFTER_FAILURE,
        };
        app.clients.note_failure(url.id(), problem, app.now().plus(pause));
    }
    fetched
}

/// Everything that a fetch needs: it goes on while anybody waits, whoever began it.
struct Job {
    url: DocumentUrl,
    store: Store,
    clock: Clock,
    dice: Dice,
    unused: Duration,
    visitor: Visitor,
}

impl Job {
    fn of(app: &App, url: &DocumentUrl, visitor: &Visitor) -> Self {
        Self {
            url: url.clone(),
            store: app.store.clone(),
            clock: app.clock.clone(),
            dice: app.dice.clone(),
            unused: app.config.auth.lifetimes.unused_client,
            visitor: visitor.clone(),
        }
    }

    async fn run(self, gate: Gate) -> Fetched {
        let done = self.fetch_and_keep(&gate).await;
        done.unwrap_or_else(|failure| {
            tracing::error!(cause = failure.chain(), "a client's metadata document could not be kept");
            Err(DocumentProblem::NotKept)
        })
    }

    async fn fetch_and_keep(&self, gate: &Gate) -> Result<Fetched, Failure> {
        // Somebody else's fetch may have ended between our look and our turn.
        let kept = self.store.client_document(self.url.id()).await?;
        if let Some(kept) = kept
            && is_fresh(&kept, self.clock.now())
        {
            return Ok(Ok(kept.client));
        }
        match self.get(gate).await {
            Ok((metadata, fresh)) => self.keep(&metadata, Some(fresh)).await.map(Ok),
            Err(problem) => {
                let (host, reason) = (self.url.host(), problem.code());
                tracing::info!(host, reason, "a client's metadata document was not accepted");
                Ok(Err(problem))
            }
        }
    }

    async fn get(&self, gate: &Gate) -> Result<(ClientMetadata, Duration), DocumentProblem> {
        let request = Request::get(self.url.id().as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::USER_AGENT, concat!("spotify-mcp/", env!("CARGO_PKG_VERSION")))
            .body(Bytes::new())
            .map_err(|_| DocumentProblem::Refused("url"))?;
        let limits = Limits::within(DEADLINE, LARGEST).with_turn_within(TURN);
        let answer = gate.send(request, limits).await;
        let answer = answer.map_err(|error| match error {
            EgressError::Busy => DocumentProblem::Busy,
            error => DocumentProblem::Unavailable(error.code()),
        })?;
        judge_head(&answer).map_err(DocumentProblem::Unavailable)?;
        let metadata =
            judge(&self.url, answer.body()).map_err(|error| DocumentProblem::Refused(error.code()))?;
        Ok((metadata, freshness(answer.headers(), self.clock.now())))
    }

    /// Keeps what was fetched and is fresh for so long, or (`None`) a built-in description for this time alone.
    async fn keep(&self, metadata: &ClientMetadata, fresh: Option<Duration>) -> Result<Client, Failure> {
        let now = self.clock.now();
        let client = Client::described(self.url.id(), metadata);
        let before = self.store.client_document(self.url.id()).await?;
        let code = match &before {
            None => Some(EventCode::ClientRegistered),
            Some(before) if !says_the_same(&before.client, &client) => Some(EventCode::ClientUpdated),
            Some(_) => None,
        };
        let events: Vec<_> =
            code.map(|code| self.event(code, metadata, fresh.is_some())).into_iter().collect();
        let expires_at = now.plus(self.unused);
        let document = NewDocument {
            id: client.id.clone(),
            metadata: metadata.clone(),
            fetched_at: fresh.map(|_| now),
            fresh_until: fresh.map(|fresh| now.plus(fresh).min(expires_at)),
            now,
            expires_at,
        };
        self.store.keep_document(&document, &events).await?;
        Ok(client)
    }

    fn event(&self, code: EventCode, metadata: &ClientMetadata, fetched: bool) -> Recorded {
        let event = Event::new(code)
            .client(self.url.id())
            .from(self.visitor.address)
            .request(&self.visitor.request)
            .detail("description", if fetched { "document" } else { "built_in" })
            .detail("redirect_uri", metadata.redirect_uris.first().map_or("", |uri| uri.as_str()));
        Recorded::now(event, &self.clock, &self.dice)
    }
}

/// Only 200, only JSON, only as it is (C6; security.md 10): a redirect is an answer like any other that is not 200.
pub(crate) fn judge_head(answer: &Response<Bytes>) -> Result<(), &'static str> {
    if answer.status() != StatusCode::OK {
        return Err(if answer.status().is_redirection() { "redirect" } else { "status" });
    }
    let headers = answer.headers();
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.map(|value| value.as_bytes()).any(|value| !value.eq_ignore_ascii_case(b"identity")) {
        return Err("encoding");
    }
    let kind = one(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    if json { Ok(()) } else { Err("content_type") }
}

pub(crate) fn freshness(headers: &HeaderMap, now: Timestamp) -> Duration {
    let directives: Vec<_> = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        // One that cannot be read could say anything.
        .map(|value| value.to_str().unwrap_or("no-store"))
        .collect();
    let joined = directives.join(",");
    let told = Told {
        cache_control: (!directives.is_empty()).then_some(joined.as_str()),
        expires: one(headers, &header::EXPIRES),
        date: one(headers, &header::DATE),
        age: one(headers, &header::AGE),
    };
    fresh_for(&told, now)
}

/// A header that is there once; twice or unreadable is as good as malformed.
fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    match values.next() {
        None => Some(first.to_str().unwrap_or("")),
        Some(_) => Some(""),
    }
}

/// A clock that went back makes nothing fresh for longer than a document can be.
fn is_fresh(kept: &DocumentClient, now: Timestamp) -> bool {
    kept.fresh_until.is_some_and(|until| now < until && until.since(now) <= LONGEST)
}

fn says_the_same(one: &Client, other: &Client) -> bool {
    one.name == other.name
        && one.redirect_uris == other.redirect_uris
        && one.refreshes == other.refreshes
        && one.scopes == other.scopes
}

fn metadata_of(client: &Client) -> ClientMetadata {
    ClientMetadata {
        name: client.name.clone(),
        redirect_uris: client.redirect_uris.clone(),
        auth_method: client.auth_method,
        scopes: client.scopes,
        grant_types: vec!["authorization_code", "refresh_token"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ClientId;
    use crate::policy::WellKnownClients;

    fn client() -> Client {
        let known = WellKnownClients::embedded().unwrap();
        let id = ClientId::parse("https://claude.ai/oauth/mcp-oauth-client-metadata").unwrap();
        Client::described(&id, known.of(&id).unwrap())
    }

    #[test]
    fn a_built_in_description_stands_in_only_where_the_document_cannot_be_fetched() {
        let fetched_before = DocumentClient { client: client(), fresh_until: Some(Timestamp::from_secs(1)) };
        let stood_in_before = DocumentClient { client: client(), fresh_until: None };
        let kept = [None, Some(&stood_in_before), Some(&fetched_before)];
        for (fetched, expected) in [
            (Ok(client()), [false; 3]),
            (Err(DocumentProblem::Unavailable("timeout")), [true; 3]),
            (Err(DocumentProblem::Refused("not_itself")), [false; 3]),
            (Err(DocumentProblem::TooMany), [false; 3]),
            (Err(DocumentProblem::Busy), [true, true, false]),
            (Err(DocumentProblem::NotKept), [false; 3]),
        ] {
            assert_eq!(kept.map(|kept| stands_in(&fetched, kept)), expected, "{fetched:?}");
        }
    }
}
