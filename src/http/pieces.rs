//! The body of an answer, which knows when it has been taken.
//!
//! Over HTTP/1.1 a stalled socket tells. Over HTTP/2 an answer waits for its stream's window, inside hyper or inside
//! h2, whatever was asked of the body: so each piece of it tells its line when h2 has written something of it. Never
//! counts as taken what was only handed over.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use hyper::body::{Body as _, Buf, Bytes, Frame, SizeHint};

use super::line::Busy;

/// An answer's body: its connection is busy until it has been taken.
pub(super) struct Answer {
    body: Body,
    owed: Owed,
}

enum Owed {
    /// Until it has been asked for to its end.
    Whole { _busy: Busy },
    /// Until the last of its pieces is gone.
    InPieces(Arc<Stream>),
}

/// An answer on a stream of its own (HTTP/2).
struct Stream {
    busy: Busy,
    /// Its number among the answers of its line.
    id: u64,
}

/// Bytes of an answer.
pub(super) struct Piece {
    bytes: Bytes,
    of: Option<Arc<Stream>>,
}

impl Answer {
    /// What `busy` is owed.
    pub(super) fn new(body: Body, busy: Busy, on_stream: bool) -> Self {
        let owed = match on_stream && !body.is_end_stream() {
            true => Owed::InPieces(Arc::new(Stream { id: busy.0.answers.begin(), busy })),
            false => Owed::Whole { _busy: busy },
        };
        Self { body, owed }
    }
}

impl hyper::body::Body for Answer {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map_ok(|frame| frame.map_data(|bytes| Piece::new(bytes, &self.owed)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Piece {
    fn new(bytes: Bytes, owed: &Owed) -> Self {
        let of = match owed {
            Owed::Whole { .. } => None,
            Owed::InPieces(stream) => {
                let line = &stream.busy.0;
                line.answers.hand_out(stream.id, bytes.len(), line.now());
                Some(stream.clone())
            }
        };
        Self { bytes, of }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(into)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(stream) = self.of.as_ref().filter(|_| count > 0) {
            let line = &stream.busy.0;
            line.answers.taken(stream.id, count, line.now());
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let line = &self.busy.0;
        line.answers.end(self.id, line.now());
    }
}
