//! The program itself: whether it says exactly what it is made of (SMC7001), and whether it is the released one
//! (SMC7007).

use super::{all, packages, some};
use crate::check::deps::{Evidence, Facts, Inventory, NoList, Origin, Package};
use crate::check::finding::{Source, Verdict};
use crate::check::rule::Ground;

/// SMC7001: the embedded list is there, is this program's, and agrees with the lock file that it was built from. Its
/// verdict says in every case what the other checks of packages stand on.
pub(super) fn list_is_exact(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    let inventory = match packages(facts) {
        Ok(inventory) => inventory,
        Err(verdicts) => return verdicts,
    };
    let summary = inventory.summary();
    if let Evidence::Lockfile(path) = &inventory.evidence {
        let why = format!("a lock file is judged in place of this program: {summary}");
        return vec![Verdict::not_applicable(Source::file(path), why)];
    }
    let list = match &facts.embedded {
        Ok(list) => list,
        Err(NoList::Absent) => {
            return vec![Verdict::fail(Source::Program, format!("{}; {summary}", NoList::Absent))];
        }
        Err(damaged) => return vec![Verdict::error(Source::Program, format!("{damaged}; {summary}"))],
    };
    let lock_copy = match &facts.lock_copy {
        Ok(lock_copy) => lock_copy,
        Err(unseen) => return vec![Verdict::error(Source::Program, unseen.why.clone())],
    };
    let root = list.iter().find(|package| package.root);
    let ours = |root: &Package| {
        root.name == env!("CARGO_PKG_NAME") && root.version.to_string() == env!("CARGO_PKG_VERSION")
    };
    let strange = foreign(list, lock_copy);
    vec![if !root.is_some_and(ours) {
        Verdict::fail(Source::Program, format!("the embedded list is another program's; {summary}"))
    } else if strange.is_empty() {
        let observed = format!("{summary}; all are in the lock file it was built from");
        Verdict::pass(Source::Program, observed)
    } else {
        let observed = format!("its lock file does not have {} of them: {}", strange.len(), some(&strange));
        Verdict::fail(Source::Program, observed).because(format!("{summary}. Unknown: {}", all(&strange)))
    }]
}

/// What the list has and the lock file does not.
fn foreign(list: &[Package], lock_copy: &[Package]) -> Vec<String> {
    let known = |package: &Package| {
        lock_copy.iter().any(|other| other.name == package.name && other.version == package.version)
    };
    list.iter()
        .filter(|package| package.origin != Origin::Path && !known(package))
        .map(Package::label)
        .collect()
}

/// Whether a file of a release may be this program: it has its name, and no other version in it.
fn is_ours(name: &str) -> bool {
    let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let Some(rest) = file.strip_prefix(env!("CARGO_PKG_NAME")) else { return false };
    let versions = rest
        .split(['-', '_', 'v'])
        .filter(|part| part.split('.').take(3).filter(|number| number.parse::<u32>().is_ok()).count() == 3);
    versions.into_iter().all(|version| version.starts_with(env!("CARGO_PKG_VERSION")))
}

/// SMC7007: this program's digest is one of the release's.
pub(super) fn program_is_the_released_one(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    if let (None, Ok(Inventory { evidence: Evidence::Lockfile(path), .. })) =
        (&facts.release, &facts.inventory)
    {
        return vec![Verdict::not_applicable(
            Source::file(path),
            "a lock file is judged in place of this program",
        )];
    }
    let digest = match &facts.program {
        Ok(digest) => digest,
        Err(unseen) => {
            return vec![Verdict::error(
                Source::Program,
                format!("this program cannot be read: {}", unseen.why),
            )];
        }
    };
    let observed = format!("SHA-256 {digest}");
    vec![match &facts.release {
        None => Verdict::manual(
            Source::Program,
            format!("{observed}; no release's list of digests was named (--release-manifest)"),
        ),
        Some(Err(unseen)) => Verdict::error(Source::Program, unseen.why.clone()),
        Some(Ok(released)) => match released.iter().find(|program| program.digest == *digest) {
            Some(program) if !is_ours(&program.name) => Verdict::fail(
                Source::Program,
                format!("{observed}, released as {}, which is another program or version", program.name),
            ),
            Some(program) => Verdict::pass(
                Source::Program,
                format!(
                    "{observed}, released as {} (whoever names the list has checked who signed it)",
                    program.name
                ),
            ),
            None => Verdict::fail(Source::Program, format!("{observed}, which the release does not have")),
        },
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_files_of_this_program_and_this_version() {
        let version = env!("CARGO_PKG_VERSION");
        for ours in ["spotify-mcp", "./dist/spotify-mcp", "spotify-mcp-x86_64-linux", "spotify-mcp.exe"] {
            assert!(is_ours(ours), "{ours}");
        }
        assert!(
            is_ours(&format!("spotify-mcp-{version}-aarch64")) && is_ours(&format!("spotify-mcp_v{version}"))
        );
        for other in ["evil", "spotify-mcp-99.0.1-x86_64", "not-spotify-mcp", "spotify-mcp-v0.0.9.tar.gz", ""]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
