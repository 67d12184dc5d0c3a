//! The rules of `security-check runtime`, by what they look at. Pure: facts in, verdicts out.

mod isolation;
mod key;
mod listeners;
mod memory;
mod privilege;
mod resources;
#[cfg(test)]
mod tests;

use super::process::Who;
use super::{Facts, Linux, System};
use crate::check::finding::{Seen, Source, Unseen, Verdict};
use crate::check::rule::Rule;

/// Every rule, by the id of its check.
pub const RULES: &[Rule<Facts>] = &[
    Rule { id: "SMC4008", judge: listeners::declared },
    Rule { id: "SMC8001", judge: privilege::user },
    Rule { id: "SMC8002", judge: privilege::no_new_privileges },
    Rule { id: "SMC8003", judge: privilege::capabilities },
    Rule { id: "SMC8004", judge: privilege::seccomp },
    Rule { id: "SMC8005", judge: isolation::file_systems },
    Rule { id: "SMC8006", judge: memory::dumps },
    Rule { id: "SMC8007", judge: memory::swap },
    Rule { id: "SMC8008", judge: resources::bounds },
    Rule { id: "SMC8009", judge: isolation::label },
    Rule { id: "SMC8010", judge: isolation::machine },
    Rule { id: "SMC8011", judge: key::source },
];

/// Judges what `part` of Linux shows, seen in this file of the process: where it is Linux, the process is known, and
/// the part can be seen. Each verdict says whom it is about.
fn judged<'a, T: 'a>(
    facts: &'a Facts,
    file: &str,
    part: impl FnOnce(&'a Linux) -> Seen<T>,
    judge: impl FnOnce(Source, T, &'a Linux) -> Vec<Verdict>,
) -> Vec<Verdict> {
    let who = match &facts.who {
        Ok(who) => *who,
        Err(Unseen { why }) => {
            return vec![
                Verdict::error(Source::System("control.sock".to_owned()), why.clone())
                    .about("the running server"),
            ];
        }
    };
    let name = match &facts.program {
        Some(Ok(program)) => format!("{} ({})", who.name(), program.name),
        _ => who.name().to_owned(),
    };
    if let Some(verdict) = another(facts, who) {
        return vec![verdict.about(name)];
    }
    let source = who.source(file);
    let verdicts = match &facts.system {
        System::Other(name) => {
            let why = format!(
                "{name} shows no process's confinement the way Linux does: check it with its own tools"
            );
            vec![Verdict::not_applicable(source, why)]
        }
        System::Linux(linux) => match part(linux) {
            Ok(seen) => judge(source, seen, linux),
            Err(Unseen { why }) => vec![Verdict::error(source, why)],
        },
    };
    let about = |verdict: Verdict| match verdict.subject.as_str() {
        "" => verdict.about(name.clone()),
        more => {
            let subject = format!("{name}: {more}");
            verdict.about(subject)
        }
    };
    verdicts.into_iter().map(about).collect()
}

/// The process that was named is another program's, or nobody can tell: whatever it shows says nothing about a server.
fn another(facts: &Facts, who: Who) -> Option<Verdict> {
    let why = match facts.program.as_ref()? {
        Ok(program) if program.is_this => return None,
        Ok(program) => {
            format!(
                "process {} is {}, and not this program: nothing of it was judged",
                who.folder(),
                program.name
            )
        }
        Err(unseen) => format!("whether process {} is this program is not known: {unseen}", who.folder()),
    };
    let verdict = Verdict::error(who.source("exe"), why);
    Some(verdict.mended_by("name the server's own process with --pid, or leave --pid out: the server that runs on the data directory is found by itself"))
}

/// The part itself, borrowed.
fn part<T>(seen: &Seen<T>) -> Seen<&T> {
    seen.as_ref().map_err(Clone::clone)
}

/// The first few of a list, and how many more there are.
fn some(all: &[String]) -> String {
    const SHOWN: usize = 6;
    match all.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", all[..SHOWN].join(", ")),
        _ => all.join(", "),
    }
}
