//! The configuration as commands take it: from the global options, with every notice and problem printed.

use std::collections::BTreeMap;
use std::ffi::OsString;

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
    accept_for(global, load_any(global, flags, purpose)?, output)
}

/// Prints every notice, then gives the configuration or everything that is wrong with it, what was typed included.
pub(super) fn accept_for(global: &Global, loaded: Loaded, output: &Output) -> Result<Config, Refused> {
    one_key(accept(loaded, output)?, global)
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

/// What is typed must not be ignored because another source comes before it.
fn one_key(config: Config, global: &Global) -> Result<Config, Refused> {
    let said = &config.security.master_key;
    let other = said.value.is_some() || said.credential.is_some() || !said.command.is_empty();
    if global.passphrase.is_some() && other {
        let text = "--ask-passphrase was given, and another source has a master key already";
        return Err(Refused::usage("MASTER_KEY_TWICE", text, "leave out one of the two"));
    }
    Ok(config)
}

/// Loads the configuration, right or wrong.
pub(super) fn load_any(global: &Global, flags: Vec<Flag>, purpose: Purpose) -> Result<Loaded, Refused> {
    config::load(&sources(global, flags, purpose)).map_err(|failure| {
        Refused::unexpected("BUILD_DAMAGED", &failure, "use a build that passes its tests")
    })
}

/// What was typed stands where the environment would say it: outside of every configuration file.
const PASSPHRASE: &str = "SPOTIFY_MCP__SECURITY__PASSPHRASE";

/// Where the configuration comes from, by the global options and this process's environment.
pub(super) fn sources(global: &Global, flags: Vec<Flag>, purpose: Purpose) -> Sources {
    let level =
        global.log_level.clone().map(|value| Flag { key: "telemetry.log_level", name: "--log-level", value });
    let mut env: BTreeMap<String, OsString> =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    if let Some(passphrase) = &global.passphrase {
        env.insert(PASSPHRASE.to_owned(), passphrase.expose().into());
        env.remove(&format!("{PASSPHRASE}_FILE"));
    }
    Sources {
        file: global.config.clone(),
        env_file: global.env_file.clone(),
        env,
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
    let (plural, them) = if count == 1 { ("", "it") } else { ("s", "all of them") };
    let text = format!("the configuration has {count} problem{plural}");
    Refused::usage("CONFIG_INVALID", text, format!("mend {them} and try again; nothing was changed"))
        .with_parts(parts(problems))
}
