//! TLS: which versions and suites a server speaks, and whether its certificate holds.

use super::each;
use crate::ambient::Timestamp;
use crate::check::finding::{Seen, Severity, Source, Verdict};
use crate::check::network::hello::{self, Answer};
use crate::check::network::suites;
use crate::check::network::tls::{Certificate, Fault, Shown, Strict};
use crate::check::network::{Facts, Kind};
use crate::check::rule::Ground;

/// What a server showed; else a verdict about why it did not.
fn shown<'a>(source: &Source, (kind, shown): (Kind, &'a Seen<Shown>)) -> Result<&'a Shown, Box<Verdict>> {
    let verdict = match (kind, shown) {
        (Kind::Secured, Ok(shown)) => return Ok(shown),
        (Kind::Secured, Err(unseen)) => Verdict::error(source.clone(), unseen.why.clone()),
        (Kind::PlainLoopback, _) => {
            Verdict::not_applicable(source.clone(), "plain HTTP on this machine: nothing crosses a network")
        }
        (Kind::Plain, _) => {
            Verdict::fail(source.clone(), "plain HTTP: everything crosses the network in the clear")
                .severe(Severity::Critical)
                .of_kind("plain HTTP")
        }
    };
    Err(Box::new(verdict))
}

/// SMC4001: TLS 1.2 and newer, nothing older.
pub(super) fn versions(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    each(&facts.servers, facts.no_server, |source, looked| match shown(&source, looked) {
        Ok(shown) => version(source, shown),
        Err(verdict) => *verdict,
    })
}

fn version(source: Source, shown: &Shown) -> Verdict {
    match (&shown.legacy, &shown.strict) {
        (Ok(Answer::Picked { version, .. }), _) if *version < hello::TLS12 => {
            let name = hello::version_name(*version);
            Verdict::fail(source, format!("it still speaks {name}")).of_kind(name)
        }
        (_, Strict::Refused(why)) => {
            Verdict::error(source, format!("no handshake with TLS 1.2 or 1.3: {why}"))
        }
        (Err(unseen), _) => Verdict::error(source, format!("TLS 1.1 and older: {unseen}")),
        (Ok(answer), _) if !answer.refuses() => {
            Verdict::error(source, format!("TLS 1.1 and older: {}", unsaid(answer)))
        }
        (Ok(_), Strict::Trusted { version, .. }) => {
            Verdict::pass(source, format!("{version}; TLS 1.1 and older are refused"))
        }
        (Ok(_), Strict::Untrusted(_)) => {
            Verdict::pass(source, "TLS 1.2 or newer; TLS 1.1 and older are refused")
        }
    }
}

/// What an answer says that is neither an agreement nor a refusal.
fn unsaid(answer: &Answer) -> String {
    match answer {
        Answer::Alert(alert) => format!("it answers with alert {alert}, which does not say that it refuses"),
        Answer::Picked { version, .. } => format!("it answers with {}", hello::version_name(*version)),
        Answer::Other => "it hangs up without an alert, which does not say that it refuses".to_owned(),
    }
}

/// SMC4002: suites with forward secrecy and authenticated encryption alone.
pub(super) fn suites(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    each(&facts.servers, facts.no_server, |source, looked| match shown(&source, looked) {
        Ok(shown) => suite(source, shown),
        Err(verdict) => *verdict,
    })
}

fn suite(source: Source, shown: &Shown) -> Verdict {
    let hybrid = match &shown.hybrid {
        Ok(Answer::Picked { group: Some(group), .. }) => hello::hybrid_name(*group),
        _ => None,
    };
    let hybrid = hybrid.map_or_else(
        || "no key exchange against quantum computers".to_owned(),
        |name| format!("{name} is offered too"),
    );
    let answers = [
        ("unprotected suites", &shown.unprotected),
        ("weak suites", &shown.weak),
        ("short tags", &shown.short),
    ];
    for (_, answer) in answers {
        if let Ok(Answer::Picked { suite, .. }) = answer {
            return accepted(source, *suite);
        }
    }
    for (what, answer) in answers {
        match answer {
            Err(unseen) => return Verdict::error(source, format!("{what}: {unseen}")),
            Ok(answer) if !answer.refuses() => {
                return Verdict::error(source, format!("{what}: {}", unsaid(answer)));
            }
            Ok(_) => {}
        }
    }
    match &shown.strict {
        Strict::Refused(why) => Verdict::error(source, format!("no handshake: {why}")),
        Strict::Trusted { suite, group, .. } => {
            Verdict::pass(source, format!("{suite} with {group}; weak suites are refused; {hybrid}"))
        }
        Strict::Untrusted(_) => Verdict::pass(source, format!("weak suites are refused; {hybrid}")),
    }
}

fn accepted(source: Source, suite: u16) -> Verdict {
    let verdict = match suites::unprotected().contains(&suite) {
        true => Verdict::fail(
            source,
            format!("it accepts suite {suite:#06x}: no encryption, no authentication, or keys that are easily broken"),
        )
        .severe(Severity::Critical),
        false => Verdict::fail(
            source,
            format!("it accepts suite {suite:#06x}: no forward secrecy, no authenticated encryption, or tags of eight bytes"),
        ),
    };
    verdict.of_kind(format!("{suite:#06x}"))
}

/// SMC4003: a certificate that clients trust, not only today.
pub(super) fn certificates(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let days = |name: &str| ground.parameters.number(name);
    let (warn, urgent) = (days("warn_days"), days("urgent_days"));
    each(&facts.servers, facts.no_server, |source, looked| match shown(&source, looked) {
        Ok(shown) => certificate(source, shown, ground.now, (warn, urgent)),
        Err(verdict) => *verdict,
    })
}

/// `warn`, `urgent`: with fewer days left it is a finding, and one that keeps nobody waiting.
fn certificate(source: Source, shown: &Shown, now: Timestamp, (warn, urgent): (i64, i64)) -> Verdict {
    match (&shown.strict, &shown.certificate) {
        (Strict::Untrusted(fault), certificate) => untrusted(source, *fault, certificate.as_ref()),
        (Strict::Refused(why), _) => {
            Verdict::error(source, format!("no handshake, so no certificate: {why}"))
        }
        (Strict::Trusted { .. }, Some(certificate)) => {
            let Some(ends) = certificate.ends else {
                return Verdict::error(source, "trusted, but when it ends cannot be read");
            };
            let days = (ends - now.secs()).div_euclid(86_400);
            let left = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            let seen = format!("trusted, {left} left, {}, {} sent", certificate.key, certificate.sent);
            let severity = if days < urgent { Severity::High } else { Severity::Medium };
            match days < warn {
                true => Verdict::fail(source, seen)
                    .severe(severity)
                    .of_kind("ends soon")
                    .expecting(format!("{warn} days or more until it ends"))
                    .mended_by("renew it, and see why that does not happen by itself"),
                false => Verdict::pass(source, seen),
            }
        }
        (Strict::Trusted { .. }, None) => Verdict::error(source, "it showed no certificate"),
    }
}

fn untrusted(source: Source, fault: Fault, certificate: Option<&Certificate>) -> Verdict {
    let words = fault.words();
    let observed = match (fault, certificate) {
        (Fault::NoPath, Some(Certificate { sent: 1, .. })) => {
            format!(
                "{words}: it came alone, so those between it and the authority are missing, or the authority is private"
            )
        }
        (Fault::SmallKey, Some(Certificate { key, .. })) => {
            format!("{words}: {key}, where 2048 bits are the least that anybody takes")
        }
        (Fault::Expired, Some(Certificate { ends: Some(ends), .. })) => {
            format!("{words}: it ended at {}", Timestamp::from_secs(*ends).rfc3339())
        }
        _ => words.to_owned(),
    };
    let fix = match fault {
        Fault::Expired => "renew it, and see why that did not happen by itself",
        Fault::NotYetValid => "check the clock of this machine and of the one that issued it",
        Fault::WrongName => "get one that names the host that clients use",
        Fault::SelfSigned => {
            "get one from an authority that clients trust; for a private one name it with --ca"
        }
        Fault::NoPath => "serve the whole chain (fullchain.pem); for a private authority name it with --ca",
        Fault::SmallKey => {
            "make a new key (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256) and get a certificate for it"
        }
        Fault::Other => "see the certificate: openssl s_client -showcerts -connect HOST:PORT",
    };
    Verdict::fail(source, observed).mended_by(fix).of_kind(words)
}

/// SMC4017: those that the server calls can be trusted.
pub(super) fn upstreams(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    each(&facts.upstreams, "the configuration names no upstream", |source, looked| {
        let shown = match shown(&source, looked) {
            Ok(shown) => shown,
            Err(verdict) => return *verdict,
        };
        match &shown.strict {
            Strict::Trusted { version, suite, group } => {
                Verdict::pass(source, format!("trusted: {version}, {suite}, {group}"))
            }
            Strict::Untrusted(fault) => Verdict::fail(source, fault.words()).of_kind(fault.words()),
            Strict::Refused(why) => Verdict::error(source, format!("no TLS connection: {why}")),
        }
    })
}
