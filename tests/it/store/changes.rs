//! Changes and plans: whose they are, how many are kept, once, and gone in time.

use std::time::Duration;

use spotify_mcp::domain::change::{MOST, MOST_BYTES};
use spotify_mcp::domain::{ChangeId, PlanId};
use spotify_mcp::store::{Begun, NewChange, NewPlan, PlanUse};

use super::fixtures::{Person, at, fresh, person};
use crate::support::database::{TestDatabase, on_both};

fn change(person: &Person, second: i64, bytes: usize) -> NewChange {
    NewChange {
        id: ChangeId::mint(fresh()),
        user: person.user.clone(),
        link: person.link.clone(),
        tool: "update_playlist",
        data_key: person.data_key.clone(),
        content_key: b"content key".to_vec(),
        summary: b"begun".to_vec(),
        pre_image: vec![7; bytes],
        now: at(second),
        expires_at: at(1_000),
    }
}

async fn listed(db: &TestDatabase, person: &Person) -> Vec<ChangeId> {
    let (rows, count) = db.changes((&person.user, None), (0, 1_000), at(5)).await.unwrap();
    assert_eq!(i64::try_from(rows.len()).unwrap(), count);
    rows.into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_change_is_its_persons_completed_once_and_undone_once() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let (first, second) = (change(&arthur, 1, 10), change(&arthur, 2, 10));
        for new in [&first, &second] {
            assert_eq!(db.begin_change(new).await.unwrap(), Begun::Done(0));
        }
        assert_eq!(listed(db, &arthur).await, [second.id.clone(), first.id.clone()], "the newest first");
        assert!(listed(db, &ford).await.is_empty());
        let (of_arthur, of_ford) = ((&first.id, &arthur.user), (&first.id, &ford.user));
        assert!(db.change(of_ford, at(5)).await.unwrap().is_none());
        assert!(!db.finish_change(of_ford, (1, b"stolen"), true).await.unwrap());
        assert!(!db.claim_undo(of_ford, (at(5), at(9))).await.unwrap());
        db.forget_change(of_ford).await.unwrap();
        assert!(db.finish_change(of_arthur, (1, b"done"), true).await.unwrap());
        assert!(!db.finish_change(of_arthur, (1, b"again"), true).await.unwrap());
        let row = db.change(of_arthur, at(5)).await.unwrap().unwrap();
        assert_eq!((row.version, &row.summary[..], row.pre_image.len()), (2, &b"done"[..], 10));
        assert!(db.claim_undo(of_arthur, (at(5), at(9))).await.unwrap());
        assert!(!db.claim_undo(of_arthur, (at(8), at(12))).await.unwrap(), "one at a time");
        assert!(
            db.claim_undo(of_arthur, (at(9), at(12))).await.unwrap(),
            "whoever died in it is not waited for"
        );
        db.release_undo(of_arthur, (None, Some(at(10)))).await.unwrap();
        let tried = db.change(of_arthur, at(10)).await.unwrap().unwrap();
        assert_eq!((tried.undone_at, tried.undoing_until), (None, Some(at(10))));
        assert!(db.claim_undo(of_arthur, (at(10), at(14))).await.unwrap(), "it can be undone again");
        db.release_undo(of_arthur, (Some(at(11)), None)).await.unwrap();
        assert!(!db.claim_undo(of_arthur, (at(20), at(24))).await.unwrap(), "once");

        // With an account or a key that is not there, nothing is kept.
        let elsewhere = NewChange { link: ford.link.clone(), ..change(&arthur, 3, 1) };
        assert_eq!(db.begin_change(&elsewhere).await.unwrap(), Begun::Nobody);
        db.raw().await.run("UPDATE data_keys SET state = 'retired'").await;
        assert_eq!(db.begin_change(&change(&arthur, 3, 1)).await.unwrap(), Begun::KeyReplaced);

        assert_eq!(db.purge(at(999)).await.unwrap().changes, 0);
        assert_eq!(db.purge(at(1_000)).await.unwrap().changes, 2);
    })
    .await;
}

#[tokio::test]
async fn the_oldest_go_where_a_person_has_too_many_or_too_large_ones() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        db.begin_change(&change(&ford, 0, 10)).await.unwrap();
        for second in 0..MOST + 3 {
            db.begin_change(&change(&arthur, second, 10)).await.unwrap();
        }
        assert_eq!(i64::try_from(listed(db, &arthur).await.len()).unwrap(), MOST);
        let half = usize::try_from(MOST_BYTES / 2).unwrap();
        for second in 200..203 {
            db.begin_change(&change(&arthur, second, half)).await.unwrap();
        }
        assert_eq!(listed(db, &arthur).await.len(), 1, "with its summary a half is more than one");
        assert_eq!(listed(db, &ford).await.len(), 1, "nobody else's go");
    })
    .await;
}

#[tokio::test]
async fn what_is_half_done_or_half_undone_is_forgotten_after_all_others() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let taking =
            |second| NewChange { tool: "remove_tracks_from_playlist", ..change(&arthur, second, 10) };
        let (half_done, half_undone) = (taking(0), taking(1));
        for (new, is_whole) in [(&half_done, false), (&half_undone, true)] {
            db.begin_change(new).await.unwrap();
            assert!(db.finish_change((&new.id, &arthur.user), (1, b"done"), is_whole).await.unwrap());
        }
        assert!(db.claim_undo((&half_undone.id, &arthur.user), (at(2), at(3))).await.unwrap());
        db.release_undo((&half_undone.id, &arthur.user), (None, Some(at(2)))).await.unwrap();
        for second in 2..MOST + 20 {
            let new = taking(second);
            db.begin_change(&new).await.unwrap();
            assert!(db.finish_change((&new.id, &arthur.user), (1, b"done"), true).await.unwrap());
        }
        for kept in [&half_done, &half_undone] {
            assert!(db.change((&kept.id, &arthur.user), at(4)).await.unwrap().is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn a_plan_is_used_once_by_its_person_for_what_it_was_made() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let plan = NewPlan {
            id: PlanId::mint(fresh()),
            user: arthur.user.clone(),
            link: arthur.link.clone(),
            tool: "deduplicate_playlist",
            asked: [1; 32],
            state: [2; 32],
            expires_at: at(600),
        };
        assert!(db.keep_plan(&plan, at(1)).await.unwrap());
        let foreign = NewPlan { user: ford.user.clone(), link: ford.link.clone(), ..plan.clone() };
        assert_eq!(db.use_plan(&foreign, at(2)).await.unwrap(), PlanUse::Unknown);
        let other = NewPlan { asked: [3; 32], ..plan.clone() };
        assert_eq!(db.use_plan(&other, at(2)).await.unwrap(), PlanUse::OtherArguments);
        let stale = NewPlan { state: [3; 32], ..plan.clone() };
        assert_eq!(db.use_plan(&stale, at(2)).await.unwrap(), PlanUse::OtherState);
        assert_eq!(db.use_plan(&plan, at(600)).await.unwrap(), PlanUse::Expired);
        let (one, two) = tokio::join!(db.use_plan(&plan, at(2)), db.use_plan(&plan, at(2)));
        let mut uses = [one.unwrap(), two.unwrap()];
        uses.sort_by_key(|used| *used != PlanUse::Taken);
        assert_eq!(uses, [PlanUse::Taken, PlanUse::Used]);
        assert_eq!(db.purge(at(600)).await.unwrap().changes, 0, "its person still hears what became of it");
        assert_eq!(db.purge(at(600 + 3_600)).await.unwrap().changes, 1);
        // Of very many the oldest go.
        for n in 0..60 {
            let next = NewPlan { id: PlanId::mint(fresh()), ..plan.clone() };
            assert!(db.keep_plan(&next, at(n)).await.unwrap());
        }
        assert_eq!(db.raw().await.number("SELECT COUNT(*) FROM plans").await, 50);
    })
    .await;
}

#[tokio::test]
async fn one_has_the_turn_of_a_person_until_it_ends_or_is_not_heard_of() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let (long, over) = (Duration::from_secs(600), Duration::ZERO);
        let take = async |who: &Person, holder, lives| {
            db.take_change_turn((&who.user, holder), lives).await.unwrap()
        };
        assert!(take(&arthur, "one", long).await);
        assert!(!take(&arthur, "two", long).await);
        assert!(take(&ford, "two", long).await, "each has their own");
        assert!(db.keep_change_turn((&arthur.user, "one"), long).await.unwrap());
        assert!(!db.keep_change_turn((&arthur.user, "two"), long).await.unwrap());
        db.end_change_turn((&arthur.user, "two")).await.unwrap();
        assert!(!take(&arthur, "two", long).await, "nobody ends another's");
        db.end_change_turn((&arthur.user, "one")).await.unwrap();
        assert!(take(&arthur, "two", over).await);
        assert!(take(&arthur, "three", long).await, "who is not heard of any more is not waited for");
        assert!(!db.keep_change_turn((&arthur.user, "two"), long).await.unwrap());
    })
    .await;
}
