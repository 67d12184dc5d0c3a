//! Logins in progress: taken once, by the browser that began them, in time.

use spotify_mcp::domain::{AppId, UserId};
use spotify_mcp::store::NewLogin;

use super::fixtures::{at, fresh, hash, neighbourhood, person};
use crate::support::database::on_both;

pub fn login(state: &str, user: Option<UserId>) -> NewLogin {
    NewLogin {
        from: neighbourhood("192.0.2.1"),
        most: None,
        state: hash(state),
        browser: hash(format!("browser of {state}")),
        purpose: "client",
        app: AppId::mint(fresh()),
        verifier: b"sealed verifier".to_vec(),
        request: Some(r#"{"client_id":"c"}"#.to_owned()),
        client: None,
        user,
        page: None,
        tried: Vec::new(),
        alias: None,
        spotify_scope: "user-library-read".to_owned(),
        now: at(0),
        expires_at: at(300),
    }
}

#[tokio::test]
async fn a_login_is_taken_once_and_whole() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let begun = login("s", Some(arthur.user.clone()));
        db.begin_login(&begun).await.unwrap();
        let taken = db.take_login(begun.state, begun.browser, at(299)).await.unwrap().unwrap();
        assert_eq!((taken.purpose.as_str(), &taken.app), ("client", &begun.app));
        assert_eq!((taken.verifier, taken.request), (begun.verifier, begun.request));
        assert_eq!((taken.user, taken.spotify_scope), (begun.user, begun.spotify_scope));
        assert!(db.take_login(begun.state, begun.browser, at(299)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_login_is_not_taken_late_by_another_browser_or_under_another_state() {
    on_both(async |db| {
        let begun = login("s", None);
        db.begin_login(&begun).await.unwrap();
        assert!(db.take_login(begun.state, begun.browser, at(300)).await.unwrap().is_none());
        assert!(db.take_login(begun.state, hash("thief"), at(1)).await.unwrap().is_none());
        assert!(db.take_login(hash("guess"), begun.browser, at(1)).await.unwrap().is_none());
        // None of that used it up.
        assert!(db.take_login(begun.state, begun.browser, at(1)).await.unwrap().is_some());
        // A state is never reused.
        assert!(db.begin_login(&begun).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_logins_pushes_out_its_own_network_alone() {
    on_both(async |db| {
        let from = |state: &str, address: &str, now: i64| NewLogin {
            from: neighbourhood(address),
            most: Some(40),
            now: at(now),
            expires_at: at(now + 300),
            ..login(state, None)
        };
        let there = async |began: i64| {
            let begun = at(began).secs();
            db.raw().await.number(&format!("SELECT COUNT(*) FROM logins WHERE created_at = {begun}")).await
                == 1
        };
        let all = "SELECT COUNT(*) FROM logins";
        db.begin_login(&from("victim", "198.51.100.7", 0)).await.unwrap();
        // One district fills its share, then its own oldest go.
        for n in 0..15 {
            let address = format!("2001:db8:1:{n}::1");
            db.begin_login(&from(&format!("one {n}"), &address, 1 + n)).await.unwrap();
        }
        assert_eq!(db.raw().await.number(all).await, 11);
        assert!(there(6).await && !there(5).await);
        // Several fill the total, then the oldest of those that have the most go.
        for n in 0..45 {
            let address = format!("2001:{}:1:{n}::1", 2 + n % 5);
            db.begin_login(&from(&format!("many {n}"), &address, 100 + n)).await.unwrap();
        }
        db.begin_login(&from("newcomer", "203.0.113.9", 200)).await.unwrap();
        assert_eq!(db.raw().await.number(all).await, 40);
        assert!(there(0).await && there(200).await);
        // Who is done or too late takes no room.
        let taken = from("newcomer", "203.0.113.9", 200);
        assert!(db.take_login(taken.state, taken.browser, at(201)).await.unwrap().is_some());
        db.begin_login(&from("after one was taken", "203.0.113.10", 201)).await.unwrap();
        assert_eq!(db.raw().await.number(all).await, 41);
    })
    .await;
}

#[tokio::test]
async fn a_region_of_many_networks_pushes_out_its_own_logins_alone() {
    on_both(async |db| {
        let from = |state: &str, address: &str, now: i64| NewLogin {
            from: neighbourhood(address),
            most: Some(100),
            now: at(now),
            expires_at: at(now + 300),
            ..login(state, None)
        };
        let began = async |first: i64, last: i64| {
            let (first, last) = (at(first).secs(), at(last).secs());
            let sql = format!("SELECT COUNT(*) FROM logins WHERE created_at BETWEEN {first} AND {last}");
            db.raw().await.number(&sql).await
        };
        for n in 0..75 {
            db.begin_login(&from(&format!("other {n}"), &format!("198.{n}.100.7"), n)).await.unwrap();
        }
        for n in 0..60 {
            let address = format!("192.0.{n}.7");
            db.begin_login(&from(&format!("wide {n}"), &address, 100 + n)).await.unwrap();
        }
        assert_eq!(began(0, 99).await, 75, "others'");
        let (wide, newest) = (began(100, 159).await, began(141, 159).await);
        assert!((19..=20).contains(&wide) && newest == 19, "{wide}, {newest}");
    })
    .await;
}
