//! Which process is judged: the one that was named, the server that answers at the data directory, or this command.
//!
//! The server is known by who listens on its control socket; it is asked nothing.

use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use crate::check::finding::{Seen, Source, Unseen};

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which process is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The running server.
    Server(u32),
    /// The one that was named.
    Named(u32),
    /// This command: no server runs.
    Itself,
}

impl Who {
    /// The process's folder below `/proc`.
    pub fn folder(self) -> String {
        match self {
            Self::Server(id) | Self::Named(id) => id.to_string(),
            Self::Itself => "self".to_owned(),
        }
    }

    /// The same in every run, whatever the process's number.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server(_) => "the running server",
            Self::Named(_) => "the named process",
            Self::Itself => "this command (no server runs)",
        }
    }

    /// A file of it.
    pub fn source(self, file: &str) -> Source {
        Source::System(format!("/proc/{}/{file}", self.folder()))
    }
}

/// Finds it.
///
/// # Errors
/// Where a server seems to run and cannot be told: judging this command in its place would be beside the point.
pub async fn find(named: Option<u32>, data_dir: &Path) -> Seen<Who> {
    if let Some(id) = named {
        return Ok(Who::Named(id));
    }
    match tokio::time::timeout(PATIENCE, UnixStream::connect(data_dir.join("control.sock"))).await {
        Ok(Ok(stream)) => match stream.peer_cred().ok().and_then(|peer| u32::try_from(peer.pid()?).ok()) {
            Some(id) if id > 0 => Ok(Who::Server(id)),
            _ => Err(Unseen::because(
                "a server runs on this data directory, out of sight: check inside its container",
            )),
        },
        Ok(Err(error)) if is_nobody(error.kind()) => Ok(Who::Itself),
        Ok(Err(error)) => Err(Unseen::because(format!(
            "whether a server runs on this data directory cannot be told ({}): be its user or root, or name it (--pid)",
            error.kind()
        ))),
        Err(_) => Err(Unseen::because(
            "the server does not take the connection to its control.sock: name it (--pid)",
        )),
    }
}

const fn is_nobody(kind: std::io::ErrorKind) -> bool {
    matches!(kind, std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::runtime::fixtures::Tree;

    #[tokio::test]
    async fn who_listens_on_the_socket_is_the_server() {
        let tree = Tree::new("process-find");
        let folder = tree.root().path("/data");
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(find(None, &folder).await, Ok(Who::Itself));
        assert_eq!(find(Some(7), &folder).await, Ok(Who::Named(7)));
        let listener = tokio::net::UnixListener::bind(folder.join("control.sock")).unwrap();
        assert_eq!(find(None, &folder).await, Ok(Who::Server(std::process::id())));
        drop(listener);
        assert_eq!(find(None, &folder).await, Ok(Who::Itself), "a socket that was left behind");
        // Something that is no folder stands in the way.
        tree.file("data/plain", "x");
        assert!(find(None, &folder.join("plain")).await.is_err());
    }
}
