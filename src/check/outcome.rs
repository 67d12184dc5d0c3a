//! What counts: findings beside their waivers and the baseline, and what the run as a whole comes to (product.md 2).
//!
//! Pure. Never: a clean end where something that was asked could not be assessed.

use super::baseline::{Baseline, Change};
use super::catalogue::STALE_INPUT;
use super::engine::Finding;
use super::finding::{Severity, State};
use super::waiver::{Bounds, Standing, Waivers};
use crate::ambient::Timestamp;

/// A finding with what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What was found.
    pub finding: Finding,
    /// The waiver that covers it, or did.
    pub waiver: Option<Standing>,
    /// How it stands to the baseline, where there is one and it is a failure.
    pub change: Option<Change>,
    /// What it weighs.
    pub weight: Weight,
}

/// What a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A failure at or above the threshold.
    Counts,
    /// What was asked could not be assessed: an error, or a critical check that nobody has attested.
    Unseen,
    /// A failure whose waiver has expired.
    Expired,
    /// An input is too old, and what cannot be assessed by it.
    Stale,
    /// A failure that the baseline had too.
    Known,
    /// A failure below the threshold.
    Minor,
    /// A failure that somebody accepts.
    Waived,
    /// Nobody has attested it; it is not critical.
    Unattested,
    /// It holds.
    Passed,
    /// It does not apply.
    NotApplicable,
}

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 0.
    Clean,
    /// 1: findings.
    Findings,
    /// 3: not all that was asked could be assessed.
    Incomplete,
    /// 4: nothing worse than expired waivers or stale inputs.
    Stale,
}

impl Outcome {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Findings => "findings",
            Self::Incomplete => "incomplete",
            Self::Stale => "stale",
        }
    }

    /// The exit status.
    pub const fn status(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Incomplete => 3,
            Self::Stale => 4,
        }
    }

    /// 1 outranks 3, and 3 outranks 4.
    pub fn of(judged: &[Judged]) -> Self {
        let any = |wanted: &[Weight]| judged.iter().any(|one| wanted.contains(&one.weight));
        if any(&[Weight::Counts]) {
            Self::Findings
        } else if any(&[Weight::Unseen]) {
            Self::Incomplete
        } else if any(&[Weight::Expired, Weight::Stale]) {
            Self::Stale
        } else {
            Self::Clean
        }
    }
}

/// Puts waivers and baseline beside the findings.
pub fn weigh(
    findings: Vec<Finding>,
    (waivers, bounds): (&Waivers, Bounds),
    baseline: Option<&Baseline>,
    (fail_on, now): (Severity, Timestamp),
) -> Vec<Judged> {
    let one = |finding: Finding| {
        let waiver = waivers.standing(&finding, bounds, now);
        let is_failure = finding.state == State::Fail;
        let change = baseline.filter(|_| is_failure).map(|baseline| baseline.change(&finding));
        let weight = weight(&finding, waiver.as_ref(), change, fail_on);
        Judged { finding, waiver, change, weight }
    };
    findings.into_iter().map(one).collect()
}

fn weight(finding: &Finding, waiver: Option<&Standing>, change: Option<Change>, fail_on: Severity) -> Weight {
    match (finding.state, waiver) {
        (State::Pass, _) => Weight::Passed,
        (State::NotApplicable, _) => Weight::NotApplicable,
        (State::Error, _) if finding.stands_on_stale => Weight::Stale,
        (State::Error, _) => Weight::Unseen,
        // Nobody accepts in advance what nobody has looked at.
        (State::Manual, _) if finding.severity == Severity::Critical => Weight::Unseen,
        (State::Fail | State::Manual, Some(Standing::Covered(_))) => Weight::Waived,
        (State::Manual, _) => Weight::Unattested,
        (State::Fail, waiver) => failure(finding, waiver.is_some(), change, fail_on),
    }
}

fn failure(finding: &Finding, has_expired: bool, change: Option<Change>, fail_on: Severity) -> Weight {
    if finding.is_tagged(STALE_INPUT) {
        // What is old is said from medium on, whatever else is asked for.
        let counts = finding.severity >= fail_on.min(Severity::Medium);
        return if counts { Weight::Stale } else { Weight::Minor };
    }
    match (finding.severity >= fail_on, has_expired, change) {
        (false, ..) => Weight::Minor,
        (true, true, _) => Weight::Expired,
        (true, false, Some(Change::Known)) => Weight::Known,
        (true, false, _) => Weight::Counts,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::proving::{NOW, catalogue_of, finding};
    use super::super::waiver;
    use super::*;

    const BOUNDS: Bounds = Bounds { most_days: 180, wants_fingerprint: false };

    fn outcome(findings: &[(State, Severity)], expires: Option<&str>) -> Outcome {
        let catalogue = catalogue_of(&[("SMC1001", "")]);
        let list: Vec<_> = expires
            .iter()
            .map(|day| json!({ "id": "SMC1001", "owner": "ada", "reason": "replaced next month", "expires": day }))
            .collect();
        let waivers = waiver::parse(json!({ "waiver": list }).as_object().unwrap(), &catalogue).unwrap();
        let findings =
            findings.iter().map(|(state, severity)| finding("SMC1001", *state, *severity)).collect();
        Outcome::of(&weigh(findings, (&waivers, BOUNDS), None, (Severity::High, NOW)))
    }

    #[test]
    fn one_outranks_three_and_three_outranks_four() {
        let fail = (State::Fail, Severity::High);
        let error = (State::Error, Severity::Low);
        let minor = (State::Fail, Severity::Medium);
        assert_eq!(outcome(&[minor, (State::Pass, Severity::High)], None), Outcome::Clean);
        assert_eq!(outcome(&[error], None), Outcome::Incomplete);
        assert_eq!(outcome(&[fail, error], None), Outcome::Findings);
        assert_eq!(outcome(&[fail, error], Some("2026-11-20")), Outcome::Incomplete);
        assert_eq!(outcome(&[fail], Some("2026-11-20")), Outcome::Stale);
        assert_eq!(outcome(&[fail], Some("2026-11-21")), Outcome::Clean);
    }

    #[test]
    fn a_critical_check_that_nobody_attested_is_never_clean() {
        assert_eq!(outcome(&[(State::Manual, Severity::Critical)], None), Outcome::Incomplete);
        assert_eq!(outcome(&[(State::Manual, Severity::High)], None), Outcome::Clean);
        assert_eq!(outcome(&[(State::Manual, Severity::Critical)], Some("2026-12-01")), Outcome::Incomplete);
    }

    #[test]
    fn a_stale_input_is_never_a_finding_and_never_silent() {
        let stale = |severity| {
            let mut one = finding("SMC7003", State::Fail, severity);
            one.tags.push(STALE_INPUT.to_owned());
            Outcome::of(&weigh(vec![one], (&Waivers::default(), BOUNDS), None, (Severity::High, NOW)))
        };
        assert_eq!(stale(Severity::Critical), Outcome::Stale);
        assert_eq!(stale(Severity::Medium), Outcome::Stale);
        assert_eq!(stale(Severity::Low), Outcome::Clean);
        // What cannot be told by it is not a thing of its own; what cannot be told otherwise is.
        let by_it = |stands_on_stale| {
            let one = Finding { stands_on_stale, ..finding("SMC7002", State::Error, Severity::High) };
            Outcome::of(&weigh(vec![one], (&Waivers::default(), BOUNDS), None, (Severity::High, NOW)))
        };
        assert_eq!((by_it(true), by_it(false)), (Outcome::Stale, Outcome::Incomplete));
    }

    #[test]
    fn a_baseline_leaves_what_is_new_or_worse() {
        let then = json!({
            "schema": super::super::baseline::SCHEMA, "generated_at": "", "asked": "config",
            "findings": [{ "id": "SMC1001", "subject": "", "state": "fail", "severity": "high" }],
        });
        let baseline = Baseline::parse(&then.to_string()).unwrap();
        let of = |severity| {
            let findings = vec![finding("SMC1001", State::Fail, severity)];
            weigh(findings, (&Waivers::default(), BOUNDS), Some(&baseline), (Severity::High, NOW))
        };
        assert_eq!(of(Severity::High)[0].weight, Weight::Known);
        assert_eq!(Outcome::of(&of(Severity::High)), Outcome::Clean);
        assert_eq!(Outcome::of(&of(Severity::Critical)), Outcome::Findings);
    }

    #[test]
    fn statuses_are_those_of_the_contract() {
        let all = [Outcome::Clean, Outcome::Findings, Outcome::Incomplete, Outcome::Stale];
        assert_eq!(all.map(Outcome::status), [0, 1, 3, 4]);
    }
}
