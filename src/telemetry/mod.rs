//! The operational log: tracing, its format, file and rotation. Beside it, what is counted and how that is written.
//!
//! For watching and debugging; the evidence is in the audit trail. A full or stalled log never stalls the server:
//! lines are dropped and counted. Never: a secret, a panic's formatted payload, a library's debug lines, two lines
//! where one was meant.

pub(crate) mod escape;
pub mod exposition;
mod fields;
pub mod metrics;
mod panic;

use std::path::Path;
use std::sync::OnceLock;

use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogFormat, LogLevel, LogRotation, TelemetryConfig};
use crate::failure::{During as _, Failure};
use escape::Escaping;

/// Lines that may wait for the file or for standard error; further ones are dropped and counted.
const BUFFERED_LINES: usize = 16_384;

/// Lines that were dropped because the file or standard error did not keep up.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// How many lines of the log were dropped since the start; `None` where this process keeps none.
pub fn dropped_lines() -> Option<usize> {
    DROPPED.get().map(ErrorCounter::dropped_lines)
}

/// The running log: keep it until the process ends, or the last lines are lost.
pub struct Log {
    level: reload::Handle<Targets, Registry>,
    _worker: WorkerGuard,
}

impl Log {
    /// Starts the log for the whole process, and has panics logged.
    ///
    /// # Errors
    /// Where the file cannot be opened, or a log already runs.
    pub fn start(config: &TelemetryConfig) -> Result<Self, Failure> {
        let builder = NonBlockingBuilder::default().buffered_lines_limit(BUFFERED_LINES).thread_name("log");
        let (writer, worker) = match &config.log_file {
            None => builder.finish(std::io::stderr()),
            Some(path) => builder.finish(appender(path, config)?),
        };
        let _ = DROPPED.set(writer.error_counter());
        let (filter, level) = reload::Layer::new(targets(config.log_level));
        let subscriber = Registry::default().with(filter).with(lines(config.log_format, writer));
        tracing::subscriber::set_global_default(subscriber).during("starting the log")?;
        panic::log_panics();
        Ok(Self { level, _worker: worker })
    }

    /// Changes the level of our own modules while the process runs.
    ///
    /// # Errors
    /// Where the log has ended.
    pub fn set_level(&self, level: LogLevel) -> Result<(), Failure> {
        self.level.reload(targets(level)).during("changing the log level")
    }
}

/// Our own modules at `level`; security events at least at `info`; libraries at warnings and worse, because some
/// print headers below (product.md 7, "Health and logs"). Nothing of the MCP library: its warnings quote what a
/// client sent, at any length, and how its requests end is told by us.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("rmcp", LevelFilter::OFF)
        .with_target("spotify_mcp", level)
        .with_target("security", level.max(LevelFilter::INFO))
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(
    format: LogFormat,
    writer: NonBlocking,
) -> Box<dyn Layer<S> + Send + Sync> {
    let layer = fmt::layer().with_ansi(false).with_writer(Escaping { writer, format });
    match format {
        LogFormat::Text => layer.fmt_fields(fields::quoted()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// `dir/name.log` becomes `dir/name.2026-11-21.log`, or stays as it is where nothing rotates.
fn appender(path: &Path, config: &TelemetryConfig) -> Result<RollingFileAppender, Failure> {
    let part = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let builder = RollingFileAppender::builder()
        .filename_prefix(part(path.file_stem()).unwrap_or_else(|| "spotify-mcp".to_owned()))
        .filename_suffix(part(path.extension()).unwrap_or_else(|| "log".to_owned()))
        .max_log_files(usize::try_from(config.log_keep.max(1)).unwrap_or(usize::MAX))
        .rotation(match config.log_rotation {
            LogRotation::Daily => Rotation::DAILY,
            LogRotation::Hourly => Rotation::HOURLY,
            LogRotation::Never => Rotation::NEVER,
        });
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    builder.build(folder.unwrap_or(Path::new("."))).during("opening the log file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(format: LogFormat, level: LogLevel, write: impl FnOnce()) -> String {
        // Tests share the process, never a thread.
        let name = format!("spotify-mcp-log-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(name);
        let path = folder.join("server.log");
        let config = TelemetryConfig {
            log_level: level,
            log_file: Some(path.clone()),
            log_format: format,
            log_rotation: LogRotation::Never,
            log_keep: 1,
            metrics_listen: None,
            metrics_token: None,
        };
        let (writer, guard) = NonBlockingBuilder::default().finish(appender(&path, &config).unwrap());
        let subscriber = Registry::default().with(targets(level)).with(lines(format, writer));
        tracing::subscriber::with_default(subscriber, write);
        drop(guard);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        text
    }

    #[test]
    fn trace_raises_our_own_modules_only() {
        let text = logged(LogFormat::Text, LogLevel::Trace, || {
            tracing::trace!(target: "spotify_mcp::vault", "ours");
            tracing::debug!(target: "hyper::proto", "authorization: theirs");
            tracing::warn!(target: "hyper::proto", "trouble");
        });
        assert!(text.contains("ours") && text.contains("trouble") && !text.contains("theirs"), "{text}");
    }

    #[test]
    fn security_events_stay_visible_at_any_level() {
        let text = logged(LogFormat::Text, LogLevel::Error, || {
            tracing::info!(target: "security", event = "blocked_host", "refused");
            tracing::warn!(target: "spotify_mcp::http", "ours");
            tracing::warn!(target: "hyper::proto", "theirs");
        });
        assert!(text.contains("security: refused event=\"blocked_host\""), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn the_mcp_library_is_silent_at_any_level() {
        let text = logged(LogFormat::Text, LogLevel::Trace, || {
            tracing::error!(target: "rmcp::transport::streamable_http_server", "quoting a client");
            tracing::info!(target: "spotify_mcp", "ours");
        });
        assert!(text.contains("ours") && !text.contains("quoting"), "{text}");
    }

    #[test]
    fn a_value_cannot_forge_a_field() {
        let evil = "x\" event=\"sys_shutdown";
        let text = logged(LogFormat::Text, LogLevel::Warn, || {
            let span = tracing::warn_span!(target: "spotify_mcp", "call", spanned = %evil);
            let _entered = span.enter();
            tracing::warn!(target: "spotify_mcp", event = "real", shown = %evil, debugged = ?evil, plain = evil,
                nested = ?[evil], number = 7, address = %"127.0.0.1:80", "told {evil}");
        });
        assert!(!text.contains("event=\"sys_shutdown"), "{text}");
        assert!(text.contains("event=\"real\"") && text.contains("number=7 address=127.0.0.1:80"), "{text}");
        let quoted = format!("{evil:?}");
        for field in ["spanned", "shown", "debugged", "plain"] {
            assert!(text.contains(&format!("{field}={quoted}")), "{field}: {text}");
        }
    }

    #[test]
    fn a_line_is_cut_and_says_so() {
        for evil in ["a".repeat(900_000), "\u{202e}".repeat(300_000), "\"\\".repeat(9_000), "€".repeat(9_000)]
        {
            let write = || {
                tracing::error!(target: "spotify_mcp", event = "kept", one = %evil, two = ?evil, "{evil}");
                tracing::error!(target: "spotify_mcp", event = "kept", one = %evil, "message");
            };
            let text = logged(LogFormat::Text, LogLevel::Error, write);
            assert_eq!(text.lines().count(), 2);
            for line in text.lines() {
                assert!(line.len() <= escape::LONGEST_LINE && line.ends_with(escape::CUT), "{line}");
            }
            let text = logged(LogFormat::Json, LogLevel::Error, write);
            assert_eq!(text.lines().count(), 2);
            for line in text.lines() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(line.len() <= escape::LONGEST_LINE && line.contains(escape::CUT), "{line}");
                assert_eq!((&value["event"], &value["level"]), (&"kept".into(), &"ERROR".into()), "{line}");
            }
        }
    }

    #[test]
    fn many_long_fields_still_make_one_readable_line() {
        let evil = "\u{1}".repeat(90_000);
        let text = logged(LogFormat::Json, LogLevel::Warn, || {
            tracing::warn!(target: "spotify_mcp", a = %evil, b = %evil, c = %evil, d = %evil, e = %evil, f = %evil,
                g = %evil, h = %evil, i = %evil, j = %evil, event = %evil, "{evil}");
        });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(
            text.len() <= escape::LONGEST_LINE && value["message"].as_str().unwrap().ends_with(escape::CUT)
        );
        assert_eq!((value["target"].as_str(), value.get("a")), (Some("spotify_mcp"), None));
    }

    #[test]
    fn a_value_cannot_forge_a_line_in_either_format() {
        let evil = "x\r\n2026-11-21T04:00:00Z ERROR forged \u{1b}[2J\u{202e}\u{e0041}\u{85}";
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, LogLevel::Info, || {
                tracing::info!(target: "spotify_mcp", name = %evil, debugged = ?evil, "{evil}");
            });
            assert_eq!(text.lines().count(), 1, "{text}");
            let line = text.trim_end_matches('\n');
            assert!(!line.chars().any(crate::domain::event::is_deceptive), "{line:?}");
            if format == LogFormat::Json {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(value["name"].as_str().unwrap(), evil, "JSON keeps the value, escaped");
                assert_eq!(value["target"], "spotify_mcp");
            }
        }
    }
}
