//! The questions of `config init`, on the terminal; secrets are read without echo.

use std::io::{BufRead as _, IsTerminal as _};

use super::Draft;
use crate::cli::output::{Output, Refused};
use crate::crypto::SecretString;
use crate::failure::Failure;

/// Whether a person is there to answer.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for what the flags left open; gives a client secret that was typed.
pub fn complete(draft: &mut Draft, output: &Output) -> Result<Option<SecretString>, Refused> {
    if draft.client_id.is_none() {
        draft.client_id = line(output, "Client id of your Spotify app (empty: later)")?;
    }
    let mut secret = None;
    if draft.client_id.is_some() && draft.client_secret_file.is_none() {
        output.note("Client secret, not echoed (empty: none, PKCE alone):");
        let typed = rpassword::read_password().map_err(|error| unanswered(error.into()))?;
        secret = Some(typed).filter(|typed| !typed.is_empty()).map(SecretString::new);
    }
    if draft.public_url.is_none() {
        draft.public_url = line(output, "Origin that clients will see (empty: http://127.0.0.1:8000)")?;
    }
    let agreed = line(output, "Have you read Spotify's Developer Policy and acknowledge it? [y/N]")?;
    draft.policy_acknowledged = agreed.is_some_and(|answer| answer.to_ascii_lowercase().starts_with('y'));
    Ok(secret)
}

fn line(output: &Output, question: &str) -> Result<Option<String>, Refused> {
    output.note(&format!("{question}:"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| unanswered(error.into()))?;
    Ok(Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty()))
}

fn unanswered(failure: Failure) -> Refused {
    Refused::unexpected("TERMINAL_UNREADABLE", &failure, "use --non-interactive with flags")
}
