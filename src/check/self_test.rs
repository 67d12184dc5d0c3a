//! The self-test: every check on facts on which it passes, and on the same facts with one thing wrong, on which it fails.
//!
//! The rules are the very ones that judge a server; the facts are made up, by each area's `cases`, or gathered from files
//! and listeners of its own. Never: a check that is taken for shown because it was not tried.

mod listeners;
mod sandbox;
mod stored;

use super::catalogue::{Area, Catalogue, Check};
use super::finding::{Seen, State, Verdict};
use super::profile::Profile;
use super::rule::{Ground, Rule};
use super::temporary::Folder;
use super::{config, data, deps, network, probe, runtime, waiver};
use crate::ambient::{Dice, Timestamp};

/// When the made-up facts are judged: 2026-11-21T00:00:00Z. Every age in them is counted from here.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);

/// What one check is tried on.
pub struct Case<F> {
    /// The check.
    pub id: &'static str,
    /// What is wrong in the changed facts, in words.
    pub mutation: &'static str,
    /// Facts with nothing against them.
    pub sound: F,
    /// The same with that one thing wrong.
    pub changed: F,
}

/// How a check was tried, and what came of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The check.
    pub id: String,
    /// What holds where it passes.
    pub title: String,
    /// Its area.
    pub area: Area,
    /// What was wrong in the changed facts; empty where there are none.
    pub mutation: String,
    /// What it said of the sound facts.
    pub sound: Vec<Verdict>,
    /// What it said of the changed ones.
    pub changed: Vec<Verdict>,
    /// Why it was not seen both passing and failing; `None`: it was, or the profile has no such check.
    pub unshown: Option<String>,
    /// The profile has no such check.
    pub is_off: bool,
    /// What it was tried on.
    pub proof: Proof,
}

/// What a check was tried on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Files in a folder of its own, looked at as a server's are, and the same with one thing in them changed.
    Files,
    /// TLS servers on loopback, met as any server is, and one of them with a fault.
    Listeners,
    /// Made-up facts: its rule alone was tried, and not how facts are gathered. Why, where it is known.
    Facts(Option<String>),
}

/// As [`run`], and on real files and listeners wherever they show a check both ways on this machine.
pub async fn run_for_real(catalogue: &Catalogue, profile: Profile, dice: &Dice) -> Vec<Trial> {
    let mut trials = run(catalogue, profile, dice);
    let stage = Stage { catalogue, profile };
    match Folder::fresh(dice) {
        Err(unseen) => {
            trials.iter_mut().for_each(|trial| trial.proof = Proof::Facts(Some(unseen.why.clone())))
        }
        Ok(folder) => sandbox::try_all(&stage, (&folder.0, dice), &mut trials).await,
    }
    listeners::try_all(&stage, dice, &mut trials).await;
    trials
}

/// Tries every check of the catalogue, by the thresholds of a profile; by id.
pub fn run(catalogue: &Catalogue, profile: Profile, dice: &Dice) -> Vec<Trial> {
    let stage = Stage { catalogue, profile };
    let mut trials = Vec::new();
    trials.extend(stage.tried(config::RULES, config::cases(dice)));
    trials.extend(stage.tried(data::RULES, data::cases()));
    trials.extend(stage.tried(deps::RULES, deps::cases()));
    trials.extend(stage.tried(runtime::RULES, Ok(runtime::cases())));
    trials.extend(stage.tried(network::RULES, Ok(network::cases())));
    trials.extend(stage.tried(probe::RULES, Ok(probe::cases())));
    trials.extend(stage.tried(waiver::RULES, Ok(waiver::cases())));
    let untried = |check: &&Check| !trials.iter().any(|trial| trial.id == check.id);
    let missing: Vec<Trial> = catalogue
        .checks
        .iter()
        .filter(untried)
        .map(|check| Trial::unshown(check, "this program has no rule for it"))
        .collect();
    trials.extend(missing);
    trials.sort_by(|one, other| one.id.cmp(&other.id));
    trials
}

/// What trials stand on.
#[derive(Clone, Copy)]
struct Stage<'a> {
    catalogue: &'a Catalogue,
    profile: Profile,
}

impl Stage<'_> {
    fn judged<F>(&self, check: &Check, rule: &Rule<F>, facts: &F) -> Vec<Verdict> {
        let parameters = self.catalogue.parameters(check, self.profile);
        (rule.judge)(facts, &Ground { now: NOW, profile: self.profile, parameters: &parameters })
    }

    fn tried<F>(&self, rules: &[Rule<F>], cases: Result<Vec<Case<F>>, String>) -> Vec<Trial> {
        let cases = cases.as_ref().map_err(|why| format!("its facts cannot be made up: {why}"));
        let of_rule = |rule: &Rule<F>| {
            let check = self.catalogue.check(rule.id)?;
            let case = cases.as_ref().map(|cases| cases.iter().find(|case| case.id == rule.id));
            Some(match case {
                Ok(Some(case)) => self.shown(check, rule, case),
                Ok(None) => Trial::unshown(check, "there are no facts to try it on"),
                Err(why) => Trial::unshown(check, why),
            })
        };
        rules.iter().filter_map(of_rule).collect()
    }

    fn shown<F>(&self, check: &Check, rule: &Rule<F>, case: &Case<F>) -> Trial {
        if self.catalogue.severity(check, self.profile).is_none() {
            return Trial { is_off: true, unshown: None, ..Trial::unshown(check, "") };
        }
        let (sound, changed) =
            (self.judged(check, rule, &case.sound), self.judged(check, rule, &case.changed));
        Trial {
            unshown: fault(&sound, &changed),
            mutation: case.mutation.to_owned(),
            sound,
            changed,
            ..Trial::unshown(check, "")
        }
    }
}

/// What a check said of something real: sound, and changed.
type Tried = Seen<(Vec<Verdict>, Vec<Verdict>)>;

impl Proof {
    /// As reports name it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Listeners => "listeners",
            Self::Facts(_) => "facts",
        }
    }
}

impl Trial {
    fn unshown(check: &Check, why: &str) -> Self {
        Self {
            id: check.id.clone(),
            title: check.title.clone(),
            area: check.area,
            mutation: String::new(),
            sound: Vec::new(),
            changed: Vec::new(),
            unshown: Some(why.to_owned()),
            is_off: false,
            proof: Proof::Facts(None),
        }
    }

    /// Takes what a check said of something real: sound, and changed. Where that does not show it on this machine,
    /// made-up facts still do.
    fn take(&mut self, (mutation, proof): (&str, Proof), tried: Tried) {
        match tried.map(|(sound, changed)| (fault(&sound, &changed), sound, changed)) {
            Err(unseen) => self.proof = Proof::Facts(Some(unseen.why)),
            Ok((Some(why), ..)) => {
                self.proof = Proof::Facts(Some(format!("on {}, {why}", proof.name())));
            }
            Ok((None, sound, changed)) if self.unshown.is_none() => {
                (self.sound, self.changed) = (sound, changed);
                (self.mutation, self.proof) = (mutation.to_owned(), proof);
            }
            Ok(_) => {}
        }
    }

    /// Whether it was seen both passing and failing.
    pub const fn is_shown(&self) -> bool {
        self.unshown.is_none() && !self.is_off
    }

    /// What it says of the changed facts, where it fails on them.
    pub fn failure(&self) -> Option<&Verdict> {
        self.changed.iter().find(|verdict| verdict.state == State::Fail)
    }
}

/// Why these verdicts do not show a check both passing and failing.
fn fault(sound: &[Verdict], changed: &[Verdict]) -> Option<String> {
    if sound.is_empty() || changed.is_empty() {
        return Some("it says nothing".to_owned());
    }
    if let Some(verdict) = sound.iter().find(|verdict| verdict.state != State::Pass) {
        let (state, observed) = (verdict.state.name(), &verdict.observed);
        return Some(format!("where nothing is wrong it says {state}: {observed}"));
    }
    let fails = changed.iter().any(|verdict| verdict.state == State::Fail);
    let said = || changed.iter().map(|verdict| verdict.state.name()).collect::<Vec<_>>().join(", ");
    (!fails).then(|| format!("where something is wrong it does not fail but says {}", said()))
}

#[cfg(test)]
mod tests;
