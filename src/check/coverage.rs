//! What a run says about each framework's controls: evidenced, partly, failing, not assessable here; every control is one of them.
//!
//! A check yields evidence that supports a control. Never: that a control, or a framework, is fulfilled.

use std::collections::BTreeMap;

use serde::Serialize;

use super::catalogue::{Catalogue, Check};
use super::engine::Finding;
use super::finding::State;
use super::frameworks::{Control, Framework};
use super::profile::Profile;

/// What the three words mean, for reports.
pub const MEANING: &str = "Evidenced: every check that is mapped to the control was assessed and passed. Partly: some \
    passed. Failing: none passed, and some failed. Not assessable here: no check is mapped to it, or none of them could be assessed in this \
    run. A check yields evidence that supports a control; it does not show that the control is fulfilled.";

/// One framework's controls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The framework.
    pub id: String,
    /// Title, version and, where it is not final, its status.
    pub title: String,
    /// `final`, `beta`, ...
    pub status: String,
    /// Where it is published.
    pub source: String,
    /// All mapped checks passed.
    pub evidenced: Vec<Evidence>,
    /// Some passed.
    pub partly: Vec<Evidence>,
    /// None passed, and some failed.
    pub failing: Vec<Evidence>,
    /// Nothing here says anything about them.
    pub not_assessable: Vec<String>,
}

/// What supports one control, and what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The control.
    pub control: String,
    /// Its title; empty where the framework's list here has ids alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Its ids in the edition before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<String>,
    /// Checks that passed.
    pub passed: Vec<String>,
    /// Checks that failed, waived or not.
    pub failed: Vec<String>,
    /// Checks that were not assessed in this run.
    pub not_assessed: Vec<String>,
}

/// What became of a check as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Became {
    Passed,
    Failed,
    NotAssessed,
    NotApplicable,
}

/// Every framework's coverage, in the catalogue's order.
pub fn coverage(catalogue: &Catalogue, profile: Profile, findings: &[Finding]) -> Vec<Coverage> {
    let became = outcomes(catalogue, profile, findings);
    catalogue.frameworks.iter().map(|framework| of_framework(framework, catalogue, &became)).collect()
}

type Outcomes<'a> = BTreeMap<&'a str, Became>;

fn outcomes<'a>(catalogue: &'a Catalogue, profile: Profile, findings: &[Finding]) -> Outcomes<'a> {
    let one = |check: &'a Check| {
        catalogue.severity(check, profile)?;
        let mut states =
            findings.iter().filter(|finding| finding.id == check.id).map(|finding| finding.state);
        Some((check.id.as_str(), became(&mut states)))
    };
    catalogue.checks.iter().filter_map(one).collect()
}

fn became(states: &mut dyn Iterator<Item = State>) -> Became {
    let states: Vec<State> = states.collect();
    let any = |wanted: State| states.contains(&wanted);
    if any(State::Fail) {
        Became::Failed
    } else if states.is_empty() || any(State::Error) || any(State::Manual) {
        Became::NotAssessed
    } else if any(State::Pass) {
        Became::Passed
    } else {
        Became::NotApplicable
    }
}

fn of_framework(framework: &Framework, catalogue: &Catalogue, became: &Outcomes<'_>) -> Coverage {
    let mut covered = Coverage {
        id: framework.id.clone(),
        title: framework.named(),
        status: framework.status.clone(),
        source: framework.source.clone(),
        evidenced: Vec::new(),
        partly: Vec::new(),
        failing: Vec::new(),
        not_assessable: Vec::new(),
    };
    for control in &framework.controls {
        let evidence = of_control(framework, control, catalogue, became);
        match (evidence.passed.is_empty(), evidence.failed.is_empty(), evidence.not_assessed.is_empty()) {
            (true, true, _) => covered.not_assessable.push(control.id.clone()),
            (false, true, true) => covered.evidenced.push(evidence),
            (true, false, _) => covered.failing.push(evidence),
            _ => covered.partly.push(evidence),
        }
    }
    covered
}

fn of_control(
    framework: &Framework,
    control: &Control,
    catalogue: &Catalogue,
    became: &Outcomes<'_>,
) -> Evidence {
    let mut evidence = Evidence {
        control: control.id.clone(),
        title: control.title.clone(),
        was: control.was.clone(),
        ..Evidence::default()
    };
    let is_mapped =
        |check: &&Check| check.controls.get(&framework.id).is_some_and(|ids| ids.contains(&control.id));
    for check in catalogue.checks.iter().filter(is_mapped) {
        match became.get(check.id.as_str()) {
            Some(Became::Passed) => evidence.passed.push(check.id.clone()),
            Some(Became::Failed) => evidence.failed.push(check.id.clone()),
            Some(Became::NotAssessed) => evidence.not_assessed.push(check.id.clone()),
            Some(Became::NotApplicable) | None => {}
        }
    }
    evidence
}

/// Ids in few words: numbers without a gap are a range, `1.1.1 to 1.1.3`. What a framework has withdrawn is in none.
pub fn ranges(framework: &Framework, ids: &[String]) -> String {
    let at = |id: &String| framework.controls.iter().position(|control| control.id == *id);
    let places: Vec<usize> = ids.iter().filter_map(at).collect();
    let follows = |one: &usize, other: &usize| {
        let ((section, number), (of_other, next)) = (parted(framework, *one), parted(framework, *other));
        section == of_other && number.is_some_and(|number| next == Some(number + 1))
    };
    let id = |place: usize| framework.controls[place].id.as_str();
    let words = places.chunk_by(follows).map(|run| match run {
        [one] => id(*one).to_owned(),
        [one, other] => format!("{}, {}", id(*one), id(*other)),
        [first, .., last] => format!("{} to {}", id(*first), id(*last)),
        [] => String::new(),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// What stands before a control's last number, and that number.
fn parted(framework: &Framework, place: usize) -> (&str, Option<u32>) {
    let id = framework.controls[place].id.as_str();
    let section = id.trim_end_matches(|c: char| c.is_ascii_digit());
    (section, id[section.len()..].parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::super::proving::{catalogue_of, finding};
    use super::*;

    const ENTRIES: &[(&str, &str)] = &[
        ("SMC1001", "owasp_top10_2025 = [\"A04\", \"A01\"]"),
        ("SMC1002", "owasp_top10_2025 = [\"A04\"]"),
        ("SMC1003", "owasp_top10_2025 = [\"A07\"]"),
        ("SMC1004", "owasp_top10_2025 = [\"A08\"]"),
    ];

    fn covered(findings: &[Finding]) -> Coverage {
        coverage(&catalogue_of(ENTRIES), Profile::Production, findings).remove(0)
    }

    fn controls(evidence: &[Evidence]) -> Vec<&str> {
        evidence.iter().map(|one| one.control.as_str()).collect()
    }

    #[test]
    fn every_control_is_counted_once() {
        let of = |id, state| finding(id, state, Severity::High);
        let covered = covered(&[
            of("SMC1001", State::Pass),
            of("SMC1002", State::Error),
            of("SMC1003", State::Fail),
            of("SMC1004", State::NotApplicable),
        ]);
        assert_eq!(controls(&covered.evidenced), ["A01"]);
        assert_eq!(controls(&covered.partly), ["A04"]);
        assert_eq!(controls(&covered.failing), ["A07"]);
        assert_eq!(covered.not_assessable, ["A02", "A03", "A05", "A06", "A08", "A09", "A10"]);
        assert_eq!(covered.partly[0].not_assessed, ["SMC1002"]);
        assert_eq!(covered.evidenced[0].was, ["A01:2021", "A10:2021"]);
    }

    #[test]
    fn what_was_not_asked_is_no_evidence() {
        let covered = covered(&[]);
        assert!(covered.evidenced.is_empty() && covered.partly.is_empty());
        assert_eq!(covered.not_assessable.len(), 10);
    }

    #[test]
    fn ids_that_follow_one_another_are_a_range() {
        let catalogue = catalogue_of(ENTRIES);
        let asvs = catalogue.framework("owasp_asvs_5").unwrap();
        let ids = ["1.1.1", "1.1.2", "1.2.1", "1.2.2", "1.2.3", "2.1.1"].map(str::to_owned);
        assert_eq!(ranges(asvs, &ids), "1.1.1, 1.1.2, 1.2.1 to 1.2.3, 2.1.1");
    }

    #[test]
    fn a_range_holds_no_id_that_the_framework_has_not() {
        let catalogue = catalogue_of(ENTRIES);
        let csf = catalogue.framework("nist_csf_2").unwrap();
        let all: Vec<String> = csf.controls.iter().map(|control| control.id.clone()).collect();
        let said = ranges(csf, &all);
        for part in ["ID.AM-01 to ID.AM-05, ID.AM-07, ID.AM-08", "DE.CM-01 to DE.CM-03, DE.CM-06, DE.CM-09"] {
            assert!(said.contains(part), "{said}");
        }
        for range in said.split(", ").filter_map(|part| part.split_once(" to ")) {
            let (section, first) = range.0.rsplit_once('-').unwrap();
            let last: u32 = range.1.rsplit_once('-').unwrap().1.parse().unwrap();
            for number in first.parse().unwrap()..=last {
                assert!(csf.control(&format!("{section}-{number:02}")).is_some(), "{range:?}");
            }
        }
    }
}
