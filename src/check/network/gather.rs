//! Gathers what the rules stand on; never fails: what cannot be seen says why. Offline nothing is sent but to listeners
//! that this process makes on loopback.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::connecting::{NoConnection, connect};
use super::live::{self, Live};
use super::targets::{self, Reach, Target};
use super::tls::{self, Server, Shown, Strict, Trust};
use super::web::{Place, body};
use super::{At, Declared, Facts, Kind, Looked, OFFLINE, proof, signing};
use crate::ambient::{Dice, Timestamp};
use crate::app;
use crate::check::finding::{Seen, Unseen};
use crate::check::request::Request;
use crate::config::Config;
use crate::reading::{self, io_cause};

/// All servers together: one that hangs is not waited for as often as it is named.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many are looked at at once.
const AT_ONCE: usize = 16;
/// A certificate file is a few kilobytes.
const LARGEST_CA: u64 = 1 << 20;

/// Looks at everything that may be looked at.
pub async fn gather(request: &Request) -> Facts {
    let config = request.loaded.as_far_as_valid();
    let policy = app::gate_policy(config).map_err(|error| match error {
        app::BuildError::Host(key, why) => Unseen::because(format!("{key}: {why}")),
        _ => Unseen::because("the configuration makes no gate"),
    });
    let mut facts = Facts {
        servers: Vec::new(),
        no_server: "no server is named: --live URL, --address HOST:PORT, or an https public URL in the configuration",
        upstreams: Vec::new(),
        skew: Err(offline()),
        proof: proof::run(policy, &request.clock).await,
        signing: signing::run(&request.dice, request.now),
        live: None,
        declared: declared(config),
    };
    if request.offline {
        facts.no_server = OFFLINE;
        return facts;
    }
    let trust = match trust(request.ca.as_deref()) {
        Ok(trust) => trust,
        Err(unseen) => return unlooked(facts, request, &unseen),
    };
    let own = targets::own_url(request);
    let until = Instant::now() + PATIENCE;
    let ours = targets::own(request, own.as_ref());
    (facts.servers, facts.upstreams) = tokio::join!(
        look(ours, &trust, (&request.dice, until)),
        look(targets::upstreams(config), &trust, (&request.dice, until))
    );
    facts.skew = skew(&facts.upstreams, &trust, request).await;
    if let Some((url, reach)) = &own {
        facts.live = Some(live((url, *reach), trust).await);
    }
    facts
}

fn offline() -> Unseen {
    Unseen::because("--offline: nothing was asked of others")
}

/// Where it is not known whom to trust, nobody is asked.
fn unlooked(mut facts: Facts, request: &Request, unseen: &Unseen) -> Facts {
    let unseen_at = |target: Target| Looked::unseen(&target, unseen.clone());
    let own = targets::own_url(request);
    facts.servers = targets::own(request, own.as_ref()).into_iter().map(unseen_at).collect();
    let upstreams = targets::upstreams(request.loaded.as_far_as_valid());
    facts.upstreams = upstreams.into_iter().map(unseen_at).collect();
    facts.skew = Err(unseen.clone());
    facts.live = own.map(|_| Err(unseen.clone()));
    facts
}

/// The web's authorities, and those of a PEM file.
fn trust(own: Option<&Path>) -> Seen<Trust> {
    let Some(path) = own else { return Ok(Trust::web_and(&[])) };
    let bytes = reading::bytes(path, LARGEST_CA).map_err(|error| {
        Unseen::because(format!("{} cannot be read: {}", path.display(), io_cause(&error)))
    })?;
    let authorities: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&bytes).collect();
    match authorities {
        Ok(authorities) if !authorities.is_empty() => Ok(Trust::web_and(&authorities)),
        _ => Err(Unseen::because(format!("{} holds no certificate in PEM", path.display()))),
    }
}

/// Looks at them side by side, at each of their addresses.
async fn look(targets: Vec<Target>, trust: &Trust, (dice, until): (&Dice, Instant)) -> Vec<Looked> {
    let one = |target: Target| async move {
        let late =
            Looked::unseen(&target, Unseen::because("not looked at within 60 seconds for all servers"));
        timeout_at(until, look_at(&target, trust, dice)).await.unwrap_or(late)
    };
    stream::iter(targets).map(one).buffered(AT_ONCE).collect().await
}

async fn look_at(target: &Target, trust: &Trust, dice: &Dice) -> Looked {
    if target.kind != Kind::Secured {
        return Looked::unseen(target, Unseen::because("it speaks plain HTTP"));
    }
    let (servers, more) = match target.resolved().await {
        Ok(found) => found,
        Err(unseen) => return Looked::unseen(target, unseen),
    };
    let several = servers.len() > 1;
    let shown = futures_util::future::join_all(servers.iter().map(|server| async move {
        // A machine without IPv6 has no way to half of a name's addresses, and neither have those who use it.
        match connect(server.address).await {
            Err(NoConnection::NoWay(_)) if several => None,
            Err(unreached) => Some(Err(unreached.into())),
            Ok(stream) => {
                drop(stream);
                Some(tls::look(server, trust, dice).await)
            }
        }
    }));
    let (mut at, mut without_way) = (Vec::new(), Vec::new());
    for (server, shown) in servers.iter().zip(shown.await) {
        match shown {
            Some(shown) => at.push(At { address: Some(server.address), shown }),
            None => without_way.push(server.address),
        }
    }
    if at.is_empty() {
        return Looked::unseen(target, Unseen::because("this machine has no way to any of its addresses"));
    }
    Looked { name: target.name.clone(), kind: target.kind, at, without_way, more }
}

async fn live((url, reach): (&Url, Reach), trust: Trust) -> Seen<Live> {
    let target = Target::of(url, reach).ok_or_else(|| Unseen::because("the URL names no host"))?;
    let server = reached(target.resolved().await?.0).await?;
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", target.host),
        None => target.host.clone(),
    };
    let place = Place { server, secured: target.kind == Kind::Secured, authority, trust };
    Ok(live::look(url, &place).await)
}

/// The first that can be connected to. Where nobody answers at all, that is said once and for all.
async fn reached(servers: Vec<Server>) -> Seen<Server> {
    let mut unseen = Unseen::because("it has no address");
    for server in servers {
        match connect(server.address).await {
            Ok(_) => return Ok(server),
            Err(unreached) => unseen = unreached.into(),
        }
    }
    Err(unseen)
}

/// This machine's clock against the first upstream that was trusted and says what time it has.
async fn skew(upstreams: &[Looked], trust: &Trust, request: &Request) -> Seen<i64> {
    let trusted = |at: &&At| matches!(&at.shown, Ok(Shown { strict: Strict::Trusted { .. }, .. }));
    let found = upstreams.iter().find_map(|looked| Some((looked, looked.at.iter().find(trusted)?.address?)));
    let Some((upstream, address)) = found else {
        return Err(Unseen::because(
            "no upstream could be reached and trusted, whose clock would be compared",
        ));
    };
    let host = upstream.name.rsplit_once(':').map_or(upstream.name.as_str(), |(host, _)| host);
    let server = Server { address, host: host.to_owned() };
    let place = Place { server, secured: true, authority: upstream.name.clone(), trust: trust.clone() };
    let question = place.about("HEAD", "/").body(body(""));
    let question = question.map_err(|error| Unseen::because(error.to_string()))?;
    let reply = place.ask(question).await?;
    let here = request.clock.now();
    let there = reply.header("date").as_deref().and_then(http_date);
    let there =
        there.ok_or_else(|| Unseen::because(format!("{} does not say what time it has", upstream.name)))?;
    Ok(here.secs() - there.secs())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    use time::macros::format_description;
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let at = time::PrimitiveDateTime::parse(text, &format).ok()?;
    Some(Timestamp::from_secs(at.assume_utc().unix_timestamp()))
}

fn declared(config: &Config) -> Declared {
    let limits = &config.limits;
    let counted = [
        ("limits.calls_per_user_per_minute", limits.calls_per_user_per_minute),
        ("limits.concurrent_calls_per_user", limits.concurrent_calls_per_user),
        ("limits.concurrent_calls", limits.concurrent_calls),
        ("limits.registrations_per_address_per_hour", limits.registrations_per_address_per_hour),
        ("limits.failed_attempts_per_address_per_minute", limits.failed_attempts_per_address_per_minute),
        ("limits.logins_per_address_per_minute", limits.logins_per_address_per_minute),
        ("limits.connections", limits.connections),
        ("limits.mcp_connections_per_user", limits.mcp_connections_per_user),
        ("limits.mcp_body_bytes", u32::from(limits.mcp_body_bytes > 0)),
        ("limits.body_bytes", u32::from(limits.body_bytes > 0)),
    ];
    let server = &config.server;
    Declared {
        own_tls: server.tls.is_some(),
        public_tls: server.public_url.scheme() == "https",
        listens_on_loopback: server.host.is_loopback(),
        proxies: server.trusted_proxies.clone(),
        unlimited: counted.iter().filter(|(_, limit)| *limit == 0).map(|(key, _)| *key).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::network::fixtures::{Authority, BOTH, secured as serve};
    use crate::check::network::live::Plain;

    #[test]
    fn the_date_of_an_answer_is_read_strictly() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_secs(784_111_777)));
        for other in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 40 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_live_server_is_asked_over_tls_only_where_it_is_trusted() {
        let authority = Authority::new();
        let address = serve(authority.issue("127.0.0.1", 2100), BOTH).await;
        let url: Url = format!("https://{address}/").parse().unwrap();
        let live_by = async |trust| live((&url, Reach::Anywhere), trust).await.unwrap();
        let live = live_by(Trust::web_and(std::slice::from_ref(&authority.root))).await;
        assert_eq!(live.page.as_ref().map(|reply| reply.status), Ok(204));
        assert_eq!(live.plain, Ok(Plain::Nowhere));
        let untrusted = live_by(Trust::web_and(&[])).await;
        assert!(untrusted.page.unwrap_err().why.contains("leads to no trusted authority"));
    }

    #[test]
    fn a_file_of_authorities_must_hold_some() {
        assert!(trust(Some(Path::new("/nowhere/ca.pem"))).unwrap_err().why.contains("cannot be read"));
        assert!(trust(Some(Path::new("Cargo.toml"))).unwrap_err().why.contains("no certificate"));
    }

    /// Each of these names a server that takes connections and never says a word.
    #[tokio::test]
    async fn servers_that_hang_are_waited_for_side_by_side() {
        let mut listeners = Vec::new();
        let mut targets = Vec::new();
        for _ in 0..6 {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url: Url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
            targets.push(Target::of(&url, Reach::Anywhere).unwrap());
            listeners.push(listener);
        }
        let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
        let dice = Dice::system();
        let began = Instant::now();
        let looked = look(targets.clone(), &Trust::web_and(&[]), (&dice, began + PATIENCE)).await;
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(looked.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), names);
        let soon = Instant::now() + Duration::from_millis(100);
        let looked = look(targets, &Trust::web_and(&[]), (&dice, soon)).await;
        assert!(
            looked
                .iter()
                .all(|one| one.at[0].shown.as_ref().is_err_and(|why| why.why.contains("60 seconds")))
        );
    }
}
