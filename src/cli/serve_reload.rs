//! `config reload` and SIGHUP: a running server checks its changed configuration and takes it over, all or nothing,
//! on record; what needs a restart is named and stays as it was.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::control::{Asked, Control, Question};
use super::serve_reload_source::{Acceptable, MASTER_KEY, acceptable, problem, unexpected, unreachable};
use super::serve_start::{Again, RunningLog};
use super::{configured, rotate_keys};
use crate::alerts::Receivers;
use crate::app::{App, OtherApps};
use crate::config::unseal::in_words;
use crate::config::{Live, Problem, Wrong};
use crate::crypto::keys::RootKey;
use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;
use crate::http::Http;
use crate::spotify::AccountsError;
use crate::store::MasterKeyMismatch;
use crate::vault::Standing;

/// Takes over changed configurations until the server stops.
pub(super) struct Reloader {
    pub(super) again: Again,
    pub(super) app: Arc<App>,
    pub(super) http: Arc<Http>,
    pub(super) log: Arc<RunningLog>,
    /// Told whenever somebody asks for a reload: certificates are looked at as well.
    pub(super) told: Arc<Notify>,
}

/// What was taken over.
struct Taken {
    live: Vec<&'static str>,
    restart: Vec<&'static str>,
    notices: Vec<Problem>,
    /// The id of the master key where its source has another than the one in use.
    other_key: Option<String>,
}

/// What a reload is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The whole configuration.
    Everything,
    /// The master key alone.
    Key,
}

/// What becomes of the master key.
enum KeyVerdict {
    /// It is the one in use, and this server has it.
    Same,
    /// It is the one in use, and this server is to take it.
    Take(RootKey),
    /// Another has replaced it, which this server has learned.
    Replaced(String, Problem),
    /// Nothing is known of it.
    Unknown,
}

impl Reloader {
    /// Serves signals and questions until `stop`.
    pub(super) async fn keep(
        mut self,
        mut hangup: Signal,
        control: Option<Control>,
        stop: CancellationToken,
    ) {
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => None,
                asked = next(control.as_ref()) => Some(asked),
            };
            match asked {
                Some(asked) if asked.question == Question::Status => {
                    let status = self.status();
                    asked.answer(&status).await;
                }
                Some(asked) if asked.question == Question::Spotify => {
                    let seen = self.spotify().await;
                    asked.answer(&seen).await;
                }
                asked => self.reload(asked).await,
            }
        }
    }

    async fn reload(&mut self, asked: Option<Asked>) {
        let (by, scope) = match &asked {
            None => ("SIGHUP", Scope::Everything),
            Some(asked) if asked.question == Question::TakeKey => ("rotate-keys", Scope::Key),
            Some(_) => ("config reload", Scope::Everything),
        };
        if scope == Scope::Everything {
            self.told.notify_one();
        }
        let answer = match self.take_over(by, scope).await {
            Ok(taken) => {
                tracing::info!(by, taken_over = ?taken.live, needs_restart = ?taken.restart, "the configuration was read again");
                taken.document(&self.app)
            }
            Err(problems) => {
                let codes: Vec<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
                tracing::warn!(by, problems = ?codes, "the changed configuration is refused, and nothing changes");
                json!({ "ok": false, "problems": problems.iter().map(one).collect::<Value>() })
            }
        };
        if let Some(asked) = asked {
            asked.answer(&answer).await;
        }
    }

    /// Everything is checked and recorded before anything changes. The key comes first: where it cannot be taken over,
    /// nothing is.
    async fn take_over(&mut self, by: &str, scope: Scope) -> Result<Taken, Vec<Problem>> {
        let acceptable = match scope {
            Scope::Everything => self.newest(self.acceptable().await).await,
            Scope::Key => self.acceptable().await,
        };
        let judged = match acceptable {
            Ok(acceptable) => self.judged(&acceptable).await.map(|verdict| (acceptable, verdict)),
            Err(problems) => Err(problems),
        };
        let (acceptable, verdict) = match judged {
            Ok(judged) => judged,
            Err(problems) => {
                // Whether its source has the new key yet is a question; to have none is nobody's mistake.
                if scope == Scope::Everything {
                    self.record_refusal(by, &problems).await;
                }
                return Err(problems);
            }
        };
        let differences = self.again.running.differences(&acceptable.effective);
        let (mut live, mut restart) = match scope {
            Scope::Everything => (differences.live, differences.restart),
            Scope::Key => (Vec::new(), Vec::new()),
        };
        let (mut notices, mut other_key) = (acceptable.notices.clone(), None);
        // Where the source's key is known, it is in use from now on, whatever its text was before.
        match &verdict {
            KeyVerdict::Unknown if self.app.keys.is_keyless() => restart.push(MASTER_KEY),
            KeyVerdict::Unknown => {}
            KeyVerdict::Same | KeyVerdict::Take(_) => restart.retain(|key| *key != MASTER_KEY),
            KeyVerdict::Replaced(id, notice) => {
                restart.retain(|key| *key != MASTER_KEY);
                notices.push(notice.clone());
                other_key = Some(id.clone());
            }
        }
        if matches!(verdict, KeyVerdict::Take(_)) {
            live.push(MASTER_KEY);
        }
        let receivers = self.receivers(&acceptable, scope)?;
        let apps = self.apps(&acceptable, scope).await?;
        let is_app = |key: &&str| key.starts_with("spotify.client") || *key == "spotify.apps";
        if apps.as_ref().is_some_and(|apps| apps.differ_from(&self.app)) && !live.iter().any(is_app) {
            // In a file that the configuration names: its name is what it was.
            live.push("spotify.apps");
        }
        self.record(by, &acceptable, &live, &restart).await.map_err(|failure| vec![unrecorded(&failure)])?;
        if let KeyVerdict::Take(root) = verdict {
            self.take_key(root, by).await?;
        }
        if scope == Scope::Everything {
            let taken = Live::of(&acceptable.config);
            self.http.site.set_contact(taken.security_contact.as_deref());
            self.log.take_over(taken.log_level, acceptable.usual_level);
            self.app.take_over(taken);
            receivers.into_iter().for_each(|receivers| self.app.alerts.take_over(receivers));
            apps.into_iter().for_each(|apps| self.app.take_over_apps(apps));
            self.again.running.take_over(&acceptable.effective);
        }
        Ok(Taken { live, restart, notices, other_key })
    }

    /// Who is to be told of alerts from now on.
    fn receivers(&self, acceptable: &Acceptable, scope: Scope) -> Result<Option<Receivers>, Vec<Problem>> {
        if scope == Scope::Key {
            return Ok(None);
        }
        let receivers = self.app.alerts.receivers(&acceptable.config.alerts);
        receivers.map(Some).map_err(|why| vec![unreachable(why)])
    }

    /// Spotify's apps as they are configured now; the sandbox has one of its own. Rows are brought up to date before
    /// anything is recorded: that can fail.
    async fn apps(&self, acceptable: &Acceptable, scope: Scope) -> Result<Option<OtherApps>, Vec<Problem>> {
        if self.app.sandbox || scope == Scope::Key {
            return Ok(None);
        }
        let apps = self.app.register_apps(&acceptable.config).await;
        apps.map(Some).map_err(|failure| vec![unexpected(&failure)])
    }

    /// How the source's key stands to the database: as a start would find, which is refused now instead of then.
    async fn judged(&self, acceptable: &Acceptable) -> Result<KeyVerdict, Vec<Problem>> {
        let Some(root) = &acceptable.key else { return Ok(KeyVerdict::Unknown) };
        let id = root.id().to_string();
        let keys = &self.app.keys;
        match keys.weigh(root).await.map_err(|failure| vec![unexpected(&failure)])? {
            Ok(Standing::InUse) if !keys.is_keyless() && *keys.active().id() == *root.id() => {
                Ok(KeyVerdict::Same)
            }
            Ok(Standing::InUse) => Ok(KeyVerdict::Take(root.clone())),
            Ok(Standing::Succeeded { active, until, .. }) => {
                let why =
                    format!("the source still has {id}, which leads to {active} until {}", until.rfc3339());
                let wrong =
                    Wrong::new(why, "give this server the new key before then").coded("MASTER_KEY_REPLACED");
                Ok(KeyVerdict::Replaced(id, problem(MASTER_KEY, wrong)))
            }
            Err(MasterKeyMismatch { expected, given_is_retired }) => {
                let retired = if given_is_retired { ", a retired key of this database" } else { "" };
                let why = format!("the source has key {id}{retired}, and the database needs {expected}");
                let fix = "give this server the key that is in use; to put another in use: rotate-keys --what master";
                Err(vec![problem(MASTER_KEY, Wrong::new(why, fix).coded("MASTER_KEY_WRONG"))])
            }
        }
    }

    /// From here on this server opens and seals with the key in use; what it remembered under another is forgotten.
    async fn take_key(&self, root: RootKey, by: &str) -> Result<(), Vec<Problem>> {
        let (id, held) = (root.id().to_string(), self.app.keys.active().id().to_string());
        let event =
            Event::new(EventCode::MasterKeyTakenOver).operation(by).subject(&id).detail("instead_of", held);
        self.app.audit.record(event).await.map_err(|failure| vec![unrecorded(&failure)])?;
        self.app.keys.take_over(root).await.map_err(|failure| vec![unexpected(&failure)])?;
        self.app.forget();
        Ok(())
    }

    /// Loads and judges, on a thread that may wait: the key's command may run.
    async fn acceptable(&self) -> Result<Acceptable, Vec<Problem>> {
        let (sources, usual) = (self.again.sources.clone(), self.again.usual.clone());
        let data_dir = self.app.config.storage.data_dir.clone();
        let load = move || acceptable(&sources, usual.as_ref(), &data_dir);
        tokio::task::spawn_blocking(load).await.unwrap_or_else(|error| Err(vec![unexpected(&error.into())]))
    }

    /// A sealed configuration that is older than one that was used is refused, as at a start.
    async fn newest(&self, loaded: Result<Acceptable, Vec<Problem>>) -> Result<Acceptable, Vec<Problem>> {
        let acceptable = loaded?;
        let Some(file) = &acceptable.config.sealed else { return Ok(acceptable) };
        match self.app.note_revision(file).await {
            Ok(Ok(())) => Ok(acceptable),
            Ok(Err(refusal)) => Err(vec![problem("--config", in_words(&refusal))]),
            Err(failure) => Err(vec![unexpected(&failure)]),
        }
    }

    async fn record(
        &self,
        by: &str,
        acceptable: &Acceptable,
        live: &[&str],
        restart: &[&str],
    ) -> Result<(), Failure> {
        let event = Event::new(EventCode::ConfigLoaded)
            .operation(by)
            .detail("taken_over", list(live))
            .detail("needs_restart", list(restart));
        let event = match &acceptable.config.sealed {
            Some(file) => event
                .detail("config_lineage", &file.lineage)
                .detail("config_rev", file.rev.to_string())
                .detail("config_digest", &file.digest),
            None => event,
        };
        self.app.audit.record(event).await
    }

    async fn record_refusal(&self, by: &str, problems: &[Problem]) {
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
        let event = Event::new(EventCode::ConfigRefused).refused().operation(by);
        let event = event.because("the changed configuration is not valid; nothing was taken over");
        self.app.audit.note(event.detail("codes", list(&codes)).detail("keys", list(&keys))).await;
    }

    /// What Spotify says to the credentials that this server uses at this moment.
    async fn spotify(&self) -> Value {
        let (all, accounts) = (self.app.vault.apps().all(), self.app.vault.accounts());
        let probes = all.iter().map(async |app| {
            let says = match accounts.probe(&app.credentials).await {
                Ok(()) => "accepted".to_owned(),
                Err(AccountsError::InvalidClient) => "refused".to_owned(),
                Err(error) => error.to_string(),
            };
            json!({ "app": app.id.as_str(), "credentials": app.secret_id, "spotify": says })
        });
        let apps = futures_util::future::join_all(probes).await;
        json!({ "ok": true, "pid": std::process::id(), "apps": apps })
    }

    fn status(&self) -> Value {
        let sealed = self
            .app
            .config
            .sealed
            .as_ref()
            .map(|file| json!({ "lineage": file.lineage, "rev": file.rev, "digest": file.digest }));
        json!({
            "ok": true,
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
            "program": rotate_keys::running(),
            "master_key_id": self.app.keys.active().id().to_string(),
            "needs_master_key": self.app.keys.missing(),
            "started_with": sealed,
        })
    }
}

impl Taken {
    fn document(&self, app: &App) -> Value {
        json!({
            "ok": true,
            "taken_over": self.live,
            "needs_restart": self.restart,
            "notices": self.notices.iter().map(one).collect::<Value>(),
            "master_key": { "in_use": app.keys.active().id().to_string(), "source_has": self.other_key },
        })
    }
}

async fn next(control: Option<&Control>) -> Asked {
    match control {
        Some(control) => control.asked().await,
        None => std::future::pending().await,
    }
}

fn unrecorded(failure: &Failure) -> Problem {
    tracing::error!(cause = failure.chain(), "a reload could not be recorded");
    let wrong =
        Wrong::new("the audit trail could not record it", "give the trail's disk room").coded("AUDIT_DISK");
    problem("audit.dir", wrong)
}

fn one(problem: &Problem) -> Value {
    let part = configured::parts(std::slice::from_ref(problem));
    part.first().map(super::output::Part::as_json).unwrap_or_default()
}

fn list(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(" ") }
}
