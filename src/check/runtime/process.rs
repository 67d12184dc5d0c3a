//! Which process is judged: the one that was named, the server that answers at the data directory, or this command.
//!
//! The server is known by who listens on its control socket; it is asked nothing.

use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use super::system::Root;
use crate::check::finding::{Seen, Source, Unseen};
use crate::domain::event::clean;

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

/// What this program is called where nobody renamed it.
const OWN_NAME: &str = "spotify-mcp";

/// The program that a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its file's name, or what the system calls the process.
    pub name: String,
    /// It is this one.
    pub is_this: bool,
}

/// Which program a process runs, by its file; to users who may not see that by its name.
///
/// # Errors
/// Where the system shows neither.
pub fn program(root: &Root, id: u32) -> Seen<Program> {
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let is_own = |name: &str| name == OWN_NAME || own.as_deref() == Some(name);
    if let Ok(target) = root.link(&format!("/proc/{id}/exe")) {
        // Replaced by a newer build while it runs.
        let target = target.strip_suffix(" (deleted)").unwrap_or(&target);
        let name = target.rsplit('/').next().unwrap_or(target).to_owned();
        return Ok(Program { is_this: is_own(&name), name });
    }
    let name = clean(root.text(&format!("/proc/{id}/comm"))?.trim());
    // The kernel keeps 15 bytes of it.
    let is_this = is_own(&name) || own.as_deref().and_then(|own| own.get(..15)) == Some(name.as_str());
    Ok(Program { name, is_this })
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

    #[test]
    fn a_process_is_called_by_its_program() {
        let tree = Tree::new("process-program");
        tree.link("proc/7/exe", "/usr/local/bin/spotify-mcp (deleted)");
        tree.link("proc/8/exe", "/usr/bin/sleep");
        tree.file("proc/8/comm", "spotify-mcp\n");
        tree.file("proc/9/comm", "tini\n");
        tree.file("proc/10/comm", "spotify-mcp\n");
        for (id, name, is_this) in
            [(7, "spotify-mcp", true), (8, "sleep", false), (9, "tini", false), (10, "spotify-mcp", true)]
        {
            assert_eq!(program(&tree.root(), id), Ok(Program { name: name.to_owned(), is_this }), "{id}");
        }
        assert!(program(&tree.root(), 11).unwrap_err().why.contains("/proc/11/comm"));
    }

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
