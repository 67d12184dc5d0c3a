//! Whether what is told of checkpoints is this machine, where whoever cuts the trail can cut that too. Looks at addresses and
//! disks of this machine; sends nothing and resolves no name.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;

use url::{Host, Url};

use crate::check::{Seen, Unseen};
use crate::config::Config;
use crate::domain::SyslogPlace;
use crate::reading::io_cause;

/// Which of the places are on this machine; a place that is not configured is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// On the trail's own disk, or in memory.
    pub file: Seen<bool>,
    /// A socket or an address of this machine.
    pub syslog: bool,
    /// An address or a name of this machine, or of the server itself.
    pub webhook: bool,
}

impl Default for Near {
    fn default() -> Self {
        Self { file: Ok(false), syslog: false, webhook: false }
    }
}

/// Looks at each place of this configuration.
pub fn look(config: &Config) -> Near {
    let anchors = &config.audit.anchors;
    let syslog = anchors.syslog.as_ref().is_some_and(|place| match place {
        SyslogPlace::Udp(to) | SyslogPlace::Tcp(to) => is_own(to.ip()),
        SyslogPlace::Unix(_) => true,
    });
    let webhook = anchors.webhook.as_ref().is_some_and(|url| is_here(url, &config.server.public_url));
    let file = anchors.file.as_deref().map_or(Ok(false), |file| is_beside(&config.audit.dir, file));
    Near { file, syslog, webhook }
}

/// An address that a program of this machine may take is this machine's.
fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

fn is_here(url: &Url, own: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_own(address.into()) || url.host() == own.host(),
        Some(Host::Ipv6(address)) => is_own(address.into()) || url.host() == own.host(),
        Some(Host::Domain(name)) => url.host() == own.host() || is_own_name(name),
        None => false,
    }
}

/// `localhost` and what is below it, and what this machine calls itself.
fn is_own_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().to_ascii_lowercase();
    let local =
        ["localhost", "localhost.localdomain", "localhost6", "ip6-localhost"].contains(&name.as_str());
    local || name.ends_with(".localhost") || name.ends_with(".localdomain") || name == own.trim()
}

/// By the device that each is on, of a file that is not there by its folder's; and memory is gone with the machine.
fn is_beside(dir: &Path, file: &Path) -> Seen<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let there = if file.metadata().is_ok() { file } else { folder };
    let seen = there.metadata().map_err(|error| {
        Unseen::because(format!("the folder of {} cannot be seen: {}", file.display(), io_cause(&error)))
    })?;
    let same = dir.metadata().is_ok_and(|dir| dir.dev() == seen.dev());
    Ok(same || is_memory(there))
}

/// `tmpfs` and `ramfs`.
#[cfg(target_os = "linux")]
fn is_memory(path: &Path) -> bool {
    const TMPFS: i128 = 0x0102_1994;
    const RAMFS: i128 = 0x8584_58f6;
    rustix::fs::statfs(path).is_ok_and(|disk| [TMPFS, RAMFS].contains(&i128::from(disk.f_type)))
}

#[cfg(not(target_os = "linux"))]
fn is_memory(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_this_machine_is_near() {
        for own in ["127.0.0.1", "127.0.0.5", "::1", "::ffff:127.0.0.1", "0.0.0.0"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.77", "2001:db8::77"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
        let own: Url = "https://music.example.org".parse().unwrap();
        let here = |url: &str| is_here(&url.parse().unwrap(), &own);
        for near in [
            "https://music.example.org/x",
            "https://localhost.localdomain/",
            "https://[::1]/",
            "http://a.localhost",
        ] {
            assert!(here(near), "{near}");
        }
        for far in ["https://log.example.org/x", "https://192.0.2.77/", "https://localhost.example.org/"] {
            assert!(!here(far), "{far}");
        }
    }

    #[test]
    fn a_file_is_near_on_the_same_disk_and_in_memory_and_unknown_without_its_folder() {
        let dir = std::env::temp_dir();
        assert_eq!(is_beside(&dir, &dir.join("anchors.ndjson")), Ok(true));
        let lost = is_beside(&dir, Path::new("/nowhere/at/all/anchors.ndjson")).unwrap_err();
        assert!(lost.why.contains("/nowhere/at/all"), "{lost}");
        if cfg!(target_os = "linux") && Path::new("/dev/shm").is_dir() {
            assert_eq!(is_beside(&dir, Path::new("/dev/shm/anchors.ndjson")), Ok(true));
        }
    }
}
