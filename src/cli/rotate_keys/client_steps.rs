//! The steps of a client secret's rotation: written to the configuration, taken over by the running server, and proven
//! there. Each can be done again: what is done already is found so.

use std::cell::RefCell;

use serde_json::Value;

use super::client_places::Edits;
use crate::cli::Global;
use crate::cli::administer::Desk;
use crate::cli::control::{NoAnswer, Question, ask};
use crate::cli::output::Refused;
use crate::domain::rotation::State;
use crate::spotify::{Accounts, AccountsError, AppCredentials};
use crate::store::RotationRow;
use crate::vault::rotation::{Bench, Client, Facts, Probe, Steps, Stopped};

/// What the steps work with.
pub(super) struct ClientSteps<'a> {
    pub(super) desk: &'a Desk,
    pub(super) global: &'a Global,
    /// What is not written yet.
    pub(super) edits: Edits,
    pub(super) accounts: &'a Accounts,
    /// What goes, where this run still knows it.
    pub(super) old: Option<AppCredentials>,
    /// Why a step did not succeed.
    pub(super) refused: RefCell<Option<Refused>>,
}

impl Steps for ClientSteps<'_> {
    async fn promote(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let written = self.edits.write(self.desk, self.global).await;
        self.done(written)?;
        bench.witness.passed("written");
        bench.to(row, State::Active).await
    }

    async fn begin(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let told = self.tell();
        self.done(told)?;
        bench.witness.passed("told");
        bench.to(row, State::Rewrapping).await
    }

    async fn retire(&self, bench: &Bench<'_>, row: &RotationRow) -> Result<(), Stopped> {
        let server = self.done(self.seen_by_the_server(&row.new_key))?;
        let mut facts = Facts::parse(&row.facts);
        let client = facts.client.take().unwrap_or_default();
        let old_credentials = match &self.old {
            Some(old) => says(self.accounts, old).await,
            None => client.old_credentials,
        };
        facts.probe = Probe {
            tried: u64::from(self.old.is_some()),
            opened: u64::from(self.old.is_some() && old_credentials == ACCEPTED),
        };
        facts.client = Some(Client { server, old_credentials, ..client });
        bench.to(&RotationRow { facts: facts.text(), ..row.clone() }, State::Retired).await
    }
}

/// What Spotify says to credentials that it knows, and to others.
pub(super) const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";

/// What Spotify says to credentials; another word than these two: it does not answer.
pub(super) async fn says(accounts: &Accounts, credentials: &AppCredentials) -> String {
    match accounts.probe(credentials).await {
        Ok(()) => ACCEPTED.to_owned(),
        Err(AccountsError::InvalidClient) => REFUSED.to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The server of a data directory is not there.
pub(super) const NO_SERVER: &str =
    "none runs on this data directory; the next start takes the new credentials";

impl ClientSteps<'_> {
    fn done<T>(&self, result: Result<T, Refused>) -> Result<T, Stopped> {
        result.map_err(|refused| {
            *self.refused.borrow_mut() = Some(refused);
            Stopped::AtStep
        })
    }

    /// Has the running server read its configuration again.
    fn tell(&self) -> Result<(), Refused> {
        match self.ask(Question::Reload)? {
            Some(answer) if answer["ok"] != true => {
                let codes: Vec<&str> = answer["problems"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|problem| problem["code"].as_str())
                    .collect();
                Err(Refused::incomplete(
                    "SERVER_REFUSES_RELOAD",
                    format!(
                        "the new credentials are in the configuration, and the running server refuses it: {}",
                        codes.join(", ")
                    ),
                    "see 'spotify-mcp config reload', mend what it names, and run the same command again: it goes on",
                ))
            }
            _ => Ok(()),
        }
    }

    /// What the running server says that Spotify says to the new credentials.
    fn seen_by_the_server(&self, new: &str) -> Result<String, Refused> {
        let Some(answer) = self.ask(Question::Spotify)? else { return Ok(NO_SERVER.to_owned()) };
        let apps = answer["apps"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of_new = |app: &&Value| app["credentials"] == new;
        match apps.iter().find(of_new).map(|app| app["spotify"].as_str().unwrap_or_default()) {
            Some(ACCEPTED) => {
                Ok(format!("process {} uses the new credentials, accepted by Spotify", answer["pid"]))
            }
            Some(other) => Err(Refused::incomplete(
                "SPOTIFY_NO_ANSWER",
                format!("the running server uses the new credentials, and to these Spotify says: {other}"),
                "run the same command again in a while: it goes on",
            )),
            None => Err(Refused::incomplete(
                "SERVER_USES_OLD_SECRET",
                "the running server still uses other credentials than the configuration that this command sees",
                "start the server again where its environment decides, or give this command the server's own \
                 configuration; then run the same command again: it goes on",
            )),
        }
    }

    /// What the running server answers; `None`: none runs.
    fn ask(&self, question: Question) -> Result<Option<Value>, Refused> {
        match ask(&self.desk.config.storage.data_dir, question) {
            Ok(answer) => Ok(Some(answer)),
            Err(NoAnswer::NotRunning) => Ok(None),
            Err(NoAnswer::Failed(failure)) => Err(Refused::unexpected(
                "SERVER_NO_ANSWER",
                &failure,
                "run it as the server's user; then run the same command again: it goes on",
            )),
        }
    }
}
