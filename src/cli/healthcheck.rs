//! `spotify-mcp healthcheck`: asks the running server's `/livez`, for containers without a shell or curl.
//!
//! Plain HTTP to the listener itself, three seconds in all. Never: following a redirect, reading a long answer.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long the whole question may take.
const LIMIT: Duration = Duration::from_secs(3);
/// An answer's first line fits easily.
const MAX_ANSWER: usize = 512;

/// `healthcheck` takes only the global options: it asks where the configuration says that the server listens.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 the server answers, 1 it does not.\n\n\
    Examples:\n  spotify-mcp healthcheck\n  SERVER_PORT=9000 spotify-mcp healthcheck")]
pub struct Args {
    /// Ask this address instead of the configured one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

/// Why the server does not count as alive. Each has a stable code and a next step.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nothing listens, or nothing answers in time.
    #[error(
        "no answer from {0} within 3 seconds ({1}): is the server running, with the same server.host and port?"
    )]
    Unreachable(SocketAddr, std::io::Error),
    /// Something answered, and not with 200.
    #[error("{0} answered '{1}' instead of 200: see the server's log")]
    Answered(SocketAddr, String),
}

impl Unhealthy {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(..) => "SERVER_UNREACHABLE",
            Self::Answered(..) => "SERVER_UNHEALTHY",
        }
    }
}

/// Asks the server that listens at `listen` (a wildcard address is asked over loopback).
///
/// # Errors
/// Where it does not answer `GET /livez` with 200 within three seconds.
pub fn check(listen: SocketAddr) -> Result<(), Unhealthy> {
    let server = reachable(listen);
    let answer = ask(server).map_err(|error| Unhealthy::Unreachable(server, error))?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(Unhealthy::Answered(server, crate::domain::event::clean(&answer))),
    }
}

/// A server that listens on every address is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    SocketAddr::new(ip, listen.port())
}

/// The first line of the answer.
fn ask(server: SocketAddr) -> std::io::Result<String> {
    let since = Instant::now();
    let left = || match LIMIT.saturating_sub(since.elapsed()) {
        Duration::ZERO => Err(std::io::Error::from(std::io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&server, LIMIT)?;
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(
        format!("GET /livez HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;

    let mut answer = Vec::new();
    let mut part = [0; MAX_ANSWER];
    while answer.len() < MAX_ANSWER && !answer.contains(&b'\n') {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut part)? {
            0 => break,
            read => answer.extend_from_slice(&part[..read]),
        }
    }
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server for one request, which sends the parts with a pause after each.
    fn server(parts: &'static [&'static str], pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Unread bytes would turn the close into a reset.
            let _ = stream.read(&mut [0; 1024]).unwrap();
            for part in parts {
                if stream.write_all(part.as_bytes()).is_err() {
                    return;
                }
                thread::sleep(pause);
            }
        });
        address
    }

    #[test]
    fn only_200_counts() {
        let brief = Duration::from_millis(10);
        check(server(&["HTTP/1.1 20", "0 OK\r\n", "\r\n"], brief)).unwrap();
        let refused =
            check(server(&["HTTP/1.1 503 Service\u{1b} Unavailable\r\n\r\n200"], brief)).unwrap_err();
        assert_eq!(refused.code(), "SERVER_UNHEALTHY");
        assert!(refused.to_string().contains("503 Service Unavailable"), "{refused}");
        assert_eq!(check(server(&[], brief)).unwrap_err().code(), "SERVER_UNHEALTHY");
    }

    #[test]
    fn nobody_there_and_a_dripping_answer_are_reported_in_time() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(check(closed).unwrap_err().code(), "SERVER_UNREACHABLE");
        let began = Instant::now();
        let drip = server(&["H"; 100], Duration::from_millis(100));
        assert_eq!(check(drip).unwrap_err().code(), "SERVER_UNREACHABLE");
        assert!(began.elapsed() < LIMIT * 2);
    }

    #[test]
    fn a_wildcard_listener_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:8000".parse().unwrap()), "127.0.0.1:8000".parse().unwrap());
        assert_eq!(reachable("[::]:8000".parse().unwrap()), "[::1]:8000".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:1".parse().unwrap()), "10.0.0.1:1".parse().unwrap());
    }
}
