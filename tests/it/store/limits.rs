//! Shares of a limit's window: what servers reserve at once never adds up to more than the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use spotify_mcp::domain::limit::{Quota, Reservation, Reserved};
use spotify_mcp::store::{Bucket, Purged, Store};

use super::fixtures::at;
use crate::support::database::on_both;

const QUOTA: Quota = Quota::per_minute(100);

fn asking(window: i64, want: u32) -> Reservation {
    Reservation { window, want, left: QUOTA.most }
}

#[tokio::test]
async fn the_last_share_is_what_is_left_and_then_there_is_none() {
    on_both(async |db| {
        let (bucket, other) = (Bucket([1; 16]), Bucket([2; 16]));
        let window = at(0).secs();
        let reserve = async |bucket, want| db.reserve(bucket, QUOTA, asking(window, want)).await.unwrap();
        assert_eq!(reserve(bucket, 60).await, Reserved { granted: 60, used: 60 });
        assert_eq!(reserve(bucket, 30).await, Reserved { granted: 30, used: 90 });
        assert_eq!(reserve(bucket, 30).await, Reserved { granted: 10, used: 100 });
        assert_eq!(reserve(bucket, 1).await, Reserved { granted: 0, used: 100 });
        assert_eq!(reserve(other, 500).await, Reserved { granted: 100, used: 100 });
        // A limit that was lowered meanwhile gives nothing either, and another window is another count.
        let lower = db.reserve(bucket, Quota::per_minute(50), asking(window, 1)).await.unwrap();
        assert_eq!(lower.granted, 0);
        let next = db.reserve(bucket, QUOTA, asking(window + 60, 7)).await.unwrap();
        assert_eq!(next, Reserved { granted: 7, used: 7 });
    })
    .await;
}

#[tokio::test]
async fn windows_go_a_window_after_their_end() {
    on_both(async |db| {
        let window = at(0).secs();
        db.reserve(Bucket([1; 16]), QUOTA, asking(window, 1)).await.unwrap();
        assert_eq!(db.purge(at(119)).await.unwrap(), Purged::default());
        assert_eq!(db.purge(at(120)).await.unwrap(), Purged { limits: 1, ..Purged::default() });
    })
    .await;
}

#[tokio::test]
async fn servers_that_reserve_at_once_share_one_limit() {
    on_both(async |db| {
        let sum = Arc::new(AtomicU32::new(0));
        let window = at(0).secs();
        let mut servers = Vec::new();
        for n in 0..8_u32 {
            let (store, sum) = (if n % 2 == 0 { db.store() } else { db.node().await }, sum.clone());
            servers.push(tokio::spawn(reserve_often(store, window, sum)));
        }
        for server in servers {
            server.await.unwrap();
        }
        assert_eq!(sum.load(Ordering::SeqCst), QUOTA.most);
    })
    .await;
}

async fn reserve_often(store: Store, window: i64, sum: Arc<AtomicU32>) {
    for want in [3, 7, 1, 5, 2, 9, 4, 6, 8, 10] {
        let got = store.reserve(Bucket([9; 16]), QUOTA, asking(window, want)).await.unwrap();
        assert!(got.granted <= want && got.used <= QUOTA.most, "{got:?}");
        sum.fetch_add(got.granted, Ordering::SeqCst);
    }
}
