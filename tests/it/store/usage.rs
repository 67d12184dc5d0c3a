//! Usage counts.

use spotify_mcp::domain::UserId;
use spotify_mcp::store::UsageRow;

use super::fixtures::{fresh, person, race};
use crate::support::database::on_both;

pub fn calls(user: &UserId, tool: &str, calls: i64, errors: i64) -> UsageRow {
    UsageRow { user: user.clone(), day: "2027-01-15".to_owned(), tool: tool.to_owned(), calls, errors }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_add_up_from_all_servers_and_leave_out_people_who_are_gone() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await.user, person(db, "ford").await.user);
        let nodes = [db.store(), db.node().await];
        race(20, |n| {
            let node = nodes[n % 2].clone();
            let mut rows = vec![
                calls(&arthur, "play", 2, 1),
                calls(&arthur, "pause", 1, 0),
                calls(&ford, "play", 3, 0),
                calls(&UserId::mint(fresh()), "play", 100, 100),
            ];
            if n % 3 == 0 {
                rows.reverse();
            }
            async move { node.add_usage(&rows).await.unwrap() }
        })
        .await;
        let raw = db.raw().await;
        assert_eq!(raw.number("SELECT CAST(SUM(calls) AS BIGINT) FROM usage").await, 20 * 6);
        assert_eq!(raw.number("SELECT CAST(SUM(errors) AS BIGINT) FROM usage").await, 20);
        assert_eq!(raw.number("SELECT COUNT(*) FROM usage").await, 3);
    })
    .await;
}
