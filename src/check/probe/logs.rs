//! What the server apart wrote down of all this: no secret, no forged line; that somebody is told of what is grave; and that
//! nothing sensitive goes on where the trail cannot be written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Book;
use super::client::register;
use super::server::Apart;
use super::tokens::contains;
use crate::check::{Seen, Unseen};
use crate::domain::event::is_deceptive;
use crate::reading::io_cause;

/// What is written or told within this is in time.
const SOON: Duration = Duration::from_secs(10);

/// Tries all of it, the trail's failure last.
pub(super) async fn try_all(apart: &mut Apart, book: &mut Book) {
    if let Err(why) = secrets(apart, book).await {
        book.without(&["SMC6005", "SMC6006"], &why);
    }
    if let Err(why) = told(apart, book).await {
        book.without(&["SMC6009"], &why);
    }
    if let Err(why) = without_a_trail(apart, book).await {
        book.without(&["SMC6007"], &why);
    }
}

/// Canaries through every input that takes a secret, and text that would forge lines through those that take a name.
async fn secrets(apart: &Apart, book: &mut Book) -> Seen<()> {
    let canary: String = apart.dice.bytes::<12>().iter().map(|byte| format!("{byte:02x}")).collect();
    let url = |path: &str| format!("{}{path}", apart.origin);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", canary.as_str()),
        ("client_secret", canary.as_str()),
        ("code", canary.as_str()),
        ("code_verifier", canary.as_str()),
        ("refresh_token", canary.as_str()),
    ];
    let bearer = format!("Bearer {canary}");
    let cookie = format!("smcp-session={canary}");
    let forging = "%0d%0a%7b%22level%22%3a%22ERROR%22%7d%1b%5b31m%e2%80%ae";
    apart.wire.post_form(&url("/token"), &form).await?;
    apart.wire.post_form(&url("/revoke"), &form).await?;
    apart.wire.get(&url(&format!("/mcp?access_token={canary}")), &[("authorization", &bearer)]).await?;
    apart.wire.get(&url("/account"), &[("cookie", &cookie)]).await?;
    apart.wire.get(&url(&format!("/auth/callback?code={canary}&state={canary}")), &[]).await?;
    apart.wire.get(&url(&format!("/{forging}?{forging}")), &[("user-agent", "a\tb")]).await?;
    apart.wire.get(&url(&format!("/auth/login?return_to={forging}")), &[]).await?;
    register(apart, "Probe\r\n{\"level\":\"ERROR\"}\u{1b}[31m\u{202e}", super::client::REDIRECT).await?;
    // What was answered last is written soon after.
    sleep(Duration::from_millis(200)).await;
    let written = written(apart);
    let holds = |word: &str| written.iter().any(|(_, text)| contains(text, word.as_bytes()));
    let leaks = holds(&canary) || holds(&apart.key);
    book.note("SMC6005", "neither log nor trail holds a credential", !leaks, "a canary is in log or trail");
    let counted = written.iter().map(|(_, text)| text.len()).sum::<usize>();
    book.note(
        "SMC6005",
        "and there is something to look at",
        counted > 1_000,
        format!("{counted} bytes are written"),
    );
    let forged =
        written.iter().find_map(|(path, text)| forged(text).map(|why| format!("{}: {why}", path.display())));
    let said = forged.clone().unwrap_or_default();
    book.note("SMC6006", "every line of log and trail is whole and plain", forged.is_none(), said);
    Ok(())
}

/// The log, and every file of the trail.
fn written(apart: &Apart) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = vec![(PathBuf::from("log"), apart.log())];
    let trail = std::fs::read_dir(apart.data().join("audit")).into_iter().flatten().flatten();
    for entry in trail {
        let name = PathBuf::from(entry.file_name());
        all.push((name, std::fs::read(entry.path()).unwrap_or_default()));
    }
    all
}

/// Why a text has a line that somebody forged; of lines that begin as JSON, that they are JSON.
fn forged(text: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(text);
    for line in text.lines() {
        if line.chars().any(|c| c != '\t' && is_deceptive(c)) {
            return Some("a line holds what moves a cursor or hides words");
        }
        if line.starts_with('{') && serde_json::from_str::<serde_json::Value>(line).is_err() {
            return Some("a line is torn");
        }
        if line.starts_with("{\"level\":\"ERROR\"}") {
            return Some("a line is somebody else's");
        }
    }
    None
}

/// A refresh token came twice: whoever is told of alerts is told.
async fn told(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC6009";
    let file = apart.alerts().ok_or_else(|| Unseen::because("this machine has no 'tee' to be told by"))?;
    let until = Instant::now() + SOON;
    let is_told = || std::fs::read(&file).is_ok_and(|text| contains(&text, b"token_reuse"));
    while !is_told() && Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
    }
    book.note(OF, "somebody is told that a token was reused", is_told(), "nothing came within ten seconds");
    Ok(())
}

/// The trail's folder is not there: what must be recorded must not happen.
async fn without_a_trail(apart: &Apart, book: &mut Book) -> Seen<()> {
    const OF: &str = "SMC6007";
    let (trail, away) = (apart.data().join("audit"), apart.data().join("audit.away"));
    let moved = |from: &Path, to: &Path| {
        std::fs::rename(from, to)
            .map_err(|error| Unseen::because(format!("the trail cannot be moved: {}", io_cause(&error))))
    };
    let mut browser = apart.browser();
    browser.log_in("ben").await?;
    moved(&trail, &away)?;
    let blocked = std::fs::write(&trail, "no folder");
    let until = Instant::now() + SOON;
    let page = format!("{}/auth/login", apart.origin);
    let mut answered = Vec::new();
    let refused = loop {
        let status = match apart.browser().log_in("chiara").await {
            Ok(_) => 200,
            Err(_) => apart.wire.get(&page, &[]).await?.status,
        };
        answered.push(status);
        if status != 200 || Instant::now() > until {
            break status;
        }
        sleep(Duration::from_millis(100)).await;
    };
    let said = format!("logins were answered {answered:?}");
    book.note(OF, "nobody is let in where it cannot be recorded", refused != 200, said);
    if blocked.is_ok() {
        let _not_there = std::fs::remove_file(&trail);
    }
    moved(&away, &trail)?;
    let until = Instant::now() + SOON;
    let back = loop {
        if apart.browser().log_in("chiara").await.is_ok() {
            break true;
        }
        if Instant::now() > until {
            break false;
        }
        sleep(Duration::from_millis(100)).await;
    };
    book.note(OF, "and is again when the trail is back", back, "nobody was let in within ten seconds");
    Ok(())
}
