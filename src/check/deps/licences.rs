//! Under which licences the packages are, and which the policy allows.
//!
//! Both are data: `policies/licences.tsv` is generated from the packages' own manifests (a test holds it against
//! `cargo metadata`), `policies/licences.toml` is written by people. Never: a licence guessed from a file's text.

use std::collections::HashMap;

use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use super::package::Package;

const TABLE: &str = include_str!("../../../policies/licences.tsv");

/// What the packages say, and what is allowed.
#[derive(Clone)]
pub struct Licences {
    table: HashMap<(String, String), String>,
    policy: Policy,
}

/// Which licences are allowed.
#[derive(Clone)]
struct Policy {
    allowed: Vec<Licensee>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    allow: Vec<String>,
    #[serde(default)]
    exception: Vec<Exception>,
}

/// One package that may be under a licence that is not allowed to others.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    package: String,
    allow: String,
    #[allow(dead_code, reason = "asked for, so that every exception says why")]
    reason: String,
}

/// How a package stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its licence, or one of those that it lets one choose from, is allowed.
    Allowed(String),
    /// None is; its expression.
    Refused(String),
    /// What it says is no SPDX expression.
    Unreadable(String),
    /// The table does not have it.
    Unknown,
}

impl Licences {
    /// What the packages that the program was built with say, and what this policy (`licences.toml`) allows.
    ///
    /// # Errors
    /// What is wrong with the policy.
    pub fn by_policy(policy: &str) -> Result<Self, String> {
        Self::parse(TABLE, policy)
    }

    /// Reads a table (name, version and expression between tabs, one package a line) and a policy.
    ///
    /// # Errors
    /// What is wrong with which line or entry.
    pub fn parse(table: &str, policy: &str) -> Result<Self, String> {
        let mut found = HashMap::new();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let [name, version, expression] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(format!("the table of licences has a line that is none: {line}"));
            };
            found.insert((name.to_owned(), version.to_owned()), expression.to_owned());
        }
        let written: Written = toml::from_str(policy).map_err(|error| error.message().to_owned())?;
        let licensee = |text: &String| {
            Licensee::parse(text).map_err(|_| format!("the policy allows {text}, which is no SPDX licence"))
        };
        let allowed = written.allow.iter().map(licensee).collect::<Result<_, _>>()?;
        for exception in &written.exception {
            licensee(&exception.allow)?;
        }
        Ok(Self { table: found, policy: Policy { allowed, exceptions: written.exception } })
    }

    /// What a package says of its licence.
    pub fn expression(&self, package: &Package) -> Option<&str> {
        self.table.get(&(package.name.clone(), package.version.to_string())).map(String::as_str)
    }

    /// How a package stands.
    pub fn standing(&self, package: &Package) -> Standing {
        let Some(expression) = self.expression(package) else { return Standing::Unknown };
        let text = expression.to_owned();
        let Ok(parsed) = Expression::parse_mode(expression, ParseMode::STRICT) else {
            return Standing::Unreadable(text);
        };
        let own = self.policy.exceptions.iter().filter(|exception| exception.package == package.name);
        let own: Vec<_> = own.filter_map(|exception| Licensee::parse(&exception.allow).ok()).collect();
        let may =
            parsed.evaluate(|asked| self.policy.allowed.iter().chain(&own).any(|ours| ours.satisfies(asked)));
        if may { Standing::Allowed(text) } else { Standing::Refused(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::embedded::LOCK_COPY;
    use super::super::lock;
    use super::*;

    const RULES: &str = "allow = [\"MIT\", \"Apache-2.0 WITH LLVM-exception\"]\n\
                         [[exception]]\npackage = \"odd\"\nallow = \"MPL-2.0\"\nreason = \"linked, not changed\"\n";

    fn standing(name: &str, expression: &str) -> Standing {
        let licences =
            Licences::parse(&format!("# generated\n{name}\t1.0.0\t{expression}\n"), RULES).unwrap();
        licences.standing(&package(name))
    }

    fn package(name: &str) -> Package {
        let lock = format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
        lock::parse(&lock).unwrap().remove(0)
    }

    #[test]
    fn expressions_are_evaluated_and_not_compared() {
        for (expression, allowed) in [
            ("MIT", true),
            ("GPL-3.0-only OR MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("(GPL-3.0-only OR MIT) AND MIT", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("MPL-2.0", false),
        ] {
            let expected = if allowed { Standing::Allowed } else { Standing::Refused };
            assert_eq!(standing("dep", expression), expected(expression.to_owned()), "{expression}");
        }
        assert_eq!(standing("odd", "MPL-2.0"), Standing::Allowed("MPL-2.0".to_owned()));
        for unreadable in ["", "Proprietary", "MIT OR", "see LICENSE"] {
            assert_eq!(standing("dep", unreadable), Standing::Unreadable(unreadable.to_owned()));
        }
        let none = Licences::parse("", RULES).unwrap();
        assert_eq!(none.standing(&package("dep")), Standing::Unknown);
    }

    #[test]
    fn a_damaged_table_or_policy_is_refused() {
        assert!(Licences::parse("a 1.0.0 MIT", RULES).is_err());
        for policy in [
            "",
            "allow = [\"No such licence\"]",
            "allow = []\nother = 1",
            "allow = []\n[[exception]]\npackage = \"a\"\nallow = \"MIT\"",
        ] {
            assert!(Licences::parse("", policy).is_err(), "{policy}");
        }
    }

    #[test]
    fn every_package_of_our_own_lock_file_has_an_entry_that_is_allowed() {
        let licences = Licences::by_policy(include_str!("../../../policies/licences.toml")).unwrap();
        let packages = lock::parse(LOCK_COPY).unwrap();
        for package in &packages {
            let standing = licences.standing(package);
            assert!(matches!(standing, Standing::Allowed(_)), "{}: {standing:?}", package.label());
        }
        assert_eq!(licences.table.len(), packages.len(), "the table has packages that are gone");
    }
}
