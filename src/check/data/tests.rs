//! What every rule of the area says in the cases between, and where it cannot tell. That each passes and fails is the
//! self-test's.

use super::cases::{self, DAY, ago, backup, data_keys, master, posture, rotation, trail};
use super::posture::{Absent, BackupFile, Posture};
use super::*;
use crate::ambient::Timestamp;
use crate::backup::SealedThings;
use crate::check::proving::{NOW, state, verdicts};
use crate::check::{Profile, Severity, State, Unseen};
use crate::domain::SyslogPlace;
use crate::store::{BackupRow, DataKeyCount, PostgresStanding, Reach, SqliteStanding};

fn sound() -> Facts {
    cases::sound().unwrap()
}

fn changed(change: impl FnOnce(&mut Posture)) -> Facts {
    let mut facts = sound();
    let mut changed = posture();
    change(&mut changed);
    facts.database = Ok(Box::new(changed));
    facts
}

fn told(change: impl FnOnce(&mut Trail)) -> Facts {
    let mut changed = trail();
    change(&mut changed);
    Facts { trail: Ok(Some(changed)), ..sound() }
}

fn configured(change: impl FnOnce(&mut Config)) -> Facts {
    let mut facts = sound();
    change(&mut facts.config);
    facts
}

fn postgres(seen: &mut Posture) -> &mut PostgresStanding {
    seen.postgres.as_mut().unwrap().as_mut().unwrap()
}

/// Rules that say something without a database.
const WITHOUT: [&str; 8] =
    ["SMC2001", "SMC2007", "SMC6001", "SMC6002", "SMC6003", "SMC6008", "SMC6009", "SMC9020"];

#[test]
fn without_a_database_nothing_about_it_passes() {
    let unseen = Facts {
        database: Err(Absent::Unseen("the PostgreSQL server does not answer".into())),
        used: Err(Unseen::because("the PostgreSQL server does not answer")),
        attested: Err(Unseen::because("the PostgreSQL server does not answer")),
        ..sound()
    };
    let not_made =
        Facts { database: Err(Absent::NotMade("there is no database yet".into())), ..unseen.clone() };
    for rule in RULES.iter().filter(|rule| !WITHOUT.contains(&rule.id) && rule.id != "SMC9021") {
        // The configuration says SQLite: what is about PostgreSQL alone is not asked of a file that is not there.
        let expected = match rule.id {
            "SMC5002" | "SMC5003" | "SMC5004" => State::NotApplicable,
            _ => State::Error,
        };
        assert_eq!(state(RULES, rule.id, &unseen), expected, "{}", rule.id);
        assert_eq!(state(RULES, rule.id, &not_made), expected, "{}", rule.id);
        let said = verdicts(RULES, rule.id, &not_made, Profile::Development);
        assert_eq!(said[0].state, State::NotApplicable, "{}", rule.id);
    }
    assert_eq!(state(RULES, "SMC2007", &unseen), State::Error);
}

#[test]
fn values_that_nobody_could_open_are_not_called_sound() {
    let no_key =
        changed(|seen| seen.opened = Err(Unseen::because("nothing was opened: there is no master key")));
    let said = verdicts(RULES, "SMC1003", &no_key, Profile::Production);
    let states: Vec<State> = said.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Pass, State::Error]);
    let damaged = changed(|seen| {
        let mut things = SealedThings { damaged: vec!["links".into()], ..SealedThings::default() };
        let tally = crate::backup::Tally { damaged: 1, ..Default::default() };
        things.kinds.insert("linked_accounts.access_token", tally);
        seen.opened = Ok(things);
    });
    assert_eq!(state(RULES, "SMC1003", &damaged), State::Fail);
}

#[test]
fn a_seal_that_does_not_open_is_told_from_one_that_was_broken() {
    let refused = |code: &str| {
        let (path, why, fix) = ("/c.encrypted.json".into(), "why".into(), "fix".into());
        Facts { seal: Seal::Refused { path, code: code.into(), why, fix }, ..sound() }
    };
    assert_eq!(state(RULES, "SMC2001", &refused("CONFIG_TAMPERED")), State::Fail);
    assert_eq!(state(RULES, "SMC2001", &refused("CONFIG_SCHEMA")), State::Fail);
    assert_eq!(state(RULES, "SMC2001", &refused("CONFIG_NO_KEY_SOURCE")), State::Error);
    assert_eq!(state(RULES, "SMC2001", &refused("CONFIG_WRONG_KEY")), State::Error);
    let plain = Facts { seal: Seal::Plain("/c.toml".into()), ..sound() };
    assert_eq!(state(RULES, "SMC2001", &plain), State::NotApplicable);
    assert_eq!(verdicts(RULES, "SMC2001", &plain, Profile::Bank)[0].state, State::Fail);
    assert_eq!(state(RULES, "SMC2007", &Facts { used: Ok(None), ..sound() }), State::NotApplicable);
}

#[test]
fn each_engine_has_rules_that_the_other_has_not() {
    let sqlite = changed(|seen| seen.postgres = Ok(None));
    for id in ["SMC5002", "SMC5003", "SMC5004"] {
        assert_eq!(state(RULES, id, &sqlite), State::NotApplicable, "{id}");
    }
    let other = changed(|seen| seen.sqlite = Ok(None));
    assert_eq!(state(RULES, "SMC5001", &other), State::NotApplicable);
    let local = changed(|seen| {
        let standing = postgres(seen);
        (standing.protected, standing.local) = (None, true);
    });
    assert_eq!(state(RULES, "SMC5002", &local), State::Pass);
    let unverified = changed(|seen| postgres(seen).mode = "require");
    assert_eq!(state(RULES, "SMC5002", &unverified), State::Fail);
    assert_eq!(state(RULES, "SMC5004", &changed(|seen| postgres(seen).method = None)), State::Manual);
}

/// What shows how the server is doing is not what leads to the whole of it, and whoever accepts one accepts not the other.
#[test]
fn what_a_role_may_is_weighed() {
    let with = |grave: &[&str], slight: &[&str]| {
        let all = |rights: &[&str]| rights.iter().map(|right| (*right).to_owned()).collect();
        let facts = changed(|seen| {
            postgres(seen).reach = Reach { grave: all(grave), slight: all(slight) };
        });
        verdicts(RULES, "SMC5003", &facts, Profile::Production)
    };
    let watching = with(&[], &["pg_read_all_settings", "pg_checkpoint"]);
    assert_eq!((watching.len(), watching[0].state), (1, State::Fail));
    assert_eq!(watching[0].severity, Some(Severity::Medium));
    let both = with(&["ALTER SYSTEM SET archive_command"], &["pg_checkpoint"]);
    assert_eq!((both.len(), both[0].severity), (2, None), "as grave as the catalogue has it");
    assert_ne!(both[0].subject, both[1].subject);
    assert!(both[0].observed.contains("ALTER SYSTEM SET archive_command"), "{}", both[0].observed);
    assert_ne!(with(&["createdb"], &[])[0].kinds(), with(&["superuser"], &[])[0].kinds());
}

/// What is told on this machine alone can be cut off with the trail.
#[test]
fn an_anchor_must_be_held_elsewhere() {
    let anchored = |facts: &Facts| {
        let said = verdicts(RULES, "SMC6002", facts, Profile::Production);
        said.into_iter().find(|verdict| verdict.subject == "anchored").unwrap()
    };
    let beside = || told(|trail| trail.near.file = Ok(true));
    let verdict = anchored(&beside());
    assert!(
        verdict.state == State::Fail && verdict.observed.contains("on this machine"),
        "{}",
        verdict.observed
    );
    for (place, state) in [
        ("unix:/dev/log", State::Fail),
        ("udp://127.0.0.1:514", State::Fail),
        ("tcp://[::1]:514", State::Fail),
        ("tcp://192.0.2.7:514", State::Pass),
    ] {
        let mut facts = beside();
        facts.config.audit.anchors.syslog = SyslogPlace::parse(place);
        let near = near::look(&facts.config).syslog;
        if let Ok(Some(trail)) = &mut facts.trail {
            trail.near.syslog = near;
            let syslog = Anchored { place: "syslog".into(), ..trail.anchored[0].clone() };
            trail.anchored.push(syslog);
        }
        assert_eq!(anchored(&facts).state, state, "{place}");
    }
    let mut facts = sound();
    facts.config.audit.anchors.file = None;
    facts.config.audit.anchors.webhook = "http://localhost:9/x".parse().ok();
    let near = near::look(&facts.config).webhook;
    if let Ok(Some(trail)) = &mut facts.trail {
        trail.near.webhook = near;
    }
    assert!(anchored(&facts).observed.contains("webhook: on this machine"));
    // Where the file would be written there is no folder.
    let lost = told(|trail| trail.near.file = Err(Unseen::because("no folder")));
    assert_eq!(anchored(&lost).state, State::Error);
    // Never told anything, on a server that signs once a day.
    let never = |first: i64| {
        anchored(&told(|trail| {
            trail.anchored.clear();
            trail.signed = Some((100, Some(Timestamp::from_secs(ago(60)))));
            trail.first_signed = Some(Timestamp::from_secs(ago(first)));
        }))
    };
    assert_eq!((never(DAY * 3).state, never(60).state), (State::Fail, State::Pass));
}

#[test]
fn a_trail_that_nobody_can_vouch_for_is_no_pass() {
    let doubted = told(|trail| trail.doubts.push("AUDIT_NO_MARK: nothing shows".into()));
    assert_eq!(state(RULES, "SMC6001", &doubted), State::Error);
    let none = Facts { trail: Ok(None), ..sound() };
    assert_eq!(state(RULES, "SMC6001", &none), State::Error);
    let said = verdicts(RULES, "SMC6001", &none, Profile::Development);
    assert_eq!(said[0].state, State::NotApplicable);
    let nowhere = configured(|config| config.audit.anchors.file = None);
    assert_eq!(state(RULES, "SMC6002", &nowhere), State::Fail);
    let late = told(|trail| {
        trail.anchored[0] =
            Anchored { size: 5, at: Timestamp::from_secs(ago(DAY * 2)), ..trail.anchored[0].clone() }
    });
    assert_eq!(state(RULES, "SMC6002", &late), State::Fail);
}

#[test]
fn a_task_is_not_due_before_its_time_and_overdue_after_it() {
    let none = |age: i64| {
        let mut facts = changed(|seen| seen.masters = Ok(vec![master("m", "active", age)]));
        facts.attested = Ok(Vec::new());
        facts
    };
    assert_eq!(state(RULES, "SMC9001", &none(3 * DAY)), State::NotApplicable);
    assert_eq!(state(RULES, "SMC9001", &none(8 * DAY)), State::Fail);
    assert_eq!(state(RULES, "SMC9005", &none(8 * DAY)), State::NotApplicable);
    let never = changed(|seen| {
        seen.rotations = Ok(Vec::new());
        seen.masters = Ok(vec![master("m", "active", 3 * DAY)]);
    });
    assert_eq!(state(RULES, "SMC9010", &never), State::Pass);
}

#[test]
fn backups_without_their_keys_and_people_who_came_back_are_found() {
    let keyless =
        changed(|seen| seen.backups = Ok(vec![BackupRow { key_ids: vec!["gone".into()], ..backup(60) }]));
    assert_eq!(state(RULES, "SMC5006", &keyless), State::Fail);
    assert_eq!(state(RULES, "SMC5007", &changed(|seen| seen.risen = Ok(2))), State::Fail);
    let quarantined = changed(|seen| seen.rotations = Ok(vec![(rotation(Some(DAY)), 3)]));
    assert_eq!(state(RULES, "SMC1007", &quarantined), State::Fail);
    let half =
        changed(|seen| seen.data_keys = Ok(vec![DataKeyCount { most_seals: 3 << 30, ..data_keys(DAY) }]));
    let said = verdicts(RULES, "SMC1006", &half, Profile::Production);
    assert_eq!(said[0].severity, Some(Severity::Low));
}

#[test]
fn a_trail_is_not_blamed_for_what_is_not_due_yet() {
    let young = |age: i64, signed, problem: &str| {
        told(|trail| {
            trail.began = Some(Timestamp::from_secs(ago(age)));
            trail.signed = signed;
            trail.problems = vec![problem.to_owned()];
        })
    };
    let unsigned = "AUDIT_UNSIGNED: no checkpoint";
    assert_eq!(state(RULES, "SMC6001", &young(2, None, unsigned)), State::Error);
    let signed = |facts: &Facts| verdicts(RULES, "SMC6002", facts, Profile::Production).remove(0).state;
    assert_eq!(signed(&young(2, None, unsigned)), State::NotApplicable);
    // However seldom it is signed: what is older than the policy allows is not signed.
    let seldom = |age| {
        let mut facts = young(age, None, unsigned);
        facts.config.audit.checkpoint_every = Duration::from_secs(86_400);
        signed(&facts)
    };
    assert_eq!((seldom(600), seldom(700)), (State::NotApplicable, State::Fail));
    for (age, signed, problem) in
        [(61, None, unsigned), (2, None, "AUDIT_ALTERED: record 3"), (2, Some((1, Some(NOW))), unsigned)]
    {
        assert_eq!(state(RULES, "SMC6001", &young(age, signed, problem)), State::Fail, "{age} {problem}");
    }
    assert_eq!(state(RULES, "SMC6002", &young(61, None, unsigned)), State::Fail);
}

#[test]
fn a_small_share_of_a_large_disk_is_room_enough() {
    let with = |megabytes: u64, share: u64| {
        state(RULES, "SMC6008", &told(|trail| trail.room = Some((megabytes << 20, share))))
    };
    assert_eq!(with(511, 60), State::Fail);
    assert_eq!(with(512, 5), State::Pass);
    assert_eq!(with(5_119, 4), State::Fail);
    assert_eq!(with(5_120, 1), State::Pass);
}

#[test]
fn the_file_of_the_newest_backup_is_looked_at() {
    let with = |seen: BackupFile| {
        let facts = changed(|posture| posture.newest_backup = seen);
        let said = verdicts(RULES, "SMC5006", &facts, Profile::Production);
        said.into_iter().find(|one| one.subject == "file").unwrap().state
    };
    assert_eq!(with(BackupFile::Whole), State::Pass);
    assert_eq!(with(BackupFile::Gone), State::NotApplicable);
    assert_eq!(with(BackupFile::Other("it has 0 bytes".into())), State::Fail);
    assert_eq!(with(BackupFile::Unseen("permission denied".into())), State::Error);
}

#[test]
fn connections_that_are_not_set_as_servers_need_them_are_a_fault() {
    let lax = changed(|seen| {
        seen.engine = Engine::Sqlite;
        seen.sqlite = Ok(Some(SqliteStanding {
            journal: "wal".into(),
            unset: vec!["secure_delete"],
            ..SqliteStanding::default()
        }));
    });
    let said = verdicts(RULES, "SMC5001", &lax, Profile::Production).remove(0);
    assert!(said.state == State::Fail && said.observed.contains("secure_delete"), "{}", said.observed);
}

#[test]
fn what_was_never_done_is_evidence_of_nothing() {
    let at_age = |days: i64| {
        let mut facts = changed(|seen| {
            seen.masters = Ok(vec![master("m2", "active", days * DAY)]);
            seen.backups = Ok(Vec::new());
        });
        facts.attested = Ok(Vec::new());
        facts
    };
    for id in ["SMC5006", "SMC9001", "SMC9005", "SMC9008", "SMC9011"] {
        assert_eq!(state(RULES, id, &at_age(0)), State::NotApplicable, "{id}");
        assert_eq!(state(RULES, id, &at_age(400)), State::Fail, "{id}");
    }
}

/// Whoever may write to the database has attested nothing: the trail has to say the same.
#[test]
fn an_attestation_counts_where_the_trail_says_the_same() {
    type Changed = fn(&mut Facts);
    let with = |change: Changed| {
        let mut facts = sound();
        change(&mut facts);
        verdicts(RULES, "SMC9008", &facts, Profile::Production).remove(0)
    };
    assert!(with(|_| {}).observed.ends_with("by ada: ticket 7 (record 50)"));
    let of = |verdict: &Verdict| (verdict.state, verdict.observed.clone());
    let cases: [(Changed, State, &str); 11] = [
        (|facts| trail_in(facts).attested.clear(), State::Fail, "in the database alone"),
        (|facts| row_in(facts).by_whom = "Mallory".into(), State::Fail, "of other words or another time"),
        (|facts| row_in(facts).evidence = "nothing".into(), State::Fail, "of other words"),
        (|facts| row_in(facts).at += 1, State::Fail, "another time"),
        (|facts| facts.trail = Ok(None), State::Error, "no audit trail here"),
        (
            |facts| {
                facts.trail = Ok(None);
                facts.database.iter_mut().for_each(|seen| seen.engine = Engine::Sqlite);
            },
            State::Fail,
            "in the database alone, without an audit trail",
        ),
        (|facts| facts.trail = Err(Unseen::because("permission denied")), State::Error, "permission denied"),
        (|facts| trail_in(facts).problems.push("AUDIT_HASH: x".into()), State::Error, "SMC6001"),
        (|facts| trail_in(facts).signed = Some((49, None)), State::Error, "not signed yet"),
        (
            |facts| {
                trail_in(facts).attested.clear();
                facts.unwritten = Ok(vec!["penetration-test".into()]);
            },
            State::Error,
            "waits to be written",
        ),
        (
            |facts| {
                trail_in(facts).attested.clear();
                trail_in(facts).others = 1;
            },
            State::Error,
            "another server's",
        ),
    ];
    for (change, state, words) in cases {
        let (seen, said) = of(&with(change));
        assert!(seen == state && said.contains(words), "{seen:?}: {said}");
    }
    // What was removed in its time is not known; what ought still to be there is missed.
    let removed: Changed = |facts| {
        let trail = trail_in(facts);
        trail.attested.clear();
        (trail.is_shortened, trail.began) = (true, Some(Timestamp::from_secs(ago(DAY / 2))));
    };
    assert_eq!(with(removed).state, State::Error);
    let older: Changed = |facts| {
        let trail = trail_in(facts);
        trail.attested.clear();
        (trail.is_shortened, trail.began) = (true, Some(Timestamp::from_secs(ago(2 * DAY))));
    };
    assert_eq!(with(older).state, State::Fail);
}

fn trail_in(facts: &mut Facts) -> &mut Trail {
    facts.trail.as_mut().unwrap().as_mut().unwrap()
}

fn row_in(facts: &mut Facts) -> &mut AttestationRow {
    facts.attested.as_mut().unwrap().iter_mut().find(|row| row.task == "penetration-test").unwrap()
}

#[test]
fn what_is_said_to_come_later_than_now_never_passes() {
    let ahead = -400 * DAY;
    let cases = [
        ("SMC1005", changed(|seen| seen.masters = Ok(vec![master("m2", "active", ahead)]))),
        ("SMC5006", changed(|seen| seen.backups = Ok(vec![backup(ahead)]))),
        ("SMC9001", Facts { attested: Ok(cases::tasks(ahead)), ..sound() }),
        ("SMC9010", changed(|seen| seen.rotations = Ok(vec![(rotation(Some(ahead)), 0)]))),
        ("SMC9011", changed(|seen| seen.backups = Ok(vec![backup(ahead)]))),
    ];
    for (id, facts) in cases {
        assert_eq!(state(RULES, id, &facts), State::Error, "{id}");
    }
    let ahead = cases::tasks(-3_600);
    let other_zone = Facts { trail: Ok(Some(cases::trail_of(&ahead))), attested: Ok(ahead), ..sound() };
    assert_eq!(state(RULES, "SMC9001", &other_zone), State::Pass);
}

#[test]
fn a_sealed_file_is_not_called_the_newest_where_nobody_could_tell() {
    let unseen = || Err(Unseen::because("the database does not tell"));
    let facts = Facts { used: unseen(), ..sound() };
    assert_eq!(state(RULES, "SMC2001", &facts), State::Error);
    let none_yet = Facts { database: Err(Absent::NotMade("none".into())), used: unseen(), ..sound() };
    assert_eq!(verdicts(RULES, "SMC2001", &none_yet, Profile::Development)[0].state, State::Pass);
    assert_eq!(state(RULES, "SMC2001", &none_yet), State::Error);
}

#[test]
fn what_the_url_of_postgresql_asks_for_is_judged_where_nobody_answers() {
    let with = |url: &str| Facts {
        way: Way::of(url),
        database: Err(Absent::Unseen("nobody answers".into())),
        ..configured(|config| config.storage.engine = Engine::Postgres)
    };
    assert_eq!(state(RULES, "SMC5002", &with("postgres://u@db.example/x")), State::Fail);
    assert_eq!(state(RULES, "SMC5002", &with("postgres://u@192.0.2.2/x?sslmode=disable")), State::Fail);
    for unseen in ["postgres://u@db.example/x?sslmode=verify-full", "postgres://u@127.0.0.1/x"] {
        assert_eq!(state(RULES, "SMC5002", &with(unseen)), State::Error, "{unseen}");
    }
    assert_eq!(state(RULES, "SMC5001", &with("postgres://u@db.example/x")), State::NotApplicable);
}

#[test]
fn a_busy_key_is_told_with_the_rotation_that_ends_it() {
    let busy = |seals: i64| {
        changed(|seen| {
            let mut master = master("m2", "active", DAY);
            master.seal_count = seals;
            seen.masters = Ok(vec![master]);
        })
    };
    let said = verdicts(RULES, "SMC1006", &busy(1 << 32), Profile::Production);
    assert!(said[0].fix.as_ref().unwrap().ends_with("--what master"), "{said:#?}");
}
