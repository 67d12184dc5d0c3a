//! Requests by route and class of status, and how long their answers took to begin.
//!
//! A route is counted under its template of this closed list, whatever was asked under it; what has none is `other`.

use std::time::Duration;

use http::StatusCode;

use crate::telemetry::exposition::{Exposition, Kind};
use crate::telemetry::metrics::{Counter, Figure, Histogram};
use crate::web::headers::Class;
use crate::web::routes;

/// Every template, by the places of [`Route`].
const TEMPLATES: [&str; 38] = [
    "other",
    "/mcp",
    "/claude-mcp",
    "/token",
    "/register",
    "/revoke",
    "/introspect",
    "/livez",
    "/readyz",
    "/health",
    "/metrics",
    routes::HOME,
    routes::AUTHORIZE,
    routes::LOGIN,
    routes::OWN_APP,
    "/auth/callback",
    "/auth/status",
    routes::LOGOUT,
    routes::ACCOUNT,
    routes::LINK,
    routes::RENAME,
    routes::MAKE_PRIMARY,
    routes::DISCONNECT,
    routes::REVOKE,
    routes::WITHDRAW,
    routes::END_SESSION,
    routes::API_KEYS,
    routes::REVOKE_KEY,
    routes::END_MCP_SESSION,
    routes::DELETE,
    routes::EXPORT,
    "/assets/{file}",
    routes::SECURITY_TXT,
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-protected-resource/claude-mcp",
    "/.well-known/{rest}",
];

/// Classes of status, as the label says them.
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is counted of one route.
struct Counts {
    statuses: [Counter; STATUSES.len()],
    took: Histogram,
}

static ROUTES: [Counts; TEMPLATES.len()] =
    [const { Counts { statuses: [const { Counter::new() }; STATUSES.len()], took: Histogram::new() } };
        TEMPLATES.len()];

/// A place in the list of templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route(usize);

impl Route {
    /// The route of a path; `callback` is where Spotify sends browsers back, which the operator chooses.
    pub(super) fn of(path: &str, callback: &str) -> Self {
        // The busiest first.
        let template = match path {
            "/mcp" | "/mcp/" => "/mcp",
            "/claude-mcp/" => "/claude-mcp",
            path if path == callback => "/auth/callback",
            // By its own name it is only somebody's guess.
            "other" | "/auth/callback" | "/assets/{file}" | "/.well-known/{rest}" => "other",
            path if TEMPLATES.contains(&path) => path,
            path if path.strip_prefix(routes::ASSETS).is_some_and(|rest| rest.starts_with('/')) => {
                "/assets/{file}"
            }
            path if path.contains("/.well-known/") => "/.well-known/{rest}",
            _ => "other",
        };
        Self(TEMPLATES.iter().position(|known| *known == template).unwrap_or_default())
    }

    /// Counts an answer that began after so long.
    pub(super) fn answered(self, status: StatusCode, took: Duration) {
        let counts = &ROUTES[self.0];
        let class = usize::from(status.as_u16() / 100).clamp(1, STATUSES.len());
        counts.statuses[class - 1].count();
        counts.took.observe(took);
        if status == StatusCode::TOO_MANY_REQUESTS {
            Figure::RateLimited.count();
        }
    }
}

/// Whether a refusal says that the request itself was not in order, rather than what it asked for.
pub(super) fn is_malformed(status: StatusCode, class: Class) -> bool {
    match status.as_u16() {
        // The protocol's own 400s and 406s are of messages and headers that cannot be read.
        400 | 406 => class == Class::Protocol,
        411 | 413 | 414 | 415 | 431 => true,
        _ => false,
    }
}

/// Writes what was counted of every route.
pub(super) fn expose(out: &mut Exposition) {
    let mut requests = out.family(
        "spotify_mcp_http_requests_total",
        Kind::Counter,
        "Answered requests by the template of their route and the class of their status.",
    );
    for (route, counts) in TEMPLATES.iter().zip(&ROUTES) {
        for (status, count) in STATUSES.iter().zip(&counts.statuses) {
            requests.sample(&[("route", route), ("status", status)], count.get());
        }
    }
    let mut took = out.family(
        "spotify_mcp_http_request_duration_seconds",
        Kind::Histogram,
        "From a request's head to the beginning of its answer, by the template of its route.",
    );
    for (route, counts) in TEMPLATES.iter().zip(&ROUTES) {
        took.histogram(&[("route", route)], &counts.took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(path: &str) -> &'static str {
        TEMPLATES[Route::of(path, "/back/here").0]
    }

    #[test]
    fn every_path_has_a_template_of_the_list() {
        for (path, expected) in [
            ("/mcp", "/mcp"),
            ("/mcp/", "/mcp"),
            ("/claude-mcp/", "/claude-mcp"),
            ("/back/here", "/auth/callback"),
            ("/auth/callback", "other"),
            ("/assets/style.css", "/assets/{file}"),
            ("/assets/{file}", "other"),
            ("/assetsx", "other"),
            ("/.well-known/security.txt", "/.well-known/security.txt"),
            ("/.well-known/anything", "/.well-known/{rest}"),
            ("/mcp/.well-known/openid-configuration", "/.well-known/{rest}"),
            ("/", "/"),
            ("other", "other"),
            ("", "other"),
            ("/wp-login.php", "other"),
        ] {
            assert_eq!(template(path), expected, "{path}");
        }
    }

    #[test]
    fn every_route_of_the_router_has_a_template() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
        let mut found = 0;
        for file in ["mod.rs", "discovery.rs", "health.rs"] {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            for path in text.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let asked = path.replace("{*rest}", "x").replace("{file}", "x");
                assert_ne!(template(&asked), "other", "{path}");
                found += 1;
            }
        }
        assert!(found > 15, "routes have another form than this test reads");
        let text = std::fs::read_to_string(root.join("../web/routes.rs")).unwrap();
        let paths = text.split("&str = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
        for path in paths.filter(|path| *path != routes::ASSETS) {
            assert_eq!(template(path), path);
        }
    }
}
