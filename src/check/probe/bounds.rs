//! Sizes and times: requests larger than the configuration allows, and one that never ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::Book;
use super::client::Client;
use super::server::Apart;
use crate::check::{Seen, Unseen};
use crate::reading::io_cause;

const OF: &str = "SMC4011";

/// The head of a request is to be there within ten seconds; a busy machine looks late.
const LONGEST: Duration = Duration::from_secs(20);

/// Tries requests that are as large as allowed, and larger.
pub(super) async fn try_sizes(apart: &Apart, book: &mut Book) {
    if let Err(why) = sizes(apart, book).await {
        book.without(&[OF], &why);
    }
}

async fn sizes(apart: &Apart, book: &mut Book) -> Seen<()> {
    let client = Client::new(apart, "Probe of sizes").await?;
    let bearer = format!("Bearer {}", client.connect(&mut apart.browser(), "ada").await?.access);
    for (path, most) in [("/mcp", apart.limits.call_bytes), ("/register", apart.limits.other_bytes)] {
        if most == 0 {
            book.note(
                OF,
                "requests are bounded",
                false,
                format!("the configuration knows no bound for {path}"),
            );
        } else {
            size(apart, (path, most, &bearer), book).await?;
        }
    }
    Ok(())
}

async fn size(apart: &Apart, (path, most, bearer): (&str, u64, &str), book: &mut Book) -> Seen<()> {
    let url = format!("{}{path}", apart.origin);
    let text = |bytes: u64| "x".repeat(usize::try_from(bytes).unwrap_or_default());
    let headers = [("authorization", bearer), ("accept", "application/json, text/event-stream")];
    let fits = apart.wire.post_json(&url, &headers, &text(most)).await?;
    let said = format!("{most} bytes to {path}: answered {}", fits.status);
    book.note(OF, "a request of the size that is allowed is looked at", fits.status != 413, said);
    let larger = apart.wire.post_json(&url, &headers, &text(most.saturating_add(1))).await?;
    let said = format!("{most} bytes and one to {path}: answered {}", larger.status);
    book.note(OF, "a larger one is answered 413", larger.status == 413, said);
    Ok(())
}

/// A request whose head comes byte by byte, and never to its end.
pub(super) struct Slow(JoinHandle<Seen<Duration>>);

impl Slow {
    /// Begins it; the rest is tried meanwhile.
    pub fn begin(apart: &Apart) -> Self {
        let address = apart.origin.trim_start_matches("http://").to_owned();
        Self(tokio::spawn(async move {
            let unseen =
                |error: std::io::Error| Unseen::because(format!("a slow request: {}", io_cause(&error)));
            let mut stream = TcpStream::connect(&address).await.map_err(unseen)?;
            stream.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await.map_err(unseen)?;
            let began = Instant::now();
            Ok(timeout(LONGEST, until_hung_up(&mut stream)).await.map_or(LONGEST, |()| began.elapsed()))
        }))
    }

    /// Waits until the server has enough of it.
    pub async fn end(self, book: &mut Book) {
        match self.0.await {
            Ok(Ok(after)) => {
                let said = format!("it was listened to for {} s", after.as_secs());
                book.note(OF, "a request that never ends is given up", after < LONGEST, said);
            }
            Ok(Err(why)) => book.without(&[OF], &why),
            Err(_) => book.without(&[OF], &Unseen::because("a slow request could not be waited for")),
        }
    }
}

async fn until_hung_up(stream: &mut TcpStream) {
    let mut bytes = [0; 512];
    loop {
        tokio::select! {
            read = stream.read(&mut bytes) => match read {
                Ok(read) if read > 0 => {}
                _ => return,
            },
            () = sleep(Duration::from_millis(500)) => {
                if stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
        }
    }
}
