//! Secrets as commands take them: from a file, from standard input, or asked for without echo; never as arguments.

use std::io::{IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use super::output::{Exit, Output, Refused, SealedExit, io_cause};
use crate::crypto::SecretString;
use crate::failure::Failure;

/// No secret is larger, in bytes.
const LARGEST: u64 = 65_536;

/// The content of a file without its line end.
pub fn from_file(path: &Path) -> Result<SecretString, Refused> {
    let unreadable = |error: std::io::Error| {
        let text = format!("{} cannot be read: {}", path.display(), io_cause(&error));
        Refused::usage("SECRET_UNREADABLE", text, "name a file that exists and that this user may read")
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    whole(file).map_err(unreadable)
}

/// Standard input without its line end; on a terminal, what is typed without echo.
pub fn given(question: &str, output: &Output) -> Result<SecretString, Refused> {
    if std::io::stdin().is_terminal() {
        return asked(question, output);
    }
    whole(std::io::stdin().lock()).map_err(|error| unread(&error.into()))
}

/// What a person types without echo.
pub fn asked(question: &str, output: &Output) -> Result<SecretString, Refused> {
    output.note(&format!("{question}, not echoed:"));
    rpassword::read_password().map(SecretString::new).map_err(|error| unread(&error.into()))
}

/// A new passphrase, typed twice.
pub fn asked_twice(question: &str, output: &Output) -> Result<SecretString, Refused> {
    let first = asked(question, output)?;
    if asked(&format!("{question} again"), output)? == first {
        return Ok(first);
    }
    Err(Refused::usage("PASSPHRASE_DIFFERS", "the two passphrases differ", "try again"))
}

/// Refuses to print a secret into a file that everybody may read, such as a shell makes one.
pub fn check_standard_output() -> Result<(), Refused> {
    let stdout = std::io::stdout();
    let Ok(found) = rustix::fs::fstat(stdout.as_fd()) else { return Ok(()) };
    let is_file = rustix::fs::FileType::from_raw_mode(found.st_mode) == rustix::fs::FileType::RegularFile;
    if is_file && found.st_mode & 0o077 != 0 {
        return Err(Refused::new(
            Exit::Sealed(SealedExit::Mode),
            "OUTPUT_FILE_MODE",
            "standard output is a file that others than its owner have access to",
            "use -o where the command has it, or 'umask 077' before",
        ));
    }
    Ok(())
}

fn whole(from: impl std::io::Read) -> std::io::Result<SecretString> {
    let mut text = zeroize::Zeroizing::new(String::new());
    from.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(SecretString::new(line.strip_suffix('\r').unwrap_or(line)))
}

fn unread(failure: &Failure) -> Refused {
    Refused::unexpected("SECRET_UNREADABLE", failure, "give the secret on standard input or in a file")
}
