//! Every rule of the area on facts on which it passes and on facts on which it fails, and what it says where it cannot
//! tell.

use std::path::PathBuf;
use std::time::Duration;

use super::secrets::Concealed;
use super::*;
use crate::ambient::Dice;
use crate::check::proving::{all_proven, both_ways, state, verdicts};
use crate::check::{Profile, Severity, State};
use crate::config::{LogLevel, Purpose, Signup, Sources, Wrong};
use crate::crypto::SecretString;
use crate::domain::client::RegistrationMode;

/// A server of other people's data with nothing against it.
fn sound() -> Facts {
    loaded(&[])
}

fn loaded(more: &[(&str, &str)]) -> Facts {
    let said = [
        ("DATA_DIR", "/var/lib/spotify-mcp"),
        ("DEPLOYMENT_ENVIRONMENT", "production"),
        ("PUBLIC_URL", "https://music.example.org"),
        ("SPOTIFY_CLIENT_ID", "5d1f3c0be2a74f6e9b8a0c1d2e3f4a5b"),
        ("SPOTIFY_POLICY_ACKNOWLEDGED", "true"),
    ];
    let env = said.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let loaded =
        crate::config::load(&Sources { env, purpose: Purpose::Inspect, ..Sources::default() }).unwrap();
    let path = PathBuf::from("/etc/spotify-mcp/server.encrypted.json");
    Facts {
        config: loaded.as_far_as_valid().clone(),
        file: Some(path.clone()),
        file_is_unread: false,
        problems: loaded.problems().to_vec(),
        notices: loaded.notices().to_vec(),
        asked: loaded.facts().clone(),
        signup_is_said: false,
        seal: Seal::Plain(path.clone()),
        master: Master::Key { place: Place::OwnFile("/etc/spotify-mcp/master.key".into()), digest: [7; 32] },
        derivations: vec![("/etc/spotify-mcp/server.encrypted.json#00".into(), Kdf::argon2id(&[1; 16]))],
        secrets: vec![secret("spotify.client_secret", "b1946ac92492d2347c6235b4d2611184")],
        files: vec![file(Role::Configuration, &path.display().to_string(), there(0o600))],
        me: 1000,
        residue: Vec::new(),
        vectors: self_tests::vectors(),
        binding: self_tests::binding(&Dice::system()),
        scopes_unneeded: Vec::new(),
    }
}

fn secret(key: &str, value: &str) -> Secret {
    Secret {
        key: key.to_owned(),
        origin: "environment".to_owned(),
        in_the_clear: None,
        ends: None,
        value: Concealed::of(value, &Dice::system()),
    }
}

fn there(mode: u32) -> There {
    There { mode, uid: 1000, leads_to: None, open_above: None, in_shared_folder: false }
}

fn file(role: Role, path: &str, there: There) -> FileSeen {
    FileSeen { role, path: path.into(), found: Found::There(there) }
}

fn problem(code: &str, key: &str) -> Problem {
    Problem::new(code, key, Origin::Env("X".into()), Wrong::new("it is wrong", "mend it"))
}

fn changed(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = sound();
    change(&mut facts);
    facts
}

#[test]
fn every_rule_passes_and_fails() {
    let cases: Vec<(&str, Facts)> = vec![
        ("SMC1001", changed(|facts| facts.master = Master::None)),
        ("SMC1002", changed(|facts| facts.master = key_at(Place::BesideData("/d/master.key".into())))),
        ("SMC1004", changed(|facts| facts.binding[1].holds = false)),
        ("SMC1008", changed(|facts| facts.derivations[0].1 = weak())),
        ("SMC1010", changed(|facts| facts.vectors[0].holds = false)),
        ("SMC2002", changed(|facts| facts.secrets[0].in_the_clear = Some(("/c.toml".into(), Some(3))))),
        ("SMC2003", changed(|facts| facts.problems.push(problem("CONFIG_UNKNOWN_KEY", "server.prot")))),
        ("SMC2004", changed(|facts| facts.files.push(file(Role::Secret, "/k", there(0o644))))),
        ("SMC2005", changed(|facts| facts.secrets[0].value = Concealed::of("Changeme", &Dice::system()))),
        ("SMC2006", changed(|facts| facts.config.telemetry.log_level = LogLevel::Debug)),
        (
            "SMC2008",
            changed(|facts| facts.problems.push(problem("REDIRECT_WITHOUT_TLS", "spotify.redirect_uri"))),
        ),
        ("SMC2009", changed(|facts| facts.scopes_unneeded.push("player"))),
        ("SMC2010", changed(|facts| facts.config.security.max_key_age.master = 400)),
        ("SMC2011", changed(|facts| facts.problems.push(problem("CONFIG_MISSING", "spotify.client_id")))),
        ("SMC2012", changed(|facts| facts.residue.push("/var/lib/spotify-mcp/core.17".into()))),
        ("SMC2013", loaded(&[("PUBLIC_URL", "http://music.example.org")])),
        ("SMC2014", loaded(&[("SPOTIFY_API_URL", "https://api.example.org")])),
        ("SMC2015", loaded(&[("SPOTIFY_QUOTA_MODE", "extended")])),
        ("SMC2016", loaded(&[("DATA_DIR", "/tmp/music")])),
        ("SMC2017", changed(|facts| facts.config.auth.multi_user = false)),
        ("SMC3001", changed(|facts| facts.config.auth.lifetimes.access_token = Duration::from_secs(7_200))),
        ("SMC3002", changed(|facts| facts.config.security.max_sessions_per_user = 0)),
        ("SMC3008", changed(|facts| facts.config.limits.unused_clients = 0)),
        ("SMC3011", changed(|facts| facts.config.limits.failed_attempts_per_address_per_minute = 0)),
        (
            "SMC3012",
            changed(|facts| facts.config.server.allowed_origins.push("http://app.example.org".into())),
        ),
        ("SMC3013", loaded(&[("PUBLIC_URL", "http://music.example.org")])),
    ];
    for (id, failing) in &cases {
        both_ways(RULES, id, &sound(), failing);
    }
    all_proven(RULES, &cases.iter().map(|(id, _)| *id).collect::<Vec<_>>());
}

fn key_at(place: Place) -> Master {
    Master::Key { place, digest: [7; 32] }
}

fn weak() -> Kdf {
    Kdf::Pbkdf2Sha256 { rounds: 1_000, salt: "00".repeat(16) }
}

#[test]
fn a_file_that_cannot_be_read_is_no_pass_of_anything_that_it_would_say() {
    let unread = changed(|facts| {
        facts.file_is_unread = true;
        facts.seal = Seal::Unseen("/c.toml".into(), "it is away".into());
        facts.problems = vec![problem("CONFIG_FILE_UNREADABLE", "the file")];
    });
    // What this program is, and what files are there, does not hang on it.
    let others = ["SMC1004", "SMC1008", "SMC1010", "SMC2004", "SMC2009", "SMC2011", "SMC2012"];
    for rule in RULES.iter().filter(|rule| !others.contains(&rule.id)) {
        assert_eq!(state(RULES, rule.id, &unread), State::Error, "{}", rule.id);
    }
    assert_eq!(state(RULES, "SMC2011", &unread), State::Fail);
}

#[test]
fn keys_that_everybody_knows_are_found_by_their_digest() {
    use sha2::{Digest as _, Sha256};
    let digest = |bytes: [u8; 32]| Sha256::digest(bytes).into();
    let nist = {
        let hex = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
        let bytes: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect();
        bytes.try_into().unwrap()
    };
    let place = || Place::OwnFile("/k".into());
    for known in [nist, Sha256::digest("password").into(), Sha256::digest("").into()] {
        let facts = changed(|facts| facts.master = Master::Key { place: place(), digest: digest(known) });
        let expected = if known == <[u8; 32]>::from(Sha256::digest("")) { State::Pass } else { State::Fail };
        assert_eq!(state(RULES, "SMC1001", &facts), expected);
    }
    let phrase = changed(|facts| {
        let words = Concealed::of("correct horse battery staple", &Dice::system());
        facts.master = Master::Passphrase { place: place(), words };
    });
    assert_eq!(state(RULES, "SMC1001", &phrase), State::Fail);
}

#[test]
fn where_the_key_comes_from_counts_by_profile() {
    let environment =
        changed(|facts| facts.master = key_at(Place::Environment("SPOTIFY_MCP_MASTER_KEY".into())));
    let said = |profile| verdicts(RULES, "SMC1002", &environment, profile).remove(0);
    assert_eq!(said(Profile::Development).state, State::Pass);
    let production = said(Profile::Production);
    assert_eq!((production.state, production.severity), (State::Fail, Some(Severity::Low)));
    assert_eq!((said(Profile::Bank).state, said(Profile::Bank).severity), (State::Fail, None));
    let none = changed(|facts| facts.master = Master::None);
    assert_eq!(state(RULES, "SMC1002", &none), State::NotApplicable);
}

#[test]
fn each_way_in_which_a_file_stands_open_is_seen() {
    let with = |role, there: There| {
        let facts = changed(|facts| facts.files = vec![file(role, "/srv/k", there)]);
        verdicts(RULES, "SMC2004", &facts, Profile::Production).remove(0)
    };
    // A volume of Kubernetes: its group may read.
    assert_eq!(with(Role::Secret, there(0o440)).state, State::Pass);
    for (role, mode) in [
        (Role::MasterKey, 0o640),
        (Role::Secret, 0o604),
        (Role::Secret, 0o620),
        (Role::ConfigurationWithSecrets, 0o644),
        (Role::Configuration, 0o664),
        (Role::Data, 0o644),
        (Role::Folder, 0o770),
    ] {
        let verdict = with(role, there(mode));
        assert_eq!(verdict.state, State::Fail, "{role:?} {mode:o}");
        assert!(verdict.observed.contains("lets"), "{}", verdict.observed);
    }
    assert_eq!(with(Role::Configuration, there(0o644)).state, State::Pass);
    assert_eq!(with(Role::Folder, there(0o750)).state, State::Pass);
    let foreign = with(Role::Secret, There { uid: 1001, ..there(0o600) });
    assert!(foreign.observed.contains("user 1001"), "{}", foreign.observed);
    let link = with(Role::Secret, There { leads_to: Some("/home/mallory/k".into()), ..there(0o600) });
    assert_eq!((link.state, link.severity), (State::Fail, Some(Severity::Medium)));
    let open = with(Role::Secret, There { open_above: Some("/srv".into()), ..there(0o600) });
    assert!(open.fix.unwrap().contains("chmod o-w /srv"));
    assert_eq!(with(Role::Secret, There { in_shared_folder: true, ..there(0o600) }).state, State::Fail);
    let gone = changed(|facts| facts.files[0].found = Found::Nothing);
    assert_eq!(state(RULES, "SMC2004", &gone), State::Error);
}

#[test]
fn derivations_are_weighed_and_salts_are_their_own() {
    let twice =
        changed(|facts| facts.derivations.push(("/d/master.kdf.json".into(), Kdf::argon2id(&[1; 16]))));
    assert_eq!(state(RULES, "SMC1008", &twice), State::Fail);
    let none = changed(|facts| facts.derivations.clear());
    assert_eq!(state(RULES, "SMC1008", &none), State::NotApplicable);
    let bank = verdicts(RULES, "SMC1008", &changed(|facts| facts.derivations[0].1 = small()), Profile::Bank);
    assert_eq!(bank[0].state, State::Fail);
}

fn small() -> Kdf {
    Kdf::Argon2id { memory_kib: 19_456, passes: 2, lanes: 1, salt: "00".repeat(16) }
}

#[test]
fn secrets_without_an_end_are_for_a_person_to_look_at() {
    let other = changed(|facts| {
        facts.secrets.push(secret("telemetry.metrics_token", "b1946ac92492d2347c6235b4d2611184"))
    });
    assert_eq!(state(RULES, "SMC2010", &other), State::Manual);
    let ends = changed(|facts| {
        let one = secret("telemetry.metrics_token", "b1946ac92492d2347c6235b4d2611184");
        facts.secrets.push(Secret { ends: Some("2027-01-01T00:00:00Z".into()), ..one });
    });
    assert_eq!(state(RULES, "SMC2010", &ends), State::Pass);
}

#[test]
fn warnings_are_findings_of_low_severity_unless_a_check_of_their_own_judges_them() {
    let warned = changed(|facts| {
        facts.notices =
            vec![problem("TLS_CERTIFICATE_NAME", "server.tls.certificate"), problem("DEBUG_LOG", "x")];
    });
    let said = verdicts(RULES, "SMC2011", &warned, Profile::Production);
    assert_eq!((said.len(), said[0].state, said[0].severity), (1, State::Fail, Some(Severity::Low)));
    let stray = changed(|facts| facts.notices = vec![problem("CONFIG_UNUSED", "cache.db_path")]);
    assert_eq!(verdicts(RULES, "SMC2003", &stray, Profile::Production)[0].severity, Some(Severity::Low));
}

#[test]
fn no_verdict_tells_a_secret() {
    let facts = changed(|facts| {
        facts.secrets =
            vec![secret("alerts.webhook_secret", "hunter2"), secret("security.passphrase", "letmein")];
        facts.secrets[0].in_the_clear = Some(("/c.toml".into(), None));
        facts.config.spotify.apps[0].client_secret = Some(SecretString::new("hunter2"));
    });
    for rule in RULES {
        for profile in Profile::ALL {
            let said = format!("{:?}", verdicts(RULES, rule.id, &facts, profile));
            assert!(!said.contains("hunter2") && !said.contains("letmein"), "{}: {said}", rule.id);
        }
    }
}

#[test]
fn a_bank_asks_for_more_than_a_hobbyist() {
    let open = changed(|facts| {
        facts.config.auth.signup = Signup::Open;
        facts.config.auth.registration = RegistrationMode::Open;
    });
    for (id, development, bank) in [
        ("SMC2015", State::Pass, State::Fail),
        ("SMC3008", State::Pass, State::Fail),
        ("SMC3001", State::Pass, State::Fail),
    ] {
        assert_eq!(verdicts(RULES, id, &open, Profile::Development)[0].state, development, "{id}");
        assert_eq!(verdicts(RULES, id, &open, Profile::Bank)[0].state, bank, "{id}");
    }
}
