//! Arguments before anything is looked at: what would be ignored, is not there or cannot be meant is refused, so that no
//! run is quieter than it was asked to be. Never: repeating a password that stands in one.

use std::io::ErrorKind;
use std::path::Path;

use url::{Host, Url};

use super::ask::Ask;
use crate::check::Area;
use crate::cli::output::{Refused, io_cause};
use crate::domain::event::clean;
use crate::reading;

/// A flag, whether it was given, and the areas that take it.
type Taken = (&'static str, bool, &'static [Area]);

const PACKAGES: &[Area] = &[Area::Deps];
const SERVERS: &[Area] = &[Area::Network];
const PROCESS: &[Area] = &[Area::Runtime];
const TRIED: &[Area] = &[Area::Config, Area::Network];

/// Refuses what this area (`None`: all of them) would not look at, and what cannot be looked at by anybody; gives the
/// live server's address.
pub(super) fn live(area: Option<Area>, ask: &Ask) -> Result<Option<Url>, Refused> {
    of_its_area(area, ask)?;
    there(ask)?;
    ask.address.iter().try_for_each(|said| host_and_port(said))?;
    if let Some(said) = &ask.supply.fetch_advisories {
        web("--fetch-advisories", said)?;
    }
    ask.live.as_deref().map(|said| web("--live", said)).transpose()
}

fn of_its_area(area: Option<Area>, ask: &Ask) -> Result<(), Refused> {
    let (Some(area), supply) = (area, &ask.supply) else { return Ok(()) };
    let all: [Taken; 12] = [
        ("--advisory-db", supply.advisory_db.is_some(), PACKAGES),
        ("--fetch-advisories", supply.fetch_advisories.is_some(), PACKAGES),
        ("--lockfile", supply.lockfile.is_some(), PACKAGES),
        ("--registry-index", supply.registry_index.is_some(), PACKAGES),
        ("--release-manifest", supply.release_manifest.is_some(), PACKAGES),
        ("--sbom", supply.sbom.is_some(), PACKAGES),
        ("--live", ask.live.is_some(), SERVERS),
        ("--address", !ask.address.is_empty(), SERVERS),
        ("--ca", ask.ca.is_some(), SERVERS),
        ("--pid", ask.pid.is_some(), PROCESS),
        ("--system-root", ask.system_root.is_some(), PROCESS),
        ("--probe", ask.probe, TRIED),
    ];
    let stray = all.into_iter().find(|(_, is_given, areas)| *is_given && !areas.contains(&area));
    let Some((flag, _, areas)) = stray else { return Ok(()) };
    let names: Vec<&str> = areas.iter().map(|area| area.name()).collect();
    let text = format!("'security-check {}' does not look at what {flag} names", area.name());
    let next = format!("leave {flag} out, or ask {} or compliance", names.join(", "));
    Err(Refused::usage("USAGE", text, next))
}

/// What a flag names must be there: a run without it would be taken for one with it.
fn there(ask: &Ask) -> Result<(), Refused> {
    let supply = &ask.supply;
    let all = [
        ("--advisory-db", &supply.advisory_db),
        ("--lockfile", &supply.lockfile),
        ("--registry-index", &supply.registry_index),
        ("--release-manifest", &supply.release_manifest),
        ("--ca", &ask.ca),
        ("--system-root", &ask.system_root),
    ];
    for (flag, path) in all {
        let Some(path) = path else { continue };
        present(flag, path)?;
    }
    Ok(())
}

/// A dotenv file that is none would drop out of all that is judged. One that this user may not read is judged as that.
pub(super) fn dotenv(path: Option<&Path>) -> Result<(), Refused> {
    match path.map(|path| (path, reading::open(path))) {
        Some((path, Err(error))) if error.kind() != ErrorKind::PermissionDenied => {
            Err(missing("--env-file", path, &error))
        }
        _ => Ok(()),
    }
}

fn present(flag: &str, path: &Path) -> Result<(), Refused> {
    path.metadata().map(drop).map_err(|error| missing(flag, path, &error))
}

fn missing(flag: &str, path: &Path, error: &std::io::Error) -> Refused {
    let text = format!("{flag} {}: {}", clean(&path.to_string_lossy()), io_cause(error));
    Refused::usage("INPUT_MISSING", text, "name one that is there; nothing was judged")
}

/// An address of the web without a name or password in it.
fn web(flag: &str, said: &str) -> Result<Url, Refused> {
    let url = Url::parse(said).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match url {
        Some(url) if !url.username().is_empty() || url.password().is_some() => Err(with_credentials(flag)),
        Some(url) if url.query().is_some() || url.fragment().is_some() => {
            let text = format!("a query stands in {flag}, where others on this machine can see it");
            Err(Refused::usage("USAGE", text, "write the address without it: nothing was sent"))
        }
        Some(url) => Ok(url),
        None if !said.contains('@') => {
            let text = format!("{flag} {}: this is no http or https URL", clean(said));
            Err(Refused::usage("USAGE", text, "write it whole, for example https://music.example.com"))
        }
        _ => Err(with_credentials(flag)),
    }
}

fn with_credentials(flag: &str) -> Refused {
    let text = format!("a name or a password stands in {flag}, where others on this machine can see it");
    Refused::usage("URL_WITH_CREDENTIALS", text, "leave it out, and change the password: nothing was sent")
}

fn host_and_port(said: &str) -> Result<(), Refused> {
    if said.contains('@') {
        return Err(with_credentials("--address"));
    }
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match said.rsplit_once(':') {
        Some((host, port)) if Host::parse(host).is_ok() && is_port(port) => Ok(()),
        _ => {
            let text = format!("--address {}: this is no HOST:PORT", clean(said));
            Err(Refused::usage("USAGE", text, "write for example --address music.example.com:443"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for sound in ["music.example.com:443", "127.0.0.1:8470", "[::1]:8443"] {
            assert!(host_and_port(sound).is_ok(), "{sound}");
        }
        for bogus in ["bogus", "host:", "host:0", "host:70000", ":443", "https://host:443", "::1", "a b:1"] {
            assert!(host_and_port(bogus).unwrap_err().message().contains("no HOST:PORT"), "{bogus}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for said in [
            "http://user:s3cretpw@127.0.0.1:8470/",
            "https://user@host/",
            "https://:s3cretpw@host/",
            "user:s3cretpw@host",
            "http://user:s3cretpw@[bad",
        ] {
            let refused = web("--live", said).unwrap_err();
            assert!(refused.message().contains("password stands in --live"), "{}", refused.message());
            assert!(!refused.message().contains("s3cretpw"));
        }
        assert!(!host_and_port("user:s3cretpw@host:443").unwrap_err().message().contains("s3cretpw"));
        assert!(web("--live", "https://music.example.com").is_ok());
        for other in ["ftp://host/", "music.example.com", ""] {
            assert!(web("--live", other).unwrap_err().message().contains("no http or https URL"), "{other}");
        }
    }
}
