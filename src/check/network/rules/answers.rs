//! What a live server's answers carry: security headers, CORS, cookies; plain HTTP; metrics.

use super::{flawless, living, unanswered};
use crate::check::finding::{Source, Verdict};
use crate::check::network::Facts;
use crate::check::network::live::{FOREIGN, Live};
use crate::check::network::web::Reply;
use crate::check::rule::Ground;

/// SMC4010: nothing is kept, sniffed or framed, and nobody is told what serves.
pub(super) fn headers(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    living(facts, |source, live| {
        let asked = [
            ("the landing page", &live.page),
            ("an address that is not there", &live.missing),
            ("discovery", &live.metadata),
            ("a call without a credential", &live.anonymous),
        ];
        let mut verdicts = Vec::new();
        for (what, reply) in asked {
            let verdict = match reply {
                Err(unseen) => Verdict::error(source.clone(), unseen.why.clone()),
                Ok(reply) => flawless(source.clone(), &header_flaws(live, reply), "as they should be"),
            };
            verdicts.push(verdict.about(what));
        }
        verdicts
    })
}

fn header_flaws(live: &Live, reply: &Reply) -> Vec<String> {
    let has = |name: &str, word: &str| {
        reply.header(name).is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    let mut flaws = Vec::new();
    let mut lacks = |good: bool, flaw: &str| {
        if !good {
            flaws.push(flaw.to_owned());
        }
    };
    lacks(has("x-content-type-options", "nosniff"), "no nosniff");
    lacks(has("cache-control", "no-store"), "may be kept (no no-store)");
    lacks(has("content-security-policy", "frame-ancestors 'none'"), "may be framed");
    lacks(has("content-security-policy", "default-src 'none'"), "no closed content security policy");
    lacks(!live.secured || strict_for_months(reply), "no strict transport security of half a year or more");
    let banner = |name: &str| reply.header(name).filter(|value| value.contains(|c: char| c.is_ascii_digit()));
    for name in ["server", "x-powered-by", "via", "x-aspnet-version"] {
        if let Some(value) = banner(name) {
            flaws.push(format!("{name} tells a version: {value}"));
        }
    }
    if reply.body.contains(concat!("spotify-mcp/", env!("CARGO_PKG_VERSION")))
        || reply.body.contains("panicked at")
    {
        flaws.push("the body tells a version or where the program failed".to_owned());
    }
    flaws
}

/// Browsers heed it for `max-age` seconds (RFC 6797 section 6.1.1).
fn strict_for_months(reply: &Reply) -> bool {
    const HALF_A_YEAR: u64 = 15_552_000;
    let value = reply.header("strict-transport-security").unwrap_or_default();
    let age = value.split(';').find_map(|part| part.trim().strip_prefix("max-age="));
    age.and_then(|age| age.trim_matches('"').parse().ok()).is_some_and(|age: u64| age >= HALF_A_YEAR)
}

/// SMC4013: scripts of other origins read what is for everybody, and never with somebody's cookies.
pub(super) fn cross_origin(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    living(facts, |source, live| {
        let asked = [
            ("discovery", &live.metadata),
            ("the preflight", &live.preflight),
            ("the landing page", &live.page),
        ];
        if let Some(verdict) = unanswered(&source, &asked) {
            return vec![verdict];
        }
        let mut flaws = Vec::new();
        for (what, reply) in asked.iter().filter_map(|(what, reply)| Some((what, reply.as_ref().ok()?))) {
            if reply.header("access-control-allow-credentials").is_some() {
                flaws.push(format!("{what} may be read with cookies"));
            }
            if reply.header("access-control-allow-origin") == Some(FOREIGN) {
                flaws.push(format!("{what} repeats whatever origin asks"));
            }
        }
        let opens = |reply: &Result<Reply, _>| {
            reply.as_ref().is_ok_and(|reply: &Reply| reply.header("access-control-allow-origin").is_some())
        };
        if !opens(&live.metadata) || !opens(&live.preflight) {
            flaws.push("clients in browsers cannot read discovery or call".to_owned());
        }
        if opens(&live.page) {
            flaws.push("pages for people can be read from other origins".to_owned());
        }
        vec![flawless(
            source,
            &flaws,
            "programs' answers are open to every origin without cookies; pages are not",
        )]
    })
}

/// SMC4014: cookies are out of scripts' and other sites' reach.
pub(super) fn cookies(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    living(facts, |source, live| {
        if let Some(verdict) =
            unanswered(&source, &[("the landing page", &live.page), ("a login", &live.login)])
        {
            return vec![verdict];
        }
        let replies = [&live.page, &live.login].into_iter().flatten();
        let cookies: Vec<&str> = replies
            .flat_map(|reply| reply.headers.get_all("set-cookie"))
            .filter_map(|cookie| cookie.to_str().ok())
            .collect();
        if cookies.is_empty() {
            return vec![Verdict::not_applicable(
                source,
                "neither the landing page nor a login sets a cookie",
            )];
        }
        let mut flaws: Vec<String> =
            cookies.iter().flat_map(|cookie| cookie_flaws(cookie, live.secured)).collect();
        flaws.sort_unstable();
        flaws.dedup();
        vec![flawless(
            source,
            &flaws,
            &format!("{} cookies, each out of reach of scripts and other sites", cookies.len()),
        )]
    })
}

fn cookie_flaws(cookie: &str, secured: bool) -> Vec<String> {
    let mut parts = cookie.split(';').map(str::trim);
    let name = parts.next().and_then(|pair| pair.split('=').next()).unwrap_or_default();
    let attributes: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
    let has = |wanted: &str| attributes.iter().any(|attribute| attribute == wanted);
    let strict = has("samesite=lax") || has("samesite=strict");
    // A name of our own ends in what is no secret, but differs each time.
    let name = name.rsplit_once('-').filter(|(_, end)| end.len() == 8).map_or(name, |(begin, _)| begin);
    let wanted = [
        (has("httponly"), "HttpOnly"),
        (strict, "SameSite"),
        (!secured || has("secure"), "Secure"),
        (!secured || cookie.starts_with("__Host-"), "the prefix __Host-"),
    ];
    let missing =
        wanted.iter().filter(|(there, _)| !there).map(|(_, what)| format!("{name} is without {what}"));
    missing.collect()
}

/// SMC4015: plain HTTP leads to https or nowhere.
pub(super) fn plain_http(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    living(facts, |source, live| {
        if !live.secured {
            return vec![match live.loopback {
                true => {
                    Verdict::not_applicable(source, "plain HTTP on this machine: nothing crosses a network")
                }
                false => Verdict::fail(source, "the server itself is plain HTTP"),
            }];
        }
        vec![match &live.plain {
            Ok(reply) => redirected(source, reply),
            Err(unseen) if unseen.why.contains("cannot be connected to") => {
                Verdict::pass(source, "nothing answers plain HTTP at port 80")
            }
            Err(unseen) if unseen.why.contains("usual port") => {
                Verdict::not_applicable(source, unseen.why.clone())
            }
            Err(unseen) => Verdict::error(source, unseen.why.clone()),
        }]
    })
}

fn redirected(source: Source, reply: &Reply) -> Verdict {
    let to = reply.header("location").unwrap_or_default();
    match (reply.status, to.starts_with("https://")) {
        (301 | 302 | 307 | 308, true) => Verdict::pass(source, format!("{} to https", reply.status)),
        (400..=499, _) => Verdict::pass(source, format!("plain HTTP is answered {}", reply.status)),
        (status, _) => {
            Verdict::fail(source, format!("plain HTTP is answered {status}, not sent on to https"))
        }
    }
}

/// SMC4016: strangers read no metrics.
pub(super) fn metrics(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    living(facts, |source, live| {
        vec![match &live.metrics {
            Err(unseen) => Verdict::error(source, unseen.why.clone()),
            Ok(reply) if matches!(reply.status, 401 | 403 | 404) => {
                Verdict::pass(source, format!("/metrics is answered {} without a token", reply.status))
            }
            Ok(reply) => {
                Verdict::fail(source, format!("/metrics is answered {} without a token", reply.status))
            }
        }]
    })
}
