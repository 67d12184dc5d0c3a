//! `--probe`: this very program, started apart on loopback with pretended accounts and the judged configuration's limits,
//! and what must not work there, tried.
//!
//! Nothing of the judged server is touched: folder, database, keys and Spotify are throw-away. Beside each refusal stands
//! what must go through, so that a server which refuses everything passes nothing. Never: a secret of the judged one.

mod bounds;
mod cases;
mod client;
mod logs;
mod people;
mod presented;
mod rules;
mod server;
mod strangers;
mod tokens;
mod visitor;

pub use cases::cases;
pub use rules::RULES;

use std::time::Duration;

use tokio::time::timeout;

use self::server::Apart;
use super::network::proof::Outcome;
use super::{Request, Seen, Unseen};

/// All of it takes some ten seconds, for which a slow request is waited for; a machine on its knees more.
const PATIENCE: Duration = Duration::from_secs(90);

/// What was tried.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Each attempt, with the check that it is of; `Err`: nothing could be tried.
    pub tried: Seen<Vec<Attempt>>,
}

/// One attempt of a check, and what came of it; `Err`: it could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The check.
    pub of: &'static str,
    /// What came of it.
    pub outcome: Seen<Outcome>,
}

/// Whether a check is tried on a server apart, alone or beside what the configuration says.
pub fn tries(id: &str) -> bool {
    RULES.iter().any(|rule| rule.id == id)
}

/// Tries everything. Never fails: what could not be tried is said.
pub async fn gather(request: &Request) -> Facts {
    let late = || Unseen::because("the server apart did not do all of it within 90 seconds");
    let tried = timeout(PATIENCE, attempts(request)).await.unwrap_or_else(|_| Err(late()));
    Facts { tried }
}

async fn attempts(request: &Request) -> Seen<Vec<Attempt>> {
    let mut apart = Apart::start(request).await?;
    let mut book = Book::default();
    let slow = bounds::Slow::begin(&apart);
    let kept = presented::try_now(&apart, Apart::start(request).await, &mut book).await;
    tokens::try_all(&apart, &mut book).await;
    people::try_all(&apart, &mut book).await;
    bounds::try_sizes(&apart, &mut book).await;
    strangers::try_all(&apart, &mut book).await;
    logs::try_all(&mut apart, &mut book).await;
    slow.end(&mut book).await;
    presented::try_later(&mut apart, kept, &mut book).await;
    apart.stop().await;
    Ok(book.attempts)
}

/// Where attempts are written down.
#[derive(Default)]
struct Book {
    attempts: Vec<Attempt>,
}

impl Book {
    /// It ought to have gone so; it did, or something else was said.
    fn note(&mut self, of: &'static str, what: &'static str, as_expected: bool, said: impl Into<String>) {
        self.attempts.push(Attempt { of, outcome: Ok(Outcome { what, as_expected, said: said.into() }) });
    }

    /// What a group of attempts needs first was not to be had: all of its checks say so.
    fn without(&mut self, of: &[&'static str], why: &Unseen) {
        for of in of {
            self.attempts.push(Attempt { of, outcome: Err(why.clone()) });
        }
    }
}
