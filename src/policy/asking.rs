//! What a server asks of people and of Spotify: no more than the tools that it offers need.

use std::sync::LazyLock;

use super::tools::{Offer, ToolPolicies, Toolset};
use crate::domain::permission::missing;
use crate::domain::{Scope, ScopeSet};

/// The policies that come with the program; a file that cannot be read offers nothing.
static POLICIES: LazyLock<Option<ToolPolicies>> = LazyLock::new(|| ToolPolicies::embedded().ok());

impl Offer {
    /// Whether a tool of this name is offered.
    pub fn has(&self, tool: &str) -> bool {
        POLICIES.as_ref().and_then(|all| all.of(tool)).is_some_and(|policy| self.includes(policy))
    }

    /// The scopes of ours that some offered tool needs.
    pub fn scopes(&self) -> ScopeSet {
        self.needs(|_| true)
    }

    /// The permissions of Spotify's behind a scope of ours that some offered tool needs.
    pub fn permissions_of(&self, scope: Scope) -> impl Iterator<Item = &'static str> {
        scope.asked().filter(move |permission| self.needs_permission(scope, permission))
    }

    /// All permissions that are asked of Spotify. Linked accounts serve all of a person's clients: it is the same for each.
    pub fn permissions(&self) -> Vec<&'static str> {
        Scope::ALL.into_iter().flat_map(|scope| self.permissions_of(scope)).collect()
    }

    /// The permissions of Spotify's behind scopes of ours that the offered tools cannot do without.
    pub fn required(&self, scopes: impl IntoIterator<Item = Scope>) -> Vec<&'static str> {
        let of = |scope: Scope| {
            self.permissions_of(scope).filter(move |permission| scope.spotify().contains(permission))
        };
        scopes.into_iter().flat_map(of).collect()
    }

    /// Those of all of them that Spotify did not grant; it granted these, with spaces between.
    pub fn missing(&self, granted: &str) -> Vec<&'static str> {
        missing(self.required(Scope::ALL), granted)
    }

    fn needs_permission(&self, scope: Scope, permission: &str) -> bool {
        let users = used_by(permission);
        self.needs(|toolset| users.contains(&toolset)).covers(ScopeSet::EMPTY.with(scope))
    }

    /// The scopes of the offered tools of some groups.
    fn needs(&self, of: impl Fn(Toolset) -> bool) -> ScopeSet {
        let all = POLICIES.iter().flat_map(|all| all.names().filter_map(|name| all.of(name)));
        all.filter(|tool| of(tool.toolset) && self.includes(tool)).map(|tool| tool.scope).collect()
    }
}

/// The groups of tools that use a permission of Spotify's.
fn used_by(permission: &str) -> &'static [Toolset] {
    match permission {
        "user-read-playback-state" | "user-read-currently-playing" | "user-modify-playback-state" => {
            &[Toolset::Player]
        }
        "user-read-recently-played" | "user-top-read" => &[Toolset::History],
        "user-read-playback-position" => &[Toolset::Catalog, Toolset::Library],
        "ugc-image-upload" => &[Toolset::Playlists],
        // Following a playlist is saving it, and undoing takes back what was done to the library too.
        _ => &[Toolset::Playlists, Toolset::Library],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(read_only: bool, toolsets: &[Toolset]) -> Offer {
        Offer { read_only, toolsets: toolsets.to_vec() }
    }

    #[test]
    fn everything_is_asked_where_everything_is_offered() {
        let all: Vec<_> = Scope::ALL.into_iter().flat_map(Scope::asked).collect();
        assert_eq!(Offer::default().permissions(), all);
        assert_eq!(Offer::default().scopes(), ScopeSet::ALL);
    }

    #[test]
    fn only_what_offered_tools_cannot_do_without_is_missing() {
        let history = offer(false, &[Toolset::History]);
        assert_eq!(history.missing("user-top-read streaming"), ["user-read-recently-played"]);
        assert_eq!(offer(true, &[Toolset::Catalog]).missing(""), [""; 0], "a position is only wished for");
    }

    #[test]
    fn who_only_reads_asks_for_nothing_that_changes() {
        let reading = offer(true, &Toolset::ALL);
        assert_eq!(reading.scopes().to_string(), "read");
        let kept: Vec<_> = Scope::Read.asked().collect();
        assert_eq!(reading.permissions(), kept);
        assert!(!reading.has("create_playlist") && reading.has("get_playlist"));
    }

    #[test]
    fn a_group_asks_for_what_it_uses() {
        let history = offer(false, &[Toolset::History]);
        assert_eq!(history.permissions(), ["user-read-recently-played", "user-top-read"]);
        assert_eq!(history.scopes().to_string(), "read");
        let player = offer(false, &[Toolset::Player]);
        assert_eq!(player.scopes().to_string(), "read player");
        assert!(player.permissions().contains(&"user-modify-playback-state"));
        assert_eq!(offer(true, &[Toolset::Catalog]).permissions(), ["user-read-playback-position"]);
    }
}
