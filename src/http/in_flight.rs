//! The requests in flight on streams of HTTP/2, of all connections together.
//!
//! Only a count: which connection has to go where they are too many, [`super::connections`] decides.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Most of them: each takes some ten kilobytes, and costs whoever asks some ten bytes.
const MOST_STREAMS: usize = 4_096;

/// How many of them there are.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    streams: AtomicUsize,
    too_many: Notify,
}

impl InFlight {
    pub(super) fn add(&self) {
        if self.streams.fetch_add(1, Ordering::Relaxed) >= MOST_STREAMS {
            self.too_many.notify_one();
        }
    }

    pub(super) fn remove(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// Comes back when there are too many.
    pub(super) async fn too_many(&self) {
        self.too_many.notified().await;
    }

    /// How many have to go: down to three quarters, where they are too many.
    pub(super) fn beyond(streams: usize) -> usize {
        if streams > MOST_STREAMS { streams - MOST_STREAMS / 4 * 3 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_many_are_told_and_a_quarter_has_to_go() {
        let in_flight = InFlight::default();
        (0..MOST_STREAMS).for_each(|_| in_flight.add());
        let told =
            async || tokio::time::timeout(std::time::Duration::from_millis(20), in_flight.too_many()).await;
        assert!(told().await.is_err());
        in_flight.add();
        assert!(told().await.is_ok());
        in_flight.remove();
        assert!(told().await.is_err());
        assert_eq!(
            (InFlight::beyond(MOST_STREAMS), InFlight::beyond(MOST_STREAMS + 1)),
            (0, MOST_STREAMS / 4 + 1)
        );
    }
}
