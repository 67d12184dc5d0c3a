//! The configuration as commands take it: from the global options, with every notice and problem printed.

use crate::config::{self, Config, Flag, Loaded, Problem, Purpose, Sources};

use super::Global;
use super::output::{Output, Part, Refused};

/// Loads and accepts the configuration, or says everything that is wrong with it.
pub(super) fn load(
    global: &Global,
    flags: Vec<Flag>,
    purpose: Purpose,
    output: &Output,
) -> Result<Config, Refused> {
    accept(load_any(global, flags, purpose)?, output)
}

/// Prints every notice, then gives the configuration or everything that is wrong with it.
pub(super) fn accept(loaded: Loaded, output: &Output) -> Result<Config, Refused> {
    for notice in loaded.notices() {
        output.warn(
            &notice.code,
            &format!("{} ({}): {}", notice.key, notice.origin, notice.why),
            &notice.fix,
        );
    }
    loaded.accept().map_err(|problems| refused(&problems))
}

/// Loads the configuration, right or wrong.
pub(super) fn load_any(global: &Global, flags: Vec<Flag>, purpose: Purpose) -> Result<Loaded, Refused> {
    config::load(&sources(global, flags, purpose)).map_err(|failure| {
        Refused::unexpected("BUILD_DAMAGED", &failure, "use a build that passes its tests")
    })
}

/// Where the configuration comes from, by the global options and this process's environment.
pub(super) fn sources(global: &Global, flags: Vec<Flag>, purpose: Purpose) -> Sources {
    let level =
        global.log_level.clone().map(|value| Flag { key: "telemetry.log_level", name: "--log-level", value });
    Sources {
        file: global.config.clone(),
        env_file: global.env_file.clone(),
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect(),
        flags: flags.into_iter().chain(level).collect(),
        purpose,
    }
}

/// Each problem as one part of a refusal.
pub(super) fn parts(problems: &[Problem]) -> Vec<Part> {
    let one = |problem: &Problem| Part {
        code: problem.code.clone(),
        about: problem.key.clone(),
        origin: problem.origin.to_string(),
        why: problem.why.clone(),
        fix: problem.fix.clone(),
    };
    problems.iter().map(one).collect()
}

fn refused(problems: &[Problem]) -> Refused {
    let count = problems.len();
    let text = format!("the configuration has {count} problem{}", if count == 1 { "" } else { "s" });
    Refused::usage("CONFIG_INVALID", text, "mend all of them and start again; nothing was changed")
        .with_parts(parts(problems))
}
