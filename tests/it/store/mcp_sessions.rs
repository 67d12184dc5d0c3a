//! Sessions of 2025-era clients.

use spotify_mcp::domain::mcp_session::Owner;
use spotify_mcp::domain::{GrantId, SessionId};
use spotify_mcp::store::{FirstUse, NewMcpSession, Recorded, Store, Touched};

use super::fixtures::{Person, at, client_id, event, fresh, grant, hash, person, waiting};
use crate::support::database::on_both;

fn opened(person: &Person, grant: &GrantId, name: &str, now: i64) -> NewMcpSession {
    NewMcpSession {
        id: SessionId::mint(fresh()),
        hash: hash(name),
        owner: Owner { user: person.user.clone(), client: client_id(), grant: Some(grant.clone()) },
        metadata: "{}".to_owned(),
        now: at(now),
        expires_at: at(now + 600),
        most_unused: 3,
    }
}

async fn used(db: &Store, session: &NewMcpSession, now: i64, most: Option<usize>) -> usize {
    let first = FirstUse {
        id: &session.id,
        user: &session.owner.user,
        now: at(now),
        expires_at: at(now + 3600),
        most,
    };
    let evicted = |_: &SessionId| -> Recorded { event() };
    db.begin_mcp_session_use(first, &|_| None, &evicted).await.unwrap().len()
}

#[tokio::test]
async fn unused_sessions_are_few_and_go_soon() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let (his, fords) = (grant(db, &arthur, "a").await, grant(db, &ford, "f").await);
        db.open_mcp_session(&opened(&ford, &fords, "ford", 0)).await.unwrap();
        let sessions: Vec<_> = (0..5).map(|n| opened(&arthur, &his, &format!("s{n}"), n)).collect();
        for session in &sessions {
            db.open_mcp_session(session).await.unwrap();
        }
        for (n, kept) in [(0, false), (1, false), (2, true), (4, true)] {
            assert_eq!(db.mcp_session(hash(format!("s{n}"))).await.unwrap().is_some(), kept, "s{n}");
        }
        assert!(db.mcp_session(hash("ford")).await.unwrap().is_some());
        assert_eq!(used(db, &sessions[4], 5, None).await, 0);
        assert_eq!(db.purge(at(605)).await.unwrap().mcp_sessions, 3, "what was used stays");
        assert!(db.mcp_session(hash("s4")).await.unwrap().is_some());
        assert_eq!(db.purge(at(3605)).await.unwrap().mcp_sessions, 1);
    })
    .await;
}

#[tokio::test]
async fn a_use_is_noted_once_and_the_least_recently_used_go() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let his = grant(db, &arthur, "a").await;
        let sessions: Vec<_> = (0..3).map(|n| opened(&arthur, &his, &format!("s{n}"), 0)).collect();
        for session in &sessions {
            db.open_mcp_session(session).await.unwrap();
        }
        assert_eq!(used(db, &sessions[0], 1, Some(2)).await, 0);
        assert_eq!(used(db, &sessions[1], 2, Some(2)).await, 0);
        db.touch_mcp_sessions(&[Touched { hash: hash("s0"), used_at: at(9), expires_at: at(99) }])
            .await
            .unwrap();
        let (_, before) = db.epochs().await.unwrap();
        assert_eq!(used(db, &sessions[2], 10, Some(2)).await, 1);
        assert_eq!(used(db, &sessions[2], 11, Some(1)).await, 0, "only the first use ends others");
        assert!(db.mcp_session(hash("s1")).await.unwrap().is_none());
        assert_eq!((db.epochs().await.unwrap().1, waiting(db).await), (before + 1, 1));
        let shown = db.mcp_sessions(&arthur.user, at(12)).await.unwrap();
        assert_eq!(
            shown.iter().map(|shown| &shown.id).collect::<Vec<_>>(),
            [&sessions[2].id, &sessions[0].id]
        );

        let ford = person(db, "ford").await;
        assert!(
            !db.end_mcp_session(&ford.user, &sessions[0].id, &[event()]).await.unwrap(),
            "somebody else's"
        );
        assert!(db.end_mcp_session(&arthur.user, &sessions[0].id, &[event()]).await.unwrap());
        assert!(!db.end_mcp_session(&arthur.user, &sessions[0].id, &[event()]).await.unwrap(), "twice");
        db.revoke_grant(&arthur.user, &his, "test", at(13), &[]).await.unwrap();
        assert!(db.mcp_session(hash("s2")).await.unwrap().is_none(), "it ends with its grant");
        assert!(db.mcp_sessions(&arthur.user, at(14)).await.unwrap().is_empty());
        assert_eq!(db.purge(at(15)).await.unwrap().mcp_sessions, 1);
    })
    .await;
}
