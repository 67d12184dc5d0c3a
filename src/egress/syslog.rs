//! Messages to a syslog server that the operator named. Never: a name that is resolved, or an answer that is read.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram};

use crate::domain::SyslogPlace;

/// Sends one message, without waiting for a sign that it was kept: syslog has none.
///
/// # Errors
/// Where it cannot be sent.
pub async fn send_syslog(place: &SyslogPlace, message: &str) -> io::Result<()> {
    match place {
        SyslogPlace::Unix(path) => UnixDatagram::unbound()?.send_to(message.as_bytes(), path).await.map(drop),
        SyslogPlace::Udp(address) => {
            let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
            UdpSocket::bind(any).await?.send_to(message.as_bytes(), address).await.map(drop)
        }
        SyslogPlace::Tcp(address) => {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
            stream.shutdown().await
        }
    }
}
