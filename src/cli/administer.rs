//! What commands share that administer a database: opening it, finding a person, asking before something ends.
//!
//! Never: making a database, or a master key.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use url::Url;

use crate::ambient::{Clock, Dice};
use crate::backup::{DataDirLock, Held};
use crate::config::{Config, Engine, Purpose};
use crate::domain::UserId;
use crate::domain::event::{Event, clean};
use crate::failure::Failure;
use crate::store::{OpenStoreError, Recorded, Store};

use super::output::{Exit, Output, Refused};
use super::{Global, configured, outbox, serve_sandbox};

/// What such a command works with.
pub(super) struct Desk {
    pub(super) config: Config,
    /// The configuration file, where one was named.
    pub(super) config_file: Option<PathBuf>,
    pub(super) store: Store,
    pub(super) output: Output,
    pub(super) clock: Clock,
    pub(super) dice: Dice,
}

/// Which database a command works with.
pub(super) struct Place<'a> {
    /// The options that say where the configuration is.
    pub(super) global: &'a Global,
    /// The one that `serve --sandbox` keeps with this configuration.
    pub(super) sandbox: bool,
}

/// A group of commands that work with a database.
#[derive(Debug, clap::Args)]
pub struct Group<C: clap::Subcommand> {
    /// The database of 'serve --sandbox' instead
    #[arg(long, global = true)]
    sandbox: bool,
    #[command(subcommand)]
    command: C,
}

impl<C: clap::Subcommand> Group<C> {
    /// The command that was named, and where it works.
    pub(super) const fn named<'a>(&'a self, global: &'a Global) -> (&'a C, Place<'a>) {
        (&self.command, Place { global, sandbox: self.sandbox })
    }
}

impl Place<'_> {
    pub(super) const fn purpose(&self) -> Purpose {
        Purpose::Administer { sandbox: self.sandbox }
    }
}

/// Opens the database that the configuration names, does the work, and closes it again.
pub(super) fn at_database(
    place: &Place<'_>,
    work: impl AsyncFnOnce(&Desk) -> Result<Exit, Refused>,
) -> Result<Exit, Refused> {
    let (config, config_file) = configured_place(place)?;
    if !Store::may_be_at(config.storage.url.expose()) {
        return Err(no_database(&config));
    }
    let _shared = share(&config)?;
    runtime()?.block_on(async {
        let store = Store::open(config.storage.url.expose()).await;
        let store = store.map_err(|error| unopened(&error, config.storage.url.expose()))?;
        let (output, clock, dice) = (place.global.output(), Clock::system(), Dice::system());
        let desk = Desk { config, config_file, store, output, clock, dice };
        let done = work(&desk).await;
        outbox::settle(&desk).await;
        desk.store.close().await;
        done
    })
}

/// The configuration of a place, and the file that it came from. Whatever is created from now on is this user's alone.
pub(super) fn configured_place(place: &Place<'_>) -> Result<(Config, Option<PathBuf>), Refused> {
    let loaded = configured::load_any(place.global, Vec::new(), place.purpose())?;
    let file = loaded.file().map(Path::to_owned);
    let mut config = configured::accept_for(place.global, loaded, &place.global.output())?;
    if place.sandbox {
        serve_sandbox::set_apart(&mut config)?;
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Ok((config, file))
}

/// The same as far as it is valid, for commands that only ask where the server is; nothing is said of the rest.
pub(super) fn configured_place_as_far_as_valid(place: &Place<'_>) -> Result<Config, Refused> {
    let mut config =
        configured::load_any(place.global, Vec::new(), place.purpose())?.as_far_as_valid().clone();
    if place.sandbox {
        serve_sandbox::set_apart(&mut config)?;
    }
    Ok(config)
}

/// For a command, which needs one thread.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Refused> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Refused::unexpected("RUNTIME", &error.into(), "check the limits on threads of this user")
    })
}

/// Keeps a restore away while something works with the database; `None` where there is no data directory yet.
pub(super) fn share(config: &Config) -> Result<Option<DataDirLock>, Refused> {
    if !config.storage.data_dir.exists() {
        return Ok(None);
    }
    DataDirLock::share(&config.storage.data_dir).map(Some).map_err(|held| match held {
        Held::InUse => Refused::incomplete(
            "DATABASE_IN_USE",
            "a backup is being restored into this data directory",
            "try again when that has ended",
        ),
        Held::Failed(failure) => {
            Refused::unexpected("DATA_DIR_UNWRITABLE", &failure, "check the data directory's owner and mode")
        }
    })
}

impl Desk {
    /// Stamps an event, to be stored in the transaction of the change that it reports.
    pub(super) fn stamp(&self, event: Event) -> Recorded {
        Recorded::now(event, &self.clock, &self.dice)
    }

    /// The person of `--user`: our id, or the Spotify user id or account id that they log in with, if it means exactly one.
    pub(super) async fn person(&self, named: &str) -> Result<UserId, Refused> {
        let found = self.store.people_called(named).await.map_err(|failure| broken(&failure))?;
        match found.as_slice() {
            [(one, true)] => Ok(one.clone()),
            [(other, false)] => {
                let whose = self.called(other).await?;
                Err(Refused::usage(
                    "USER_FURTHER_ACCOUNT",
                    format!(
                        "{} is no person here: it is a further account that {whose} has linked",
                        clean(named)
                    ),
                    format!(
                        "give {other} if you mean that person; whose Spotify account it is may be somebody else"
                    ),
                ))
            }
            [] => Err(Refused::incomplete(
                "USER_UNKNOWN",
                format!("nobody here is called {}", clean(named)),
                "give the id (u_...) that the person sees at /account, or their Spotify user id",
            )),
            _ => Err(Refused::usage(
                "USER_AMBIGUOUS",
                format!("{} means more than one person", clean(named)),
                "give the id (u_...) that the person sees at /account",
            )),
        }
    }

    /// A person's id, with the name that they gave themselves where there is one.
    pub(super) async fn called(&self, user: &UserId) -> Result<String, Refused> {
        let known = self.store.user(user).await.map_err(|failure| broken(&failure))?;
        let name = known.map(|person| clean(&person.display_name)).unwrap_or_default();
        Ok(if name.is_empty() { user.to_string() } else { format!("{user} ({name})") })
    }

    /// Goes on where the person at the terminal, or `--yes`, says so.
    pub(super) fn confirm(&self, question: &str, yes: bool) -> Result<(), Refused> {
        confirm(&self.output, question, yes)
    }
}

/// Goes on where the person at the terminal, or `--yes`, says so.
pub(super) fn confirm(output: &Output, question: &str, yes: bool) -> Result<(), Refused> {
    if yes {
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Refused::usage(
            "CONFIRMATION_NEEDED",
            "this has to be confirmed, and there is no terminal to ask on; nothing was changed",
            "add --yes, or look first with --dry-run",
        ));
    }
    output.say(&format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim().to_ascii_lowercase().starts_with('y') {
        return Ok(());
    }
    Err(Refused::usage("NOT_CONFIRMED", "not confirmed; nothing was changed", "answer y, or add --yes"))
}

/// The database failed in the middle of the work.
pub(super) fn broken(failure: &Failure) -> Refused {
    let next = "see that the database is reachable and has room, and run it again; -v shows the cause";
    Refused::unexpected("DATABASE_FAILED", failure, next)
}

fn no_database(config: &Config) -> Refused {
    let place = match config.storage.engine {
        Engine::Sqlite => config.storage.url.expose().split('?').next().unwrap_or_default(),
        Engine::Postgres => "the configured address",
    };
    Refused::incomplete(
        "DATABASE_MISSING",
        format!("there is no database at {place}"),
        "start the server once, or name its configuration: --config, --env-file, DATA_DIR or DATABASE_URL; the sandbox's: --sandbox",
    )
}

/// The database cannot be opened: why, as far as its driver says so without the password.
pub(super) fn unopened(error: &OpenStoreError, url: &str) -> Refused {
    let chain = error.cause.chain();
    let told = passwords(url).iter().any(|password| chain.contains(password));
    let why = if told { "the driver's words hold the password" } else { &chain };
    let text = format!("{} ({})", error.what, clean(why));
    Refused::incomplete("DATABASE_UNAVAILABLE", text, error.next)
}

/// The password of a database URL in every form in which it may be written: as it stands there, and without its
/// percent signs; PostgreSQL takes one in the query too.
fn passwords(url: &str) -> Vec<String> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let named = |pair: &&str| pair.starts_with("password=");
    let queried =
        url.query().unwrap_or_default().split('&').find(named).map(|pair| &pair["password=".len()..]);
    let written = url.password().into_iter().chain(queried).filter(|password| !password.is_empty());
    written.flat_map(|password| [password.to_owned(), plain(password)]).collect()
}

/// Without percent signs; a plus stays one.
fn plain(text: &str) -> String {
    let form = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(form.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}
