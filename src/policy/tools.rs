//! Who may call which tool: the scope, class and toolset of each, from `policies/tools.toml`.
//!
//! Pure data. A tool that is not listed has no entry, and what has no entry cannot be called.

use std::collections::BTreeMap;
use std::str::FromStr;

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
    /// What a person played.
    History,
}

impl Toolset {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Accounts, Self::Catalog, Self::Player, Self::Playlists, Self::Library, Self::History];

    /// The configuration's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Catalog => "catalog",
            Self::Player => "player",
            Self::Playlists => "playlists",
            Self::Library => "library",
            Self::History => "history",
        }
    }
}

impl FromStr for Toolset {
    type Err = UnknownToolset;

    fn from_str(text: &str) -> Result<Self, UnknownToolset> {
        Self::ALL.into_iter().find(|toolset| toolset.name() == text).ok_or(UnknownToolset)
    }
}

/// The text names no toolset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected accounts, catalog, player, playlists, library or history")]
pub struct UnknownToolset;

/// Which tools a server offers, the same for everybody who uses it (product.md 7, "Tools").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Only tools that change nothing.
    pub read_only: bool,
    /// Only tools of these groups.
    pub toolsets: Vec<Toolset>,
}

impl Default for Offer {
    /// All tools.
    fn default() -> Self {
        Self { read_only: false, toolsets: Toolset::ALL.to_vec() }
    }
}

impl Offer {
    /// Whether a tool of this policy is offered.
    pub fn includes(&self, policy: &ToolPolicy) -> bool {
        self.toolsets.contains(&policy.toolset) && (!self.read_only || policy.class == ToolClass::Look)
    }
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
    fn an_offer_leaves_out_what_changes_and_other_groups() {
        let policies = ToolPolicies::embedded().unwrap();
        let of = |offer: &Offer| -> Vec<String> {
            let offered = policies.names().filter(|name| offer.includes(policies.of(name).unwrap()));
            offered.map(str::to_owned).collect()
        };
        assert_eq!(of(&Offer::default()).len(), policies.names().count());
        let looks = of(&Offer { read_only: true, ..Offer::default() });
        assert!(looks.contains(&"get_status".to_owned()) && !looks.contains(&"create_playlist".to_owned()));
        let playlists = of(&Offer { read_only: false, toolsets: vec!["playlists".parse().unwrap()] });
        assert!(
            playlists.contains(&"create_playlist".to_owned())
                && !playlists.contains(&"get_status".to_owned())
        );
        assert_eq!("music".parse::<Toolset>(), Err(UnknownToolset));
        for toolset in Toolset::ALL {
            assert_eq!(toolset.name().parse(), Ok(toolset));
        }
    }

    #[test]
    fn every_group_offers_something_also_where_only_looking_is_offered() {
        let policies = ToolPolicies::embedded().unwrap();
        for (toolset, read_only) in Toolset::ALL.into_iter().flat_map(|one| [(one, false), (one, true)]) {
            let offer = Offer { read_only, toolsets: vec![toolset] };
            let offers = policies.names().any(|name| offer.includes(policies.of(name).unwrap()));
            assert!(offers, "{} {read_only}", toolset.name());
        }
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
