//! The landing page: what this is, the address to paste, how each client takes it, and what is kept.

use askama::Template;

use super::headers::Class;
use super::layout::Site;
use super::{Page, Untrusted};

/// Renders `/`; `logged_in_as` is the browser session's user, if there is one.
pub fn landing(site: &Site, logged_in_as: Option<&Untrusted>) -> Page {
    Page::of(&LandingPage { site, logged_in_as, url: site.mcp_url() }, Class::Page)
}

#[derive(Template)]
#[template(path = "landing.html")]
struct LandingPage<'a> {
    site: &'a Site,
    logged_in_as: Option<&'a Untrusted>,
    url: String,
}

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
