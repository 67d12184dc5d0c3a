//! Proves that a check can both pass and fail: every area's tests use it for every rule, so that one that is inverted,
//! or that looks at nothing, is caught.

use super::catalogue::Catalogue;
use super::embedded;
use super::engine::{Finding, Place};
use super::finding::{Severity, State, Verdict};
use super::profile::Profile;
use super::rule::{Ground, Rule};

pub use super::self_test::NOW;

/// What one rule says in a profile.
pub fn verdicts<F>(rules: &[Rule<F>], id: &str, facts: &F, profile: Profile) -> Vec<Verdict> {
    let rule = rules.iter().find(|rule| rule.id == id).unwrap_or_else(|| panic!("{id} has no rule"));
    let catalogue = Catalogue::built_in().unwrap();
    let check = catalogue.check(id).unwrap_or_else(|| panic!("{id} is not in the catalogue"));
    let parameters = catalogue.parameters(check, profile);
    let verdicts = (rule.judge)(facts, &Ground { now: NOW, profile, parameters: &parameters });
    assert!(!verdicts.is_empty(), "{id} says nothing");
    verdicts
}

/// What one rule says in production, in one word: the worst of it (fail, error, manual, pass, not applicable).
pub fn state<F>(rules: &[Rule<F>], id: &str, facts: &F) -> State {
    let verdicts = verdicts(rules, id, facts, Profile::Production);
    let of = |state: &State| verdicts.iter().any(|verdict| verdict.state == *state);
    State::ALL.into_iter().find(of).unwrap()
}

/// In production a rule passes on the one and fails on the other, and says what it saw.
pub fn both_ways<F>(rules: &[Rule<F>], id: &str, passing: &F, failing: &F) {
    let passed = verdicts(rules, id, passing, Profile::Production);
    assert!(passed.iter().all(|one| one.state == State::Pass), "{id} ought to pass: {passed:#?}");
    let failed = verdicts(rules, id, failing, Profile::Production);
    assert!(failed.iter().any(|one| one.state == State::Fail), "{id} ought to fail: {failed:#?}");
    let silent = |one: &Verdict| one.observed.is_empty();
    assert!(!passed.iter().chain(&failed).any(silent), "{id} does not say what it saw");
    let mut subjects: Vec<_> = failed.iter().map(|one| one.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    assert_eq!(subjects.len(), failed.len(), "{id} says two things about one subject: {failed:#?}");
}

/// Every rule has been proven: `proven` are the ids that an area's tests called [`both_ways`] with.
pub fn all_proven<F>(rules: &[Rule<F>], proven: &[&str]) {
    let missing: Vec<_> = rules.iter().map(|rule| rule.id).filter(|id| !proven.contains(id)).collect();
    assert!(missing.is_empty(), "no test shows these both passing and failing: {missing:?}");
}

/// A finding to test reports, scores and waivers with.
pub fn finding(id: &str, state: State, severity: Severity) -> Finding {
    Finding {
        stands_on_stale: false,
        id: id.to_owned(),
        name: format!("Name{id}"),
        title: format!("What {id} wants holds"),
        severity,
        state,
        subject: String::new(),
        expected: "what ought to be".to_owned(),
        observed: "what is".to_owned(),
        place: Place {
            text: "server.port (c.toml:3)".to_owned(),
            kind: "key",
            file: Some("c.toml".to_owned()),
            line: Some(3),
        },
        why: "the risk".to_owned(),
        fix: "do this".to_owned(),
        verify: "look again".to_owned(),
        references: vec!["https://example.com/advisory".to_owned()],
        tags: vec!["a-tag".to_owned()],
        controls: [("owasp_top10_2025".to_owned(), vec!["A04".to_owned()])].into(),
        key: format!("{id}-key"),
        identity: vec![id.to_owned(), String::new()],
        fingerprint: format!("{:0>32}", id.trim_start_matches("SMC")),
    }
}

/// A catalogue of these checks alone: their ids, and what stands below `[check.controls]`.
pub fn catalogue_of(checks: &[(&str, &str)]) -> Catalogue {
    let entry = |(id, controls): &(&str, &str)| {
        format!(
            "[[check]]\nid = \"{id}\"\nname = \"Name{id}\"\ntitle = \"What {id} wants holds\"\narea = \"config\"\n\
             severity = \"high\"\ntags = [\"a-tag\"]\nexpected = \"what ought to be\"\nwhy = \"the risk\"\n\
             fix = \"do this\"\nverify = \"look again\"\n[check.controls]\n{controls}\n"
        )
    };
    let mut files = embedded::files();
    files.retain(|(path, _)| !path.starts_with("checks/"));
    files.push(("checks/keys.toml".into(), checks.iter().map(entry).collect()));
    Catalogue::parse(&files, "a test").unwrap()
}
