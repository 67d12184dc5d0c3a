//! `spotify-mcp healthcheck`: asks the running server's `/livez`, for containers without a shell or curl.
//!
//! HTTP to the listener itself, over TLS where it speaks that, three seconds in all. Never: following a redirect,
//! reading a long answer.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use super::healthcheck_tls;
use super::output::{Exit, Output, Refused};
use crate::domain::event::clean;

/// How long the whole question may take.
const LIMIT: Duration = Duration::from_secs(3);
/// An answer with its headers fits easily.
const MAX_ANSWER: usize = 8192;
/// What `/livez` says where the server lives; another program's 200 is not ours.
const ALIVE: &str = r#"{"status":"ok"}"#;

/// What `healthcheck` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Over TLS any certificate will do: the question is whether the server lives, it holds no secret, and the \
    certificate names the public host, not this address.\n\n\
    Exit status: 0 the server answers, 1 it does not.\n\n\
    Examples:\n  spotify-mcp healthcheck\n  SERVER_PORT=9000 spotify-mcp healthcheck"
)]
pub struct Args {
    /// Ask this address instead of the configured one
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = super::help::address)]
    pub listen: Option<SocketAddr>,
}

/// Asks `args.listen`, or else the server where the configuration says that it listens (`configured`), over TLS where
/// `tls` says that it speaks it.
///
/// # Errors
/// With status 1, where the server does not answer `GET /livez` with 200 and `ALIVE` within three seconds.
pub fn run(args: &Args, configured: SocketAddr, tls: bool, output: &Output) -> Result<Exit, Refused> {
    let server = reachable(args.listen.unwrap_or(configured));
    let answer = ask(server, tls).map_err(|error| {
        Refused::new(
            Exit::Findings,
            "SERVER_UNREACHABLE",
            format!("no answer from {server} within {} seconds ({error})", LIMIT.as_secs()),
            "check that the server runs, with the same server.host and server.port",
        )
    })?;
    if is_alive(&answer) {
        output.result(&format!("{server} lives.\n"), &json!({ "alive": true, "server": server.to_string() }));
        return Ok(Exit::Done);
    }
    let line = first_line(&answer);
    if is_200(line) {
        return Err(Refused::new(
            Exit::Findings,
            "SERVER_UNHEALTHY",
            format!("{server} answered 200, but not as spotify-mcp does"),
            "see what listens there, and name the server's address with --listen",
        ));
    }
    let answer = clean(line);
    Err(Refused::new(
        Exit::Findings,
        "SERVER_UNHEALTHY",
        format!("{server} answered '{answer}' instead of 200"),
        "read the server's log",
    ))
}

/// A server that listens on every address is asked on loopback.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    SocketAddr::new(ip, listen.port())
}

/// The answer, as far as it is needed.
fn ask(server: SocketAddr, tls: bool) -> std::io::Result<String> {
    let until = Instant::now() + LIMIT;
    let stream = Hurried { stream: TcpStream::connect_timeout(&server, LIMIT)?, until };
    if tls { exchange(healthcheck_tls::secured(stream)?, server) } else { exchange(stream, server) }
}

fn exchange(mut stream: impl Read + Write, server: SocketAddr) -> std::io::Result<String> {
    stream.write_all(
        format!("GET /livez HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    let mut part = [0; MAX_ANSWER];
    // Until it is decided: a peer may leave the connection open, or close it without TLS's farewell.
    while answer.len() < MAX_ANSWER
        && !is_alive(&answer)
        && (is_200(first_line(&answer)) || !answer.contains('\n'))
    {
        match stream.read(&mut part)? {
            0 => break,
            read => answer += &String::from_utf8_lossy(&part[..read]),
        }
    }
    Ok(answer)
}

fn first_line(answer: &str) -> &str {
    answer.split('\n').next().unwrap_or_default().trim_end()
}

fn is_200(line: &str) -> bool {
    line.split(' ').nth(1) == Some("200")
}

fn is_alive(answer: &str) -> bool {
    is_200(first_line(answer))
        && answer.split_once("\r\n\r\n").is_some_and(|(_, body)| body.trim_end() == ALIVE)
}

/// The status with which a server answers a path, within three seconds.
pub(super) fn status((server, tls): (SocketAddr, bool), path: &str) -> std::io::Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    let answer = sent((server, tls), request.as_bytes(), (MAX_ANSWER as u64, LIMIT))?;
    let text = String::from_utf8_lossy(&answer);
    let status = first_line(&text).split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other("what listens there does not speak HTTP"))
}

/// Sends a request that asks for the connection to be closed, and reads the answer: at most `most` bytes, until `limit`.
pub(super) fn sent(
    (server, tls): (SocketAddr, bool),
    request: &[u8],
    (most, limit): (u64, Duration),
) -> std::io::Result<Vec<u8>> {
    let stream =
        Hurried { stream: TcpStream::connect_timeout(&server, limit)?, until: Instant::now() + limit };
    if tls { whole(healthcheck_tls::secured(stream)?, request, most) } else { whole(stream, request, most) }
}

fn whole(mut stream: impl Read + Write, request: &[u8], most: u64) -> std::io::Result<Vec<u8>> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut answer = Vec::new();
    match stream.take(most).read_to_end(&mut answer) {
        // A peer may close without TLS's farewell.
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

/// A stream whose reads and writes all end by one moment.
pub(super) struct Hurried {
    stream: TcpStream,
    until: Instant,
}

impl Hurried {
    fn left(&self) -> std::io::Result<Duration> {
        match self.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(std::io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

impl Read for Hurried {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(into)
    }
}

impl Write for Hurried {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
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

    fn check(server: SocketAddr) -> Result<Exit, String> {
        let refused = run(&Args { listen: None }, server, false, &Output::silent()).err();
        refused.map_or(Ok(Exit::Done), |refused| {
            assert_eq!(refused.exit().status(), 1);
            Err(format!("{refused:?}"))
        })
    }

    #[test]
    fn only_our_own_200_counts() {
        let brief = Duration::from_millis(10);
        check(server(&["HTTP/1.1 20", "0 OK\r\n", "a: b\r\n\r\n{\"status\"", ":\"ok\"}"], brief)).unwrap();
        let others: [&'static [&'static str]; 3] = [
            &["HTTP/1.1 200 OK\r\n\r\n{\"status\":\"no\"}"],
            &["HTTP/1.1 200 OK\r\n\r\n<html>{\"status\":\"ok\"}"],
            &["HTTP/1.1 200 OK\r\n\r\n"],
        ];
        for other in others {
            let refused = check(server(other, brief)).unwrap_err();
            assert!(
                refused.contains("SERVER_UNHEALTHY") && refused.contains("not as spotify-mcp"),
                "{refused}"
            );
        }
        let refused =
            check(server(&["HTTP/1.1 503 Service\u{1b} Unavailable\r\n\r\n200"], brief)).unwrap_err();
        assert!(
            refused.contains("SERVER_UNHEALTHY") && refused.contains("'HTTP/1.1 503 Service Unavailable'")
        );
        assert!(check(server(&[], brief)).unwrap_err().contains("SERVER_UNHEALTHY"));
    }

    #[test]
    fn nobody_there_and_a_dripping_answer_are_reported_in_time() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(check(closed).unwrap_err().contains("SERVER_UNREACHABLE"));
        let began = Instant::now();
        let drip = server(&["H"; 100], Duration::from_millis(100));
        assert!(check(drip).unwrap_err().contains("SERVER_UNREACHABLE"));
        assert!(began.elapsed() < LIMIT * 2);
    }

    #[test]
    fn a_wildcard_listener_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:8000".parse().unwrap()), "127.0.0.1:8000".parse().unwrap());
        assert_eq!(reachable("[::]:8000".parse().unwrap()), "[::1]:8000".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:1".parse().unwrap()), "10.0.0.1:1".parse().unwrap());
    }
}
