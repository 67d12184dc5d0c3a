//! The accept loop, and a drain that lets calls finish. How one connection is spoken with is in [`super::speak`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::connections::Connections;
use super::descriptors;
use super::front::Front;
use super::line::Ending;
use super::speak::{Answers, Speaker};
use super::tls::Tls;

/// Calls in flight may take this long after the drain began (product.md 7).
pub const FINISH_WITHIN: Duration = Duration::from_secs(25);

/// Wait after a failed accept (out of file descriptors), so that the loop does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the address cannot be listened on.
#[derive(Debug)]
pub struct ServeError {
    /// The address.
    pub address: SocketAddr,
    /// The system's reason.
    pub cause: std::io::Error,
}

/// A bound listener.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

/// Binds an address; port 0 takes a free one.
pub async fn listen(address: SocketAddr) -> Result<Listening, ServeError> {
    let failed = |cause| ServeError { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Listening { listener, address, tls: None })
}

impl Listening {
    /// The bound address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Speaks TLS alone from now on.
    #[must_use]
    pub fn secured(self, tls: Option<Arc<Tls>>) -> Self {
        Self { tls, ..self }
    }

    /// Serves until `stop`, then lets what is in flight finish: see `Listening::serve_with`. A lockdown breaks off what
    /// is in flight.
    pub async fn serve(self, front: Front, connections: u32, stop: CancellationToken) {
        let lockdown = front.lockdown();
        self.serve_with(front, connections, stop, Some(lockdown)).await;
    }

    /// Serves until `stop`, then lets what is in flight finish. At most `connections` at once (0: as many as the
    /// limit on open files allows), the longest idle going first.
    pub(super) async fn serve_with<S: Answers>(
        self,
        service: S,
        connections: u32,
        stop: CancellationToken,
        lockdown: Option<watch::Receiver<bool>>,
    ) {
        let connections = Arc::new(Connections::new(descriptors::room_for(connections)));
        let watched = connections.clone();
        let _watch = AbortOnDropHandle::new(tokio::spawn(async move { watched.watch().await }));
        let speaker = Arc::new(Speaker::new(service, self.tls));
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept_all(&self.listener, &connections, &speaker) => {}
            () = break_off(lockdown, &connections) => {}
        }
        drop(self.listener);
        connections.end_all(Ending::Drained);
        if tokio::time::timeout(FINISH_WITHIN, connections.all_left()).await.is_err() {
            tracing::warn!("connections were still busy at the end of the drain");
            connections.end_all(Ending::Broken);
        }
    }
}

/// Ends every connection whenever a lockdown begins: calls, streams and answers on their way go with theirs.
async fn break_off(lockdown: Option<watch::Receiver<bool>>, connections: &Connections) {
    if let Some(mut lockdown) = lockdown {
        while lockdown.changed().await.is_ok() {
            if *lockdown.borrow_and_update() {
                connections.end_all(Ending::Broken);
            }
        }
    }
    std::future::pending().await
}

/// Accepts for ever.
async fn accept_all<S: Answers>(
    listener: &TcpListener,
    connections: &Arc<Connections>,
    speaker: &Arc<Speaker<S>>,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                refused(&error, connections).await;
                continue;
            }
        };
        let place = connections.place().await;
        let speaker = speaker.clone();
        tokio::spawn(async move { speaker.speak(ready(stream), peer, &place).await });
    }
}

/// Answers are small: none waits for more to come.
fn ready(stream: TcpStream) -> TcpStream {
    // Fails only where the other end is gone, which the first read tells.
    let _ = stream.set_nodelay(true);
    stream
}

/// A connection could not be accepted: the client's affair, or this process has no file descriptor left.
async fn refused(error: &std::io::Error, connections: &Connections) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        return;
    }
    tracing::error!(%error, "a connection could not be accepted");
    connections.shed();
    tokio::time::sleep(PAUSE).await;
}
