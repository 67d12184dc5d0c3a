//! Ending by selection: what is counted is what is ended, on both engines, and nothing of anybody else.

use spotify_mcp::domain::UserId;
use spotify_mcp::domain::ids::EventId;
use spotify_mcp::domain::selection::{Parts, Selection};
use spotify_mcp::store::{Besides, FromLogin, NewBrowserSession, Recorded, Revoked, Revoking, Store, Told};

use super::erasure::live;
use super::fixtures::{Person, at, client_id, event, fresh, hash, person, waiting};
use super::logins::login;
use crate::support::database::on_both;

async fn revoke(db: &Store, selection: &Selection, ends: bool) -> Revoked {
    let event_id = EventId::mint(fresh());
    let what = Revoking {
        selection,
        api_keys: true,
        spotify_links: true,
        besides: Besides::Nothing,
        event: &event_id,
        now: at(20),
    };
    let told = |_: &Revoked| -> Vec<Recorded> { vec![event()] };
    let told: Option<Told<'_>> = if ends { Some(&told) } else { None };
    db.revoke(what, told).await.unwrap().unwrap()
}

fn narrowed(parts: Parts) -> Selection {
    Selection::narrowed(parts).unwrap()
}

/// Lines of a dump that tell of this person; the outbox is the trail's.
fn of(person: &Person, dump: &[String]) -> Vec<String> {
    let told = |line: &&String| {
        !line.starts_with("audit_outbox")
            && [person.user.as_str(), &person.name].iter().any(|trace| line.contains(trace))
    };
    dump.iter().filter(told).cloned().collect()
}

#[tokio::test]
async fn every_selection_ends_what_it_counts_and_nothing_twice() {
    on_both(async |db| {
        let raw = db.raw().await;
        for round in 0..6 {
            let (zaphod, arthur) =
                (live(db, &format!("zaphod{round}")).await, live(db, &format!("arthur{round}")).await);
            raw.run("UPDATE mcp_sessions SET expires_at = 2000000000").await;
            let session = raw.texts(&format!("SELECT id FROM browser_sessions WHERE user_id = '{}'", zaphod.user)).await;
            let user = Some(zaphod.user.clone());
            let client = Some(client_id());
            let (selection, kinds, links) = match round {
                0 => (Selection::of(zaphod.user.clone()), 9, 2),
                1 => (narrowed(Parts { user, client, ..Parts::default() }), 5, 0),
                2 => (narrowed(Parts { session: Some(session[0].parse().unwrap()), ..Parts::default() }), 1, 0),
                3 => (narrowed(Parts { user, issued_before: Some(at(1)), ..Parts::default() }), 9, 2),
                4 => (narrowed(Parts { issued_before: Some(at(-5)), ..Parts::default() }), 1, 0),
                _ => (Selection::everything(), 9, 24),
            };
            let before = of(&arthur, &raw.dump().await);
            let counted = revoke(db, &selection, false).await;
            let waited = waiting(db).await;
            assert_eq!(revoke(db, &selection, false).await, counted, "counting changes nothing");
            let (epoch, ended) = (db.epoch().await.unwrap(), revoke(db, &selection, true).await);
            assert_eq!(ended, counted, "round {round}");
            let of_kind = ended.kinds().iter().filter(|(_, count)| *count > 0).count();
            assert!(of_kind >= kinds, "round {round}: {ended:?}");
            assert!(ended.spotify_links == links || round >= 4, "round {round}: {ended:?}");
            assert_eq!((db.epoch().await.unwrap(), waiting(db).await), (epoch + 1, waited + 1));
            assert!(revoke(db, &selection, false).await.is_nothing(), "round {round}");
            if round < 4 {
                assert_eq!(of(&arthur, &raw.dump().await), before, "round {round}");
            }
        }
        let alive = "SELECT (SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL)
            + (SELECT COUNT(*) FROM access_tokens WHERE revoked_at IS NULL)
            + (SELECT COUNT(*) FROM browser_sessions WHERE revoked_at IS NULL)
            + (SELECT COUNT(*) FROM api_keys WHERE revoked_at IS NULL)
            + (SELECT COUNT(*) FROM linked_accounts WHERE refresh_token IS NOT NULL OR access_token IS NOT NULL)
            + (SELECT COUNT(*) FROM refresh_tokens WHERE successor IS NOT NULL)
            + (SELECT COUNT(*) FROM mcp_sessions) + (SELECT COUNT(*) FROM logins) + (SELECT COUNT(*) FROM consents)";
        assert_eq!(raw.number(alive).await, 0, "everything is everything");
    })
    .await;
}

#[tokio::test]
async fn what_comes_of_a_login_that_was_ended_is_not_stored() {
    on_both(async |db| {
        let (arthur, ford) = (person(db, "arthur").await, person(db, "ford").await);
        let taken = async |state: &str, user: Option<UserId>| {
            let begun = login(state, user);
            db.begin_login(&begun).await.unwrap();
            db.take_login(begun.state, begun.browser, at(1)).await.unwrap().unwrap();
        };
        let from = |state: &str, last: bool| Some(FromLogin { state: hash(state), last });
        taken("known", Some(arthur.user.clone())).await;
        taken("unknown", None).await;
        taken("another", None).await;
        assert_eq!(revoke(db, &Selection::of(arthur.user.clone()), true).await.logins, 1);
        taken("later", None).await;
        for (who, state, stands) in [
            (&arthur, "known", false),
            (&arthur, "unknown", false),
            (&ford, "another", true),
            (&arthur, "later", true),
        ] {
            let new = NewBrowserSession { login: from(state, false), ..who.session(state, 0, 3) };
            let begun = db.begin_browser_session(&new, &[]).await.unwrap();
            assert_eq!(begun.is_some(), stands, "{state}");
            let code = spotify_mcp::store::NewCode { login: from(state, true), ..who.code(state) };
            assert_eq!(db.issue_code(&code, &[]).await.unwrap(), stands, "{state}");
            let again = spotify_mcp::store::NewCode {
                login: from(state, true),
                ..who.code(&format!("{state} again"))
            };
            assert!(!db.issue_code(&again, &[]).await.unwrap(), "a login is completed once");
        }
        assert_eq!(db.raw().await.number("SELECT COUNT(*) FROM codes").await, 2);
    })
    .await;
}

#[tokio::test]
async fn nobody_is_told_apart_from_somebody_who_holds_nothing() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        db.delete_user(&arthur.user, at(9), &[]).await.unwrap();
        let (selection, event_id) = (Selection::of(arthur.user.clone()), EventId::mint(fresh()));
        let what = Revoking {
            selection: &selection,
            api_keys: false,
            spotify_links: false,
            besides: Besides::Disable,
            event: &event_id,
            now: at(20),
        };
        let told = |_: &Revoked| vec![event()];
        assert!(db.revoke(what, Some(&told)).await.unwrap().is_none());
        assert_eq!(waiting(db).await, 0);
    })
    .await;
}
