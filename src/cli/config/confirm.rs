//! Asks the person at the terminal before a sealed file changes.

use std::io::{BufRead as _, IsTerminal as _};

use crate::cli::output::{Output, Refused};

/// Whether there is somebody to ask.
pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether somebody is there to answer, or said yes before.
pub fn check_answerable(yes: bool) -> Result<(), Refused> {
    if yes || is_terminal() {
        return Ok(());
    }
    Err(Refused::usage(
        "CONFIRMATION_NEEDED",
        "this changes the file, and there is no terminal to ask on; nothing was changed",
        "add --yes",
    ))
}

/// The first letter of the answer, in lower case; `None`: there is none.
pub fn ask(question: &str, output: &Output) -> Option<char> {
    output.note(question);
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok()?;
    answer.trim().chars().next().map(|letter| letter.to_ascii_lowercase())
}

/// Goes on where the person, or `--yes`, says so.
pub fn confirm(question: &str, yes: bool, output: &Output) -> Result<(), Refused> {
    check_answerable(yes)?;
    if yes || ask(&format!("{question} [y/N]"), output) == Some('y') {
        return Ok(());
    }
    Err(not_confirmed())
}

/// Somebody said no.
pub fn not_confirmed() -> Refused {
    Refused::usage("NOT_CONFIRMED", "not confirmed; nothing was changed", "answer y, or add --yes")
}
