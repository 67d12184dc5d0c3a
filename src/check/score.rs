//! The posture score, with its arithmetic. Points and caps are `policies/score.toml`.

use serde::{Deserialize, Serialize};

use super::engine::Finding;
use super::finding::{Severity, State};

/// What passes earn and what failures cap.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    points: Points,
    at_most: Caps,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Points {
    critical: u32,
    high: u32,
    medium: u32,
    low: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Caps {
    critical: u32,
    high: u32,
}

/// The score of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Score {
    /// 0 to 100; `None`: nothing was asked that counts.
    pub value: Option<u32>,
    /// What was earned.
    pub earned: u32,
    /// What could have been.
    pub possible: u32,
    /// How many checks passed.
    pub passed: usize,
    /// How many checks counted.
    pub counted: usize,
    /// All of it in one sentence.
    pub arithmetic: String,
}

impl Scale {
    /// Reads `score.toml`.
    ///
    /// # Errors
    /// In words: what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scale: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let (points, caps) = (&scale.points, &scale.at_most);
        if points.low == 0 || [points.critical, points.high, points.medium].into_iter().any(|one| one > 1_000)
        {
            return Err("points must be from 1 to 1000".into());
        }
        if caps.critical > caps.high || caps.high > 100 {
            return Err("at_most.critical must not be more than at_most.high, nor that more than 100".into());
        }
        Ok(scale)
    }

    const fn points(&self, severity: Severity) -> u32 {
        match severity {
            Severity::Critical => self.points.critical,
            Severity::High => self.points.high,
            Severity::Medium => self.points.medium,
            Severity::Low => self.points.low,
        }
    }

    /// Counts. A check counts once, as its worst finding says; a waiver accepts a risk and earns nothing.
    pub fn score(&self, findings: &[Finding]) -> Score {
        let checks: Vec<(State, Severity)> = by_check(findings);
        let counted: Vec<_> = checks.iter().filter(|(state, _)| *state != State::NotApplicable).collect();
        let passed: Vec<_> = counted.iter().filter(|(state, _)| *state == State::Pass).collect();
        let sum = |of: u32, (_, severity): &(State, Severity)| of + self.points(*severity);
        let possible = counted.iter().copied().fold(0, sum);
        let earned = passed.iter().copied().copied().fold(0, sum);
        let ratio = (possible > 0).then(|| earned * 100 / possible);
        let cap = self.cap(&checks);
        let value = ratio.map(|ratio| cap.map_or(ratio, |(cap, _)| ratio.min(cap)));
        let mut arithmetic = match ratio {
            None => "nothing was asked that counts".to_owned(),
            Some(ratio) => format!(
                "{} of {} checks pass and earn {earned} of {possible} points, {ratio} of 100 \
                 (critical {}, high {}, medium {}, low {})",
                passed.len(),
                counted.len(),
                self.points.critical,
                self.points.high,
                self.points.medium,
                self.points.low,
            ),
        };
        if let (Some((cap, severity)), Some(ratio)) = (cap, ratio)
            && ratio > cap
        {
            arithmetic += &format!("; at most {cap} while a {} check fails", severity.name());
        }
        Score { value, earned, possible, passed: passed.len(), counted: counted.len(), arithmetic }
    }

    fn cap(&self, checks: &[(State, Severity)]) -> Option<(u32, Severity)> {
        let fails =
            |wanted| checks.iter().any(|(state, severity)| *state == State::Fail && *severity == wanted);
        if fails(Severity::Critical) {
            return Some((self.at_most.critical, Severity::Critical));
        }
        fails(Severity::High).then_some((self.at_most.high, Severity::High))
    }
}

/// Each check's worst state, and the gravest severity in that state. Findings of one check stand together.
fn by_check(findings: &[Finding]) -> Vec<(State, Severity)> {
    let of_check = |one: &Finding, other: &Finding| one.id == other.id;
    let worst = |group: &[Finding]| {
        let state = State::ALL.into_iter().find(|state| group.iter().any(|one| one.state == *state))?;
        let severity = group.iter().filter(|one| one.state == state).map(|one| one.severity).max()?;
        Some((state, severity))
    };
    findings.chunk_by(of_check).filter_map(worst).collect()
}

#[cfg(test)]
mod tests {
    use super::super::proving::finding;
    use super::*;

    fn scale() -> Scale {
        Scale::parse(include_str!("../../policies/score.toml")).unwrap()
    }

    #[test]
    fn what_passes_earns_and_what_does_not_apply_does_not_count() {
        let score = scale().score(&[
            finding("SMC1001", State::Pass, Severity::Critical),
            finding("SMC1002", State::Fail, Severity::Medium),
            finding("SMC1003", State::NotApplicable, Severity::Critical),
            finding("SMC1004", State::Error, Severity::High),
        ]);
        assert_eq!((score.earned, score.possible, score.value), (10, 17, Some(58)));
        assert!(
            score.arithmetic.starts_with("1 of 3 checks pass and earn 10 of 17 points, 58 of 100"),
            "{score:?}"
        );
    }

    #[test]
    fn a_critical_failure_caps_the_score_and_says_so() {
        let mut findings: Vec<_> =
            (1..30).map(|n| finding(&format!("SMC20{n:02}"), State::Pass, Severity::High)).collect();
        findings.push(finding("SMC3001", State::Pass, Severity::Critical));
        findings.push(finding("SMC3001", State::Fail, Severity::Critical));
        let score = scale().score(&findings);
        assert_eq!(score.value, Some(40));
        assert!(
            score.arithmetic.ends_with("; at most 40 while a critical check fails"),
            "{}",
            score.arithmetic
        );
        assert_eq!((score.passed, score.counted), (29, 30), "a check counts once");
    }

    #[test]
    fn nothing_asked_is_no_score() {
        assert_eq!(scale().score(&[]).value, None);
    }

    #[test]
    fn a_scale_that_makes_no_sense_is_refused() {
        let text = include_str!("../../policies/score.toml");
        assert!(Scale::parse(&text.replace("low = 1", "low = 0")).is_err());
        assert!(Scale::parse(&text.replace("high = 70", "high = 30")).is_err());
        assert!(Scale::parse(&text.replace("medium", "middling")).is_err());
    }
}
