//! A server with nothing against it, as facts.

use super::super::posture::Posture;
use super::super::*;
use crate::ambient::Timestamp;
use crate::backup::SealedThings;
use crate::check::proving::NOW;
use crate::config::sealed::Header;
use crate::config::{Engine, Sources};
use crate::store::{
    AppRow, BackupRow, DataKeyCount, Envelopes, Hashes, MasterKeyRow, Oldest, Ownership, PostgresStanding,
    PurposeKeyRow, RotationRow, SchemaStanding, SqliteStanding,
};

pub const DAY: i64 = 86_400;

pub fn ago(seconds: i64) -> i64 {
    NOW.secs() - seconds
}

/// A server of other people's data with nothing against it, on PostgreSQL and SQLite at once.
pub fn sound() -> Facts {
    let env = [
        ("DATA_DIR", "/var/lib/spotify-mcp"),
        ("DEPLOYMENT_ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://music.example.org"),
        ("SPOTIFY_MCP__SERVER__SECURITY_CONTACT", "mailto:security@example.org"),
        ("SPOTIFY_MCP__AUDIT__ANCHORS__FILE", "/mnt/elsewhere/anchors.ndjson"),
        ("SPOTIFY_MCP__ALERTS__COMMAND", "/usr/local/bin/page"),
    ];
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let loaded = crate::config::load(&Sources { env, ..Sources::default() }).unwrap();
    assert_eq!(loaded.problems(), []);
    Facts {
        config: loaded.as_far_as_valid().clone(),
        file_is_unread: false,
        policy_acknowledged: true,
        seal: seal(3),
        used: Ok(Some(UsedRevision { rev: 3, digest: "d".into(), at: NOW })),
        database: Ok(Box::new(posture())),
        attested: Ok(tasks(DAY)),
        trail: Ok(Some(trail())),
    }
}

pub fn seal(rev: u64) -> Seal {
    let header = Header {
        expires: Default::default(),
        format: String::new(),
        lineage: "l".into(),
        mac: String::new(),
        rev,
        sealed_at: String::new(),
        slots: Vec::new(),
    };
    Seal::Open { path: "/c.encrypted.json".into(), header: Box::new(header), digest: "d".into() }
}

pub fn tasks(age: i64) -> Vec<AttestationRow> {
    let names = [
        "log-review",
        "dependency-review",
        "access-review",
        "update-review",
        "restore-test",
        "incident-drill",
        "policy-review",
        "penetration-test",
    ];
    let one = |task: &str| AttestationRow {
        id: task.to_owned(),
        task: task.to_owned(),
        by_whom: "ada".to_owned(),
        evidence: "ticket 7".to_owned(),
        at: ago(age) * 1_000,
    };
    names.into_iter().map(one).collect()
}

pub fn posture() -> Posture {
    Posture {
        engine: Engine::Postgres,
        schema: Ok(SchemaStanding { newest: 21, applied: vec![1, 21], ..SchemaStanding::default() }),
        masters: Ok(vec![master("m2", "active", 10 * DAY), master("m1", "retired", 400 * DAY)]),
        own: Ok(vec![own(20 * DAY)]),
        data_keys: Ok(vec![data_keys(30 * DAY)]),
        apps: Ok(vec![app(30 * DAY)]),
        rotations: Ok(vec![(rotation(Some(10 * DAY)), 0)]),
        emergency: Ok(None),
        envelopes: Ok(vec![Envelopes { kind: "data_keys.wrapped", values: 9, foreign: 0 }]),
        opened: Ok(SealedThings::default()),
        ownership: Ok(Ownership::default()),
        hashes: Ok(vec![Hashes { kind: "codes.hash", values: 3, foreign: 0 }]),
        backups: Ok(vec![backup(3_600)]),
        oldest: Ok(Oldest { code: Some(ago(3_600)), ..Oldest::default() }),
        risen: Ok(0),
        sqlite: Ok(Some(SqliteStanding { journal: "wal".into(), damage: Vec::new() })),
        shared_disk: None,
        postgres: Ok(Some(PostgresStanding {
            mode: "verify-full",
            local: false,
            protected: Some("TLSv1.3 TLS_AES_256_GCM_SHA384".into()),
            role: "music".into(),
            privileges: Vec::new(),
            password_encryption: "scram-sha-256".into(),
            method: Some("scram-sha-256".into()),
        })),
    }
}

pub fn master(id: &str, state: &str, age: i64) -> MasterKeyRow {
    MasterKeyRow {
        id: id.to_owned(),
        state: state.to_owned(),
        created_at: ago(age),
        retired_at: None,
        seal_count: 5,
        handed_over: None,
        handed_over_by: None,
        handed_over_until: None,
        handed_back: None,
        handed_back_to: None,
    }
}

pub fn own(age: i64) -> PurposeKeyRow {
    PurposeKeyRow {
        id: "p".into(),
        purpose: "evidence".into(),
        master_key_id: "m2".into(),
        wrapped: Vec::new(),
        state: "active".into(),
        created_at: ago(age),
        retired_at: None,
    }
}

pub fn data_keys(age: i64) -> DataKeyCount {
    let (master_key_id, state) = ("m2".to_owned(), "active".to_owned());
    DataKeyCount { master_key_id, state, keys: 4, oldest: ago(age), most_seals: 1_000 }
}

pub fn app(age: i64) -> AppRow {
    AppRow {
        id: "a".into(),
        accounts_url: "https://accounts.spotify.com".into(),
        client_id: "c".into(),
        secret_id: Some("s".into()),
        secret_since: Some(ago(age)),
        former_secret_id: None,
        retired_at: None,
    }
}

pub fn rotation(ended: Option<i64>) -> RotationRow {
    RotationRow {
        id: "r".into(),
        kind: "master".into(),
        state: if ended.is_some() { "retired" } else { "rewrapping" }.into(),
        emergency: None,
        old_key: "m1".into(),
        new_key: "m2".into(),
        position: String::new(),
        rewritten: 4,
        overtaken: 0,
        facts: "{}".into(),
        started_at: ago(ended.unwrap_or(2 * DAY)) * 1_000,
        ended_at: ended.map(|age| ago(age) * 1_000),
    }
}

pub fn backup(age: i64) -> BackupRow {
    BackupRow {
        id: crate::domain::BackupId::mint([1; 16]),
        made_at: Timestamp::from_secs(ago(age)),
        file: "/b".into(),
        engine: "sqlite".into(),
        bytes: 1,
        digest: "d".into(),
        schema_version: 21,
        people: 4,
        verified_at: Some(Timestamp::from_secs(ago(age))),
        key_ids: vec!["m2".into()],
    }
}

pub fn trail() -> Trail {
    Trail {
        records: 100,
        signed: Some((100, Some(NOW))),
        anchored: vec![Anchored { place: "file".into(), size: 100, at: NOW }],
        sample: Sample { looked: 100, faults: Vec::new() },
        room: Some((50 << 30, 40)),
        ..Trail::default()
    }
}
