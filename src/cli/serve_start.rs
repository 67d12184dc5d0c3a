//! What comes before serving: the configuration with all its problems, the log, the master key. What a refusal says of the
//! application itself is beside this file.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ambient::{Clock, Dice};
use crate::backup::DataDirLock;
use crate::config::certificate;
use crate::config::master_key::{KeyPlace, KeyRefusal, MasterKey, make_data_dir, master_key};
use crate::config::{self, Config, Effective, Flag, LogLevel, PassphraseKdf, Purpose, Sources, TlsFiles};
use crate::crypto::SecretString;
use crate::crypto::kdf::Kdf;
use crate::crypto::keys::RootKey;
use crate::failure::{During as _, Failure};
use crate::http::{Renewal, Tls};
use crate::policy::Environment;
use crate::store::Store;
use crate::telemetry::Log;
use crate::vault::{KeyRing, Standing};

use super::administer;
use super::output::{Output, Refused, io_cause};
use super::serve::Args;
use super::serve_refused::wrong_master_key;
use super::serve_sandbox;
use super::{Global, configured, hygiene};

/// What serving starts from.
pub(super) struct Prepared {
    pub(super) config: Config,
    /// The configured one first; beside it the one of a rotation that has not ended.
    pub(super) roots: Vec<RootKey>,
    pub(super) log: Arc<RunningLog>,
    pub(super) again: Again,
    /// Keeps a restore away while this process serves.
    pub(super) _shared: Option<DataDirLock>,
}

/// What a reload needs to load the configuration once more.
pub(super) struct Again {
    /// Where it came from.
    pub(super) sources: Sources,
    /// The same without the flag that raises the log level for a while.
    pub(super) usual: Option<Sources>,
    /// What is in use.
    pub(super) running: Effective,
}

/// The log, and when its raised level falls back.
pub(super) struct RunningLog {
    log: Log,
    /// After which time a raised level falls back; `None`: it is not raised.
    fallback: Option<Duration>,
    /// The level without the flag, and whether the log is raised above it.
    usual: Mutex<(LogLevel, bool)>,
}

/// Loads the configuration, makes the data directory, starts the log, finds the master key.
pub(super) fn prepare(args: &Args, global: &Global, output: &Output) -> Result<Prepared, Refused> {
    let limited = args.log_level_for.as_deref().map(duration).transpose()?;
    let purpose = Purpose::Serve { sandbox: args.sandbox, log_level_ends: limited.is_some() };
    let sources = configured::sources(global, flags(args), purpose);
    let loaded = configured::load_any(global, flags(args), purpose)?;
    let running = loaded.effective();
    let mut config = configured::accept_for(global, loaded, output)?;
    // Where the level falls back to: what is configured without the flag.
    let without = Global { log_level: None, ..global.clone() };
    let usual_sources = limited.map(|_| configured::sources(&without, flags(args), purpose));
    let usual = match limited {
        Some(_) => configured::load(&without, flags(args), purpose, &Output::silent())?.telemetry.log_level,
        None => config.telemetry.log_level,
    };
    config.rollback_reason.clone_from(&args.allow_rollback);
    if args.allow_debugging {
        allow_debugging(&config, output)?;
    }
    if args.sandbox {
        serve_sandbox::set_apart(&mut config)?;
    }
    // Whatever this process creates (log files, SQLite's journals) is its user's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    make_data_dir(&config.storage.data_dir)
        .map_err(|error| data_dir_refused(&config.storage.data_dir, error))?;
    let shared = administer::share(&config)?;
    warn_of_open_folder(&config.storage.data_dir, output);
    let log = Log::start(&config.telemetry).map_err(|failure| {
        Refused::unexpected(
            "LOG_UNAVAILABLE",
            &failure,
            "check telemetry.log_file: its folder must exist and be writable",
        )
    })?;
    let roots = roots(&config, output)?;
    let log = RunningLog { log, fallback: limited, usual: Mutex::new((usual, limited.is_some())) };
    let again = Again { sources, usual: usual_sources, running };
    Ok(Prepared { config, roots, log: Arc::new(log), again, _shared: shared })
}

/// In development alone: elsewhere memory holds what other people entrusted.
fn allow_debugging(config: &Config, output: &Output) -> Result<(), Refused> {
    if config.security.environment != Environment::Development {
        return Err(Refused::usage(
            "DEBUGGING_REFUSED",
            "--allow-debugging lets every program of this user read tokens and keys from memory",
            "leave it out, or use it in development only",
        ));
    }
    hygiene::open_up().map_err(|failure| {
        Refused::unexpected("PROCESS_OPEN", &failure, "start without --allow-debugging")
    })?;
    let why = "--allow-debugging: programs of this user can read tokens and keys from this server's memory";
    output.warn("PROCESS_OPEN", why, "start without it where anybody else's data is served");
    Ok(())
}

/// A folder that others may write is a folder in which they may replace the database.
fn warn_of_open_folder(path: &Path, output: &Output) {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata(path).is_ok_and(|folder| folder.mode() & 0o022 != 0) {
        let why = format!("other users may write to the data directory {}", path.display());
        output.warn("DATA_DIR_WRITABLE_BY_OTHERS", &why, "chmod 700 it, and check who wrote to it");
    }
}

impl RunningLog {
    /// Another level from now on; where the present one is raised by a flag for a while, when it falls back.
    pub(super) fn take_over(&self, level: LogLevel, usual: LogLevel) {
        let mut state = self.usual.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = usual;
        if !state.1 {
            self.set(if self.fallback.is_some() { usual } else { level });
        }
    }

    fn fall_back(&self) {
        let mut state = self.usual.lock().unwrap_or_else(PoisonError::into_inner);
        tracing::info!(level = ?state.0, "the log level falls back");
        self.set(state.0);
        state.1 = false;
    }

    fn set(&self, level: LogLevel) {
        if let Err(failure) = self.log.set_level(level) {
            tracing::warn!(cause = failure.chain(), "the log level stays");
        }
    }

    /// Lets a raised level fall back by itself.
    pub(super) fn spawn_fallback(self: Arc<Self>, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        let stop = stop.clone();
        tasks.spawn(async move {
            if let Some(after) = self.fallback
                && tokio::time::timeout(after, stop.cancelled()).await.is_err()
            {
                self.fall_back();
            }
            // The log is kept until the server ends.
            stop.cancelled().await;
            drop(self);
        });
    }
}

fn flags(args: &Args) -> Vec<Flag> {
    let mut flags = Vec::new();
    if let Some(address) = args.listen {
        flags.push(Flag { key: "server.host", name: "--listen", value: address.ip().to_string() });
        flags.push(Flag { key: "server.port", name: "--listen", value: address.port().to_string() });
    }
    if let Some(toolsets) = &args.toolsets {
        flags.push(Flag { key: "server.toolsets", name: "--toolsets", value: toolsets.clone() });
    }
    if args.read_only {
        flags.push(Flag { key: "server.read_only", name: "--read-only", value: "true".to_owned() });
    }
    flags
}

fn duration(text: &str) -> Result<Duration, Refused> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    match number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(seconds))
        .filter(|seconds| *seconds > 0)
    {
        Some(seconds) => Ok(Duration::from_secs(seconds.into())),
        None => Err(Refused::usage(
            "USAGE",
            format!("--for {text}: not a duration"),
            "write for example 90s, 15m or 1h",
        )),
    }
}

/// The master key from where the configuration says; a passphrase is stretched here, which takes tenths of a second.
fn roots(config: &Config, output: &Output) -> Result<Vec<RootKey>, Refused> {
    match master_key(config, &Dice::system()).map_err(key_refused)? {
        MasterKey::Key { key, place } => {
            if let KeyPlace::Made(path) = &place {
                output.note(&format!(
                    "a master key was made in {}: without this file nothing that is stored can be opened, so keep a copy apart",
                    path.display()
                ));
            }
            let mut roots = vec![RootKey::new(key)];
            if let KeyPlace::BesideData(path) = &place {
                roots.extend(next_root(path)?);
            }
            Ok(roots)
        }
        MasterKey::Passphrase { passphrase, kdf, .. } => {
            let kdf = kept_kdf(&config.storage.data_dir, kdf).map_err(|failure| {
                Refused::unexpected(
                    "KDF_UNREADABLE",
                    &failure,
                    "restore master.kdf.json in the data directory from a backup",
                )
            })?;
            Ok(vec![stretch(&kdf, &passphrase)?])
        }
    }
}

/// The master key where there is one already: nothing is made, neither a key nor a salt.
pub(super) fn roots_at_hand(config: &Config, output: &Output) -> Result<Option<Vec<RootKey>>, Refused> {
    let said = &config.security.master_key;
    let beside_data = config::master_key::generated_path(&config.storage.data_dir);
    let somewhere = said.value.is_some()
        || said.credential.is_some()
        || !said.command.is_empty()
        || (said.passphrase.is_some() && config.storage.data_dir.join("master.kdf.json").exists())
        || (said.passphrase.is_none() && beside_data.exists());
    if somewhere { roots(config, output).map(Some) } else { Ok(None) }
}

/// The configured root, where there is one already, and where it was found; `None` for a passphrase's place.
pub(super) fn present_root(config: &Config) -> Result<Option<(RootKey, Option<KeyPlace>)>, Refused> {
    let data_dir = &config.storage.data_dir;
    match config::master_key::find(&config.security.master_key, data_dir).map_err(key_refused)? {
        None => Ok(None),
        Some(MasterKey::Key { key, place }) => Ok(Some((RootKey::new(key), Some(place)))),
        Some(MasterKey::Passphrase { .. }) => {
            let roots = roots_at_hand(config, &Output::silent())?;
            Ok(roots.and_then(|roots| roots.into_iter().next()).map(|root| (root, None)))
        }
    }
}

/// What a rotation wrote beside a generated key, until it takes its name.
fn next_root(beside: &Path) -> Result<Option<RootKey>, Refused> {
    let path = beside.with_extension("key.next");
    match path.symlink_metadata() {
        Ok(_) => config::master_key::key_file(&path, true).map(RootKey::new).map(Some).map_err(key_refused),
        Err(_) => Ok(None),
    }
}

/// The key ring of a database, for a command.
pub(super) async fn ring(
    store: &Store,
    roots: &[RootKey],
    (clock, dice): (&Clock, &Dice),
) -> Result<(KeyRing, Standing), Refused> {
    let given = roots.first().map(|root| root.id().to_string()).unwrap_or_default();
    match KeyRing::open(store, roots, (clock, dice)).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(mismatch)) => Err(wrong_master_key(&given, &mismatch)),
        Err(failure) => Err(administer::broken(&failure)),
    }
}

pub(super) fn stretch(kdf: &Kdf, passphrase: &SecretString) -> Result<RootKey, Refused> {
    kdf.derive(passphrase).map(RootKey::new).map_err(|error| {
        Refused::usage(
            "KDF_REFUSED",
            error.to_string(),
            "use a longer passphrase, or restore master.kdf.json from a backup",
        )
    })
}

/// Salt and parameters lie beside the data: they are no secret, and without them the passphrase opens nothing.
fn kept_kdf(data_dir: &Path, wanted: PassphraseKdf) -> Result<Kdf, Failure> {
    let path = data_dir.join("master.kdf.json");
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).during("reading master.kdf.json"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let salt = Dice::system().bytes();
            let kdf = match wanted {
                PassphraseKdf::Argon2id => Kdf::argon2id(&salt),
                PassphraseKdf::Pbkdf2Sha256 => Kdf::pbkdf2_sha256(&salt),
            };
            let text = SecretString::new(serde_json::to_string(&kdf)?);
            config::master_key::write_new(&path, &text).during("writing master.kdf.json")?;
            Ok(kdf)
        }
        Err(error) => Err(Failure::caused("reading master.kdf.json", error)),
    }
}

pub(super) fn key_refused(refusal: KeyRefusal) -> Refused {
    let KeyRefusal { place, wrong } = refusal;
    Refused::usage(wrong.code, format!("no usable master key in {place}: {}", wrong.why), wrong.fix)
}

fn data_dir_refused(path: &Path, error: std::io::Error) -> Refused {
    let text = format!("the data directory {} cannot be made: {}", path.display(), io_cause(&error));
    Refused::incomplete("DATA_DIR_UNWRITABLE", text, "set DATA_DIR to a folder that this user may write")
}

/// Port 0 took a free one: what was derived from the port follows.
pub(super) fn adopt_port(config: &mut Config, port: u16) {
    let server = &mut config.server;
    if server.port == 0 && !server.public_url_is_explicit {
        let derived = |url: &url::Url| url.port() == Some(0) && matches!(url.scheme(), "http" | "https");
        for url in [&mut server.public_url, &mut config.spotify.redirect_uri] {
            if derived(url) {
                // Cannot fail for an http or https URL with a host.
                let _ = url.set_port(Some(port));
            }
        }
    }
    server.port = port;
}

/// The certificate and key of built-in TLS, and what keeps them fresh.
pub(super) fn renewal(files: TlsFiles) -> Result<Renewal, Refused> {
    let pair = certificate::read(&files, Clock::system().now())
        .map_err(|(key, wrong)| Refused::usage(wrong.code, format!("{key}: {}", wrong.why), wrong.fix))?;
    let tls = Tls::new(pair.certified.clone())
        .map_err(|failure| Refused::unexpected("TLS", &failure, "use a build that passes its tests"))?;
    Ok(Renewal { tls: Arc::new(tls), files, pair })
}
