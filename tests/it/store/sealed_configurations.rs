//! The newest revision of a sealed configuration that was used.

use spotify_mcp::store::Revision;

use super::fixtures::{at, event, waiting};
use crate::support::database::on_both;

#[tokio::test]
async fn a_revision_only_goes_forward_unless_it_is_told_to_go_back() {
    on_both(async |db| {
        let revision = |lineage: &'static str, rev| Revision { lineage, rev, digest: "d" };
        let used =
            async |lineage, rev| db.use_revision(&revision(lineage, rev), at(1), &event()).await.unwrap();
        assert_eq!(used("a", 3).await, Ok(()));
        assert_eq!(used("a", 3).await, Ok(()));
        assert_eq!(used("a", 5).await, Ok(()));
        assert_eq!(used("b", 1).await, Ok(()), "each file for itself");
        assert_eq!(waiting(db).await, 0);
        assert_eq!(used("a", 4).await, Err(5));
        assert_eq!(waiting(db).await, 1, "the refusal is on record");

        db.go_back(&revision("a", 4), at(2), &event()).await.unwrap();
        assert_eq!(waiting(db).await, 2);
        assert_eq!(used("a", 4).await, Ok(()));
        assert_eq!(used("a", 3).await, Err(4));
    })
    .await;
}
