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
            (unseen, all) => {
                all.iter().map(|one| judge(source.clone(), one, (&facts.declared, unseen.as_ref()))).collect()
            }
        },
    )
}

fn judge(source: Source, listener: &Listener, (declared, unseen): (&Declared, Option<&Unseen>)) -> Verdict {
    let (address, user) = (listener.address, listener.user);
    let verdict = match declared.metrics {
        Some(metrics) if fits(metrics, address) => metrics_listener(source, address),
        _ if declared.listen.iter().any(|listen| fits(*listen, address)) => {
            Verdict::pass(source, format!("{address} is declared (server.host, server.port)"))
        }
        _ => match unseen {
            None => Verdict::fail(
                source,
                format!("it listens on {address}, which the configuration does not say"),
            ),
            Some(unseen) => Verdict::error(
                source,
                format!(
                    "something of user {user} listens on {address}, which the configuration does not say; whether it is this process cannot be seen: {unseen}"
                ),
            ),
        },
    };
    verdict.about(address.to_string())
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
