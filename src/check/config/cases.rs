//! Made-up facts of this area: a server with nothing against it, and for each rule one thing wrong.
//!
//! The self-test and the tests judge them. Never: anything of this machine.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::ambient::Dice;
use crate::check::self_test::Case;
use crate::config::{LogLevel, Purpose, Signup, Sources, Wrong};
use crate::domain::client::RegistrationMode;

/// A server of other people's data with nothing against it, whatever the profile.
fn sound(dice: &Dice) -> Result<Facts, String> {
    let mut facts = loaded(&[], dice)?;
    let auth = &mut facts.config.auth;
    (auth.signup, auth.registration) = (Signup::Allowlist, RegistrationMode::LocalOnly);
    let life = &mut auth.lifetimes;
    (life.browser_session, life.access_token) = (DAY, DAY / 96);
    (life.refresh_token, life.refresh_family, life.mcp_session) = (DAY * 7, DAY * 30, DAY);
    facts.config.limits.mcp_session_idle = DAY / 48;
    Ok(facts)
}

const DAY: Duration = Duration::from_secs(86_400);

/// One with the defaults, and more variables in its environment.
pub(super) fn loaded(more: &[(&str, &str)], dice: &Dice) -> Result<Facts, String> {
    let said = [
        ("DATA_DIR", "/var/lib/spotify-mcp"),
        ("DEPLOYMENT_ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://music.example.org"),
        ("SPOTIFY_CLIENT_ID", "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b"),
        ("SPOTIFY_POLICY_ACKNOWLEDGED", "true"),
    ];
    let env = said.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let sources = Sources { env, purpose: Purpose::Inspect, ..Sources::default() };
    let loaded = crate::config::load(&sources).map_err(|failure| failure.to_string())?;
    let path = PathBuf::from("/etc/spotify-mcp/server.encrypted.json");
    Ok(Facts {
        config: loaded.as_far_as_valid().clone(),
        file: Some(path.clone()),
        unread: None,
        problems: loaded.problems().to_vec(),
        notices: loaded.notices().to_vec(),
        asked: loaded.facts().clone(),
        signup_is_said: false,
        seal: Seal::Plain(path.clone()),
        master: key_at(Place::OwnFile("/etc/spotify-mcp/master.key".into())),
        kept_unseen: None,
        derivations: vec![("/etc/spotify-mcp/server.encrypted.json#00".into(), Kdf::argon2id(&[1; 16]))],
        secrets: vec![secret("spotify.client_secret", "b1946ac92492d2347c6235b4d2611184", dice)],
        strays: Vec::new(),
        files: vec![file(Role::Configuration, &path.display().to_string(), there(0o600))],
        me: 1000,
        residue: files::Residue::default(),
        vectors: self_tests::vectors(),
        binding: self_tests::binding(dice),
        scopes_unneeded: Vec::new(),
    })
}

pub(super) fn secret(key: &str, value: &str, dice: &Dice) -> Secret {
    Secret {
        key: key.to_owned(),
        origin: "environment".to_owned(),
        in_the_clear: None,
        outranked_by: None,
        ends: None,
        value: Concealed::of(value, dice),
    }
}

pub(super) fn there(mode: u32) -> There {
    There {
        mode,
        uid: 1000,
        acl: Ok(Vec::new()),
        leads_to: None,
        above: Vec::new(),
        links: Vec::new(),
        in_shared_folder: false,
    }
}

pub(super) fn file(role: Role, path: &str, there: There) -> FileSeen {
    FileSeen { role, path: path.into(), found: Found::There(there) }
}

pub(super) fn problem(code: &str, key: &str) -> Problem {
    Problem::new(code, key, Origin::Env("X".into()), Wrong::new("it is wrong", "mend it"))
}

pub(super) fn key_at(place: Place) -> Master {
    Master::Key { place, digest: [7; 32] }
}

pub(super) fn weak() -> Kdf {
    Kdf::Pbkdf2Sha256 { rounds: 1_000, salt: "00".repeat(16) }
}

/// A case for every rule.
///
/// # Errors
/// Where the built-in policies cannot be read, which a test rules out.
pub fn cases(dice: &Dice) -> Result<Vec<Case<Facts>>, String> {
    let sound = sound(dice)?;
    let mut cases: Vec<Case<Facts>> = CHANGES
        .iter()
        .map(|(id, mutation, change)| {
            let mut changed = sound.clone();
            change(&mut changed, dice);
            Case { id, mutation, sound: sound.clone(), changed }
        })
        .collect();
    for (id, mutation, variable) in SAID {
        cases.push(Case { id, mutation, sound: sound.clone(), changed: loaded(&[variable], dice)? });
    }
    Ok(cases)
}

/// A check, what is wrong, and how the facts come to show it.
type Change = (&'static str, &'static str, fn(&mut Facts, &Dice));

const CHANGES: &[Change] = &[
    ("SMC1001", "the master key is too short", |facts, _| {
        let text = |text: &str| text.to_owned();
        let (place, code) = (text("environment"), text("MASTER_KEY_TOO_SHORT"));
        facts.master = Master::Refused {
            place,
            code,
            why: text("it is too short"),
            fix: text("make one"),
            is_closed: false,
        };
    }),
    ("SMC1002", "the master key stands in a plain configuration", |facts, _| {
        facts.master = key_at(Place::PlainFile("/etc/spotify-mcp/server.toml".into()));
    }),
    ("SMC1004", "a sealed value opens in another person's row", |facts, _| {
        facts.binding.iter_mut().skip(1).take(1).for_each(|test| test.holds = false);
    }),
    ("SMC1008", "a key is derived with 1,000 rounds", |facts, _| {
        facts.derivations.iter_mut().for_each(|(_, kdf)| *kdf = weak());
    }),
    ("SMC1010", "a primitive misses its published vector", |facts, _| {
        facts.vectors.iter_mut().take(1).for_each(|test| test.holds = false);
    }),
    ("SMC2002", "a secret stands in a plain file", |facts, _| {
        facts.secrets.iter_mut().for_each(|secret| secret.in_the_clear = Some(("/c.toml".into(), Some(3))));
    }),
    ("SMC2002", "an argument of a command reads as a secret", |facts, _| {
        facts.strays.push(Stray {
            key: "alerts.command".to_owned(),
            origin: Origin::Default,
            what: "has what reads as a secret among its arguments",
            fix: "have the program read it from a file",
        });
    }),
    ("SMC2003", "the file has a key that is none", |facts, _| {
        facts.problems.push(problem("CONFIG_UNKNOWN_KEY", "server.prot"));
    }),
    ("SMC2004", "everybody may read a secret's file", |facts, _| {
        facts.files.push(file(Role::Secret, "/k", there(0o644)));
    }),
    ("SMC2005", "a secret is 'Changeme'", |facts, dice| {
        facts.secrets.iter_mut().for_each(|secret| secret.value = Concealed::of("Changeme", dice));
    }),
    ("SMC2006", "the log's level is debug", |facts, _| facts.config.telemetry.log_level = LogLevel::Debug),
    ("SMC2008", "Spotify leads people back over plain HTTP", |facts, _| {
        facts.problems.push(problem("REDIRECT_WITHOUT_TLS", "spotify.redirect_uri"));
    }),
    ("SMC2009", "people are asked for a scope that no tool needs", |facts, _| {
        facts.scopes_unneeded.push("player");
    }),
    ("SMC2010", "the master key may be 400 days old", |facts, _| {
        facts.config.security.max_key_age.master = 400;
    }),
    ("SMC2011", "a value is missing without which no server starts", |facts, _| {
        facts.problems.push(problem("CONFIG_MISSING", "spotify.client_id"));
    }),
    ("SMC2012", "the memory of a dead process lies in the data directory", |facts, _| {
        facts.residue.found.push("/var/lib/spotify-mcp/core.17".into());
    }),
    ("SMC2017", "calls need no credential", |facts, _| facts.config.auth.multi_user = false),
    ("SMC3001", "access tokens live for two days", |facts, _| {
        facts.config.auth.lifetimes.access_token = DAY * 2;
    }),
    ("SMC3002", "a person's sessions are not counted", |facts, _| {
        facts.config.security.max_sessions_per_user = 0;
    }),
    ("SMC3008", "clients that nobody uses stay for ever", |facts, _| facts.config.limits.unused_clients = 0),
    ("SMC3011", "wrong tokens and codes are not counted", |facts, _| {
        facts.config.limits.failed_attempts_per_address_per_minute = 0;
    }),
    ("SMC3012", "a page on plain HTTP may call", |facts, _| {
        facts.config.server.allowed_origins.push("http://app.example.org".into());
    }),
];

/// The same by a variable of the environment.
const SAID: [(&str, &str, (&str, &str)); 5] = [
    ("SMC2013", "the public URL is plain HTTP", ("PUBLIC_URL", "http://music.example.org")),
    ("SMC2014", "Spotify's address is another's", ("SPOTIFY_API_URL", "https://api.example.org")),
    ("SMC2015", "whoever has a Spotify account may sign up", ("SPOTIFY_QUOTA_MODE", "extended")),
    ("SMC2016", "the data lie in a folder that is everybody's", ("DATA_DIR", "/tmp/music")),
    ("SMC3013", "cookies go over plain HTTP", ("PUBLIC_URL", "http://music.example.org")),
];
