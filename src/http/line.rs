//! One connection as the server sees it: what it waits for, since when, and that it is to end.
//!
//! Only stamps: a reader's and writer's hand sets them, [`super::connections`] reads them once a second, and so no
//! connection needs a timer of its own. Never holds a byte of what is said.

use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::oauth::Connection;

use super::answers::Answers;
use super::in_flight::InFlight;

/// Bytes that may come on an HTTP/2 connection beyond what its requests account for: h2 answers every ping and every
/// settings frame, for ever. More than fits into the connection's window, which waits unread where calls are busy.
const MOST_TALK: u64 = 512 * 1024;

/// What a request accounts for beside its body: its headers, and what its stream's window lets through unread where
/// it is refused.
const FOR_A_REQUEST: u64 = 96 * 1024;

/// Milliseconds since the server began; 0 says "not".
type Stamp = AtomicU64;

/// What is happening on a connection.
#[derive(Debug)]
pub(super) struct Line {
    began: Instant,
    /// Whether it speaks HTTP/2, where bytes need not be a request: they may answer a ping.
    streams: AtomicBool,
    /// Whether it speaks HTTP/1.1, where every byte belongs to a request.
    plain: AtomicBool,
    /// Bytes that have come and that no request accounts for.
    talk: AtomicU64,
    /// Requests that have come and are not answered to the end.
    requests: AtomicU32,
    in_flight: Arc<InFlight>,
    /// Those of them for which somebody else is waited for: the client with their body, or a stranger's server.
    awaited: AtomicU32,
    /// Since when nothing is asked, or since when somebody else is waited for.
    quiet_since: Stamp,
    /// Since when the beginning of a request (or of TLS) is waited for.
    head_since: Stamp,
    /// Since when the other end takes nothing of what is written.
    stalled_since: Stamp,
    /// HTTP/2: the answers that may wait for their stream's window.
    pub(super) answers: Answers,
    ending: AtomicU8,
    ended_at: Stamp,
    /// Ended for a newcomer.
    gives_way: AtomicBool,
    woken: Notify,
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// After the requests in flight, however long they take.
    Drained = 1,
    /// At once, or after the request that has just come.
    Shed = 2,
    /// At once.
    Broken = 3,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waits {
    /// Nothing is asked.
    Idle,
    /// The other end has to send or to take something.
    ForClient,
    /// We have to answer.
    ForUs,
}

impl Line {
    /// A connection that has just been accepted.
    pub(super) fn new(began: Instant, in_flight: Arc<InFlight>) -> Self {
        let line = Self {
            began,
            streams: AtomicBool::new(false),
            plain: AtomicBool::new(false),
            talk: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            in_flight,
            awaited: AtomicU32::new(0),
            quiet_since: Stamp::new(0),
            head_since: Stamp::new(0),
            stalled_since: Stamp::new(0),
            answers: Answers::default(),
            ending: AtomicU8::new(0),
            ended_at: Stamp::new(0),
            gives_way: AtomicBool::new(false),
            woken: Notify::new(),
        };
        line.quiet_since.store(line.now(), Ordering::Relaxed);
        line.expect_head();
        line
    }

    /// Milliseconds since the server began, never 0.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// From now on the beginning of a request is waited for.
    pub(super) fn expect_head(&self) {
        self.head_since.store(self.now(), Ordering::Relaxed);
    }

    /// So many bytes have come: on a quiet HTTP/1.1 connection, the beginning of a request.
    fn heard(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let talk = self.talk.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if self.says_too_much(talk) && self.end(Ending::Broken) {
            tracing::debug!(why = "much came that no request accounts for", "a connection was ended");
        }
        let quiet =
            self.requests.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0;
        if quiet && !self.streams.load(Ordering::Relaxed) {
            self.expect_head();
        }
    }

    fn says_too_much(&self, talk: u64) -> bool {
        talk > MOST_TALK && !self.plain.load(Ordering::Relaxed)
    }

    /// A request has come with all its headers; over HTTP/2 on a stream of its own.
    pub(super) fn begin(self: &Arc<Self>, on_stream: bool) -> Busy {
        if on_stream {
            self.streams.store(true, Ordering::Relaxed);
            self.account_for(FOR_A_REQUEST);
            self.in_flight.add();
        } else {
            self.plain.store(true, Ordering::Relaxed);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        Busy(self.clone(), on_stream)
    }

    /// So many of the bytes that have come were of use.
    pub(super) fn account_for(&self, bytes: u64) {
        let less = |talk: u64| Some(talk.saturating_sub(bytes));
        // Never an error: there is always a value.
        let _ = self.talk.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The body of a request is waited for, or no longer.
    pub(super) fn await_body(&self, waits: bool) {
        if waits {
            self.quiet_since.store(self.now(), Ordering::Relaxed);
            self.awaited.fetch_add(1, Ordering::Relaxed);
        } else {
            self.awaited.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What it waits for, and since when. For us alone only where there is a request on which we work.
    pub(super) fn waits(&self) -> (Waits, u64) {
        let stalled = self.stalled_since.load(Ordering::Relaxed);
        let requests = self.requests.load(Ordering::Acquire);
        let quiet = self.quiet_since.load(Ordering::Relaxed);
        let awaited = self.awaited.load(Ordering::Relaxed);
        let (untaken, since) = self.answers.waiting();
        match requests {
            _ if stalled > 0 => (Waits::ForClient, stalled),
            0 => (Waits::Idle, quiet),
            _ if awaited.saturating_add(untaken) < requests => (Waits::ForUs, 0),
            _ if untaken == 0 => (Waits::ForClient, quiet),
            _ if awaited == 0 => (Waits::ForClient, since),
            _ => (Waits::ForClient, quiet.min(since)),
        }
    }

    /// How many requests on streams are in flight here.
    pub(super) fn streams(&self) -> usize {
        let speaks = self.streams.load(Ordering::Relaxed);
        if speaks { self.requests.load(Ordering::Relaxed) as usize } else { 0 }
    }

    /// How long each thing has lasted, in milliseconds at `now`.
    pub(super) fn lasted(&self, now: u64) -> Lasted {
        let since = |stamp: &Stamp| match stamp.load(Ordering::Relaxed) {
            0 => 0,
            since => now.saturating_sub(since),
        };
        let answer = match self.answers.waiting() {
            (0, _) => 0,
            (_, since) => now.saturating_sub(since),
        };
        let idle = self.requests.load(Ordering::Relaxed) == 0;
        Lasted {
            head: since(&self.head_since),
            idle: if idle { since(&self.quiet_since) } else { 0 },
            stall: since(&self.stalled_since).max(answer),
            shedding: if idle && self.ending() == Some(Ending::Shed) { since(&self.ended_at) } else { 0 },
        }
    }

    /// Ends it, unless it is to end sooner already: whether that is news.
    pub(super) fn end(&self, how: Ending) -> bool {
        let news = self.ending.fetch_max(how as u8, Ordering::AcqRel) < how as u8;
        if news {
            self.ended_at.store(self.now(), Ordering::Relaxed);
            self.woken.notify_one();
        }
        news
    }

    /// Ends it for a newcomer.
    pub(super) fn give_way(&self, how: Ending) {
        self.gives_way.store(true, Ordering::Relaxed);
        self.end(how);
    }

    /// Whether it was ended for a newcomer.
    pub(super) fn gives_way(&self) -> bool {
        self.gives_way.load(Ordering::Relaxed)
    }

    /// How it is to end.
    pub(super) fn ending(&self) -> Option<Ending> {
        match self.ending.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Ending::Drained),
            2 => Some(Ending::Shed),
            _ => Some(Ending::Broken),
        }
    }

    /// Comes back when it is to end, or to end sooner.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Connection for Line {
    /// As for a body: it is not us who keep it waiting.
    fn waits_elsewhere(&self, waits: bool) {
        self.await_body(waits);
    }
}

/// How long things have lasted on a connection, in milliseconds; 0: they do not.
#[derive(Debug)]
pub(super) struct Lasted {
    /// Waiting for the beginning of a request.
    pub(super) head: u64,
    /// Nothing asked.
    pub(super) idle: u64,
    /// Nothing taken of what is written.
    pub(super) stall: u64,
    /// Shed, and not gone.
    pub(super) shedding: u64,
}

/// A request in flight, until it is dropped; whether on a stream of its own.
pub(super) struct Busy(pub(super) Arc<Line>, bool);

impl Drop for Busy {
    fn drop(&mut self) {
        // Before the count: an idle connection must not look idle since its request before.
        self.0.quiet_since.store(self.0.now(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Release);
        if self.1 {
            self.0.in_flight.remove();
        }
    }
}

/// A stream that stamps its line.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) line: Arc<Line>,
}

impl<S> Watched<S> {
    fn wrote<T>(&self, polled: &Poll<Result<T>>) {
        let stalled = &self.line.stalled_since;
        match (polled.is_pending(), stalled.load(Ordering::Relaxed)) {
            (true, 0) => stalled.store(self.line.now(), Ordering::Relaxed),
            (false, since) if since > 0 => stalled.store(0, Ordering::Relaxed),
            _ => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        // h2 goes on for as long as there is something to read: whoever waits for it to be told would wait.
        if self.line.says_too_much(self.line.talk.load(Ordering::Relaxed)) {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let heard = buffer.filled().len().saturating_sub(before);
        if heard > 0 {
            self.line.heard(heard);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Arc<Line> {
        Arc::new(Line::new(Instant::now(), Arc::default()))
    }

    #[test]
    fn talk_without_requests_ends_a_connection_and_requests_account_for_theirs() {
        let most = usize::try_from(MOST_TALK).unwrap();
        let talker = line();
        talker.heard(most);
        assert_eq!(talker.ending(), None);
        talker.heard(1);
        assert_eq!(talker.ending(), Some(Ending::Broken));

        let asking = line();
        for _ in 0..100 {
            drop(asking.begin(true));
            asking.heard(500_000);
            asking.account_for(450_000);
        }
        assert_eq!(asking.ending(), None);

        let plain = line();
        drop(plain.begin(false));
        plain.heard(10 * most);
        assert_eq!(plain.ending(), None, "each byte of HTTP/1.1 belongs to a request");
    }
}
