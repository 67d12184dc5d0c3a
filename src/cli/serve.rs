//! `spotify-mcp serve`: the server, over HTTP or for one local user over standard input and output.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Dice};
use crate::app::{App, Mode};
use crate::config::LogFormat;
use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;
use crate::http::{FINISH_WITHIN, Http, Listening, ServeError, front, listen};
use crate::mcp::{HttpPolicy, Linked, McpDeps, OfApp, Server};

use super::control::Control;
use super::output::{Exit, Output, Refused, io_cause};
use super::serve_reload::Reloader;
use super::serve_sandbox::Sandboxed;
use super::{Global, MakeServer};
use super::{help, serve_refused, serve_start, serve_stdio};

/// What `serve` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  spotify-mcp serve --sandbox             a simulated Spotify, on loopback
  spotify-mcp serve --config server.toml  the real thing
  spotify-mcp serve --stdio               one local user, no network
  spotify-mcp serve --log-level debug --for 15m")]
pub struct Args {
    /// Listen here instead of server.host and server.port
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = help::address)]
    pub listen: Option<SocketAddr>,
    /// One local user over standard input and output; nothing but protocol on standard output
    #[arg(long, conflicts_with = "listen")]
    pub stdio: bool,
    /// An embedded simulated Spotify with pretend users; a database of its own, loopback only
    #[arg(long)]
    pub sandbox: bool,
    /// Offer only these groups of tools, instead of server.toolsets: accounts, catalog, player, playlists, library, history
    #[arg(long, value_name = "LIST")]
    pub toolsets: Option<String>,
    /// Offer only tools that change nothing
    #[arg(long)]
    pub read_only: bool,
    /// With --log-level debug or trace: fall back to the configured level after this long, for example 15m
    #[arg(long = "for", value_name = "DURATION")]
    pub log_level_for: Option<String>,
    /// End when standard input ends: for a parent that may be killed
    #[arg(long, hide = true, conflicts_with = "stdio")]
    pub while_stdin: bool,
    /// Take the time for so many seconds later than it is: for a parent that tries what is then over
    #[arg(long, hide = true, requires = "while_stdin", value_name = "SECONDS", default_value_t = 0)]
    pub clock_ahead: u32,
    /// In development: let a debugger of this user in, and let /proc show memory and environment to this user
    #[arg(long)]
    pub allow_debugging: bool,
    /// Use an older revision of the sealed configuration than was used before, and record why
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub allow_rollback: Option<String>,
}

/// How often counted calls are written down.
const USAGE_EVERY: Duration = Duration::from_secs(5);

/// How long the end waits to be recorded: a full disk must not keep the process.
const LAST_RECORD: Duration = Duration::from_secs(5);

/// Serves until told to stop.
pub fn run(args: &Args, global: &Global, make: MakeServer) -> Result<Exit, Refused> {
    let output = global.output();
    if args.while_stdin {
        end_with_stdin();
    }
    let started = serve_start::prepare(args, global, &output)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Refused::unexpected("RUNTIME", &error.into(), "check the limits on threads of this user")
    })?;
    let ended = runtime.block_on(serve(args, started, output, make));
    // Everything is closed. A read of standard input that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    ended
}

fn clock(ahead: u32) -> Clock {
    if ahead == 0 {
        return Clock::system();
    }
    let (clock, hand) = Clock::shifted_by_hand();
    hand.advance(Duration::from_secs(ahead.into()));
    clock
}

async fn serve(
    args: &Args,
    started: serve_start::Prepared,
    output: Output,
    make: MakeServer,
) -> Result<Exit, Refused> {
    let mut config = started.config;
    // Before anybody can know the process: unhandled, the signal for a reload would end it. Over standard input, a
    // terminal that goes away takes the server with it.
    let hangup = (!args.stdio).then(|| signal(SignalKind::hangup())).transpose();
    let hangup = hangup.map_err(|error| internal(error.into()))?;
    // Bound first: a taken port must not cost a migration. Over standard input the page is bound when it is needed.
    let listening = match args.stdio {
        true => None,
        false => Some(listen(config.server.listen()).await.map_err(serve_refused::refused_port)?),
    };
    let metrics = metrics_listener(args, config.telemetry.metrics_listen).await?;
    let renewal = config.server.tls.clone().filter(|_| !args.stdio).map(serve_start::renewal).transpose()?;
    if let Some(listening) = &listening {
        serve_start::adopt_port(&mut config, listening.address().port());
    }
    let sandbox = match args.sandbox {
        true => Some(Sandboxed::start(&mut config).await?),
        false => None,
    };
    let database = config.storage.url.clone();
    let app = App::build(
        config,
        Mode { sandbox: args.sandbox, stdio: args.stdio },
        &started.roots,
        (clock(args.clock_ahead), Dice::system()),
    );
    let app = Arc::new(app.await.map_err(|error| serve_refused::refused_build(error, database.expose()))?);

    let (tasks_stop, calls_stop) = (CancellationToken::new(), CancellationToken::new());
    let server = make(mcp_deps(&app, &calls_stop)).map_err(internal)?;
    let mut tasks = app.spawn_tasks(&tasks_stop);
    tasks.spawn(write_usage(app.clone(), server.clone(), tasks_stop.clone()));
    started.log.clone().spawn_fallback(&mut tasks, &tasks_stop);
    audit_start(&app).await.map_err(internal)?;

    let served = match listening {
        None => serve_stdio::run(&app, server).await.map_err(|ended| match ended {
            serve_stdio::Ended::LockedDown => locked_down(),
            serve_stdio::Ended::Failed(failure) => internal(failure),
        }),
        Some(listening) => {
            let http = Arc::new(Http::new(app.clone(), Some(server.clone()), None));
            let listening = listening.secured(renewal.as_ref().map(|renewal| renewal.tls.clone()));
            if let Some(hangup) = hangup {
                let told = Arc::new(Notify::new());
                if let Some(renewal) = renewal {
                    tasks.spawn(renewal.keep(app.clone(), told.clone(), tasks_stop.clone()));
                }
                let (again, log) = (started.again, started.log);
                let reloader = Reloader { again, app: app.clone(), http: http.clone(), log, told };
                tasks.spawn(reloader.keep(hangup, control(&app), tasks_stop.clone()));
            }
            spawn_metrics(metrics, &http, &mut tasks, &tasks_stop);
            tasks.spawn(stop_in_lockdown(app.clone(), server.clone(), tasks_stop.clone()));
            announce(&app, &listening, sandbox.as_ref(), &output).await;
            over_http((&http, &server), listening, calls_stop).await.map_err(internal)
        }
    };
    tasks_stop.cancel();
    while tasks.join_next().await.is_some() {}
    end(&app).await;
    served.map(|()| Exit::Done)
}

fn locked_down() -> Refused {
    let text = "every server is locked down by its operator: nothing is answered until that is over";
    Refused::incomplete(
        "LOCKED_DOWN",
        text,
        "'spotify-mcp incident list' says by which; 'incident lift' ends it",
    )
}

/// Records the end, closes the trail, and after it the database, which keeps how far the trail was signed.
async fn end(app: &App) {
    let recorded = app.audit.record(Event::new(EventCode::SysShutdown));
    match tokio::time::timeout(LAST_RECORD, recorded).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::error!(cause = failure.chain(), "the end could not be recorded"),
        Err(_) => tracing::error!("the end could not be recorded: the audit trail has no room"),
    }
    app.audit.close().await;
    if let Err(failure) = app.keep_mark().await {
        tracing::error!(cause = failure.chain(), "the database does not know how far the trail is signed");
    }
    app.tell_the_last().await;
    app.store.close().await;
}

/// Where metrics have a listener of their own. Of several local servers over standard input none does.
async fn metrics_listener(args: &Args, address: Option<SocketAddr>) -> Result<Option<Listening>, Refused> {
    match address.filter(|_| !args.stdio) {
        None => Ok(None),
        Some(address) => listen(address).await.map(Some).map_err(|error| refused_metrics_port(&error)),
    }
}

fn spawn_metrics(
    metrics: Option<Listening>,
    http: &Arc<Http>,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    if let Some(metrics) = metrics {
        tracing::info!(address = %metrics.address(), "metrics");
        tasks.spawn(metrics.serve_metrics(http.clone(), stop.clone()));
    }
}

/// Ends changes that are under way whenever a lockdown begins.
async fn stop_in_lockdown(app: Arc<App>, server: Server, stop: CancellationToken) {
    let mut lockdown = app.revocation.lockdown();
    while let Some(Ok(())) = stop.run_until_cancelled(lockdown.changed()).await {
        if *lockdown.borrow_and_update() {
            server.stop_changes();
        }
    }
}

/// Serves until a signal, then drains: not ready, a pause for load balancers, calls in flight finish.
async fn over_http(
    (http, server): (&Arc<Http>, &Server),
    listening: Listening,
    calls_stop: CancellationToken,
) -> Result<(), Failure> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let serving = listening.serve(front(http), http.app.config.limits.connections, stop.clone());
    let mut serving = tokio::spawn(serving);
    told_to_stop(&mut term, &mut int).await;
    tracing::info!("draining");
    http.drain();
    let drained = async {
        tokio::time::sleep(http.app.config.server.drain).await;
        stop.cancel();
        let finish = Instant::now() + FINISH_WITHIN;
        let _served = (&mut serving).await;
        // Those that nobody waits for any more as well.
        server.changes_end(finish.saturating_duration_since(Instant::now())).await;
    };
    tokio::select! {
        () = drained => {}
        () = told_to_stop(&mut term, &mut int) => {
            tracing::warn!("told to stop again: not waiting for calls in flight");
            server.changes_end(Duration::ZERO).await;
        }
    }
    calls_stop.cancel();
    serving.abort();
    Ok(())
}

/// Ends this process as SIGTERM does, twice at once, when its standard input ends: its parent is gone, also if it was killed.
fn end_with_stdin() {
    use rustix::process::{Signal, getpid, kill_process};
    let _left_behind = std::thread::spawn(|| {
        let _ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        for _ in 0..2 {
            let _told = kill_process(getpid(), Signal::TERM);
        }
    });
}

/// Why the address of metrics cannot be listened on.
fn refused_metrics_port(error: &ServeError) -> Refused {
    let code = if error.cause.kind() == std::io::ErrorKind::AddrInUse {
        "PORT_TAKEN"
    } else {
        "ADDRESS_UNAVAILABLE"
    };
    let text = format!("cannot listen on {} for metrics: {}", error.address, io_cause(&error.cause));
    Refused::incomplete(
        code,
        text,
        "set telemetry.metrics_listen to a free address of this machine, or leave it out",
    )
}

/// Where commands reach this server; without it, SIGHUP still does.
fn control(app: &App) -> Option<Control> {
    match Control::listen(&app.config.storage.data_dir) {
        Ok(control) => Some(control),
        Err(failure) => {
            tracing::warn!(cause = failure.chain(), "commands cannot reach this server; SIGHUP reloads it");
            None
        }
    }
}

/// Waits until this process is told to end.
pub(super) async fn told_to_stop(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

pub(super) fn mcp_deps(app: &Arc<App>, calls_stop: &CancellationToken) -> McpDeps {
    McpDeps {
        api: app.api.clone(),
        upstream: Arc::new(Linked {
            store: app.store.clone(),
            vault: app.vault.clone(),
            undo_for: app.config.limits.undo_for,
            quotas: app.quotas.clone(),
        }),
        book: Arc::new(OfApp(app.clone())),
        audit: app.audit.clone(),
        clock: app.clock.clone(),
        limits: app.limits.clone(),
        api_timeout: app.config.api.timeout,
        tool_deadline: app.config.api.tool_deadline(),
        public_url: app.issuer(),
        offer: app.config.server.offer.clone(),
        http: HttpPolicy {
            streams_per_user: app.limits.streams_per_user(),
            ..HttpPolicy::of(&app.config.server, &app.config.limits, calls_stop.clone())
        },
        sessions: Some(app.mcp_sessions.clone()),
    }
}

async fn write_usage(app: Arc<App>, server: Server, stop: CancellationToken) {
    loop {
        let last = tokio::time::timeout(USAGE_EVERY, stop.cancelled()).await.is_ok();
        let rows = server.usage().take();
        if !rows.is_empty()
            && let Err(failure) = app.store.add_usage(&rows).await
        {
            tracing::error!(cause = failure.chain(), "usage could not be counted");
        }
        if last {
            return;
        }
    }
}

async fn audit_start(app: &App) -> Result<(), Failure> {
    let server = &app.config.server;
    let event = Event::new(EventCode::SysStartup)
        .detail("version", env!("CARGO_PKG_VERSION"))
        .detail("environment", app.config.security.environment.name())
        .detail("public_url", server.public_url.as_str())
        .detail("master_key_id", app.keys.active().id().to_string());
    let event = match &app.config.sealed {
        Some(file) => event
            .detail("config_lineage", &file.lineage)
            .detail("config_rev", file.rev.to_string())
            .detail("config_digest", &file.digest),
        None => event,
    };
    app.audit.record(event).await?;
    if app.sandbox {
        app.audit.record(Event::new(EventCode::SandboxEnabled)).await?;
    }
    Ok(())
}

async fn announce(app: &App, listening: &Listening, sandbox: Option<&Sandboxed>, output: &Output) {
    tracing::info!(address = %listening.address(), public_url = app.issuer(), sandbox = app.sandbox, "serving");
    // It answers 503 to everything then: whoever starts it has to see why, and what ends it.
    let locked_by = app.store.locked_by().await.ok().flatten();
    if let Some(incident) = &locked_by {
        tracing::warn!(
            incident,
            "locked down: only probes are answered; 'spotify-mcp incident lift' ends it"
        );
    }
    if app.config.spotify.own_apps && !app.config.auth.signup_is_said && !app.newcomers_may_bring() {
        tracing::warn!(
            "spotify.own_apps lets nobody new in by a Spotify app of their own: outside of development auth.signup has to say \
             who may come"
        );
    }
    // Who collects the log as JSON reads line by line: the same is said above.
    if app.config.telemetry.log_format == LogFormat::Json {
        return;
    }
    if let Some(sandbox) = sandbox {
        output.note(&sandbox.banner(&app.issuer()));
    }
    let scheme = if app.config.server.tls.is_some() { "https" } else { "http" };
    let (here, issuer) = (format!("{scheme}://{}", listening.address()), app.issuer());
    let under = if here == issuer { String::new() } else { format!(" as {issuer}") };
    output.note(&format!(
        "spotify-mcp {} listens on {here}{under}\n  connect a client:  {issuer}/mcp\n  in a browser:      {issuer}/",
        env!("CARGO_PKG_VERSION"),
    ));
    if let Some(incident) = locked_by {
        output.note(&format!(
            "  LOCKED DOWN by {incident}: only probes are answered, until 'spotify-mcp incident lift'"
        ));
    }
}

fn internal(failure: Failure) -> Refused {
    Refused::unexpected("INTERNAL", &failure, "run again with -v for the cause")
}
