//! What somebody is told of: the rules of `policies/alerts.toml`, and the operator's word on them.
//!
//! Pure data and arithmetic. A rule never speaks of a person or an address: what it groups by is its own name, an
//! event's code, or a host.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::event::EventCode;

const SOURCE: &str = include_str!("../../policies/alerts.toml");

/// A window is counted in so many slots: an alert is due where so many in a row hold the threshold.
const SLOTS_OF_A_WINDOW: u32 = 10;
const SLOTS: i64 = SLOTS_OF_A_WINDOW as i64;

/// Largest threshold, and longest window in seconds.
pub const MOST: (u32, u32) = (1_000_000, 30 * 86_400);

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertSeverity {
    /// When there is time.
    Low,
    /// Today.
    Medium,
    /// Now.
    High,
    /// At 3 a.m.
    Critical,
}

impl AlertSeverity {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What is one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// Everything that the rule is about.
    All,
    /// Each code for itself.
    Event,
    /// Each thing that an event names.
    Subject,
}

/// When somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Stable.
    pub name: String,
    /// How much it matters.
    pub severity: AlertSeverity,
    /// What counts.
    pub events: Vec<EventCode>,
    /// What is one alert.
    pub by: GroupBy,
    /// So many.
    pub threshold: u32,
    /// Within so many seconds; and so long is then silence about the same.
    pub window_seconds: u32,
    /// What happened, for people.
    pub summary: String,
    /// What to do, for people.
    pub action: String,
}

/// The operator's word on one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// Which.
    pub name: String,
    /// Another threshold and window in seconds; `None`: the rule is off.
    pub to: Option<(u32, u32)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<AlertRule>,
}

/// The rules that this program was built with. A test holds that they can be read.
pub static BUILT_IN: LazyLock<Vec<AlertRule>> =
    LazyLock::new(|| toml::from_str::<File>(SOURCE).map(|file| file.rule).unwrap_or_default());

/// The rules as the operator wants them.
pub fn rules(changes: &[RuleChange]) -> Vec<AlertRule> {
    let changed = |rule: &AlertRule| match changes.iter().rev().find(|change| change.name == rule.name) {
        None => Some(rule.clone()),
        Some(RuleChange { to: None, .. }) => None,
        Some(RuleChange { to: Some((threshold, window_seconds)), .. }) => {
            Some(AlertRule { threshold: *threshold, window_seconds: *window_seconds, ..rule.clone() })
        }
    };
    BUILT_IN.iter().filter_map(changed).collect()
}

impl AlertRule {
    /// The rule about alerts that nobody could be told of.
    pub const UNDELIVERED: &str = "undelivered";

    /// Whether an event of this code counts.
    pub fn is_about(&self, code: EventCode) -> bool {
        self.events.contains(&code)
    }

    /// In which slot something at this second is counted.
    pub fn slot(&self, second: i64) -> i64 {
        second.div_euclid(self.slot_seconds())
    }

    /// The first slot that counts together with this one: the window is some tenths longer than asked for, never shorter.
    pub const fn first_slot(slot: i64) -> i64 {
        slot - SLOTS
    }

    /// When a slot counts for nothing any more, in seconds.
    pub fn forgotten_at(&self, slot: i64) -> i64 {
        (slot + SLOTS + 2) * self.slot_seconds()
    }

    fn slot_seconds(&self) -> i64 {
        i64::from(self.window_seconds.max(1).div_ceil(SLOTS_OF_A_WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_built_in_rules_are_whole() {
        assert!(toml::from_str::<File>(SOURCE).is_ok(), "{:?}", toml::from_str::<File>(SOURCE).err());
        let names: HashSet<_> = BUILT_IN.iter().map(|rule| &rule.name).collect();
        assert!(names.len() == BUILT_IN.len() && names.len() >= 7);
        for rule in BUILT_IN.iter() {
            assert!(rule.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", rule.name);
            assert!(!rule.events.is_empty() && rule.threshold >= 1, "{}", rule.name);
            assert!((1..=MOST.1).contains(&rule.window_seconds), "{}", rule.name);
            assert!(rule.summary.len() > 10 && rule.action.len() > 10, "{}", rule.name);
        }
        // What nobody may miss.
        for code in [
            EventCode::AuthnLoginFail,
            EventCode::AuthnTokenReuse,
            EventCode::BlockedHost,
            EventCode::CryptDecryptFail,
            EventCode::EmergencyContainment,
            EventCode::AdvisoryFound,
            EventCode::CertificateExpires,
            EventCode::AlertUndelivered,
        ] {
            assert!(BUILT_IN.iter().any(|rule| rule.is_about(code)), "{}", code.name());
        }
        let undelivered = BUILT_IN.iter().find(|rule| rule.name == AlertRule::UNDELIVERED).unwrap();
        assert_eq!(undelivered.events, [EventCode::AlertUndelivered]);
    }

    #[test]
    fn a_change_sets_or_switches_off_one_rule_and_the_last_word_counts() {
        let change = |name: &str, to| RuleChange { name: name.to_owned(), to };
        let changed = rules(&[
            change("token_reuse", None),
            change("failed_logins", Some((1, 1))),
            change("failed_logins", Some((3, 60))),
        ]);
        assert_eq!(changed.len(), BUILT_IN.len() - 1);
        let logins = changed.iter().find(|rule| rule.name == "failed_logins").unwrap();
        assert_eq!((logins.threshold, logins.window_seconds), (3, 60));
        assert!(!changed.iter().any(|rule| rule.name == "token_reuse"));
        assert_eq!(rules(&[]), *BUILT_IN);
    }

    #[test]
    fn whatever_lies_within_a_window_counts_together() {
        for window_seconds in [1, 7, 19, 59, 60, 600, 86_401] {
            let rule = AlertRule { window_seconds, ..BUILT_IN[0].clone() };
            for second in [0, 1, 59, 1_795_233_599, -5] {
                let (first, last) = (rule.slot(second), rule.slot(second + i64::from(window_seconds) - 1));
                assert!(first >= AlertRule::first_slot(last), "{window_seconds} {second}");
                assert!(rule.forgotten_at(first) > second + i64::from(window_seconds));
            }
        }
    }
}
