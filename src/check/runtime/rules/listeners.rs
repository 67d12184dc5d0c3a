//! On which addresses the process listens, against what its configuration says.

use std::net::SocketAddr;

use super::{judged, part};
use crate::check::finding::{Severity, Source, Unseen, Verdict};
use crate::check::rule::Ground;
use crate::check::runtime::process::Who;
use crate::check::runtime::sockets::Listener;
use crate::check::runtime::{Declared, Facts};
use crate::egress::{AddressClass, classify};

/// SMC4008: it listens where its configuration says and nowhere else, and metrics are for this machine or its network.
pub(super) fn declared(facts: &Facts, _: &Ground<'_>) -> Vec<Verdict> {
    judged(
        facts,
        "net/tcp",
        |linux| part(&linux.listeners),
        |source, listening, _| match (&listening.not_its_own, listening.listeners.as_slice()) {
            (None, []) => {
                let why = match facts.who {
                    Ok(Who::Itself) => "no server runs, and this command listens nowhere",
                    _ => "it listens nowhere: it serves standard input and output",
                };
                vec![Verdict::not_applicable(source, why)]
            }
            (Some(unseen), []) => {
                let why =
                    format!("no socket of its user listens, and whether it has others is not said: {unseen}");
                vec![Verdict::error(source, why)]
            }
            (unseen, all) => all
                .iter()
                .map(|one| {
                    judge(source.clone(), one, (&facts.declared, unseen.as_ref(), all))
                        .about(one.address.to_string())
                })
                .collect(),
        },
    )
}

fn judge(
    source: Source,
    listener: &Listener,
    (declared, unseen, all): (&Declared, Option<&Unseen>, &[Listener]),
) -> Verdict {
    let (address, user) = (listener.address, listener.user);
    // Where the system chose the port, one socket is the server's: of several nobody knows which.
    let chosen =
        |said: SocketAddr| said.port() == 0 && all.iter().filter(|one| fits(said, one.address)).count() > 1;
    let said = declared.flag.into_iter().chain(declared.listen.iter().copied());
    match declared.metrics {
        Some(metrics) if fits(metrics, address) => return metrics_listener(source, address),
        _ => {}
    }
    match said.clone().find(|said| fits(*said, address)) {
        Some(said) if chosen(said) => {
            let seen = format!(
                "{address} may be the one whose port the system chose ({said}); so may others, and one alone is declared"
            );
            Verdict::error(source, seen).mended_by("set server.port to a number")
        }
        Some(said) if declared.flag == Some(said) => by_flag(source, address, declared),
        Some(_) => Verdict::pass(source, format!("{address} is declared (server.host, server.port)")),
        None => undeclared(source, (address, user), unseen),
    }
}

/// What its own arguments say is said by whoever starts it; a wildcard is the configuration's to declare.
fn by_flag(source: Source, address: SocketAddr, declared: &Declared) -> Verdict {
    let is_said = declared.listen.iter().any(|listen| listen.ip().is_unspecified());
    match address.ip().is_unspecified() && !is_said {
        true => Verdict::fail(
            source,
            format!(
                "it listens on {address}, every address, by --listen alone: the configuration does not say so"
            ),
        )
        .severe(Severity::Medium)
        .mended_by("set server.host and server.port to what is meant, and start the server without --listen"),
        false => Verdict::pass(source, format!("{address} is declared in its arguments (--listen)")),
    }
}

fn undeclared(source: Source, (address, user): (SocketAddr, u32), unseen: Option<&Unseen>) -> Verdict {
    match unseen {
        None => {
            Verdict::fail(source, format!("it listens on {address}, which the configuration does not say"))
        }
        Some(unseen) => Verdict::error(
            source,
            format!(
                "something of user {user} listens on {address}, which the configuration does not say; whether it is this process cannot be seen: {unseen}"
            ),
        ),
    }
}

fn metrics_listener(source: Source, address: SocketAddr) -> Verdict {
    match classify(address.ip().to_canonical()) {
        AddressClass::Loopback
        | AddressClass::Private
        | AddressClass::LinkLocal
        | AddressClass::CarrierNat => {
            Verdict::pass(source, format!("metrics on {address} are for this machine or its network"))
        }
        _ => Verdict::fail(
            source,
            format!("metrics on {address} can be reached from anywhere, behind a token alone"),
        )
        .severe(Severity::Medium)
        .mended_by("write an address of loopback or of an inner network into telemetry.metrics_listen"),
    }
}

/// Whether a socket is the declared one; port 0 lets the system choose.
fn fits(declared: SocketAddr, address: SocketAddr) -> bool {
    let same_port = declared.port() == address.port() || declared.port() == 0;
    same_port && declared.ip().to_canonical() == address.ip().to_canonical()
}
