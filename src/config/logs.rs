//! The operational log and metrics, as validated: where lines go, how they look, and who reads metrics.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::crypto::SecretString;

/// The operational log and metrics.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// The least severe level that is written.
    pub log_level: LogLevel,
    /// Where; `None`: standard error.
    pub log_file: Option<PathBuf>,
    /// How a line looks.
    pub log_format: LogFormat,
    /// When a new file begins.
    pub log_rotation: LogRotation,
    /// How many old files stay.
    pub log_keep: u32,
    /// Where metrics have a listener of their own; on loopback, or there is a token.
    pub metrics_listen: Option<SocketAddr>,
    /// What whoever reads metrics presents; without it `/metrics` is not there.
    pub metrics_token: Option<SecretString>,
}

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures alone.
    Error,
    /// And what will become one.
    Warn,
    /// And what happened.
    Info,
    /// And how.
    Debug,
    /// And every step, of our own modules only.
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// When a new log file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRotation {
    /// At midnight UTC.
    Daily,
    /// On the hour.
    Hourly,
    /// Never.
    Never,
}
