//! Where a canary's credentials are tried: at the running server over its own listener, or at the same code in this
//! process, over the same database. One question, one bounded answer; no redirect is followed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::app::{App, BuildError, Mode};
use crate::cli::administer::Desk;
use crate::cli::{healthcheck, serve};
use crate::crypto::keys::RootKey;
use crate::failure::{During as _, Failure};
use crate::http::{Front, Http, Peer, front};
use crate::mcp::Server;

/// How long a server may take for one answer.
const LIMIT: Duration = Duration::from_secs(10);
/// No answer is read further, in bytes.
const LONGEST: usize = 256 * 1024;

/// Who is asked.
pub(in crate::cli::rotate_keys) enum At {
    /// The server that listens where the configuration says, and whether it speaks TLS.
    Server(SocketAddr, bool),
    /// The same code in this process.
    Here(Box<Here>),
}

/// The server's code in this process.
pub(in crate::cli::rotate_keys) struct Here {
    app: Arc<App>,
    front: Front,
    stop: CancellationToken,
    trail: std::path::PathBuf,
}

/// One question.
pub(in crate::cli::rotate_keys) struct Question {
    pub(in crate::cli::rotate_keys) method: &'static str,
    pub(in crate::cli::rotate_keys) path: &'static str,
    pub(in crate::cli::rotate_keys) headers: Vec<(&'static str, String)>,
    pub(in crate::cli::rotate_keys) body: String,
}

/// Its answer.
pub(in crate::cli::rotate_keys) struct Reply {
    pub(in crate::cli::rotate_keys) status: u16,
    pub(in crate::cli::rotate_keys) body: String,
}

impl At {
    /// The server of this configuration, whether one runs or not.
    pub(in crate::cli::rotate_keys) fn server(desk: &Desk) -> Self {
        let server = &desk.config.server;
        Self::Server(healthcheck::reachable(server.listen()), server.tls.is_some())
    }

    /// The server's code with this root: its own trail is apart and goes again, as the server's has one writer.
    pub(in crate::cli::rotate_keys) async fn here(desk: &Desk, root: &RootKey) -> Result<Self, Failure> {
        let trail = desk.config.storage.data_dir.join("emergency-probe");
        let mut config = desk.config.clone();
        config.audit.dir.clone_from(&trail);
        let clocks = (desk.clock.clone(), desk.dice.clone());
        let app = App::build(config, Mode::default(), std::slice::from_ref(root), clocks).await;
        let app = app.map_err(|error| match error {
            BuildError::Failure(failure) => failure,
            _ => Failure::new("the server's code cannot be started here"),
        })?;
        let (app, stop) = (Arc::new(app), CancellationToken::new());
        let server = Server::new(serve::mcp_deps(&app, &stop))?;
        let front = front(&Arc::new(Http::new(app.clone(), Some(server), None).despite_freeze()));
        Ok(Self::Here(Box::new(Here { app, front, stop, trail })))
    }

    /// Asks.
    pub(in crate::cli::rotate_keys) async fn ask(
        &self,
        host: &str,
        question: Question,
    ) -> Result<Reply, Failure> {
        match self {
            Self::Server(address, tls) => {
                let (at, text) = ((*address, *tls), written(host, &question));
                let asked = move || healthcheck::sent(at, text.as_bytes(), (LONGEST as u64, LIMIT));
                let answer = tokio::task::spawn_blocking(asked).await.during("asking the server")?;
                parsed(&answer.during("asking the server")?)
            }
            Self::Here(here) => here.ask(host, question).await,
        }
    }

    /// Lets go of everything.
    pub(in crate::cli::rotate_keys) async fn close(self) {
        if let Self::Here(here) = self {
            here.stop.cancel();
            here.app.audit.close().await;
            here.app.store.close().await;
            let _stays = std::fs::remove_dir_all(&here.trail);
        }
    }
}

impl Here {
    async fn ask(&self, host: &str, question: Question) -> Result<Reply, Failure> {
        let mut request =
            http::Request::builder().method(question.method).uri(question.path).header("host", host);
        for (name, value) in question.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(question.body)).during("asking the server's code")?;
        request.extensions_mut().insert(Peer(SocketAddr::from(([127, 0, 0, 1], 1))));
        let response = self.front.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), LONGEST).await.during("reading an answer")?;
        Ok(Reply { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn written(host: &str, question: &Question) -> String {
    let mut text =
        format!("{} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", question.method, question.path);
    for (name, value) in &question.headers {
        text += &format!("{name}: {value}\r\n");
    }
    if question.method == "POST" {
        text += &format!("content-length: {}\r\n", question.body.len());
    }
    text + "\r\n" + &question.body
}

fn parsed(answer: &[u8]) -> Result<Reply, Failure> {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(Failure::new("what listens there does not speak HTTP"))?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok(Reply { status, body })
}
