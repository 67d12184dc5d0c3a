//! Every check is shown in production, and one that is turned round, deaf or silent is not.

use super::*;
use crate::check::proving::{all_proven, both_ways};
use crate::check::{Source, ruled};

fn trials(profile: Profile) -> Vec<Trial> {
    run(&Catalogue::built_in().unwrap(), profile, &Dice::system())
}

#[test]
fn every_check_of_the_catalogue_is_shown_passing_and_failing() {
    let trials = trials(Profile::Production);
    let unshown: Vec<_> = trials.iter().filter(|trial| trial.unshown.is_some()).collect();
    assert!(unshown.is_empty(), "{unshown:#?}");
    assert_eq!(trials.len(), ruled().len());
    for trial in &trials {
        assert!(trial.failure().is_some() && !trial.mutation.is_empty(), "{trial:?}");
    }
}

/// Both ways, with what a good verdict needs beside its state: words, and one subject once.
fn proven<F>(rules: &[Rule<F>], cases: Vec<Case<F>>) {
    for case in &cases {
        both_ways(rules, case.id, &case.sound, &case.changed);
    }
    all_proven(rules, &cases.iter().map(|case| case.id).collect::<Vec<_>>());
}

#[test]
fn every_case_says_what_it_saw_and_of_each_subject_once() {
    proven(config::RULES, config::cases(&Dice::system()).unwrap());
    proven(data::RULES, data::cases().unwrap());
    proven(deps::RULES, deps::cases().unwrap());
    proven(runtime::RULES, runtime::cases());
    proven(network::RULES, network::cases());
    proven(probe::RULES, probe::cases());
    proven(waiver::RULES, waiver::cases());
}

/// What a rule says, turned round.
fn turned(verdicts: Vec<Verdict>) -> Vec<Verdict> {
    let turn = |verdict: Verdict| match verdict.state {
        State::Pass => Verdict { state: State::Fail, ..verdict },
        State::Fail => Verdict { state: State::Pass, ..verdict },
        _ => verdict,
    };
    verdicts.into_iter().map(turn).collect()
}

#[test]
fn a_rule_that_is_turned_round_always_passes_always_fails_or_says_nothing_is_caught() {
    for trial in trials(Profile::Production) {
        let (sound, changed) = (trial.sound, trial.changed);
        assert_eq!(fault(&sound, &changed), None, "{}", trial.id);
        assert!(fault(&turned(sound.clone()), &turned(changed.clone())).is_some(), "{}", trial.id);
        assert!(fault(&sound, &sound).unwrap().contains("does not fail"), "{}", trial.id);
        assert!(fault(&changed, &changed).is_some(), "{}", trial.id);
        assert_eq!(fault(&[], &changed), Some("it says nothing".to_owned()), "{}", trial.id);
        assert_eq!(fault(&sound, &[]), Some("it says nothing".to_owned()), "{}", trial.id);
        let blind = [Verdict::error(Source::Program, "it could not look")];
        assert!(fault(&sound, &blind).unwrap().ends_with("says error"), "{}", trial.id);
        assert!(fault(&blind, &changed).unwrap().contains("it says error"), "{}", trial.id);
    }
}

#[test]
fn a_rule_without_facts_and_a_check_without_a_rule_are_named() {
    let catalogue = Catalogue::built_in().unwrap();
    let stage = Stage { catalogue: &catalogue, profile: Profile::Production };
    let without = stage.tried(waiver::RULES, Ok(Vec::new()));
    assert!(without[0].unshown.as_ref().unwrap().contains("no facts"));
    let broken = stage.tried(waiver::RULES, Err("no".to_owned()));
    assert!(broken[0].unshown.as_ref().unwrap().contains("cannot be made up: no"));
}

#[test]
fn a_policy_that_takes_a_checks_teeth_is_seen() {
    let with = |from: &str, to: &str| {
        let change = |(path, text): (String, String)| {
            let text = if path == "checks/audit.toml" { text.replacen(from, to, 1) } else { text };
            (path, text)
        };
        let files: Vec<_> = crate::check::embedded_policies().into_iter().map(change).collect();
        assert!(files.iter().any(|(_, text)| text.contains(to)), "{to}");
        let catalogue = Catalogue::parse(&files, "a test").unwrap();
        let trials = run(&catalogue, Profile::Production, &Dice::system());
        trials.into_iter().filter_map(|trial| Some((trial.id, trial.unshown?))).collect::<Vec<_>>()
    };
    let toothless = with("most_seconds = 10", "most_seconds = 1000000");
    assert_eq!(toothless.len(), 1, "{toothless:?}");
    assert!(toothless[0].0 == "SMC6004" && toothless[0].1.contains("does not fail"), "{toothless:?}");
}

#[test]
fn every_profile_that_has_a_check_shows_it() {
    for (profile, toothless) in [
        // Whatever the log's level is, it is fine on one's own machine.
        (Profile::Development, &["SMC2006"][..]),
        (Profile::Staging, &[]),
        (Profile::Bank, &[]),
    ] {
        let trials = trials(profile);
        let unshown: Vec<_> = trials.iter().filter(|trial| trial.unshown.is_some()).collect();
        assert_eq!(unshown.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), toothless, "{unshown:#?}");
        let off = trials.iter().any(|trial| trial.is_off);
        assert_eq!(off, profile == Profile::Development, "{}", profile.name());
    }
}
