//! Rules about URLs and places: SMC2008, 2013, 2014, 2016, 3012, 3013.

use std::path::Path;

use url::Url;

use super::{Facts, place_of};
use crate::check::finding::counted;
use crate::check::{Ground, Severity, Source, Verdict};
use crate::config::{Problem, ServerConfig, address, is_on_loopback};
use crate::domain::redirect::RedirectKind;

/// What `serve` refuses about any of these keys, as findings.
fn refused(facts: &Facts, codes: &[&str], keys: &[&str]) -> Vec<Verdict> {
    let is_meant = |problem: &&Problem| {
        codes.contains(&problem.code.as_str())
            || (problem.code.starts_with("CONFIG_") && keys.contains(&problem.key.as_str()))
    };
    let told = |problem: &Problem| {
        Verdict::fail(place_of(problem), format!("{}: {}", problem.key, problem.why))
            .about(format!("{} {}", problem.code, problem.key))
            .mended_by(problem.fix.clone())
    };
    facts.problems.iter().chain(&facts.notices).filter(is_meant).map(told).collect()
}

/// https, or plain http to this very machine.
fn is_protected(url: &Url) -> bool {
    url.scheme() == "https" || is_on_loopback(url)
}

/// SMC2008: the configuration's half.
pub fn redirects_exact(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let config = &facts.config;
    let own = Source::key("spotify.redirect_uri");
    let mut found = refused(
        facts,
        &["REDIRECT_TO_LOCALHOST", "REDIRECT_WITHOUT_TLS"],
        &["spotify.redirect_uri", "auth.clients"],
    );
    let uri = &config.spotify.redirect_uri;
    if uri.origin() != config.server.public_url.origin() && found.is_empty() {
        let seen = format!("{uri} is not on the public URL {}", config.server.issuer());
        let fix = "register the callback of the public URL at Spotify, or leave spotify.redirect_uri out";
        found.push(Verdict::fail(own.clone(), seen).about("spotify.redirect_uri").mended_by(fix));
    }
    for client in &config.auth.clients {
        for uri in client.redirect_uris.iter().filter(|uri| uri.kind() == RedirectKind::CustomScheme) {
            let place = uri.as_str().split('?').next().unwrap_or_default();
            let seen = format!("client {} is answered at {place}, which any program may claim", client.id);
            let verdict = Verdict::fail(Source::key("auth.clients"), seen);
            found.push(verdict.about(format!("{} {place}", client.id)).of_kind(uri.as_str()));
        }
    }
    if found.is_empty() {
        found
            .push(Verdict::pass(own, format!("{uri}, and {} configured clients", config.auth.clients.len())));
    }
    found
}

/// SMC2013.
pub fn public_url_protected(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let server = &facts.config.server;
    let at = Source::key("server.public_url");
    let found = refused(facts, &["PUBLIC_URL_WITHOUT_TLS", "TLS_PUBLIC_URL"], &["server.public_url"]);
    if !found.is_empty() {
        return found;
    }
    let url = server.issuer();
    let behind = if server.tls.is_some() { "TLS by this server" } else { "TLS by a proxy in front" };
    let round = goes_round_tls(server);
    let mut verdicts = vec![if server.public_url.scheme() == "https" {
        Verdict::pass(at, format!("{url}, {behind}"))
    } else if is_on_loopback(&server.public_url) && server.host.is_loopback() {
        Verdict::pass(at, format!("{url}, reached from this machine alone"))
    } else {
        Verdict::fail(at, format!("{url} is plain http, and {} is not loopback", server.host))
    }];
    verdicts.extend(round);
    verdicts
}

/// Plain http beyond this machine, although no proxy of another one is trusted: nobody who ends TLS has to come that way.
fn goes_round_tls(server: &ServerConfig) -> Option<Verdict> {
    let elsewhere = server.trusted_proxies.iter().any(|range| !range.is_loopback());
    if server.public_url.scheme() != "https" || server.tls.is_some() || server.host.is_loopback() || elsewhere
    {
        return None;
    }
    let place = if server.host.is_unspecified() { "every interface" } else { "an interface" };
    let seen = format!(
        "plain http on {place} ({}): whoever reaches this machine goes round the proxy's TLS",
        server.host
    );
    let verdict =
        Verdict::fail(Source::key("server.host"), seen).about("server.host").severe(Severity::Medium);
    let verdict = verdict.expecting(
        "a listener on loopback, TLS by this server, or a proxy of another machine in server.trusted_proxies",
    );
    Some(verdict.mended_by(
        "set server.host to 127.0.0.1 behind a proxy of this machine; name the proxy of another machine in server.trusted_proxies; or set server.tls.certificate and server.tls.key",
    ))
}

/// SMC2014.
pub fn upstreams_genuine(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let spotify = &facts.config.spotify;
    let mut found = refused(facts, &[], &["spotify.accounts_url", "spotify.api_url"]);
    for (key, url, own) in [
        ("spotify.accounts_url", &spotify.accounts_url, "accounts.spotify.com"),
        ("spotify.api_url", &spotify.api_url, "api.spotify.com"),
    ] {
        if url.host_str() != Some(own) || !is_protected(url) {
            let verdict = Verdict::fail(Source::key(key), format!("{} is not {own} by https", address(url)));
            found.push(verdict.about(key).mended_by(format!("remove {key}, or the variable that sets it")));
        }
    }
    if found.is_empty() {
        let seen = format!("{} and {}", address(&spotify.accounts_url), address(&spotify.api_url));
        found.push(Verdict::pass(Source::key("spotify.api_url"), seen));
    }
    found
}

/// Folders that are emptied at a restart, or by anybody.
const PASSING: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

/// SMC2016.
pub fn data_at_home(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let dir = &facts.config.storage.data_dir;
    let at = Source::key("storage.data_dir");
    let allowed = ground.parameters.list("allowed").iter().any(|folder| dir.starts_with(Path::new(folder)));
    vec![if !dir.is_absolute() {
        let seen =
            format!("{} is relative: it moves with the folder that the server starts in", dir.display());
        Verdict::fail(at, seen).mended_by("set DATA_DIR to an absolute path")
    } else if !allowed && PASSING.iter().any(|folder| dir.starts_with(folder)) {
        Verdict::fail(at, format!("{} is a place for what may be lost", dir.display()))
    } else {
        Verdict::pass(at, dir.display().to_string())
    }]
}

/// SMC3012: the configuration's half.
pub fn origins_named(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let server = &facts.config.server;
    let mut found = Vec::new();
    if !server.public_url_is_explicit && !server.host.is_loopback() {
        let seen = "the public URL is derived, so no host name is expected";
        found.push(Verdict::fail(Source::key("server.public_url"), seen).about("server.public_url"));
    }
    for origin in &server.allowed_origins {
        let url = Url::parse(origin).ok();
        if !url.as_ref().is_some_and(is_protected) {
            let seen = format!("pages of {origin} may call /mcp, and anybody on their way may change them");
            found.push(Verdict::fail(Source::key("server.allowed_origins"), seen).about(origin.clone()));
        }
    }
    let most = ground.parameters.number("most_origins");
    if i64::try_from(server.allowed_origins.len()).is_ok_and(|count| count > most) {
        let seen = format!("{} may call /mcp", counted(server.allowed_origins.len(), "origin", "origins"));
        found.push(
            Verdict::fail(Source::key("server.allowed_origins"), seen).expecting(format!("at most {most}")),
        );
    }
    if found.is_empty() {
        let seen = format!("Host is {}; {} other origins", server.issuer(), server.allowed_origins.len());
        found.push(Verdict::pass(Source::key("server.public_url"), seen));
    }
    found
}

/// SMC3013: cookies are `__Host-` and `Secure` exactly where the public URL is https.
pub fn cookies_protected(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let url = &facts.config.server.public_url;
    let at = Source::key("server.public_url");
    vec![if url.scheme() == "https" {
        Verdict::pass(at, "cookies are __Host-, Secure, HttpOnly, SameSite=Lax")
    } else if is_on_loopback(url) {
        Verdict::not_applicable(at, "plain http on loopback: no cookie crosses a network")
    } else {
        Verdict::fail(at, format!("{url} is plain http: cookies are neither Secure nor __Host-"))
    }]
}
