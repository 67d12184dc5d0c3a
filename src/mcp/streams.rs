//! How many streamed answers (server-sent events) are open, of one person and together.
//!
//! An answer that is one JSON object never counts. A stream ends with what it stands on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt as _;
use http::{StatusCode, header};
use http_body_util::BodyExt as _;

use super::basis::Basis;
use super::measured::STREAMS;
use super::refusal::refusal;
use crate::domain::UserId;

/// Most open streams of everybody together.
const MOST: usize = 10_000;

/// Counts open streams.
#[derive(Debug)]
pub(super) struct Streams {
    /// Of one person; 0: any number.
    most_each: Arc<AtomicU32>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    people: HashMap<UserId, usize>,
    all: usize,
}

impl Streams {
    pub(super) fn new(most_each: Arc<AtomicU32>) -> Arc<Self> {
        Arc::new(Self { most_each, open: Mutex::default() })
    }

    /// Counts an answer as long as it streams, or refuses it with 429 where there are too many. Whatever it stands on is
    /// watched meanwhile.
    pub(super) fn count(self: &Arc<Self>, user: &UserId, response: Response, basis: Basis) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE);
        if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
            return response;
        }
        match self.enter(user) {
            Some(place) => response.map(|body| {
                // The place goes with the body.
                let body = body.map_frame(move |frame| {
                    let _held = &place;
                    frame
                });
                Body::from_stream(Body::new(body).into_data_stream().take_until(gone(basis)))
            }),
            None => refusal(StatusCode::TOO_MANY_REQUESTS, "too many streams are open: close one first"),
        }
    }

    fn enter(self: &Arc<Self>, user: &UserId) -> Option<Place> {
        let most_each = usize::try_from(self.most_each.load(Ordering::Relaxed)).unwrap_or(0);
        let mut open = self.lock();
        let theirs = open.people.get(user).copied().unwrap_or_default();
        if open.all >= MOST || (most_each > 0 && theirs >= most_each) {
            return None;
        }
        open.all += 1;
        STREAMS.enter();
        open.people.insert(user.clone(), theirs + 1);
        drop(open);
        Some(Place { streams: self.clone(), user: user.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn gone(mut basis: Basis) {
    basis.gone().await;
}

/// The right to one stream; ends with the value.
struct Place {
    streams: Arc<Streams>,
    user: UserId,
}

impl Drop for Place {
    fn drop(&mut self) {
        STREAMS.leave();
        let mut open = self.streams.lock();
        open.all = open.all.saturating_sub(1);
        let left = open.people.get(&self.user).map_or(0, |theirs| theirs.saturating_sub(1));
        match left {
            0 => open.people.remove(&self.user),
            left => open.people.insert(self.user.clone(), left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::basis::tests::Hand;

    #[tokio::test]
    async fn a_stream_ends_with_what_it_stands_on_and_with_nothing_else() {
        let (streams, hand) = (Streams::new(Arc::new(2.into())), Hand::new());
        let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("data: x\n\n"));
        let slow = endless.then(|piece| async {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            piece
        });
        let answer = Response::builder().header("content-type", "text/event-stream");
        let answer = answer.body(Body::from_stream(slow)).unwrap();
        let user = UserId::mint([1; 16]);
        let counted = streams.count(&user, answer, Basis::of(hand.clone()));
        let mut body = counted.into_body().into_data_stream();
        assert!(body.next().await.is_some());
        hand.tell();
        assert!(body.next().await.is_some() && body.next().await.is_some());
        hand.end();
        hand.tell();
        let rest = tokio::time::timeout(std::time::Duration::from_secs(5), body.count()).await;
        assert!(rest.is_ok(), "it goes on");
        assert_eq!(streams.lock().all, 0);
    }

    #[test]
    fn streams_are_counted_per_person_until_they_end() {
        let streams = Streams::new(Arc::new(2.into()));
        let hand = Hand::new();
        let (one, other) = (UserId::mint([1; 16]), UserId::mint([2; 16]));
        let answer = |kind: &'static str| {
            Response::builder().header("content-type", kind).body(Body::empty()).unwrap()
        };
        let open: Vec<_> = (0..2)
            .map(|_| streams.count(&one, answer("text/event-stream"), Basis::of(hand.clone())))
            .collect();
        assert!(open.iter().all(|answer| answer.status() == StatusCode::OK));
        let refused =
            streams.count(&one, answer("text/event-stream; charset=utf-8"), Basis::of(hand.clone()));
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            streams.count(&one, answer("application/json"), Basis::of(hand.clone())).status(),
            StatusCode::OK
        );
        assert_eq!(
            streams.count(&other, answer("text/event-stream"), Basis::of(hand.clone())).status(),
            StatusCode::OK
        );
        drop(open);
        assert_eq!(
            streams.count(&one, answer("text/event-stream"), Basis::of(hand.clone())).status(),
            StatusCode::OK
        );
        assert_eq!(streams.lock().all, 0);
    }
}
