//! Where a syslog server listens, as a configuration writes it: by a path or an address. No name is resolved, so nobody
//! but the operator says where messages go.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a syslog server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogPlace {
    /// A datagram socket of this machine, for example `/dev/log`.
    Unix(PathBuf),
    /// UDP (RFC 5426). Nobody says whether a message arrived.
    Udp(SocketAddr),
    /// TCP, with octet counting (RFC 6587 section 3.4.1).
    Tcp(SocketAddr),
}

impl SyslogPlace {
    /// Reads `unix:/path`, `udp://address:port` or `tcp://address:port`; `None` where it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return path.starts_with('/').then(|| Self::Unix(path.into()));
        }
        let (kind, address) = text.split_once("://")?;
        let address = address.parse().ok()?;
        match kind {
            "udp" => Some(Self::Udp(address)),
            "tcp" => Some(Self::Tcp(address)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_path_or_address_alone() {
        assert_eq!(SyslogPlace::parse("unix:/dev/log"), Some(SyslogPlace::Unix("/dev/log".into())));
        assert_eq!(SyslogPlace::parse("unix:///dev/log"), Some(SyslogPlace::Unix("/dev/log".into())));
        let udp = SyslogPlace::Udp(([192, 0, 2, 1], 514).into());
        assert_eq!(SyslogPlace::parse("udp://192.0.2.1:514"), Some(udp));
        assert!(matches!(SyslogPlace::parse("tcp://[::1]:6514"), Some(SyslogPlace::Tcp(_))));
        let wrong =
            ["", "/dev/log", "unix:log", "udp://log.example:514", "tcp://192.0.2.1", "http://192.0.2.1:514"];
        for text in wrong {
            assert_eq!(SyslogPlace::parse(text), None, "{text}");
        }
    }
}
