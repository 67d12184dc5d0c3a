//! What every rule says in the cases between. That each passes and fails is the self-test's.

use super::*;
use crate::check::finding::{Severity, State};
use crate::check::profile::Profile;
use crate::check::proving::verdicts;
use crate::check::runtime::cases::{confined, facts, listening};
use crate::check::runtime::key_source::Said;
use crate::check::runtime::limits::swaps;
use crate::check::runtime::mounts;
use crate::check::runtime::process::Who;
use crate::check::runtime::sockets::{Listener, Listening};

fn judged_by(id: &str, facts: &Facts) -> Vec<Verdict> {
    verdicts(RULES, id, facts, Profile::Production)
}

fn unseen<T>() -> Seen<T> {
    Err(Unseen::because("hidden"))
}

/// The state and observation of each verdict on a confined server that was changed so.
fn on(id: &str, change: impl FnOnce(&mut Linux)) -> Vec<(State, String, Option<Severity>)> {
    let mut linux = confined();
    change(&mut linux);
    judged_by(id, &facts(linux))
        .into_iter()
        .map(|verdict| (verdict.state, verdict.observed, verdict.severity))
        .collect()
}

fn first(id: &str, change: impl FnOnce(&mut Linux)) -> (State, String, Option<Severity>) {
    on(id, change).remove(0)
}

#[test]
fn what_cannot_be_seen_is_an_error_and_never_a_pass() {
    let mut hidden = confined();
    hidden.status = unseen();
    hidden.mounts = unseen();
    hidden.core = unseen();
    hidden.swaps = unseen();
    hidden.bounds = unseen();
    hidden.label = unseen();
    hidden.engine_sockets = unseen();
    hidden.listeners = unseen();
    hidden.key.in_arguments = unseen();
    hidden.surroundings.container = Some("docker".to_owned());
    hidden.surroundings.shared = unseen();
    hidden.key.said = Said::File { path: "/gone".into(), mode: None };
    hidden.key.in_environment = unseen();
    let facts = facts(hidden);
    for rule in RULES {
        for verdict in judged_by(rule.id, &facts) {
            assert_eq!(verdict.state, State::Error, "{} {}", rule.id, verdict.observed);
            assert!(verdict.subject.starts_with("the running server"), "{}", verdict.subject);
        }
    }
}

#[test]
fn another_system_is_not_applicable_and_an_unknown_server_an_error() {
    let mut other = facts(confined());
    other.system = System::Other("macos");
    let mut unknown = facts(confined());
    unknown.who = unseen();
    for rule in RULES {
        for verdict in judged_by(rule.id, &other) {
            assert_eq!(verdict.state, State::NotApplicable, "{}", rule.id);
            assert!(verdict.observed.contains("macos"));
        }
        assert!(
            judged_by(rule.id, &unknown).iter().all(|verdict| verdict.state == State::Error),
            "{}",
            rule.id
        );
    }
}

#[test]
fn whom_it_is_about_is_said() {
    let mut facts = facts(confined());
    for (who, name, source) in [
        (Who::Server(4711), "the running server", "/proc/4711/status"),
        (Who::Named(7), "the named process", "/proc/7/status"),
        (Who::Itself, "this command (no server runs)", "/proc/self/status"),
    ] {
        facts.who = Ok(who);
        let verdict = judged_by("SMC8002", &facts).remove(0);
        assert_eq!((verdict.subject.as_str(), verdict.source.to_string().as_str()), (name, source));
    }
}

#[test]
fn a_way_back_to_root_fails_however_it_looks() {
    let user = |change: fn(&mut crate::check::runtime::status::Status)| {
        first("SMC8001", |linux| change(linux.status.as_mut().unwrap()))
    };
    assert!(user(|status| status.users[2] = 0).1.contains("become root again"));
    assert!(user(|status| status.groups[0] = 0).1.contains("root's group"));
    assert_eq!(user(|status| status.supplementary.push(0)).2, Some(Severity::Medium));
    let (state, observed, _) = first("SMC8001", |linux| {
        linux.status.as_mut().unwrap().no_new_privileges = Some(false);
        linux.mounts.as_mut().unwrap()[0].setuid = true;
    });
    assert!(state == State::Fail && observed.contains("count on /"), "{observed}");
    let (state, observed, _) =
        first("SMC8001", |linux| linux.status.as_mut().unwrap().no_new_privileges = Some(false));
    assert!(state == State::Pass && observed.contains("no file system"), "{observed}");
}

#[test]
fn old_kernels_do_not_say_everything() {
    for (id, word) in [("SMC8002", "4.10"), ("SMC8004", "does not say")] {
        let (state, observed, _) = first(id, |linux| {
            let status = linux.status.as_mut().unwrap();
            status.no_new_privileges = None;
            status.seccomp = None;
        });
        assert!(state == State::Error && observed.contains(word), "{observed}");
    }
}

#[test]
fn a_low_port_may_need_its_capability_and_a_wide_bounding_set_is_a_lesser_failure() {
    let bit = 1 << 10;
    let (state, observed, _) = first("SMC8003", |linux| {
        let sets = &mut linux.status.as_mut().unwrap().capabilities;
        (sets.effective, sets.permitted, sets.ambient, sets.bounding) = (bit, bit, bit, bit);
    });
    assert!(state == State::Pass && observed.contains("net_bind_service"), "{observed}");
    let (state, observed, severity) =
        first("SMC8003", |linux| linux.status.as_mut().unwrap().capabilities.bounding = (1 << 41) - 1);
    assert!(
        state == State::Fail && observed.contains("could get 40") && severity == Some(Severity::Medium),
        "{observed}"
    );
}

#[test]
fn writable_places_are_declared_or_named() {
    let text = "1 0 0:1 / / ro - ext4 a ro\n2 1 0:2 / /var/lib/spotify-mcp/x rw - ext4 b rw\n\
        3 1 0:3 / /srv rw - ext4 c rw\n4 1 0:4 / /srv ro - ext4 d ro\n5 1 0:5 / /opt rw - xfs e rw\n";
    let (state, observed, _) = first("SMC8005", |linux| linux.mounts = mounts::parse(text));
    assert!(state == State::Fail && observed.ends_with(": /opt"), "{observed}");
    let (state, observed, _) = first("SMC8005", |linux| {
        linux.mounts = mounts::parse(text.trim_end_matches("5 1 0:5 / /opt rw - xfs e rw\n"))
    });
    assert!(state == State::Pass && observed.contains("/var/lib/spotify-mcp/x"), "{observed}");
    // A file's folder is declared, and what is below it is not.
    let beside = |point: &str| {
        let text = format!("1 0 0:1 / / ro - ext4 a ro\n2 1 0:2 / {point} rw - ext4 b rw\n");
        first("SMC8005", |linux| linux.mounts = mounts::parse(&text)).0
    };
    assert_eq!(beside("/var/log/spotify-mcp"), State::Pass);
    assert_eq!((beside("/var/log/spotify-mcp/x"), beside("/etc")), (State::Fail, State::Fail));
}

#[test]
fn memory_is_judged_by_the_process_and_else_by_the_machine() {
    let (_, observed, severity) = first("SMC8006", |linux| linux.status.as_mut().unwrap().tracer = 9);
    assert!(observed.contains("process 9 debugs") && severity == Some(Severity::Critical));
    let (state, _, severity) = first("SMC8006", |linux| linux.core.as_mut().unwrap().hard = None);
    assert_eq!((state, severity), (State::Fail, Some(Severity::Low)));
    let machine = |pattern: &str, scope: Option<u8>| {
        let (state, observed, _) = first("SMC8006", |linux| {
            linux.dumpable = unseen();
            linux.core_pattern = Ok(pattern.to_owned());
            linux.ptrace_scope = Ok(scope);
        });
        (state, observed)
    };
    assert_eq!(machine("core", Some(1)).0, State::Pass);
    assert!(machine("|/bin/x", Some(1)).1.contains("go to a program"));
    assert!(machine("core", None).1.contains("debuggers of the same user"));
    let (state, _, _) = first("SMC8006", |linux| {
        linux.dumpable = unseen();
        linux.ptrace_scope = unseen();
    });
    assert_eq!(state, State::Error);
}

#[test]
fn swap_counts_where_it_reaches_a_disk() {
    let disk = "Filename\n/dev/sda2 partition 8 0 -2\n";
    let (state, observed, _) = first("SMC8007", |linux| linux.swaps = Ok(swaps(disk)));
    assert!(state == State::Pass && observed.contains("may not"), "{observed}");
    let (state, observed, _) = first("SMC8007", |linux| {
        linux.swaps = Ok(swaps(disk));
        linux.status.as_mut().unwrap().swapped_kib = 5;
    });
    assert!(state == State::Fail && observed.contains("5 KiB"), "{observed}");
    let (state, _, _) = first("SMC8007", |linux| {
        linux.swaps = Ok(swaps(disk));
        linux.bounds = unseen();
    });
    assert_eq!(state, State::Fail);
    let locked = |locked_kib, resident_kib| {
        first("SMC8007", |linux| {
            linux.swaps = Ok(swaps(disk));
            linux.bounds = unseen();
            let status = linux.status.as_mut().unwrap();
            (status.locked_kib, status.resident_kib) = (locked_kib, resident_kib);
        })
    };
    assert_eq!(
        (locked(900, 900).0, locked(899, 900).0, locked(0, 0).0),
        (State::Pass, State::Fail, State::Fail)
    );
    assert!(locked(12, 900).1.contains("12 of 900 KiB are locked"), "{}", locked(12, 900).1);
    let (state, observed, _) =
        first("SMC8007", |linux| linux.swaps = Ok(swaps("Filename\n/dev/zram0 partition 8 0 5\n")));
    assert!(state == State::Pass && observed.contains("compressed"), "{observed}");
}

#[test]
fn a_missing_bound_is_named_and_one_above_a_pod_is_the_kubelets() {
    let without = |kubernetes: bool| {
        first("SMC8008", |linux| {
            let bounds = linux.bounds.as_mut().unwrap();
            (bounds.processes, bounds.ends_below_the_top) = (None, true);
            linux.surroundings.kubernetes = kubernetes;
        })
    };
    let (state, observed, _) = without(false);
    assert!(state == State::Fail && observed.contains("without a bound: processes"), "{observed}");
    assert!(observed.contains("memory 512 MiB") && observed.contains("2.00 processors"), "{observed}");
    let (state, observed, _) = without(true);
    assert!(state == State::Manual && observed.contains("podPidsLimit"), "{observed}");
}

#[test]
fn in_a_container_the_machines_namespaces_are_not_its_own() {
    let found =
        on("SMC8010", |linux| linux.surroundings.container = Some("control group of docker".to_owned()));
    assert_eq!(found.iter().map(|verdict| verdict.0).collect::<Vec<_>>(), [State::Pass, State::Pass]);
    let found = on("SMC8010", |linux| linux.surroundings.shared = Ok(vec!["net"]));
    assert_eq!(found[1].0, State::NotApplicable, "a machine's own service");
}

#[test]
fn listeners_are_held_against_the_configuration() {
    let at = |address: &str, listen: &str, metrics: Option<&str>| {
        let mut linux = confined();
        linux.listeners = listening(address.parse().unwrap());
        let mut facts = facts(linux);
        facts.declared.listen = vec![listen.parse().unwrap()];
        facts.declared.metrics = metrics.map(|address| address.parse().unwrap());
        let verdict = judged_by("SMC4008", &facts).remove(0);
        assert!(verdict.subject.ends_with(address), "{}", verdict.subject);
        verdict.state
    };
    assert_eq!(at("0.0.0.0:8000", "0.0.0.0:8000", None), State::Pass);
    assert_eq!(at("127.0.0.1:8000", "0.0.0.0:8000", None), State::Fail, "another address than was said");
    assert_eq!(at("127.0.0.1:8123", "127.0.0.1:0", None), State::Pass);
    assert_eq!(at("127.0.0.1:9464", "127.0.0.1:8000", Some("127.0.0.1:9464")), State::Pass);
    assert_eq!(at("10.0.0.5:9464", "127.0.0.1:8000", Some("10.0.0.5:9464")), State::Pass);
    assert_eq!(at("0.0.0.0:9464", "127.0.0.1:8000", Some("0.0.0.0:9464")), State::Fail);
    // What whoever started it said; every address is not theirs to say.
    let flagged = |address: &str, listen: &str| {
        let mut linux = confined();
        linux.listeners = listening(address.parse().unwrap());
        let mut facts = facts(linux);
        facts.declared.listen = vec![listen.parse().unwrap()];
        facts.declared.flag = Some(address.parse().unwrap());
        judged_by("SMC4008", &facts).remove(0).state
    };
    assert_eq!(flagged("127.0.0.1:9000", "127.0.0.1:8000"), State::Pass);
    assert_eq!(flagged("0.0.0.0:9000", "127.0.0.1:8000"), State::Fail);
    assert_eq!(flagged("0.0.0.0:9000", "0.0.0.0:8000"), State::Pass);
    // The system chose one port, and two are open.
    let mut linux = confined();
    linux.listeners = listening("127.0.0.1:8123".parse().unwrap());
    let other = Listener { address: "127.0.0.1:9".parse().unwrap(), user: 65_532, inode: 2 };
    linux.listeners.as_mut().unwrap().listeners.push(other);
    let mut two = facts(linux);
    two.declared.listen = vec!["127.0.0.1:0".parse().unwrap()];
    let verdicts = judged_by("SMC4008", &two);
    assert!(verdicts.len() == 2 && verdicts.iter().all(|one| one.state == State::Error), "{verdicts:?}");
    let none = |not_its_own: Option<Unseen>| {
        first("SMC4008", |linux| linux.listeners = Ok(Listening { listeners: Vec::new(), not_its_own }))
    };
    assert_eq!(none(None).0, State::NotApplicable);
    let (state, observed, _) = none(Some(Unseen::because("hidden")));
    assert!(state == State::Error && observed.contains("hidden"), "{observed}");
}

#[test]
fn a_socket_that_may_be_another_programs_is_no_evidence_either_way() {
    let hidden = |address: &str| {
        first("SMC4008", |linux| {
            linux.listeners = listening(address.parse().unwrap());
            linux.listeners.as_mut().unwrap().not_its_own = Some(Unseen::because("hidden"));
        })
    };
    assert_eq!(hidden("127.0.0.1:8000").0, State::Pass);
    let (state, observed, _) = hidden("127.0.0.5:18301");
    assert!(state == State::Error && observed.contains("127.0.0.5:18301"), "{observed}");
}

#[test]
fn the_keys_way_in_is_judged_by_the_environment_that_is_seen_and_else_by_the_configuration() {
    let source = |held: Seen<bool>, said: Said| {
        on("SMC8011", |linux| (linux.key.in_environment, linux.key.said) = (held, said)).remove(1)
    };
    let file = |mode| Said::File { path: "/etc/spotify-mcp/master.key".into(), mode: Some(mode) };
    let variable = || Said::Variable("SPOTIFY_MCP_MASTER_KEY".to_owned());
    assert_eq!(source(Ok(false), file(0o600)).0, State::Pass);
    assert_eq!(source(Ok(false), file(0o440)).0, State::Pass);
    assert_eq!(source(Ok(false), file(0o644)).2, Some(Severity::Critical));
    assert_eq!(source(Ok(true), file(0o600)).0, State::Fail);
    assert_eq!(source(unseen(), variable()).0, State::Fail);
    assert_eq!(source(Ok(false), variable()).0, State::Pass, "it is this command's, not the server's");
    assert_eq!(source(unseen(), Said::Nothing).0, State::NotApplicable);
    assert_eq!(source(unseen(), Said::Program).0, State::Pass);
}
