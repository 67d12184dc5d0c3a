//! Browser sessions.

use spotify_mcp::domain::SessionId;

use super::fixtures::{at, event, fresh, hash, person, waiting};
use crate::support::database::on_both;

#[tokio::test]
async fn a_session_lives_until_its_end() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let new = arthur.session("cookie", 0, 3);
        assert!(db.begin_browser_session(&new, &[event()]).await.unwrap().unwrap().is_empty());
        let session = db.browser_session(hash("cookie"), at(1)).await.unwrap().unwrap();
        assert_eq!((&session.id, &session.user, &session.agent), (&new.id, &arthur.user, &new.agent));
        assert_eq!((session.created_at, session.last_seen_at), (at(0), at(0)));
        db.touch_browser_session(&new.id, at(60)).await.unwrap();
        assert_eq!(db.browser_sessions(&arthur.user, at(61)).await.unwrap()[0].last_seen_at, at(60));
        assert!(db.browser_session(hash("cookie"), new.expires_at).await.unwrap().is_none());
        assert!(db.browser_session(hash("guess"), at(1)).await.unwrap().is_none());

        let end = async |person: &super::fixtures::Person, id: &SessionId| {
            db.end_browser_session(&person.user, id, at(70), &[event()]).await.unwrap()
        };
        assert!(!end(&ford, &new.id).await, "somebody else's");
        assert!(!end(&arthur, &SessionId::mint(fresh())).await);
        assert!(end(&arthur, &new.id).await);
        assert!(!end(&arthur, &new.id).await, "twice");
        assert!(db.browser_session(hash("cookie"), at(71)).await.unwrap().is_none());
        assert!(db.browser_sessions(&arthur.user, at(71)).await.unwrap().is_empty());
        assert_eq!(waiting(db).await, 2);
    })
    .await;
}

#[tokio::test]
async fn the_least_recently_used_session_goes() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        db.begin_browser_session(&ford.session("ford", 0, 3), &[]).await.unwrap();
        let sessions: Vec<_> = (0..4).map(|n| arthur.session(&format!("cookie{n}"), n, 3)).collect();
        for session in &sessions[..3] {
            assert!(db.begin_browser_session(session, &[]).await.unwrap().unwrap().is_empty());
        }
        db.touch_browser_session(&sessions[0].id, at(50)).await.unwrap();
        let gone = db.begin_browser_session(&sessions[3], &[]).await.unwrap().unwrap();
        assert_eq!(gone, [sessions[1].id.clone()]);
        let kept = db.browser_sessions(&arthur.user, at(60)).await.unwrap();
        let kept: Vec<_> = kept.into_iter().map(|session| session.id).collect();
        assert_eq!(kept, [sessions[0].id.clone(), sessions[3].id.clone(), sessions[2].id.clone()]);
        assert_eq!(db.browser_sessions(&ford.user, at(60)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_session_of_nobody_does_not_begin() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        db.delete_user(&arthur.user, at(9), &[]).await.unwrap();
        assert!(
            db.begin_browser_session(&arthur.session("cookie", 0, 3), &[event()]).await.unwrap().is_none()
        );
        assert_eq!(waiting(db).await, 0);
    })
    .await;
}
