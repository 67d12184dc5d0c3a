//! The landing page: what this is, the address to paste, how each client takes it, and what is kept.

use askama::Template;

use super::headers::Class;
use super::layout::Site;
use super::{Page, Untrusted};
use crate::policy::Offer;

/// Renders `/`; `logged_in_as` is the browser session's user, if there is one. So many days changes can be undone.
pub fn landing(site: &Site, logged_in_as: Option<&Untrusted>, (offer, undo_days): (&Offer, u64)) -> Page {
    let examples =
        EXAMPLES.iter().filter(|(tool, _)| offer.has(tool)).map(|(_, said)| *said).take(3).collect();
    Page::of(&LandingPage { site, logged_in_as, url: site.mcp_url(), examples, undo_days }, Class::Page)
}

#[derive(Template)]
#[template(path = "landing.html")]
struct LandingPage<'a> {
    site: &'a Site,
    logged_in_as: Option<&'a Untrusted>,
    url: String,
    /// What somebody may ask, of the tools that are offered.
    examples: Vec<&'static str>,
    /// For so many days what changes took away is kept; 0: not at all.
    undo_days: u64,
}

/// What somebody may ask for first, by the tool that it takes.
const EXAMPLES: [(&str, &str); 8] = [
    ("get_current_track", "What is playing?"),
    ("search_tracks", "Find Don’t Stop."),
    ("create_playlist", "Make a playlist of my newest liked songs."),
    ("get_top_items", "Which artists have I heard most this year?"),
    ("get_recently_played", "What did I hear last?"),
    ("find_in_playlists", "Which of my playlists have Don’t Stop?"),
    ("get_liked_songs", "Show my newest liked songs."),
    ("get_status", "Which Spotify accounts are linked?"),
];

impl LandingPage<'_> {
    fn claude_code(&self) -> String {
        format!("claude mcp add --transport http spotify {}", self.url)
    }

    fn codex(&self) -> String {
        format!("codex mcp add spotify --url {}", self.url)
    }

    fn gemini(&self) -> String {
        format!("gemini mcp add --transport http spotify {}", self.url)
    }

    fn cursor(&self) -> String {
        format!("{{\n  \"mcpServers\": {{\n    \"spotify\": {{ \"url\": \"{}\" }}\n  }}\n}}", self.url)
    }

    fn vscode(&self) -> String {
        format!(
            "{{\n  \"servers\": {{\n    \"spotify\": {{ \"type\": \"http\", \"url\": \"{}\" }}\n  }}\n}}",
            self.url
        )
    }

    fn stdio_bridge(&self) -> String {
        let plain = if self.site.https() { "" } else { " --allow-http" };
        format!("npx mcp-remote {}{plain}", self.url)
    }
}
