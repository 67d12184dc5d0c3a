//! What a live server's answers carry: security headers, CORS, cookies; plain HTTP; metrics.

use url::Url;

use super::{csp, flawless, living, telling, unanswered};
use crate::check::finding::{Seen, Source, Verdict, counted};
use crate::check::network::Facts;
use crate::check::network::live::{Live, Plain};
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
        verdicts.push(refusals(source, live).about("what is said to whoever is refused"));
        verdicts
    })
}

/// Whoever may not call learns nothing of people, secrets or where the program failed.
fn refusals(source: Source, live: &Live) -> Verdict {
    let asked = live.refused().map(|(what, reply, _)| (what, reply));
    if let Some(verdict) = unanswered(&source, &asked) {
        return verdict;
    }
    let flaw = |(what, reply): &(&str, &Seen<Reply>)| {
        let body = &reply.as_ref().ok()?.body;
        let told = match (telling::tells(body), telling::names_people(body)) {
            (true, _) => "a version, a secret or where the program failed",
            (_, true) => "a person's address",
            _ => return None,
        };
        Some(format!("{what}: the body tells {told}"))
    };
    let flaws: Vec<String> = asked.iter().filter_map(flaw).collect();
    flawless(source, &flaws, "nothing of people, secrets or where the program failed")
}

fn header_flaws(live: &Live, reply: &Reply) -> Vec<String> {
    let directives = |name: &str| -> Vec<String> {
        let list = reply.header(name).unwrap_or_default().to_ascii_lowercase();
        list.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    };
    let mut flaws = Vec::new();
    let mut lacks = |good: bool, flaw: &str| {
        if !good {
            flaws.push(flaw.to_owned());
        }
    };
    let sniffing = directives("x-content-type-options");
    lacks(!sniffing.is_empty() && sniffing.iter().all(|word| word == "nosniff"), "no nosniff");
    let caching = directives("cache-control");
    let is_kept = caching.iter().any(|word| word == "public" || word.starts_with("s-maxage"));
    lacks(caching.iter().any(|word| word == "no-store") && !is_kept, "may be kept (no no-store, or public)");
    for name in OF_CACHES {
        let words = directives(name);
        let is_refused =
            words.iter().any(|word| matches!(word.as_str(), "no-store" | "private" | "max-age=0"));
        lacks(words.is_empty() || is_refused, &format!("may be kept ({name}, which outranks cache-control)"));
    }
    // Of several policies each holds.
    let policies = directives("content-security-policy");
    let any = |holds: fn(&str) -> bool| policies.iter().any(|policy| holds(policy));
    lacks(any(|policy| csp::sources(policy, "frame-ancestors") == ["'none'"]), "may be framed");
    lacks(any(csp::is_closed), "no closed content security policy");
    lacks(!live.secured || strict_for_months(reply), "no strict transport security of half a year or more");
    for name in ["server", "x-powered-by", "via", "x-aspnet-version", "x-aspnetmvc-version", "x-generator"] {
        for value in reply.lines(name) {
            if value.contains(|c: char| c.is_ascii_digit()) {
                flaws.push(format!("{name} tells a version: {value}"));
            }
        }
    }
    if telling::tells(&reply.body) {
        flaws.push("the body tells a version, a secret or where the program failed".to_owned());
    }
    flaws
}

/// What caches that stand before a server heed in the place of `cache-control` (RFC 9213, and those of engines).
const OF_CACHES: [&str; 4] =
    ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "edge-control"];

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
            ("the resource's metadata", &live.resource),
            ("a call from another origin", &live.other_origin),
            ("the landing page", &live.foreign_page),
        ];
        if let Some(verdict) = unanswered(&source, &asked) {
            return vec![verdict];
        }
        let mut flaws = Vec::new();
        for (what, reply) in asked.iter().filter_map(|(what, reply)| Some((what, reply.as_ref().ok()?))) {
            if reply.header("access-control-allow-credentials").is_some() {
                flaws.push(format!("{what} may be read with cookies"));
            }
            if reply.lines("access-control-allow-origin").iter().any(|origin| origin != "*") {
                flaws.push(format!("{what} repeats whatever origin asks"));
            }
        }
        let opens = |reply: &Result<Reply, _>| {
            reply.as_ref().is_ok_and(|reply: &Reply| reply.header("access-control-allow-origin").is_some())
        };
        if !opens(&live.metadata) || !opens(&live.preflight) {
            flaws.push("clients in browsers cannot read discovery or call".to_owned());
        }
        if opens(&live.foreign_page) {
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
        let cookies: Vec<String> = replies.flat_map(|reply| reply.lines("set-cookie")).collect();
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
            &format!(
                "{}, each out of reach of scripts and other sites",
                counted(cookies.len(), "cookie", "cookies")
            ),
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
            Ok(Plain::Answered(reply)) => redirected(source, reply, &live.origin),
            Ok(Plain::Closed) => Verdict::pass(source, "port 80 is closed: nothing answers plain HTTP"),
            Ok(Plain::Nowhere) => Verdict::not_applicable(
                source,
                "only a server at the usual port of https has one of plain HTTP beside it",
            ),
            Err(unseen) => Verdict::error(source, unseen.why.clone()),
        }]
    })
}

fn redirected(source: Source, reply: &Reply, origin: &str) -> Verdict {
    let status = reply.status;
    let to = reply.header("location").and_then(|to| Url::parse(&to).ok());
    let here = Url::parse(origin).ok();
    match (status, to, here) {
        (301 | 302 | 303 | 307 | 308, Some(to), Some(here)) => match to.origin() == here.origin() {
            true => Verdict::pass(source, format!("{status} to https")),
            false => {
                let seen = format!("plain HTTP is sent on to {}", to.origin().ascii_serialization());
                Verdict::fail(source, format!("{seen}, which is not this server over https"))
            }
        },
        // Not 401, which asks for a credential in the clear, nor 429, which is answered after a while.
        (400 | 403 | 404 | 410 | 421 | 426, ..) => {
            Verdict::pass(source, format!("plain HTTP is answered {status}"))
        }
        _ => Verdict::fail(source, format!("plain HTTP is answered {status}, not sent on to https")),
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
