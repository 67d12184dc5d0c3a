//! Why an emergency does not go on, or a probe was not made: in words.

use super::probes::Probe;
use crate::cli::output::Refused;

pub(super) fn not_tried(served: &str, locked_down: bool) -> String {
    match served {
        "503" if locked_down => "answers 503 to everybody: it is locked down".to_owned(),
        "503" => "answers 503 to everybody: it was not given the new key yet".to_owned(),
        "401" => "not tried: what listens there does not serve this database".to_owned(),
        other => format!("not tried: {other}"),
    }
}

pub(super) fn not_contained(bad: &Probe, until: &str) -> Refused {
    Refused::incomplete(
        "NOT_CONTAINED",
        format!("{} came to '{}' instead of '{}'", bad.probe, bad.found, bad.expected),
        format!("{until} this command has ended: stop the servers, and run it again; -v shows more"),
    )
}

pub(super) fn no_other_key() -> Refused {
    Refused::usage(
        "NEW_KEY_USED_BEFORE",
        "the key in that file was in use before this emergency, so it did not replace anything",
        "name a file that is not there yet, and run it again: it goes on",
    )
}

pub(super) fn elsewhere() -> Refused {
    Refused::incomplete(
        "EMERGENCY_ELSEWHERE",
        "another process deals with an emergency, or has ended this one",
        "look at rotate-keys --status",
    )
}
