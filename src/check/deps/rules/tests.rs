//! What each rule says in the cases between. That each passes and fails is the self-test's.

use std::path::PathBuf;

use super::RULES;
use crate::check::deps::cases::{self, DAY, database, from, index, own, package};
use crate::check::deps::{
    Advisory, Basis, Database, Dated, Evidence, Facts, Inventory, NoList, Origin, Package,
};
use crate::check::proving::{self, NOW, state};
use crate::check::{Profile, Severity, State, Unseen, Verdict};

fn advisory(id: &str, package: &str, more: &str) -> Advisory {
    cases::advisory(id, package, more).unwrap()
}

fn good() -> Facts {
    cases::good().unwrap()
}

/// The same with other packages, by this evidence.
fn of(evidence: Evidence, packages: Vec<Package>) -> Facts {
    Facts { inventory: Ok(Inventory { evidence, packages }), ..good() }
}

fn with(database: Database) -> Facts {
    Facts { database: Some(Ok(database)), ..good() }
}

fn said(id: &str, facts: &Facts) -> Vec<Verdict> {
    proving::verdicts(RULES, id, facts, Profile::Production)
}

fn lockfile() -> Evidence {
    Evidence::Lockfile(PathBuf::from("Cargo.lock"))
}

#[test]
fn a_vulnerability_says_package_advisory_severity_and_remedy() {
    let rated =
        advisory("RUSTSEC-2026-0001", "dep", "cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"");
    let unrated = advisory("RUSTSEC-2026-0003", "dep", "aliases = [\"CVE-2026-1\"]");
    let facts = of(lockfile(), vec![Package { line: Some(7), ..package("dep", [1, 0, 0]) }]);
    let facts = Facts { database: Some(Ok(database(vec![rated, unrated]))), ..facts };
    let verdicts = said("SMC7002", &facts);
    assert_eq!(verdicts.len(), 2);
    assert_eq!(verdicts[0].subject, "RUSTSEC-2026-0001 dep 1.0.0");
    assert_eq!(verdicts[0].observed, "dep 1.0.0 is vulnerable: A hole in dep (CVSS 9.8)");
    assert_eq!(verdicts[0].severity, Some(Severity::Critical));
    assert_eq!(verdicts[0].source.to_string(), "Cargo.lock:7");
    assert_eq!(verdicts[0].fix.as_deref(), Some("Update dep to >=1.2.3."));
    assert_eq!(verdicts[0].references, ["https://rustsec.org/advisories/RUSTSEC-2026-0001.html"]);
    assert_eq!((verdicts[1].severity, verdicts[1].observed.contains("no CVSS")), (None, true));
    let why = verdicts[1].why.as_deref().unwrap();
    assert!(
        why.contains("CVE-2026-1") && why.contains("states no severity") && why.contains("lock file"),
        "{why}"
    );
}

#[test]
fn advisories_taken_back_or_about_other_platforms_are_no_failures() {
    let packages = || vec![package("dep", [1, 0, 0]), own()];
    let judged = |advisory: Advisory| {
        let facts = of(Evidence::Embedded, packages());
        said("SMC7002", &Facts { database: Some(Ok(database(vec![advisory]))), ..facts }).remove(0).state
    };
    assert_eq!(judged(advisory("RUSTSEC-2026-0001", "dep", "")), State::Fail);
    assert_eq!(judged(advisory("RUSTSEC-2026-0001", "dep", "withdrawn = \"2026-11-02\"")), State::Pass);
    let elsewhere =
        Advisory { systems: vec!["plan9".to_owned()], ..advisory("RUSTSEC-2026-0001", "dep", "") };
    assert_eq!(judged(elsewhere.clone()), State::NotApplicable);
    // A lock file may be built for anything.
    let facts = of(lockfile(), packages());
    let facts = Facts { database: Some(Ok(database(vec![elsewhere]))), ..facts };
    assert_eq!(said("SMC7002", &facts)[0].state, State::Fail);
}

#[test]
fn imported_advisories_say_whose_text_they_are() {
    let imported =
        advisory("RUSTSEC-2026-0001", "dep", "license = \"CC-BY-4.0\"\naliases = [\"GHSA-aaaa-bbbb-cccc\"]");
    let facts = of(Evidence::Embedded, vec![package("dep", [1, 0, 0]), own()]);
    let facts = Facts { database: Some(Ok(database(vec![imported]))), ..facts };
    let why = said("SMC7002", &facts).remove(0).why.unwrap();
    assert!(why.contains("CC-BY-4.0: from https://github.com/advisories/GHSA-aaaa-bbbb-cccc"), "{why}");
}

#[test]
fn without_a_database_nothing_is_clean() {
    for id in ["SMC7002", "SMC7003"] {
        let none = Facts { database: None, ..good() };
        assert_eq!(state(RULES, id, &none), State::Error, "{id}");
        assert_eq!(state(RULES, id, &Facts { offline: true, ..none.clone() }), State::NotApplicable, "{id}");
        let damaged =
            Facts { database: Some(Err(Unseen::because("it is damaged"))), offline: true, ..good() };
        assert_eq!(state(RULES, id, &damaged), State::Error, "{id}");
    }
    let partly = with(Database { unreadable: (vec!["x/y.md".to_owned()], 1), ..database(Vec::new()) });
    assert_eq!(state(RULES, "SMC7002", &partly), State::Error);
    let unseen = Facts { inventory: Err(Unseen::because("no lock file")), ..good() };
    for rule in RULES.iter().filter(|rule| !matches!(rule.id, "SMC7003" | "SMC7007")) {
        assert_eq!(state(RULES, rule.id, &unseen), State::Error, "{}", rule.id);
    }
}

#[test]
fn a_database_grows_old_by_degrees() {
    let at = |at, profile| {
        let dated = Some(Dated { at, basis: Basis::NewestAdvisory });
        let facts = with(Database { dated, ..database(Vec::new()) });
        let verdict = proving::verdicts(RULES, "SMC7003", &facts, profile).remove(0);
        (verdict.state, verdict.severity)
    };
    let old = |days: u32, profile| at(NOW.minus(days * DAY), profile);
    assert_eq!(old(7, Profile::Production), (State::Pass, None));
    assert_eq!(old(8, Profile::Production), (State::Fail, Some(Severity::Low)));
    assert_eq!(old(30, Profile::Production), (State::Fail, Some(Severity::Low)));
    assert_eq!(old(31, Profile::Production), (State::Fail, None));
    assert_eq!(old(8, Profile::Bank), (State::Fail, None));
    assert_eq!(at(NOW.plus(3 * DAY), Profile::Production), (State::Fail, None));
    let undated = with(Database { dated: None, ..database(Vec::new()) });
    assert_eq!(state(RULES, "SMC7003", &undated), State::Error);
    let verdict = said("SMC7003", &good()).remove(0);
    for part in
        ["2 days old", "committed 2026-11-19", "commit 000000000000", "700 advisories", &"0".repeat(64)]
    {
        assert!(verdict.observed.contains(part), "{part} is not in {}", verdict.observed);
    }
    assert!(!verdict.observed.ends_with('…'), "{}", verdict.observed);
}

#[test]
fn packages_that_nobody_can_audit_are_said() {
    let packages = vec![
        package("dep", [1, 2, 3]),
        from("forked", Origin::Git("https://git.example/forked".to_owned())),
        from("inner", Origin::Registry(String::new())),
        from("member", Origin::Path),
        from("other-member", Origin::Path),
    ];
    let facts = of(lockfile(), packages);
    let verdicts = said("SMC7002", &facts);
    let states: Vec<_> = verdicts.iter().map(|verdict| (verdict.state, verdict.subject.as_str())).collect();
    assert_eq!(states, [(State::Error, "packages from elsewhere"), (State::Manual, "packages from folders")]);
    let why = verdicts[0].why.as_deref().unwrap();
    assert!(
        why.contains("forked 1.0.0 (git https://git.example/forked)") && why.contains("inner 1.0.0"),
        "{why}"
    );
    let verdicts = said("SMC7006", &facts);
    let states: Vec<_> = verdicts.iter().map(|verdict| (verdict.state, verdict.subject.as_str())).collect();
    let expected = [
        (State::Fail, "forked 1.0.0"),
        (State::Fail, "inner 1.0.0"),
        (State::Manual, "packages from folders"),
    ];
    assert_eq!(states, expected);
    // The list of a program says which package is the program: any other folder is one too many.
    let embedded = of(Evidence::Embedded, vec![own(), from("member", Origin::Path)]);
    assert_eq!(state(RULES, "SMC7006", &embedded), State::Fail);
}

#[test]
fn the_embedded_list_must_be_ours_and_agree_with_the_lock_file() {
    let listed = |embedded| Facts { embedded, ..good() };
    let state = |facts: &Facts| state(RULES, "SMC7001", facts);
    assert_eq!(state(&listed(Ok(vec![own(), package("stranger", [1, 0, 0])]))), State::Fail);
    assert_eq!(state(&listed(Ok(vec![Package { name: "other".to_owned(), ..own() }]))), State::Fail);
    assert_eq!(state(&listed(Err(NoList::Damaged("cut off".to_owned())))), State::Error);
    assert_eq!(state(&of(lockfile(), vec![own()])), State::NotApplicable);
    let totals = said("SMC7001", &good()).remove(0).observed;
    assert!(totals.starts_with("2 packages by its embedded list (exact): 1 audited, 0 skipped"), "{totals}");
}

#[test]
fn what_was_yanked_or_is_behind_is_found_where_there_is_an_index() {
    let with = |index: Option<_>| Facts { index, ..good() };
    let states = |facts: &Facts| -> Vec<_> {
        let verdicts = said("SMC7004", facts);
        verdicts.into_iter().map(|verdict| (verdict.subject, verdict.state)).collect()
    };
    let pass = ("advisories".to_owned(), State::Pass);
    let unassessed = |state| vec![pass.clone(), ("yanked and outdated".to_owned(), state)];
    assert_eq!(states(&with(None)), unassessed(State::Manual));
    assert_eq!(states(&Facts { offline: true, ..with(None) }), unassessed(State::NotApplicable));
    assert_eq!(states(&with(Some(Err(Unseen::because("it is none"))))), unassessed(State::Error));
    let yanked = states(&with(Some(Ok(index([1, 2, 3], true)))));
    assert!(yanked.contains(&("yanked dep 1.2.3".to_owned(), State::Fail)), "{yanked:?}");
    let behind = states(&with(Some(Ok(index([1, 3, 0], false)))));
    assert!(behind.contains(&("outdated".to_owned(), State::Fail)), "{behind:?}");
    assert!(behind.contains(&("yanked".to_owned(), State::Error)), "{behind:?}");
}

#[test]
fn unknown_licences_are_errors_for_us_and_questions_for_others() {
    let packages = || vec![package("new", [1, 0, 0]), own()];
    assert_eq!(state(RULES, "SMC7005", &of(Evidence::Embedded, packages())), State::Error);
    assert_eq!(state(RULES, "SMC7005", &of(lockfile(), packages())), State::Manual);
}

#[test]
fn a_release_is_compared_where_its_list_is_named() {
    assert_eq!(state(RULES, "SMC7007", &Facts { release: None, ..good() }), State::Manual);
    let other = Facts { release: None, ..of(lockfile(), vec![own()]) };
    assert_eq!(state(RULES, "SMC7007", &other), State::NotApplicable);
    let broken = Facts { release: Some(Err(Unseen::because("no list"))), ..good() };
    assert_eq!(state(RULES, "SMC7007", &broken), State::Error);
}

#[test]
fn by_a_database_that_is_old_or_a_part_of_one_nothing_passes() {
    let dated = |days: u32| Some(Dated { at: NOW.minus(days * DAY), basis: Basis::Commit });
    let old = with(Database { dated: dated(31), ..database(Vec::new()) });
    let part = with(Database { count: 1, ..database(Vec::new()) });
    let ageless = with(Database { dated: None, ..database(Vec::new()) });
    let future = with(Database {
        dated: Some(Dated { at: NOW.plus(3 * DAY), basis: Basis::Commit }),
        ..database(Vec::new())
    });
    for id in ["SMC7002", "SMC7004"] {
        for (facts, stale, words) in [
            (&old, true, "the database is 31 days old"),
            (&part, false, "has 1 advisory, and a whole one at least 600"),
            (&ageless, false, "cannot be told"),
            (&future, true, "from the future"),
        ] {
            let verdicts = said(id, facts);
            let about = verdicts.iter().find(|one| one.subject == "the database").unwrap();
            assert_eq!((about.state, about.stands_on_stale), (State::Error, stale), "{id} {words}");
            assert!(about.observed.contains(words), "{}", about.observed);
            let passed = |one: &&Verdict| {
                one.state == State::Pass && !one.subject.starts_with("yanked") && one.subject != "outdated"
            };
            assert_eq!(verdicts.iter().find(passed), None, "{id} {words}");
        }
    }
    assert_eq!(state(RULES, "SMC7003", &part), State::Error);
    // What is found in an old one is found all the same.
    let hole = advisory("RUSTSEC-2026-0001", "dep", "");
    let facts = of(Evidence::Embedded, vec![package("dep", [1, 0, 0]), own()]);
    let old = Facts { database: Some(Ok(Database { dated: dated(31), ..database(vec![hole]) })), ..facts };
    let states: Vec<State> = said("SMC7002", &old).iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Fail, State::Error]);
}

#[test]
fn the_three_checks_that_stand_on_the_database_have_the_same_limits() {
    let catalogue = crate::check::Catalogue::built_in().unwrap();
    for profile in Profile::ALL {
        let limits = |id: &str| {
            let parameters = catalogue.parameters(catalogue.check(id).unwrap(), profile);
            (parameters.number("fail_days"), parameters.number("fewest_advisories"))
        };
        assert_eq!(limits("SMC7002"), limits("SMC7003"), "{profile:?}");
        assert_eq!(limits("SMC7004"), limits("SMC7003"), "{profile:?}");
    }
}

#[test]
fn a_copy_of_a_published_package_is_not_passed_over() {
    let packages = vec![package("dep", [1, 2, 3]), from("holey", Origin::Path), from("helper", Origin::Path)];
    let facts = of(lockfile(), packages);
    let hole = advisory("RUSTSEC-2026-0001", "holey", "");
    let facts = Facts { database: Some(Ok(database(vec![hole]))), ..facts };
    let verdicts = said("SMC7002", &facts);
    let of = |subject: &str| verdicts.iter().find(|one| one.subject == subject).unwrap();
    assert_eq!(of("copies of packages").state, State::Error);
    assert!(of("copies of packages").observed.contains("holey 1.0.0"));
    assert_eq!(of("packages from folders").state, State::Manual);
    // Where nothing is audited, nothing is known to be maintained.
    let facts = of_nothing();
    assert_eq!(state(RULES, "SMC7004", &facts), State::Error);
}

fn of_nothing() -> Facts {
    Facts {
        index: None,
        offline: true,
        ..of(lockfile(), vec![from("helper", Origin::Path), from("other", Origin::Path)])
    }
}
