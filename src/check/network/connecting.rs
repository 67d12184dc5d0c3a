//! A connection within a time, or why there is none: a closed port, no way there, and silence are three things.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tls::PATIENCE;
use crate::check::finding::Unseen;

/// Why there is no connection to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// It is refused: nothing listens there.
    Refused(SocketAddr),
    /// This machine has no way there, as one without IPv6 has none to an address of IPv6.
    NoWay(SocketAddr),
    /// Nobody answers in time: something may drop what is sent.
    Late(SocketAddr),
    /// Another reason.
    Other(SocketAddr, std::io::ErrorKind),
}

impl From<NoConnection> for Unseen {
    fn from(why: NoConnection) -> Self {
        Self::because(match why {
            NoConnection::Refused(at) => format!("{at} cannot be connected to: connection refused"),
            NoConnection::NoWay(at) => format!("{at} cannot be connected to: this machine has no way there"),
            NoConnection::Late(at) => format!("{at} cannot be connected to within 5 seconds"),
            NoConnection::Other(at, kind) => format!("{at} cannot be connected to: {kind}"),
        })
    }
}

/// A connection within the time.
///
/// # Errors
/// Where there is none.
pub async fn connect(address: SocketAddr) -> Result<TcpStream, NoConnection> {
    use std::io::ErrorKind;
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(match error.kind() {
            ErrorKind::ConnectionRefused => NoConnection::Refused(address),
            ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => {
                NoConnection::NoWay(address)
            }
            kind => NoConnection::Other(address, kind),
        }),
        Err(_) => Err(NoConnection::Late(address)),
    }
}
