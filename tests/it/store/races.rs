//! Races, on two servers of one database: whatever may happen once happens once.

#![allow(clippy::excessive_nesting, reason = "a contender is a block in a closure in a closure in a test")]

use spotify_mcp::domain::GrantId;
use spotify_mcp::store::{NewLogin, Saved, Store};

use super::fixtures::{app, at, event, fresh, grant, hash, leaving, newcomer, person, race, tokens, waiting};
use super::links::refreshed;
use super::logins::login;
use super::refresh_tokens::rotation;
use crate::support::database::{TestDatabase, on_both};

const CONTENDERS: usize = 16;

/// Two servers.
async fn nodes(db: &TestDatabase) -> [Store; 2] {
    [db.store(), db.node().await]
}

fn winners(fared: &[bool]) -> usize {
    fared.iter().filter(|won| **won).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_is_redeemed_once() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        db.issue_code(&arthur.code("c"), &[]).await.unwrap();
        let nodes = nodes(db).await;
        let fared = race(CONTENDERS, |n| {
            let node = nodes[n % 2].clone();
            async move {
                let id = GrantId::mint(fresh());
                let pair = tokens(&n.to_string(), 1);
                node.redeem_code(hash("c"), &id, at(1000), &pair, &[event()]).await.unwrap()
            }
        })
        .await;
        assert_eq!((winners(&fared), waiting(db).await), (1, 1));
        let raw = db.raw().await;
        for table in ["grants", "access_tokens", "refresh_tokens"] {
            assert_eq!(raw.number(&format!("SELECT COUNT(*) FROM {table}")).await, 1, "{table}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_token_is_rotated_once_and_the_losers_see_the_successor() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let id = grant(db, &arthur, "a").await;
        let nodes = nodes(db).await;
        let fared = race(10, |n| {
            let (node, id) = (nodes[n % 2].clone(), id.clone());
            async move {
                let rotation = rotation("a", &format!("next{n}"), &id, 100);
                if node.rotate(&rotation, &[event()]).await.unwrap() {
                    return (true, rotation.successor);
                }
                (false, node.successor(hash("refresh-a")).await.unwrap().unwrap())
            }
        })
        .await;
        assert_eq!((fared.iter().filter(|(won, _)| *won).count(), waiting(db).await), (1, 1));
        assert!(fared.iter().all(|(_, successor)| *successor == fared[0].1), "{fared:?}");
        assert_eq!(db.refresh_token(hash("refresh-a")).await.unwrap().unwrap().token.grace_uses, 9);
        assert_eq!(db.raw().await.number("SELECT COUNT(*) FROM access_tokens").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_is_taken_once() {
    on_both(async |db| {
        let begun = login("s", None);
        db.begin_login(&begun).await.unwrap();
        let nodes = nodes(db).await;
        let fared = race(CONTENDERS, |n| {
            let (node, begun) = (nodes[n % 2].clone(), begun.clone());
            async move { node.take_login(begun.state, begun.browser, at(1)).await.unwrap().is_some() }
        })
        .await;
        assert_eq!(winners(&fared), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_that_begin_at_once_all_begin_and_keep_to_the_total() {
    on_both(async |db| {
        let nodes = nodes(db).await;
        let begun = |n: usize| NewLogin { most: Some(4), ..login(&format!("s{n}"), None) };
        for round in 0..4 {
            let fared = race(CONTENDERS, |n| {
                let (node, begun) = (nodes[n % 2].clone(), begun(round * CONTENDERS + n));
                async move { node.begin_login(&begun).await.is_ok() }
            })
            .await;
            assert_eq!(winners(&fared), CONTENDERS);
        }
        db.begin_login(&begun(1_000)).await.unwrap();
        assert_eq!(db.raw().await.number("SELECT COUNT(*) FROM logins").await, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_account_becomes_one_person() {
    on_both(async |db| {
        let app = app(db, "app", Some(5)).await;
        let nodes = nodes(db).await;
        let fared = race(CONTENDERS, |n| {
            let (node, save) = (nodes[n % 2].clone(), newcomer(&app, "arthur"));
            async move { node.save_link(&save, &[event()]).await.unwrap() }
        })
        .await;
        assert_eq!(fared.iter().filter(|saved| **saved == Saved::Done).count(), 1, "{fared:?}");
        assert!(fared.iter().all(|saved| *saved != Saved::NoSeat), "{fared:?}");
        assert_eq!((db.count_users().await.unwrap(), waiting(db).await), (1, 1));
        assert_eq!(db.raw().await.number("SELECT COUNT(*) FROM data_keys").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_person_gets_no_more_than_ten_accounts_however_many_come_at_once() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let nodes = nodes(db).await;
        let fared = race(CONTENDERS, |n| {
            let (node, save) = (nodes[n % 2].clone(), arthur.second(&arthur.app, &format!("n{n}")));
            async move { node.save_link(&save, &[event()]).await.unwrap() }
        })
        .await;
        let count = |fate: Saved| fared.iter().filter(|saved| **saved == fate).count();
        assert_eq!((count(Saved::Done), count(Saved::TooMany)), (9, CONTENDERS - 9), "{fared:?}");
        assert_eq!((db.links(&arthur.user).await.unwrap().len(), waiting(db).await), (10, 9));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_app_gives_out_exactly_its_seats() {
    on_both(async |db| {
        let app = app(db, "app", Some(5)).await;
        let nodes = nodes(db).await;
        let fared = race(CONTENDERS, |n| {
            let (node, save) = (nodes[n % 2].clone(), newcomer(&app, &n.to_string()));
            async move { node.save_link(&save, &[event()]).await.unwrap() }
        })
        .await;
        let count = |fate: Saved| fared.iter().filter(|saved| **saved == fate).count();
        assert_eq!((count(Saved::Done), count(Saved::NoSeat)), (5, CONTENDERS - 5));
        assert_eq!((db.seats_taken(&app).await.unwrap(), db.count_users().await.unwrap()), (5, 5));
        assert_eq!(waiting(db).await, 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moving_into_the_last_seat_and_a_newcomer_do_not_both_get_it() {
    on_both(async |db| {
        let small = app(db, "small", Some(1)).await;
        let arthur = person(db, "arthur").await;
        let nodes = nodes(db).await;
        let fared = race(8, |n| {
            let mut save = if n == 0 { arthur.again(1) } else { newcomer(&small, &n.to_string()) };
            save.app = small.clone();
            let node = nodes[n % 2].clone();
            async move { node.save_link(&save, &[]).await.unwrap() == Saved::Done }
        })
        .await;
        assert_eq!((winners(&fared), db.seats_taken(&small).await.unwrap()), (1, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_server_may_refresh_at_a_time_and_an_expired_right_is_taken_once() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let nodes = nodes(db).await;
        for now in [0, 10, 20] {
            let fared =
                race(CONTENDERS, |n| {
                    let (node, link) = (nodes[n % 2].clone(), arthur.link.clone());
                    async move {
                        node.lease_refresh(&link, 1, &format!("h{n}"), at(now), at(now + 10)).await.unwrap()
                    }
                })
                .await;
            assert_eq!(winners(&fared), 1, "at {now}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_never_exceed_their_limit() {
    on_both(async |db| {
        let nodes = nodes(db).await;
        for round in 0..5 {
            let arthur = person(db, &format!("arthur{round}")).await;
            let ended = race(CONTENDERS, |n| {
                let node = nodes[n % 2].clone();
                let session = arthur.session(&format!("{round}-{n}"), 0, 3);
                async move { node.begin_browser_session(&session, &[event()]).await.unwrap() }
            })
            .await;
            assert_eq!(db.browser_sessions(&arthur.user, at(1)).await.unwrap().len(), 3);
            let mut ended: Vec<_> = ended.into_iter().flatten().flatten().collect();
            ended.sort();
            ended.dedup();
            assert_eq!(ended.len(), CONTENDERS - 3, "each ended once");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_refresh_a_failed_refresh_and_a_new_login_one_is_saved() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let nodes = nodes(db).await;
        for round in 0..10 {
            let version = db.link_tokens(&arthur.link).await.unwrap().unwrap().version;
            let fared = race(6, |n| {
                let (node, link) = (nodes[n % 2].clone(), arthur.link.clone());
                let (tokens, login) = (refreshed(&arthur, version), arthur.again(version));
                async move {
                    match n % 3 {
                        0 => node.save_refreshed(&link, version, &tokens, &[event()]).await.unwrap(),
                        1 => node.mark_reconnect(&link, version, "x", at(1), &[event()]).await.unwrap(),
                        _ => node.save_link(&login, &[event()]).await.unwrap() == Saved::Done,
                    }
                }
            })
            .await;
            assert_eq!((winners(&fared), waiting(db).await), (1, round + 1));
            // One outcome whole: tokens and no reason, or a reason and no tokens.
            let found = db.link_tokens(&arthur.link).await.unwrap().unwrap();
            assert_eq!(found.version, version + 1);
            assert_eq!(found.access.is_some(), found.refresh.is_some());
            if fared[1] || fared[4] {
                assert!(found.access.is_none() && found.reconnect_reason.is_some());
                db.save_link(&arthur.again(version + 1), &[]).await.unwrap();
            } else {
                assert!(found.access.is_some() && found.reconnect_reason.is_none());
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_person_with_accounts_always_has_one_primary() {
    on_both(async |db| {
        let apps = [app(db, "one", None).await, app(db, "two", None).await];
        let nodes = nodes(db).await;
        for round in 0..10 {
            let arthur = person(db, &format!("arthur{round}")).await;
            let names: Vec<_> = (0..6).map(|n| format!("account{n}-{round}")).collect();
            let saves: Vec<_> = (0..6).map(|n| arthur.second(&apps[n % 2], &names[n])).collect();
            for save in &saves[..3] {
                assert_eq!(db.save_link(save, &[]).await.unwrap(), Saved::Done);
            }
            // Three accounts and the primary one go while three others come.
            race(7, |n| {
                let (node, user) = (nodes[n % 2].clone(), arthur.user.clone());
                let (link, save) = match n {
                    6 => (Some(arthur.link.clone()), None),
                    0..3 => (saves[n].link.as_ref().err().map(|new| new.id.clone()), None),
                    _ => (None, Some(saves[n].clone())),
                };
                async move {
                    if let Some(link) = link {
                        assert!(node.unlink(&user, &link, leaving(1), &[]).await.unwrap());
                    }
                    if let Some(save) = save {
                        assert_eq!(node.save_link(&save, &[]).await.unwrap(), Saved::Done);
                    }
                }
            })
            .await;
            let links = db.links(&arthur.user).await.unwrap();
            assert_eq!((links.len(), links.iter().filter(|link| link.primary).count()), (3, 1), "{links:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_ended_grant_gives_no_living_tokens_whoever_was_first() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let nodes = nodes(db).await;
        for round in 0..10 {
            let id = grant(db, &arthur, &format!("r{round}")).await;
            let fared = race(4, |n| {
                let (node, user, id) = (nodes[n % 2].clone(), arthur.user.clone(), id.clone());
                async move {
                    if n == 3 {
                        return node.revoke_grant(&user, &id, "x", at(2), &[]).await.unwrap();
                    }
                    let rotation = rotation(&format!("r{round}"), &format!("r{round}-{n}"), &id, 1);
                    node.rotate(&rotation, &[]).await.unwrap()
                }
            })
            .await;
            assert!(fared[3] && winners(&fared[..3]) <= 1);
            for name in ["".to_owned()].into_iter().chain((0..3).map(|n| format!("-{n}"))) {
                let found = db.access_grant(hash(format!("access-r{round}{name}"))).await.unwrap();
                assert!(found.is_none_or(|access| access.ended));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_person_who_is_deleted_amid_everything_is_gone_and_nobody_trips() {
    on_both(async |db| {
        let nodes = nodes(db).await;
        for round in 0..8 {
            let name = format!("arthur{round}");
            let arthur = std::sync::Arc::new(person(db, &name).await);
            let id = grant(db, &arthur, &name).await;
            db.issue_code(&arthur.code(&format!("pending{round}")), &[]).await.unwrap();
            race(9, |n| {
                let (node, arthur, id, name) =
                    (nodes[n % 2].clone(), arthur.clone(), id.clone(), name.clone());
                async move { act(n, round, &node, &arthur, &id, &name).await }
            })
            .await;
            let left = db.raw().await.dump().await;
            let left: Vec<_> = left.iter().filter(|line| line.contains(arthur.user.as_str())).collect();
            assert!(left.is_empty(), "{left:?}");
            for table in ["access_tokens", "refresh_tokens", "grants", "codes"] {
                assert_eq!(
                    db.raw().await.number(&format!("SELECT COUNT(*) FROM {table}")).await,
                    0,
                    "{table}"
                );
            }
        }
    })
    .await;
}

/// What a server may be doing for a person at the instant of their deletion. Whatever needs them may be refused,
/// but no decision that compares and sets may fail.
async fn act(
    n: usize,
    round: usize,
    node: &Store,
    arthur: &super::fixtures::Person,
    id: &GrantId,
    name: &str,
) {
    match n {
        0 => assert!(node.delete_user(&arthur.user, at(9), &[]).await.unwrap()),
        1 | 2 => {
            let mut from = name.to_owned();
            for step in 0..5 {
                let to = format!("{name}-{n}-{step}");
                if !node.rotate(&rotation(&from, &to, id, 1), &[]).await.unwrap() {
                    break;
                }
                from = to;
            }
        }
        3 => drop(node.revoke_grant(&arthur.user, id, "x", at(1), &[]).await.unwrap()),
        4 => {
            let code = hash(format!("pending{round}"));
            let grant = GrantId::mint(fresh());
            node.redeem_code(code, &grant, at(99), &tokens(&format!("p{round}"), 1), &[]).await.unwrap();
        }
        5 => drop(node.unlink(&arthur.user, &arthur.link, leaving(1), &[]).await.unwrap()),
        6 => {
            let rows = ["play", "pause"].map(|tool| super::usage::calls(&arthur.user, tool, 1, 0));
            node.add_usage(&rows).await.unwrap();
        }
        7 => drop(node.save_link(&arthur.again(1), &[]).await.unwrap()),
        _ => drop(node.begin_browser_session(&arthur.session(&format!("c{round}"), 0, 3), &[]).await),
    }
}
