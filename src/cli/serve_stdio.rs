//! `serve --stdio`: one local user over standard input and output. Logging in happens on a loopback page that is
//! opened when an answer names it, and closed some minutes after the last one that did. Standard output carries the
//! protocol and nothing else. A signal ends it as the end of its input does.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::serve::told_to_stop;
use crate::app::App;
use crate::domain::ids::RequestId;
use crate::domain::{ClientId, ScopeSet, UserId};
use crate::failure::{During as _, Failure};
use crate::http::{FINISH_WITHIN, Http, LocalLogin, listen, login_front};
use crate::mcp::stdio::{CLIENT, LocalCaller, run as run_protocol};
use crate::mcp::{Caller, Server};
use crate::store::Link;

/// Serves standard input until it ends, or servers are locked down.
pub(super) async fn run(app: &Arc<App>, server: Server) -> Result<(), Ended> {
    let local = Arc::new(Local {
        app: app.clone(),
        file: app.config.storage.data_dir.join("local-user"),
        page: Mutex::new(None),
        stop: CancellationToken::new(),
    });
    let (finder, opener) = (local.clone(), local.clone());
    let caller = LocalCaller::new(move || {
        let local = finder.clone();
        Box::pin(async move { local.caller().await })
    });
    let caller = caller.with_page(format!("{}/auth/", app.issuer()), move || {
        let local = opener.clone();
        Box::pin(async move { local.open_for_whoever_it_is().await })
    });
    let failed = |error: io::Error| Ended::Failed(error.into());
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut signals = 0;
    let served = tokio::select! {
        served = run_protocol(&server, caller) => served.map_err(Ended::Failed),
        () = locked(app) => Err(Ended::LockedDown),
        () = told_to_stop(&mut term, &mut int) => {
            signals += 1;
            Ok(())
        }
    };
    local.stop.cancel();
    // Clients close the input and send a signal soon after it, which means the same. A second one is meant.
    let again = async {
        while signals < 2 {
            told_to_stop(&mut term, &mut int).await;
            signals += 1;
        }
    };
    // What has begun goes to its end though nobody reads the answer any more, but for a lockdown.
    let within = if matches!(served, Err(Ended::LockedDown)) { Duration::ZERO } else { FINISH_WITHIN };
    tokio::select! {
        () = server.changes_end(within) => {}
        () = again => {
            tracing::warn!("told to stop again: not waiting for what has begun");
            server.changes_end(Duration::ZERO).await;
        }
    }
    served
}

/// Why this mode ended before its input did.
pub(super) enum Ended {
    /// The operator locked every server down: what runs is broken off, and nothing is answered.
    LockedDown,
    Failed(Failure),
}

/// Returns when a lockdown begins, or at once where there is one.
async fn locked(app: &App) {
    let mut lockdown = app.revocation.lockdown();
    if lockdown.wait_for(|locked| *locked).await.is_err() {
        // Nobody is left who could tell.
        std::future::pending::<()>().await;
    }
}

/// How long the login page listens after the last answer that named it.
const OPEN: Duration = Duration::from_secs(10 * 60);

/// The login page that listens.
struct OpenPage {
    closed: CancellationToken,
    /// For whom alone.
    expected: Option<UserId>,
    until: watch::Sender<Instant>,
}

struct Local {
    app: Arc<App>,
    /// Holds the id of the person who logged in here.
    file: PathBuf,
    /// The login page, while it is served.
    page: Mutex<Option<OpenPage>>,
    stop: CancellationToken,
}

impl Local {
    /// The local person, or what they have to do first.
    async fn caller(&self) -> Result<Caller, String> {
        let failed = |failure: Failure| {
            tracing::error!(cause = failure.chain(), "the local user cannot be read");
            "The local user cannot be read: see the log.".to_owned()
        };
        // What is remembered may be from before this process was stopped for a while.
        if self.app.revocation.closed(&self.app.store).await.map_err(failed)?.locked {
            return Err(
                "This server is locked down by its operator: nothing is answered until that is over."
                    .to_owned(),
            );
        }
        match self.person().await.map_err(failed)? {
            Some((user, Some(link))) => self.known(user, link),
            nobody => {
                self.open_page(nobody.map(|(user, _)| user)).await?;
                Err(format!(
                    "No Spotify account is connected yet. Open {}/auth/login in a browser on this computer, log in with \
                     Spotify, then ask again.",
                    self.app.issuer()
                ))
            }
        }
    }

    /// Before an answer that names the page.
    async fn open_for_whoever_it_is(&self) -> Result<(), String> {
        let person = self.person().await.map_err(|failure| {
            tracing::error!(cause = failure.chain(), "the local user cannot be read");
            "The page for that cannot be opened: see the log.".to_owned()
        })?;
        self.open_page(person.map(|(user, _)| user)).await
    }

    fn known(&self, user: UserId, link: Link) -> Result<Caller, String> {
        Ok(Caller {
            user,
            link: Some(link.id),
            client: ClientId::parse(CLIENT).ok_or("the local client has no id")?,
            scopes: ScopeSet::ALL,
            grant: None,
            request_id: RequestId::mint(self.app.dice.bytes()),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        })
    }

    async fn person(&self) -> Result<Option<(UserId, Option<Link>)>, Failure> {
        let Some(user) = read(&self.file)? else { return Ok(None) };
        let known = self.app.store.user(&user).await?.is_some_and(|user| user.disabled_at.is_none());
        if !known {
            return Ok(None);
        }
        let link = self.app.store.links(&user).await?.into_iter().next();
        Ok(Some((user, link)))
    }

    /// Serves the login page for some minutes. Where a person is known, it has to be them again; where nobody is, until
    /// somebody has logged in.
    async fn open_page(&self, expected: Option<UserId>) -> Result<(), String> {
        let mut page = self.page.lock().await;
        let ends = Instant::now() + OPEN;
        if let Some(open) = page.take_if(|open| open.closed.is_cancelled() || open.expected != expected) {
            open.closed.cancel();
            // Its listener goes when its task is next run.
            tokio::time::sleep(CLOSES_IN).await;
        }
        if let Some(open) = page.as_ref() {
            open.until.send_replace(ends);
            return Ok(());
        }
        let address = self.app.config.server.listen();
        let listening = listen(address).await.map_err(|error| {
            format!(
                "Logging in needs {address}, which is taken ({}). Stop what uses it, or set SERVER_PORT to a port whose \
                 redirect URI is registered at Spotify.",
                error.cause.kind()
            )
        })?;
        let (file, open) = (self.file.clone(), self.stop.child_token());
        let (done, is_known) = (open.clone(), expected.is_some());
        let logged_in = Box::new(move |user: UserId| {
            if let Err(failure) = write(&file, &user) {
                tracing::error!(cause = failure.chain(), "the local user could not be remembered");
            }
            // The answer in flight is still sent; nobody else logs in here.
            if !is_known {
                done.cancel();
            }
        });
        let local = LocalLogin { expected: expected.clone(), logged_in };
        let http = Arc::new(Http::new(self.app.clone(), None, Some(local)));
        tokio::spawn(listening.serve(login_front(&http), 64, open.clone()));
        let (until, changes) = watch::channel(ends);
        tokio::spawn(close_in_time(open.clone(), changes));
        *page = Some(OpenPage { closed: open, expected, until });
        Ok(())
    }
}

/// How long a page that closes may still hold its address.
const CLOSES_IN: Duration = Duration::from_millis(200);

/// Closes the page when its time is up, which every answer that names it puts off.
async fn close_in_time(page: CancellationToken, mut until: watch::Receiver<Instant>) {
    loop {
        let ends = *until.borrow_and_update();
        tokio::select! {
            () = page.cancelled() => return,
            changed = until.changed() => if changed.is_err() {
                return page.cancel();
            },
            () = tokio::time::sleep_until(ends) => return page.cancel(),
        }
    }
}

fn read(file: &Path) -> Result<Option<UserId>, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::caused("reading who the local user is", error)),
    }
}

fn write(file: &Path, user: &UserId) -> Result<(), Failure> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("{user}\n")).during("remembering the local user")?;
    std::fs::rename(&beside, file).during("remembering the local user")
}
