//! Who may call which tool: the scope, class and toolset of each, from `policies/tools.toml`.
//!
//! Pure data. A tool that is not listed has no entry, and what has no entry cannot be called.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::Scope;

const SOURCE: &str = include_str!("../../policies/tools.toml");

/// What a tool does to the world; a read-only server offers only what looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolClass {
    /// Changes nothing.
    Look,
    /// Changes playlists or the library.
    Change,
    /// Controls playback.
    Control,
}

/// A group of tools that an operator switches on and off together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Toolset {
    /// Linked accounts and the server's state.
    Accounts,
    /// Search and single items.
    Catalog,
    /// What plays, and where.
    Player,
    /// Playlists.
    Playlists,
    /// What a person saved.
    Library,
}

/// The policy for one tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolPolicy {
    /// What the caller's token must allow.
    pub scope: Scope,
    /// What the tool does to the world.
    pub class: ToolClass,
    /// Which group it belongs to.
    pub toolset: Toolset,
}

/// The policies of all tools.
#[derive(Clone, Debug)]
pub struct ToolPolicies(BTreeMap<String, ToolPolicy>);

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadToolPolicy {
    /// Not TOML of the right shape.
    #[error("the tool policy cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A scope that does not exist.
    #[error("the tool policy of '{tool}' names the unknown scope '{scope}'")]
    Scope {
        /// Whose entry.
        tool: String,
        /// What it says.
        scope: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    scope: String,
    class: ToolClass,
    toolset: Toolset,
}

impl ToolPolicies {
    /// The policies that come with the program.
    ///
    /// # Errors
    /// Only where the file in the source tree is wrong, which a test rules out.
    pub fn embedded() -> Result<Self, BadToolPolicy> {
        Self::parse(SOURCE)
    }

    fn parse(source: &str) -> Result<Self, BadToolPolicy> {
        let entries: BTreeMap<String, Entry> = toml::from_str(source)?;
        entries
            .into_iter()
            .map(|(tool, entry)| match Scope::ALL.into_iter().find(|scope| scope.name() == entry.scope) {
                Some(scope) => Ok((tool, ToolPolicy { scope, class: entry.class, toolset: entry.toolset })),
                None => Err(BadToolPolicy::Scope { tool, scope: entry.scope }),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The policy for a tool; `None` means that it cannot be called.
    pub fn of(&self, tool: &str) -> Option<&ToolPolicy> {
        self.0.get(tool)
    }

    /// The names of all tools, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_policy_is_valid_and_only_looking_needs_no_more_than_read() {
        let policies = ToolPolicies::embedded().unwrap();
        for name in policies.names() {
            let policy = policies.of(name).unwrap();
            let expected = match policy.class {
                ToolClass::Look => Scope::Read,
                ToolClass::Change => Scope::Write,
                ToolClass::Control => Scope::Player,
            };
            assert_eq!(policy.scope, expected, "{name}");
        }
        assert!(policies.of("format_disk").is_none());
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = ToolPolicies::parse("[x]\nscope = \"root\"\nclass = \"look\"\ntoolset = \"player\"");
        assert_eq!(wrong.unwrap_err().to_string(), "the tool policy of 'x' names the unknown scope 'root'");
        assert!(ToolPolicies::parse("[x]\nscope = \"read\"\nclass = \"look\"").is_err());
        assert!(
            ToolPolicies::parse("[x]\nscope = \"read\"\nclass = \"look\"\ntoolset = \"player\"\nmore = 1")
                .is_err()
        );
    }
}
