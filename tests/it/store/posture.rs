//! Looking at a database for `security-check`: it is read as it stands, and what it counts is what is there.

use spotify_mcp::store::Store;

use crate::support::database::{Place, TestDatabase, on_both};

#[tokio::test]
async fn a_fresh_database_has_nothing_against_it() {
    on_both(async |database| {
        let look = Store::open_to_look(&database.place.url).await.unwrap();
        let schema = look.schema_standing().await.unwrap();
        assert_eq!(schema.newest, Store::newest_schema());
        assert!(
            schema.changed.is_empty() && schema.missing.is_empty() && schema.unknown.is_empty(),
            "{schema:?}"
        );
        assert!(look.envelopes().await.unwrap().iter().all(|kind| kind.values == 0 && kind.foreign == 0));
        assert!(look.hashes().await.unwrap().iter().all(|kind| kind.foreign == 0));
        assert_eq!(look.ownership().await.unwrap(), Default::default());
        assert_eq!(look.oldest_ended().await.unwrap(), Default::default());
        assert_eq!(look.risen().await.unwrap(), 0);
        let sqlite = look.sqlite_standing().await.unwrap();
        let postgres = look.postgres_standing(&database.place.url).await.unwrap();
        assert_eq!((sqlite.is_some(), postgres.is_some()), (!look.is_postgres(), look.is_postgres()));
        if let Some(sqlite) = sqlite {
            assert_eq!((sqlite.journal.as_str(), sqlite.damage.len()), ("wal", 0));
        }
        if let Some(postgres) = postgres {
            assert!(postgres.local && postgres.reach.grave[0] == "superuser", "{postgres:?}");
        }
        look.close().await;
    })
    .await;
}

#[tokio::test]
async fn nothing_can_be_written_by_who_looks() {
    on_both(async |database| {
        let look = Store::open_to_look(&database.place.url).await.unwrap();
        assert!(look.adopt_master_key("m", super::fixtures::at(0)).await.is_err());
        assert!(database.master_keys().await.unwrap().is_empty());
        look.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_does_not_belong_there_is_counted() {
    on_both(async |database| {
        let raw = database.raw().await;
        let binary = |text: &str| match database.is_postgres() {
            true => format!("'\\x{text}'::bytea"),
            false => format!("x'{text}'"),
        };
        let (one, two) = (binary("534d433101"), binary("00"));
        for sql in [
            "INSERT INTO users (id, display_name, created_at, last_seen_at) VALUES ('u_1', '', 1, 1)".to_owned(),
            "INSERT INTO users (id, display_name, created_at, last_seen_at) VALUES ('u_2', '', 1, 1)".to_owned(),
            "INSERT INTO master_keys (id, state, created_at) VALUES ('m1', 'retired', 1)".to_owned(),
            format!("INSERT INTO data_keys (id, user_id, master_key_id, wrapped, state, created_at, seal_count)
                VALUES ('k_1', 'u_1', 'm1', {one}, 'active', 1, 0), ('k_2', 'u_1', 'm0', {one}, 'active', 1, 0)"),
            format!("INSERT INTO api_keys (id, user_id, name, prefix, hash, scope, created_at, signing_key, data_key_id)
                VALUES ('a_1', 'u_2', '', '', {two}, '', 1, {two}, 'k_1'), ('a_2', 'u_2', '', '', {one}, '', 1, {two}, 'k_9')"),
            format!("INSERT INTO codes (hash, user_id, client_id, redirect_uri, challenge, resource, scope, expires_at, failures)
                VALUES ({two}, 'u_1', 'c', '', '', '', '', 77, 0)"),
            format!("INSERT INTO tombstones (mark, deleted_at) VALUES ('{}', 1)", super::fixtures::hash("u_2").hex()),
        ] {
            raw.run(&sql).await;
        }
        let look = Store::open_to_look(&database.place.url).await.unwrap();
        let owned = look.ownership().await.unwrap();
        assert_eq!((owned.several_active, owned.copied, owned.foreign, owned.dangling), (1, 1, 1, 1), "{owned:?}");
        assert_eq!((owned.under_unknown, owned.under_retired), (1, 1), "{owned:?}");
        let envelopes = look.envelopes().await.unwrap();
        let of = |kind: &str| envelopes.iter().find(|one| one.kind == kind).map(|one| (one.values, one.foreign));
        assert_eq!((of("data_keys.wrapped"), of("api_keys.signing_key")), (Some((2, 2)), Some((2, 2))));
        let hashes = look.hashes().await.unwrap();
        assert!(hashes.iter().any(|one| one.kind == "codes.hash" && one.foreign == 1), "{hashes:?}");
        assert_eq!(look.oldest_ended().await.unwrap().code, Some(77));
        assert_eq!(look.risen().await.unwrap(), 1);
        look.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let place = Place::sqlite();
    let error = Store::open_to_look(&place.url).await.err().unwrap();
    assert_eq!(error.what, "there is no database");
    assert!(!place.file().exists());
    let nobody = Store::open_to_look("postgres://nobody@127.0.0.1:1/nothing").await.err().unwrap();
    assert_eq!(nobody.what, "the PostgreSQL database cannot be reached");
}

/// What leads a role beyond its own tables, each granted by the database's administrator.
#[tokio::test]
async fn what_a_role_of_postgresql_may_beyond_its_own_is_seen() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let raw = database.raw().await;
    let name = raw.texts("SELECT current_database()::text").await.remove(0);
    let role = format!("r_{name}");
    raw.run(&format!("CREATE ROLE {role} LOGIN")).await;
    raw.run(&format!("GRANT USAGE ON SCHEMA public TO {role}")).await;
    raw.run(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")).await;
    let url = {
        let mut url = url::Url::parse(&database.place.url).unwrap();
        url.set_username(&role).unwrap();
        url.to_string()
    };
    let reach = async || {
        let look = Store::open_to_look(&url).await.unwrap();
        let reach = look.postgres_standing(&url).await.unwrap().unwrap().reach;
        look.close().await;
        reach
    };
    // The tables of this program, whoever owns them.
    assert_eq!(reach().await, Default::default());
    let grave = [
        ("GRANT ALTER SYSTEM ON PARAMETER archive_command TO _ROLE", "ALTER SYSTEM SET archive_command"),
        ("GRANT SET ON PARAMETER session_preload_libraries TO _ROLE", "SET session_preload_libraries"),
        ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO _ROLE", "EXECUTE pg_read_file"),
        (
            "CREATE FUNCTION any_sql(said text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
                AS 'BEGIN EXECUTE said; END'",
            "EXECUTE any_sql(text) with the rights of postgres",
        ),
        ("GRANT pg_write_server_files TO _ROLE", "pg_write_server_files"),
        ("CREATE ROLE _ROLE_above CREATEROLE; GRANT _ROLE_above TO _ROLE", "createrole"),
        (
            "CREATE SCHEMA others; CREATE TABLE others.wages (a int); GRANT USAGE ON SCHEMA others TO _ROLE;
                GRANT SELECT, DELETE ON others.wages TO _ROLE",
            "SELECT, DELETE on others.wages of postgres",
        ),
    ];
    for (sql, seen) in grave {
        raw.run(&sql.replace("_ROLE", &role)).await;
        let reach = reach().await;
        assert!(reach.grave.iter().any(|one| one == seen) && reach.slight.is_empty(), "{seen}: {reach:?}");
    }
    for (sql, seen) in [
        ("GRANT pg_read_all_settings TO", "pg_read_all_settings"),
        ("GRANT SET ON PARAMETER log_duration TO", "SET log_duration"),
    ] {
        raw.run(&format!("{sql} {role}")).await;
        let reach = reach().await;
        assert!(
            reach.slight.iter().any(|one| one == seen) && reach.grave.len() == grave.len(),
            "{seen}: {reach:?}"
        );
    }
    raw.run(&format!("DROP OWNED BY {role}")).await;
    raw.run(&format!("DROP ROLE {role}")).await;
    raw.run(&format!("DROP ROLE {role}_above")).await;
}
