//! Refresh tokens: rotation and its grace.

use spotify_mcp::domain::refresh::GRACE_USES;
use spotify_mcp::domain::{GrantId, ScopeSet};
use spotify_mcp::store::Rotation;

use super::fixtures::{at, client_id, event, grant, hash, person, tokens, waiting};
use crate::support::database::on_both;

pub fn rotation(from: &str, to: &str, grant: &GrantId, now: i64) -> Rotation {
    Rotation {
        presented: hash(format!("refresh-{from}")),
        grant: grant.clone(),
        tokens: tokens(to, now),
        successor: format!("sealed {to}").into_bytes(),
    }
}

#[tokio::test]
async fn a_token_is_rotated_once_and_answers_with_its_successor_ten_times() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let id = grant(db, &arthur, "a").await;
        let row = db.refresh_token(hash("refresh-a")).await.unwrap().unwrap();
        assert_eq!(
            (row.grant, row.user, row.scopes),
            (id.clone(), arthur.user, ScopeSet::known("read player"))
        );
        assert_eq!((row.token.client, row.grant_expires_at), (client_id(), at(90 * 86_400)));
        assert_eq!((row.token.expires_at, row.token.rotated_at), (at(30 * 86_400), None));
        assert_eq!(db.successor(hash("refresh-a")).await.unwrap(), None, "not rotated yet");

        assert!(db.rotate(&rotation("a", "b", &id, 100), &[event()]).await.unwrap());
        assert!(!db.rotate(&rotation("a", "c", &id, 100), &[event()]).await.unwrap());
        assert_eq!(waiting(db).await, 1);
        assert!(db.access_grant(hash("access-c")).await.unwrap().is_none());
        assert!(db.access_grant(hash("access-b")).await.unwrap().is_some());

        for uses in 1..=GRACE_USES {
            assert_eq!(db.successor(hash("refresh-a")).await.unwrap().unwrap(), b"sealed b");
            let row = db.refresh_token(hash("refresh-a")).await.unwrap().unwrap();
            assert_eq!((row.token.rotated_at, row.token.grace_uses), (Some(at(100)), uses));
        }
        assert_eq!(db.successor(hash("refresh-a")).await.unwrap(), None, "exhausted");
        assert!(db.refresh_token(hash("access-a")).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn nothing_is_rotated_late_after_the_end_or_into_another_family() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let (id, other) = (grant(db, &arthur, "a").await, grant(db, &ford, "f").await);
        let rotate = async |rotation: &Rotation| db.rotate(rotation, &[event()]).await.unwrap();
        assert!(!rotate(&rotation("a", "b", &id, 30 * 86_400)).await, "the token expired");
        assert!(!rotate(&rotation("a", "b", &other, 1)).await, "another family");
        assert!(!rotate(&rotation("unknown", "b", &id, 1)).await);
        let raw = db.raw().await;
        raw.run("UPDATE users SET disabled_at = 1").await;
        assert!(!rotate(&rotation("a", "b", &id, 1)).await, "a disabled person's");
        raw.run("UPDATE users SET disabled_at = NULL").await;
        raw.run("UPDATE refresh_tokens SET expires_at = expires_at * 2").await;
        assert!(!rotate(&rotation("a", "b", &id, 90 * 86_400)).await, "the family expired");
        db.revoke_grant(&arthur.user, &id, "reuse", at(1), &[]).await.unwrap();
        assert!(!rotate(&rotation("a", "b", &id, 1)).await, "the family was ended");
        assert!(rotate(&rotation("f", "g", &other, 1)).await);
        assert_eq!(waiting(db).await, 1);
    })
    .await;
}
