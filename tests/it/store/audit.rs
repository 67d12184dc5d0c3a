//! What the database keeps for the audit trail: how far a chain was signed, people's audit keys, and which server
//! writes an event down.

use std::time::Duration;

use spotify_mcp::domain::UserId;
use spotify_mcp::domain::ids::EventId;
use spotify_mcp::store::{AuditKeyOwner, AuditKeyRow, ChainMark, Recorded, Store};

use super::fixtures::{at, event, person};
use crate::support::database::on_both;

fn mark(size: i64, key: &str) -> ChainMark {
    ChainMark {
        chain_uid: "chain".to_owned(),
        writer: "writer".to_owned(),
        first_key: key.to_owned(),
        key: key.to_owned(),
        size,
        note: format!("note {size}"),
        at: at(size),
    }
}

#[tokio::test]
async fn a_chain_s_mark_only_ever_rises_and_keeps_its_first_key() {
    on_both(async |db| {
        assert_eq!(db.audit_chain("chain").await.unwrap(), None);
        for (size, key) in [(5, "first"), (9, "second"), (7, "third"), (9, "fourth")] {
            db.keep_chain_mark(&mark(size, key)).await.unwrap();
        }
        db.keep_chain_mark(&ChainMark { chain_uid: "another".to_owned(), ..mark(1, "x") }).await.unwrap();
        let kept = ChainMark { first_key: "first".to_owned(), ..mark(9, "second") };
        assert_eq!(db.audit_chain("chain").await.unwrap(), Some(kept.clone()));
        let chains = db.audit_chains().await.unwrap();
        assert_eq!((chains.len(), chains.get(1)), (2, Some(&kept)));
    })
    .await;
}

fn key(id: &str, user: Option<&UserId>, day: Option<i64>) -> AuditKeyRow {
    AuditKeyRow {
        id: id.to_owned(),
        user_id: user.map(|user| user.as_str().to_owned()),
        day,
        wrapped: id.as_bytes().to_vec(),
    }
}

#[tokio::test]
async fn an_audit_key_is_made_once_and_not_for_who_is_not_here() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await.user;
        for id in ["p_1", "p_2"] {
            db.add_audit_key(&key(id, Some(&arthur), None), at(1)).await.unwrap();
        }
        let of_arthur = AuditKeyOwner::Person(arthur.clone());
        assert_eq!(db.audit_key_of(&of_arthur).await.unwrap().unwrap().id, "p_1", "the first stays");
        let nobody = UserId::mint([9; 16]);
        db.add_audit_key(&key("p_3", Some(&nobody), None), at(1)).await.unwrap();
        assert_eq!(db.audit_key_of(&AuditKeyOwner::Person(nobody)).await.unwrap(), None);
        // Deleted, nobody makes it again.
        db.delete_user(&arthur, at(2), &[]).await.unwrap();
        db.add_audit_key(&key("p_4", Some(&arthur), None), at(3)).await.unwrap();
        assert_eq!(db.audit_key_of(&of_arthur).await.unwrap(), None);
        assert_eq!(db.audit_key("p_1").await.unwrap(), None);

        for (id, day) in [("d_1", 7), ("d_2", 8), ("d_3", 8)] {
            db.add_audit_key(&key(id, None, Some(day)), at(1)).await.unwrap();
        }
        let ids: Vec<_> = db.audit_keys_after("", 9).await.unwrap().into_iter().map(|row| row.id).collect();
        assert_eq!(ids, ["d_1", "d_2"]);
        assert_eq!(db.forget_audit_days(8).await.unwrap(), 1);
        assert_eq!(db.audit_key_of(&AuditKeyOwner::Day(7)).await.unwrap(), None);
        assert_eq!(db.audit_key_of(&AuditKeyOwner::Day(8)).await.unwrap().unwrap().id, "d_2");
    })
    .await;
}

#[tokio::test]
async fn of_several_servers_one_writes_an_event_down() {
    on_both(async |db| {
        let events: Vec<_> = (0..6).map(|n| Recorded { at: at(10 - n), ..event() }).collect();
        db.record(&events).await.unwrap();
        let ids = |claimed: Vec<Recorded>| claimed.into_iter().map(|one| one.id).collect::<Vec<_>>();
        let oldest_first: Vec<_> = events.iter().rev().map(|event| event.id.clone()).collect();
        let first = ids(db.claim_outbox("one", at(20), 4).await.unwrap());
        assert_eq!(first, oldest_first[..4]);
        assert_eq!(ids(db.claim_outbox("two", at(20), 9).await.unwrap()), oldest_first[4..]);
        // After a restart, the same ones again; the other's stay the other's, for a minute.
        assert_eq!(ids(db.claim_outbox("one", at(21), 9).await.unwrap()), first);
        db.outbox_drained(&first[..3]).await.unwrap();
        assert_eq!(ids(db.claim_outbox("two", at(22), 9).await.unwrap()), oldest_first[4..]);
        let later = at(21).plus(Duration::from_secs(60));
        assert_eq!(ids(db.claim_outbox("two", later, 9).await.unwrap()), oldest_first[3..]);
    })
    .await;
}

/// Claims until nothing waits.
async fn claim_all(store: Store, name: &str) -> Vec<EventId> {
    let mut mine = Vec::new();
    loop {
        let claimed = store.claim_outbox(name, at(1), 7).await.unwrap();
        // Nothing also where others were faster: then there may be more.
        if claimed.is_empty() && store.outbox(1).await.unwrap().is_empty() {
            return mine;
        }
        let ids: Vec<_> = claimed.into_iter().map(|one| one.id).collect();
        store.outbox_drained(&ids).await.unwrap();
        mine.extend(ids);
    }
}

#[tokio::test]
async fn servers_that_claim_at_once_never_claim_the_same() {
    on_both(async |db| {
        let events: Vec<_> = (0..60).map(|_| event()).collect();
        db.record(&events).await.unwrap();
        let claim = |name: &'static str| tokio::spawn(claim_all(db.store(), name));
        let (mut all, mut each) = (Vec::new(), Vec::new());
        for task in ["one", "two", "three"].map(claim) {
            let mine = task.await.unwrap();
            each.push(mine.len());
            all.extend(mine);
        }
        let count = all.len();
        all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        all.dedup();
        assert_eq!((count, all.len()), (60, 60), "{each:?}");
    })
    .await;
}
