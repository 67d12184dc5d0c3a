//! A waiver covers what it names, until its day is over, and no farther than the profile allows.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::check::Profile;
use crate::check::proving::{catalogue_of, finding, state, verdicts};

const OPTIONAL: Bounds = Bounds { most_days: 180, wants_fingerprint: false };

fn catalogue() -> Catalogue {
    catalogue_of(&[("SMC1001", ""), ("SMC1002", "")])
}

fn read(entry: Value) -> Result<Waivers, Vec<String>> {
    parse(json!({ "waiver": [entry] }).as_object().unwrap(), &catalogue())
}

fn waiver(expires: &str) -> Waiver {
    let entry =
        json!({ "id": "SMC1001", "owner": "ada", "reason": "replaced next month", "expires": expires });
    read(entry).unwrap().list.remove(0)
}

fn failing(subject: &str) -> Finding {
    let mut finding = finding("SMC1001", State::Fail, Severity::High);
    finding.fingerprint = format!("{subject:0>32}");
    finding
}

#[test]
fn every_mistake_in_a_file_is_named() {
    let fine =
        json!({ "id": "SMC1001", "owner": "ada", "reason": "replaced next month", "expires": "2026-12-31" });
    assert!(read(fine.clone()).is_ok());
    let with = |name: &str, value: Value| {
        let mut entry = fine.clone();
        entry[name] = value;
        read(entry).unwrap_err().join("\n")
    };
    assert!(with("id", json!("SMC9999")).contains("no check SMC9999"));
    assert!(with("owner", json!(" ")).contains("owner"));
    assert!(with("reason", json!("later")).contains("reason"));
    assert!(with("expires", json!("next year")).contains("2026-12-31"));
    assert!(with("expires", json!("2026-02-30")).contains("2026-12-31"));
    assert!(with("fingerprint", json!("zz")).contains("32 digits"));
    assert!(with("expire", json!("2026-12-31")).contains("expire"));
    for member in ["id", "owner", "reason", "expires"] {
        let mut entry = fine.clone();
        entry.as_object_mut().unwrap().remove(member);
        assert!(read(entry).unwrap_err()[0].contains(member), "{member}");
    }
    let twice = parse(json!({ "waiver": [fine.clone(), fine] }).as_object().unwrap(), &catalogue());
    assert!(twice.unwrap_err()[0].contains("twice"));
    let other = parse(json!({ "waivers": [] }).as_object().unwrap(), &catalogue());
    assert!(other.unwrap_err()[0].contains("waivers"));
}

#[test]
fn a_waiver_holds_through_its_last_day_in_utc() {
    // NOW is 2026-11-21T00:00:00Z.
    let waivers = Waivers { list: vec![waiver("2026-11-21")] };
    let at = |seconds| waivers.standing(&failing("1"), OPTIONAL, NOW.plus(Duration::from_secs(seconds)));
    assert!(matches!(at(0), Some(Standing::Covered(_))));
    assert!(matches!(at(86_399), Some(Standing::Covered(_))));
    assert!(matches!(at(86_400), Some(Standing::Expired(_))));
}

#[test]
fn a_waiver_of_one_finding_covers_no_other() {
    let mut bound = waiver("2026-12-31");
    bound.fingerprint = Some(format!("{:0>32}", "1"));
    let waivers = Waivers { list: vec![bound] };
    assert!(waivers.standing(&failing("1"), OPTIONAL, NOW).is_some());
    assert!(waivers.standing(&failing("2"), OPTIONAL, NOW).is_none());
    let mut error = failing("1");
    error.state = State::Error;
    assert!(waivers.standing(&error, OPTIONAL, NOW).is_none(), "what was not seen cannot be accepted");
}

#[test]
fn a_waiver_that_reaches_too_far_covers_nothing() {
    let waivers = Waivers { list: vec![waiver("2027-11-21")] };
    assert!(waivers.standing(&failing("1"), OPTIONAL, NOW).is_none());
    let far = Bounds { most_days: 400, ..OPTIONAL };
    assert!(waivers.standing(&failing("1"), far, NOW).is_some());
    let strict = Bounds { wants_fingerprint: true, ..far };
    assert!(waivers.standing(&failing("1"), strict, NOW).is_none());
}

#[test]
fn waivers_are_judged_themselves() {
    let facts = |expires: &str, needed| Facts { file: None, waivers: vec![(waiver(expires), needed)] };
    assert_eq!(state(RULES, ID, &Facts::default()), State::NotApplicable);
    assert_eq!(state(RULES, ID, &facts("2027-12-31", Need::Needed)), State::Fail);
    assert_eq!(state(RULES, ID, &facts("2026-12-31", Need::Unknown)), State::Pass, "its check was not asked");
    let unused = verdicts(RULES, ID, &facts("2026-12-31", Need::Nothing), Profile::Production);
    assert_eq!((unused[0].state, unused[0].severity), (State::Fail, Some(Severity::Low)));
    let bank = verdicts(RULES, ID, &facts("2026-12-31", Need::Needed), Profile::Bank);
    assert!(bank[0].observed.contains("fingerprint"), "{bank:?}");
}

#[test]
fn what_needs_a_waiver_is_what_it_would_cover() {
    let waivers = Waivers { list: vec![waiver("2026-12-31")] };
    let needed = |findings: &[Finding]| Facts::of(&waivers, None, findings).waivers[0].1.clone();
    assert_eq!(needed(&[]), Need::Unknown);
    assert_eq!(needed(&[failing("1")]), Need::Needed);
    assert_eq!(needed(&[finding("SMC1001", State::Pass, Severity::High)]), Need::Nothing);
    assert_eq!(needed(&[finding("SMC1002", State::Fail, Severity::High)]), Need::Unknown);
}

#[test]
fn a_waiver_whose_fingerprint_no_longer_fits_is_told_as_that() {
    let mut bound = waiver("2026-12-31");
    bound.fingerprint = Some(format!("{:0>32}", "1"));
    let waivers = Waivers { list: vec![bound] };
    let of = |findings: &[Finding]| Facts::of(&waivers, None, findings);
    assert_eq!(of(&[failing("2"), failing("1")]).waivers[0].1, Need::Needed);
    let changed = of(&[failing("2")]);
    assert_eq!(changed.waivers[0].1, Need::OfAnother(format!("{:0>32}", "2")));
    let said = verdicts(RULES, ID, &changed, Profile::Production).remove(0);
    assert_eq!((said.state, said.severity), (State::Fail, Some(Severity::Low)));
    assert!(said.observed.contains("another fingerprint"), "{}", said.observed);
    assert!(said.fix.unwrap().contains(&format!("{:0>32}", "2")));
}

#[test]
fn all_mistakes_of_a_waiver_are_named_at_once() {
    let entry =
        json!({ "id": "SMC9999", "owner": "", "reason": "later", "expires": "soon", "fingerprint": "x" });
    let wrong = read(entry).unwrap_err();
    assert_eq!(wrong.len(), 5, "{wrong:?}");
    assert!(wrong.iter().all(|why| why.starts_with("waiver 1: ")), "{wrong:?}");
}
