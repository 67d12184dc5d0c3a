//! Whoever is deleted is gone: from every table, and on SQLite from the bytes of the files.

use std::fs;

use spotify_mcp::domain::AppId;
use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::store::{BroughtApp, Recorded, SaveLink};

use super::fixtures::{Person, at, event, fresh, grant, leaving, person, waiting};
use super::links::refreshed;
use super::logins::login;
use super::refresh_tokens::rotation;
use super::usage::calls;
use crate::support::database::{Raw, TestDatabase, on_both};

/// Something of this person in every table that can hold it, some of it past the store, for what comes later.
pub async fn live(db: &TestDatabase, name: &str) -> Person {
    let person = person(db, name).await;
    let told = Event::new(EventCode::AuthnLoginSuccess).by(&person.user).link(&person.link);
    let id = grant(db, &person, name).await;
    assert!(db.rotate(&rotation(name, &format!("{name}-2"), &id, 5), &[]).await.unwrap());
    db.issue_code(&person.code(&format!("pending-{name}")), &[Recorded { event: told, ..event() }])
        .await
        .unwrap();
    db.begin_login(&login(&format!("state-{name}"), Some(person.user.clone()))).await.unwrap();
    db.begin_browser_session(&person.session(name, 0, 3), &[]).await.unwrap();
    assert!(db.save_refreshed(&person.link, 1, &refreshed(&person, 1), &[]).await.unwrap());
    db.add_usage(&[calls(&person.user, "play", 1, 0)]).await.unwrap();
    let (raw, user) = (db.raw().await, &person.user);
    let literal = |text: String| match db.place.is_postgres() {
        true => format!("'\\x{text}'::bytea"),
        false => format!("x'{text}'"),
    };
    let hash = literal(format!("{:032x}", u128::from_be_bytes(fresh())));
    raw.run(&format!(
        "INSERT INTO api_keys (id, user_id, name, prefix, hash, scope, created_at)
        VALUES ('ak_{name}', '{user}', 'Key of {name}', 'smcp_x', {hash}, 'read', 1)"
    ))
    .await;
    raw.run(&format!(
        "INSERT INTO mcp_sessions (id, user_id, session_id, client_id, created_at, last_active, expires_at,
            connection_status, metadata)
        VALUES ('s_{name}', '{user}', 'hash of {name}', 'c', 1, 1, 1, 'active', '{{}}')"
    ))
    .await;
    raw.run(&format!(
        "INSERT INTO audit_keys (id, user_id, wrapped, created_at) VALUES ('{}', '{user}', {hash}, 1)",
        pseudonym(name)
    ))
    .await;
    journal(&raw, &person, name, &hash).await;
    raw.run(&format!(
        "INSERT INTO questions (id, user_id, session_id, created_at, expires_at)
        SELECT 'qn_{name}', '{user}', id, 1, 1 FROM mcp_sessions WHERE user_id = '{user}'"
    ))
    .await;
    // An account of theirs through their own app.
    let own = Some(own_app(name));
    let second = SaveLink { own, ..person.second(&AppId::mint(fresh()), &format!("second-{name}")) };
    assert_eq!(db.save_link(&second, &[]).await.unwrap(), spotify_mcp::store::Saved::Done);
    person
}

/// A change and a plan of theirs.
async fn journal(raw: &Raw, person: &Person, name: &str, hash: &str) {
    let user = &person.user;
    raw.run(&format!(
        "INSERT INTO changes (id, user_id, link_id, tool, data_key_id, content_key, version, summary, pre_image,
            created_at, expires_at)
        VALUES ('ch_{name}', '{user}', '{}', 'update_playlist', '{}', {hash}, 1, {hash}, {hash}, 1, 1)",
        person.link, person.data_key
    ))
    .await;
    raw.run(&format!(
        "INSERT INTO plans (id, user_id, link_id, tool, asked, state, created_at, expires_at)
        VALUES ('pl_{name}', '{user}', '{}', 'deduplicate_playlist', {hash}, {hash}, 1, 1)",
        person.link
    ))
    .await;
}

fn own_app(name: &str) -> BroughtApp {
    let (sealed_id, client_secret) = (b"sealed id".to_vec(), Some(b"sealed secret".to_vec()));
    BroughtApp {
        name: format!("own app of {name}"),
        client_id: name.to_owned(),
        sealed_id,
        client_secret,
        since: 1,
    }
}

/// Tables that hold rows of people by their id.
const OF_PEOPLE: [&str; 16] = [
    "users",
    "data_keys",
    "linked_accounts",
    "consents",
    "logins",
    "grants",
    "codes",
    "browser_sessions",
    "mcp_sessions",
    "api_keys",
    "usage",
    "audit_keys",
    "audit_outbox",
    "changes",
    "plans",
    "questions",
];

/// What the trail calls this person: nothing that tells of them.
fn pseudonym(name: &str) -> String {
    format!("p_{}", name.chars().rev().collect::<String>())
}

/// Everything that tells of this person.
fn traces(person: &Person) -> Vec<String> {
    [person.user.as_str(), person.link.as_str(), person.data_key.as_str(), &person.name]
        .map(str::to_owned)
        .to_vec()
}

/// An event that tells of a person, and where they were.
fn told_of(person: &Person) -> Recorded {
    let told = Event::new(EventCode::UserDeleted).by(&person.user).detail("owner", person.user.as_str());
    Recorded { event: told.from("203.0.113.9".parse().unwrap()), ..event() }
}

#[tokio::test]
async fn nothing_of_a_deleted_person_is_left_and_everything_of_the_others() {
    on_both(async |db| {
        let (zaphod, arthur) = (live(db, "zaphod").await, live(db, "arthur").await);
        let dump = db.raw().await.dump().await;
        let tables: Vec<_> = db.raw().await.columns().await.into_iter().map(|(table, ..)| table).collect();
        // The scan sees what it looks for, in every table that belongs to people.
        for table in OF_PEOPLE {
            assert!(tables.contains(&table.to_owned()));
            let told = |line: &&String| line.starts_with(table) && line.contains(zaphod.user.as_str());
            assert!(dump.iter().any(|line| told(&line)), "{table} holds nothing of the person");
        }
        for table in ["access_tokens", "refresh_tokens"] {
            assert!(dump.iter().filter(|line| line.starts_with(&format!("{table}.hash"))).count() >= 4);
        }

        let epoch = db.epoch().await.unwrap();
        // The outbox belongs to the trail: what waits of the person from here on tells of the pseudonym alone.
        let ids: Vec<_> = db.outbox(100).await.unwrap().into_iter().map(|event| event.id).collect();
        db.outbox_drained(&ids).await.unwrap();
        db.record(&[told_of(&zaphod), told_of(&arthur)]).await.unwrap();
        let before = waiting(db).await;
        assert!(db.delete_user(&zaphod.user, at(9), &[event()]).await.unwrap());
        assert!(!db.delete_user(&zaphod.user, at(9), &[event()]).await.unwrap(), "twice");
        assert_eq!((db.epoch().await.unwrap(), waiting(db).await), (epoch + 1, before + 1));
        let texts = db.raw().await.texts("SELECT event FROM audit_outbox").await;
        assert_eq!(texts.iter().filter(|text| text.contains(&pseudonym("zaphod"))).count(), 1, "{texts:?}");
        assert_eq!(texts.iter().filter(|text| text.contains(arthur.user.as_str())).count(), 1, "{texts:?}");

        let after = db.raw().await.dump().await;
        for trace in traces(&zaphod) {
            let left: Vec<_> = after.iter().filter(|line| line.contains(&trace)).collect();
            assert!(left.is_empty(), "{trace}: {left:?}");
        }
        let of_arthur = |dump: &[String]| -> Vec<String> {
            let traces = traces(&arthur);
            let told = |line: &&String| {
                !line.starts_with("audit_outbox") && traces.iter().any(|trace| line.contains(trace))
            };
            dump.iter().filter(told).cloned().collect()
        };
        assert_eq!(of_arthur(&after), of_arthur(&dump));
        let raw = db.raw().await;
        for (table, rows) in
            [("access_tokens", 2), ("refresh_tokens", 2), ("linked_accounts", 2), ("codes", 2)]
        {
            assert_eq!(raw.number(&format!("SELECT COUNT(*) FROM {table}")).await, rows, "{table}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_files_forget_a_deleted_person_and_an_unlinked_account() {
    let db = TestDatabase::sqlite().await;
    let (zaphod, arthur) = (live(&db, "zaphod").await, live(&db, "arthur").await);
    let ids: Vec<_> = db.outbox(100).await.unwrap().into_iter().map(|event| event.id).collect();
    db.outbox_drained(&ids).await.unwrap();
    let holds = |text: &str| {
        let folder = db.place.file().parent().unwrap().to_owned();
        fs::read_dir(folder).unwrap().any(|entry| {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    };
    assert!(holds("zaphod") && holds(arthur.link.as_str()));
    db.delete_user(&zaphod.user, at(9), &[]).await.unwrap();
    for trace in traces(&zaphod) {
        assert!(!holds(&trace), "{trace}");
    }
    db.unlink(&arthur.user, &arthur.link, leaving(1), &[]).await.unwrap();
    assert!(!holds(arthur.link.as_str()));
    assert!(holds(arthur.user.as_str()));
}
