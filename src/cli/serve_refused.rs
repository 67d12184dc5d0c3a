//! What a start that is refused says: the application cannot be built, the port is taken. Never: a word of the
//! database's URL, or of a key.

use crate::alerts::NoReceiver;
use crate::app::BuildError;
use crate::audit::OpenError;
use crate::config::unseal::in_words;
use crate::http::ServeError;
use crate::store::MasterKeyMismatch;

use super::administer::unopened;
use super::output::{Exit, Part, Refused, io_cause};

/// Why the port cannot be listened on.
pub(super) fn refused_port(error: ServeError) -> Refused {
    let taken = error.cause.kind() == std::io::ErrorKind::AddrInUse;
    let next = if taken {
        "stop the program that uses it (perhaps another spotify-mcp), or set SERVER_PORT or --listen"
    } else {
        "set SERVER_HOST and SERVER_PORT, or --listen, to an address of this machine that this user may use"
    };
    let code = if taken { "PORT_TAKEN" } else { "ADDRESS_UNAVAILABLE" };
    Refused::incomplete(code, format!("cannot listen on {}: {}", error.address, io_cause(&error.cause)), next)
}

/// Why the application cannot start; `database` is its URL, of which nothing is said.
pub(super) fn refused_build(error: BuildError, database: &str) -> Refused {
    match error {
        BuildError::Store(error) => unopened(&error, database),
        BuildError::MasterKey { given, mismatch } => wrong_master_key(&given, &mismatch),
        BuildError::RolledBack(refusal) => {
            let wrong = in_words(&refusal);
            Refused::usage(
                wrong.code,
                format!("the sealed configuration is refused: {}", wrong.why),
                wrong.fix,
            )
        }
        BuildError::Audit(error) => {
            let next = match error {
                OpenError::Changed(_) => {
                    "run 'audit verify', keep what it says with the folder, and then give audit.dir a new one"
                }
                _ => "see audit.dir in the configuration; nothing was lost",
            };
            Refused::incomplete(error.code(), error.to_string(), next)
        }
        BuildError::Host(key, why) => {
            unreachable_host(key, why, "name a host that can be reached under this environment's policy")
        }
        BuildError::Receiver(NoReceiver { key, why }) => unreachable_host(key, why, NoReceiver::FIX),
        BuildError::Failure(failure) => {
            Refused::unexpected("START_FAILED", &failure, "run again with -v for the cause")
        }
    }
}

fn unreachable_host(key: &str, why: String, fix: &str) -> Refused {
    let part = Part {
        code: "CONFIG_HOST".to_owned(),
        about: key.to_owned(),
        origin: "configuration".to_owned(),
        why,
        fix: fix.to_owned(),
    };
    Refused::new(Exit::Usage, "CONFIG_INVALID", "a host can never be reached", "mend it")
        .with_parts(vec![part])
}

pub(super) fn wrong_master_key(given: &str, mismatch: &MasterKeyMismatch) -> Refused {
    let MasterKeyMismatch { expected, given_is_retired } = mismatch;
    let retired = if *given_is_retired { ", a retired key of this database" } else { "" };
    Refused::usage(
        "MASTER_KEY_WRONG",
        format!("the master key does not fit the database: given {given}{retired}, needed {expected}"),
        "start with the key that the database was written with (see SPOTIFY_MCP_MASTER_KEY and DATA_DIR); nothing was changed",
    )
}
