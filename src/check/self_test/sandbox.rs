//! Real files: a configuration with its key and its data directory, looked at as a server's would be, and the same with one
//! thing changed. Never: anything outside of its folder, or a program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::{Proof, Stage, Trial, Tried, stored};
use crate::ambient::{Clock, Dice};
use crate::check::{Request, Rule, Runs, Unseen, Verdict, config};
use crate::config::{Purpose, Sources, master_key};
use crate::reading::io_cause;

/// Fit for every profile: of a server of other people's data.
pub(super) const CONFIGURATION: &str = r#"[server]
public_url = "https://music.example.org"
security_contact = "mailto:security@example.org"
allowed_origins = []
[spotify]
client_id = "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b"
policy_acknowledged = true
[storage]
data_dir = "FOLDER/data"
[auth]
multi_user = true
signup = "allowlist"
allowlist = ["ada"]
registration = "local_only"
[auth.lifetimes]
browser_session = "1d"
access_token = "15m"
refresh_token = "7d"
refresh_family = "30d"
mcp_session = "1d"
[limits]
mcp_session_idle_seconds = 1800
failed_attempts_per_address_per_minute = 100
unused_clients = 10000
[security]
environment = "production"
master_key_file = "FOLDER/master.key"
max_sessions_per_user = 3
[telemetry]
log_level = "info"
"#;

/// What is changed.
enum Change {
    /// Words of the configuration become others. `FOLDER` and `KEY` stand for the folder and the key's text.
    Words(&'static [(&'static str, &'static str)]),
    /// A file has this text.
    File(&'static str, &'static str),
    /// A file has this mode.
    Mode(&'static str, u32),
}

/// A check, what is wrong, and what shows it.
type Changed = (&'static str, &'static str, Change);

const SPOTIFY: &str = "policy_acknowledged = true\n";

/// Changes that `config` sees.
const CONFIGURED: &[Changed] = &[
    ("SMC1001", "the master key is too short", Change::File("master.key", "AAAAAAAAAAAAAAAAAAAAAA==")),
    (
        "SMC1002",
        "the master key stands in a plain configuration",
        Change::Words(&[("master_key_file = \"FOLDER/master.key\"", "master_key = \"KEY\"")]),
    ),
    (
        "SMC2002",
        "a secret stands in a plain file",
        Change::Words(&[("log_level", "metrics_token = \"b1946ac92492d2347c6235b4d2611184\"\nlog_level")]),
    ),
    ("SMC2003", "the file has a key that is none", Change::Words(&[("log_level", "prot = 1\nlog_level")])),
    ("SMC2004", "everybody may read the master key's file", Change::Mode("master.key", 0o644)),
    (
        "SMC2005",
        "a secret is 'Changeme'",
        Change::Words(&[(SPOTIFY, "policy_acknowledged = true\nclient_secret = \"Changeme\"\n")]),
    ),
    ("SMC2006", "the log's level is debug", Change::Words(&[("\"info\"", "\"debug\"")])),
    (
        "SMC2008",
        "Spotify leads people back over plain HTTP",
        Change::Words(&[(
            SPOTIFY,
            "policy_acknowledged = true\nredirect_uri = \"http://music.example.org/auth/callback\"\n",
        )]),
    ),
    (
        "SMC2010",
        "the master key may be ten years old",
        Change::Words(&[("max_sessions", "max_key_age_days.master = 3650\nmax_sessions")]),
    ),
    (
        "SMC2011",
        "a value is missing without which no server starts",
        Change::Words(&[("client_id = \"5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b\"\n", "")]),
    ),
    (
        "SMC2012",
        "the memory of a dead process lies in the data directory",
        Change::File("data/core.17", "memory"),
    ),
    ("SMC2013", "the public URL is plain HTTP", Change::Words(&[("https://music", "http://music")])),
    (
        "SMC2014",
        "Spotify's address is another's",
        Change::Words(&[(SPOTIFY, "policy_acknowledged = true\napi_url = \"https://api.example.org\"\n")]),
    ),
    (
        "SMC2015",
        "whoever has a Spotify account may sign up",
        Change::Words(&[
            (SPOTIFY, "policy_acknowledged = true\nquota_mode = \"extended\"\n"),
            ("signup = \"allowlist\"\nallowlist = [\"ada\"]\n", ""),
        ]),
    ),
    ("SMC2017", "calls need no credential", Change::Words(&[("multi_user = true", "multi_user = false")])),
    (
        "SMC3001",
        "browsers stay logged in for a year",
        Change::Words(&[("browser_session = \"1d\"", "browser_session = \"365d\"")]),
    ),
    (
        "SMC3002",
        "a person's sessions are not counted",
        Change::Words(&[("max_sessions_per_user = 3", "max_sessions_per_user = 0")]),
    ),
    (
        "SMC3008",
        "clients that nobody uses stay for ever",
        Change::Words(&[("unused_clients = 10000", "unused_clients = 0")]),
    ),
    (
        "SMC3011",
        "wrong tokens and codes are not counted",
        Change::Words(&[("address_per_minute = 100", "address_per_minute = 0")]),
    ),
    (
        "SMC3012",
        "a page on plain HTTP may call",
        Change::Words(&[("allowed_origins = []", "allowed_origins = [\"http://app.example.org\"]")]),
    ),
    ("SMC3013", "cookies go over plain HTTP", Change::Words(&[("https://music", "http://music")])),
];

/// Tries every check that files can show, and says of each of these trials what it stands on.
pub(super) async fn try_all(stage: &Stage<'_>, (folder, dice): (&Path, &Dice), trials: &mut [Trial]) {
    let key = master_key::generate(dice);
    let desk = Desk { folder, dice, key: key.expose() };
    for change in CONFIGURED {
        if let Some(trial) = trials.iter_mut().find(|trial| trial.id == change.0 && !trial.is_off) {
            let tried = desk.on_configuration(stage, change).await;
            trial.take((change.1, Proof::Files), desk.without_folder(tried));
        }
    }
    stored::try_all(stage, &desk, trials).await;
}

/// The folder, and what is written to it.
pub(super) struct Desk<'a> {
    pub(super) folder: &'a Path,
    pub(super) dice: &'a Dice,
    key: &'a str,
}

impl Desk<'_> {
    /// The folder is gone when its name is read.
    pub(super) fn without_folder(&self, tried: Tried) -> Tried {
        let folder = self.folder.display().to_string();
        let plain = |mut verdict: Verdict| {
            verdict.observed = verdict.observed.replace(&folder, "FOLDER");
            verdict.subject = verdict.subject.replace(&folder, "FOLDER");
            verdict
        };
        let all = |verdicts: Vec<Verdict>| verdicts.into_iter().map(plain).collect();
        tried.map(|(sound, changed)| (all(sound), all(changed)))
    }

    async fn on_configuration(&self, stage: &Stage<'_>, (id, _, change): &Changed) -> Tried {
        let mut said = Vec::new();
        for change in [None, Some(change)] {
            let request = self.set_out(stage, change)?;
            let facts = config::gather(&request, Runs { command: false }).await;
            said.push(judged(stage, config::RULES, id, &facts)?);
        }
        both(said)
    }

    /// Everything anew, with one thing changed or none.
    fn set_out(&self, stage: &Stage<'_>, change: Option<&Change>) -> Result<Request, Unseen> {
        self.write_all(change).map_err(|error| unwritten(&error))?;
        self.request(stage, "server.toml", BTreeMap::new())
    }

    /// The same without a change.
    pub(super) fn set_out_sound(&self) -> Result<(), Unseen> {
        self.write_all(None).map_err(|error| unwritten(&error))
    }

    /// What is asked of a server with this file and environment.
    pub(super) fn request(
        &self,
        stage: &Stage<'_>,
        file: &str,
        env: BTreeMap<String, OsString>,
    ) -> Result<Request, Unseen> {
        let sources = Sources {
            file: Some(self.folder.join(file)),
            env,
            purpose: Purpose::Serve { sandbox: false, log_level_ends: false },
            ..Sources::default()
        };
        let loaded = crate::config::load(&sources).map_err(|failure| Unseen::because(failure.to_string()))?;
        Ok(Request {
            loaded,
            profile: stage.profile,
            offline: true,
            probe: false,
            live: None,
            advisory_db: None,
            fetch_advisories: None,
            lockfile: None,
            registry_index: None,
            release_manifest: None,
            licences: stage.catalogue.licences.clone(),
            addresses: Vec::new(),
            pid: None,
            system_root: None,
            ca: None,
            clock: Clock::system(),
            dice: self.dice.clone(),
            now: super::NOW,
        })
    }

    fn write_all(&self, change: Option<&Change>) -> std::io::Result<()> {
        let data = self.folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir(&data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
        self.write("master.key", self.key)?;
        self.write("server.toml", &self.filled(CONFIGURATION))?;
        change.map_or(Ok(()), |change| self.make(change))
    }

    fn make(&self, change: &Change) -> std::io::Result<()> {
        match change {
            Change::Words(pairs) => {
                let path = self.folder.join("server.toml");
                let mut text = fs::read_to_string(path)?;
                for (from, to) in *pairs {
                    text = text.replacen(&self.filled(from), &self.filled(to), 1);
                }
                self.write("server.toml", &text)
            }
            Change::File(name, text) => self.write(name, text),
            Change::Mode(name, mode) => {
                fs::set_permissions(self.folder.join(name), fs::Permissions::from_mode(*mode))
            }
        }
    }

    pub(super) fn filled(&self, text: &str) -> String {
        text.replace("FOLDER", &self.folder.display().to_string()).replace("KEY", self.key)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> std::io::Result<()> {
        let path = self.folder.join(name);
        if path.exists() {
            fs::remove_file(&path)?;
        }
        fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?.write_all(text.as_bytes())
    }
}

/// Pages of a database in the midst of it.
pub(super) fn overwrite(file: &Path) -> std::io::Result<()> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = fs::OpenOptions::new().write(true).open(file)?;
    file.seek(SeekFrom::Start(4096))?;
    file.write_all(&[0x5a; 16 << 10])
}

pub(super) fn unwritten(error: &std::io::Error) -> Unseen {
    Unseen::because(format!("its files cannot be written: {}", io_cause(error)))
}

fn both(said: Vec<Vec<Verdict>>) -> Tried {
    let [sound, changed] =
        <[Vec<Verdict>; 2]>::try_from(said).map_err(|_| Unseen::because("it was not looked at twice"))?;
    Ok((sound, changed))
}

pub(super) fn judged<F>(
    stage: &Stage<'_>,
    rules: &[Rule<F>],
    id: &str,
    facts: &F,
) -> Result<Vec<Verdict>, Unseen> {
    let rule = rules.iter().find(|rule| rule.id == id).zip(stage.catalogue.check(id));
    let (rule, check) = rule.ok_or_else(|| Unseen::because("there is no such rule"))?;
    Ok(stage.judged(check, rule, facts))
}
