//! Made-up facts of this area: a server with nothing against it, and for each rule one thing wrong.
//!
//! The self-test and the tests judge them. Never: anything of a database or trail of this machine.

use super::posture::Posture;
use super::*;
use crate::ambient::Timestamp;
use crate::backup::SealedThings;
use crate::check::self_test::{Case, NOW};
use crate::config::sealed::Header;
use crate::config::{Engine, Sources};
use crate::store::{
    AppRow, BackupRow, DataKeyCount, Envelopes, Hashes, MasterKeyRow, Oldest, Ownership, PostgresStanding,
    PurposeKeyRow, Reach, RotationRow, SchemaStanding, SqliteStanding,
};

pub(super) const DAY: i64 = 86_400;

pub(super) fn ago(seconds: i64) -> i64 {
    NOW.secs() - seconds
}

/// A server of other people's data with nothing against it, on PostgreSQL and SQLite at once.
pub(super) fn sound() -> Result<Facts, String> {
    let env = [
        ("DATA_DIR", "/var/lib/spotify-mcp"),
        ("DEPLOYMENT_ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://music.example.org"),
        ("SPOTIFY_MCP__SERVER__SECURITY_CONTACT", "mailto:security@example.org"),
        ("SPOTIFY_MCP__AUDIT__ANCHORS__FILE", "/mnt/elsewhere/anchors.ndjson"),
        ("SPOTIFY_MCP__ALERTS__COMMAND", "/usr/local/bin/page"),
    ];
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let loaded =
        crate::config::load(&Sources { env, ..Sources::default() }).map_err(|error| error.to_string())?;
    if let Some(problem) = loaded.problems().first() {
        return Err(format!("{}: {}", problem.key, problem.why));
    }
    Ok(Facts {
        config: loaded.as_far_as_valid().clone(),
        file_is_unread: false,
        policy_acknowledged: true,
        seal: seal(3),
        used: Ok(Some(UsedRevision { rev: 3, digest: "d".into(), at: NOW })),
        database: Ok(Box::new(posture())),
        attested: Ok(tasks(DAY)),
        unwritten: Ok(Vec::new()),
        way: None,
        trail: Ok(Some(trail_of(&tasks(DAY)))),
    })
}

pub(super) fn seal(rev: u64) -> Seal {
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

pub(super) fn tasks(age: i64) -> Vec<AttestationRow> {
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

pub(super) fn posture() -> Posture {
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
        newest_backup: BackupFile::Whole,
        oldest: Ok(Oldest { code: Some(ago(3_600)), ..Oldest::default() }),
        risen: Ok(0),
        sqlite: Ok(Some(SqliteStanding { journal: "wal".into(), ..SqliteStanding::default() })),
        shared_disk: None,
        postgres: Ok(Some(PostgresStanding {
            mode: "verify-full",
            local: false,
            protected: Some("TLSv1.3 TLS_AES_256_GCM_SHA384".into()),
            role: "music".into(),
            reach: Reach::default(),
            password_encryption: "scram-sha-256".into(),
            method: Some("scram-sha-256".into()),
        })),
    }
}

pub(super) fn master(id: &str, state: &str, age: i64) -> MasterKeyRow {
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

pub(super) fn own(age: i64) -> PurposeKeyRow {
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

pub(super) fn data_keys(age: i64) -> DataKeyCount {
    let (master_key_id, state) = ("m2".to_owned(), "active".to_owned());
    DataKeyCount { master_key_id, state, keys: 4, oldest: ago(age), most_seals: 1_000 }
}

pub(super) fn app(age: i64) -> AppRow {
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

pub(super) fn rotation(ended: Option<i64>) -> RotationRow {
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

pub(super) fn backup(age: i64) -> BackupRow {
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

pub(super) fn trail() -> Trail {
    Trail {
        records: 100,
        signed: Some((100, Some(NOW))),
        anchored: vec![Anchored { place: "file".into(), size: 100, at: NOW }],
        sample: Sample { looked: 100, faults: Vec::new() },
        room: Some((50 << 30, 40)),
        first_signed: Some(Timestamp::from_secs(ago(90 * DAY))),
        ..Trail::default()
    }
}

/// The same with the records of these attestations.
pub(super) fn trail_of(rows: &[AttestationRow]) -> Trail {
    let vouched = |row: &AttestationRow| Vouched { id: row.id.clone(), digest: row.digest(), seq: 50 };
    Trail { attested: rows.iter().map(vouched).collect(), ..trail() }
}

/// A case for every rule.
///
/// # Errors
/// Where the built-in policies cannot be read, which a test rules out.
pub fn cases() -> Result<Vec<Case<Facts>>, String> {
    let sound = sound()?;
    let case = |(id, mutation, change): &Change| {
        let mut changed = sound.clone();
        match change {
            Changed::Facts(change) => change(&mut changed),
            Changed::Database(change) => changed.database.iter_mut().for_each(|seen| change(seen)),
            Changed::Trail(change) => changed.trail.iter_mut().flatten().for_each(change),
        }
        Case { id, mutation, sound: sound.clone(), changed }
    };
    Ok(CHANGES.iter().map(case).collect())
}

/// A check, what is wrong, and how the facts come to show it.
type Change = (&'static str, &'static str, Changed);

enum Changed {
    Facts(fn(&mut Facts)),
    Database(fn(&mut Posture)),
    Trail(fn(&mut Trail)),
}

fn of_postgres(seen: &mut Posture, change: impl Fn(&mut PostgresStanding)) {
    seen.postgres.iter_mut().flatten().for_each(change);
}

const CHANGES: &[Change] = &[
    (
        "SMC1003",
        "one of four access tokens is no sealed value",
        Changed::Database(|seen| {
            seen.envelopes =
                Ok(vec![Envelopes { kind: "linked_accounts.access_token", values: 4, foreign: 1 }]);
        }),
    ),
    (
        "SMC1005",
        "the master key is 31 days old",
        Changed::Database(|seen| seen.masters = Ok(vec![master("m2", "active", 31 * DAY)])),
    ),
    (
        "SMC1006",
        "a key has sealed 2^32 values",
        Changed::Database(|seen| {
            seen.data_keys = Ok(vec![DataKeyCount { most_seals: 1 << 32, ..data_keys(DAY) }]);
        }),
    ),
    (
        "SMC1007",
        "a rotation has stood still for two days",
        Changed::Database(|seen| seen.rotations = Ok(vec![(rotation(None), 0)])),
    ),
    (
        "SMC1009",
        "a person's data are under another's key",
        Changed::Database(|seen| seen.ownership = Ok(Ownership { foreign: 1, ..Ownership::default() })),
    ),
    ("SMC2001", "the sealed file is an older one", Changed::Facts(|facts| facts.seal = seal(2))),
    (
        "SMC2007",
        "the server runs with another file than this",
        Changed::Facts(|facts| facts.used = Ok(Some(UsedRevision { rev: 3, digest: "e".into(), at: NOW }))),
    ),
    (
        "SMC3003",
        "codes are stored as they are",
        Changed::Database(|seen| {
            seen.hashes = Ok(vec![Hashes { kind: "codes.hash", values: 3, foreign: 3 }]);
        }),
    ),
    ("SMC5001", "the database is on NFS", Changed::Database(|seen| seen.shared_disk = Some("NFS"))),
    (
        "SMC5002",
        "the connection to PostgreSQL is not encrypted",
        Changed::Database(|seen| of_postgres(seen, |standing| standing.protected = None)),
    ),
    (
        "SMC5003",
        "its role is a superuser",
        Changed::Database(|seen| of_postgres(seen, |standing| standing.reach.grave.push("superuser".into()))),
    ),
    (
        "SMC5004",
        "it lets everybody in",
        Changed::Database(|seen| of_postgres(seen, |standing| standing.method = Some("trust".into()))),
    ),
    (
        "SMC5005",
        "a migration is not the one that ran",
        Changed::Database(|seen| {
            seen.schema = Ok(SchemaStanding { changed: vec![1], ..SchemaStanding::default() });
        }),
    ),
    (
        "SMC5006",
        "the last backup is nine days old",
        Changed::Database(|seen| seen.backups = Ok(vec![backup(9 * DAY)])),
    ),
    (
        "SMC5007",
        "a login of last month is still kept",
        Changed::Database(|seen| {
            seen.oldest = Ok(Oldest { login: Some(ago(40 * DAY)), ..Oldest::default() })
        }),
    ),
    (
        "SMC6001",
        "three records at the trail's end are missing",
        Changed::Trail(|trail| trail.problems.push("AUDIT_TRUNCATED: 3 at the end are missing".into())),
    ),
    (
        "SMC6002",
        "the last checkpoint was signed yesterday",
        Changed::Trail(|trail| trail.signed = Some((90, Some(Timestamp::from_secs(ago(DAY)))))),
    ),
    (
        "SMC6003",
        "a record lacks its time",
        Changed::Trail(|trail| trail.sample.faults.push("record 7 lacks time".into())),
    ),
    ("SMC6008", "the trail's disk is full", Changed::Trail(|trail| trail.room = Some((1 << 20, 0)))),
    ("SMC6009", "nobody is alerted", Changed::Facts(|facts| facts.config.alerts.command.clear())),
    ("SMC9001", "the log was last read eight days ago", Changed::Facts(|facts| done(facts, 8))),
    ("SMC9002", "packages were last looked at eight days ago", Changed::Facts(|facts| done(facts, 8))),
    ("SMC9003", "access was last gone through 32 days ago", Changed::Facts(|facts| done(facts, 32))),
    ("SMC9004", "updates were last looked for 32 days ago", Changed::Facts(|facts| done(facts, 32))),
    ("SMC9005", "a backup was last tried 93 days ago", Changed::Facts(|facts| done(facts, 93))),
    ("SMC9006", "an incident was last rehearsed 93 days ago", Changed::Facts(|facts| done(facts, 93))),
    ("SMC9007", "policies were last read 93 days ago", Changed::Facts(|facts| done(facts, 93))),
    ("SMC9008", "the last penetration test was 367 days ago", Changed::Facts(|facts| done(facts, 367))),
    (
        "SMC9010",
        "keys were last rotated 32 days ago",
        Changed::Database(|seen| seen.rotations = Ok(vec![(rotation(Some(32 * DAY)), 0)])),
    ),
    (
        "SMC9011",
        "a backup was last verified 32 days ago",
        Changed::Database(|seen| seen.backups = Ok(vec![backup(32 * DAY)])),
    ),
    (
        "SMC9020",
        "Spotify's policy is not acknowledged",
        Changed::Facts(|facts| facts.policy_acknowledged = false),
    ),
    (
        "SMC9021",
        "nobody is named to report holes to",
        Changed::Facts(|facts| facts.config.server.security_contact = None),
    ),
];

fn done(facts: &mut Facts, days: i64) {
    facts.trail = Ok(Some(trail_of(&tasks(days * DAY))));
    facts.attested = Ok(tasks(days * DAY));
}
