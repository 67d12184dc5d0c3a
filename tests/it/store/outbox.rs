//! The outbox: an event is there if and only if its change is.

use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::store::{Recorded, Saved};

use super::fixtures::{at, event, newcomer, person, waiting};
use crate::support::database::on_both;

#[tokio::test]
async fn events_come_back_in_order_until_drained() {
    on_both(async |db| {
        let events: Vec<_> = (0..5).map(|n| Recorded { at: at(5 - n), ..event() }).collect();
        db.record(&events).await.unwrap();
        db.record(&events).await.unwrap(); // the same ids: once
        let mut expected: Vec<_> = events.iter().map(|event| event.id.clone()).collect();
        expected.reverse();
        let found: Vec<_> = db.outbox(10).await.unwrap().into_iter().map(|event| event.id).collect();
        assert_eq!(found, expected);
        assert_eq!(db.outbox(2).await.unwrap().len(), 2);
        db.outbox_drained(&expected[..3]).await.unwrap();
        let left: Vec<_> = db.outbox(10).await.unwrap().into_iter().map(|event| event.id).collect();
        assert_eq!(left, expected[3..]);
        db.outbox_drained(&expected).await.unwrap();
        assert!(db.outbox(10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_event_comes_back_whole() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let told = Event::new(EventCode::AuthnLoginSuccess)
            .by(&arthur.user)
            .link(&arthur.link)
            .from("2001:db8::1".parse().unwrap())
            .because("it's \"quoted\" and 'apostrophed'")
            .detail("scope", "read");
        db.record(&[Recorded { event: told.clone(), ..event() }]).await.unwrap();
        assert_eq!(db.outbox(1).await.unwrap()[0].event, told);
    })
    .await;
}

#[tokio::test]
async fn what_fails_reports_nothing_and_leaves_nothing() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let before = db.raw().await.dump().await;
        // The user, then the key is inserted; the link's key id is taken: everything goes back.
        let mut save = newcomer(&arthur.app, "ford");
        let Err(new) = &mut save.link else { unreachable!() };
        new.id = arthur.link.clone();
        assert_eq!(db.save_link(&save, &[event()]).await.unwrap(), Saved::Conflict);
        // A code for nobody.
        let mut code = arthur.code("c");
        code.user = spotify_mcp::domain::UserId::mint([9; 16]);
        assert!(!db.issue_code(&code, &[event()]).await.unwrap());
        assert!(!db.delete_user(&code.user, at(9), &[event()]).await.unwrap());
        assert_eq!(waiting(db).await, 0);
        let after = db.raw().await.dump().await;
        let same = |line: &&String| !line.starts_with("spotify_apps.touched_at");
        assert_eq!(
            after.iter().filter(same).collect::<Vec<_>>(),
            before.iter().filter(same).collect::<Vec<_>>()
        );
    })
    .await;
}
