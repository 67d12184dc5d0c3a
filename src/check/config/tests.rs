//! What every rule of the area says in the cases between, and where it cannot tell. That each passes and fails is the
//! self-test's.

use super::cases::{self, file, key_at, problem, there};
use super::secrets::Concealed;
use super::*;
use crate::ambient::Dice;
use crate::check::proving::{state, verdicts};
use crate::check::{Profile, Severity, State};
use crate::config::Signup;
use crate::crypto::SecretString;
use crate::domain::client::RegistrationMode;

fn sound() -> Facts {
    cases::loaded(&[], &Dice::system()).unwrap()
}

fn secret(key: &str, value: &str) -> Secret {
    cases::secret(key, value, &Dice::system())
}

fn changed(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = sound();
    change(&mut facts);
    facts
}

#[test]
fn a_file_that_cannot_be_read_is_no_pass_of_anything_that_it_would_say() {
    let unread = changed(|facts| {
        facts.unread = Some("/c.toml".into());
        facts.seal = Seal::Unseen("/c.toml".into(), "it is away".into());
        facts.problems = vec![problem("CONFIG_FILE_UNREADABLE", "the file")];
    });
    // What this program is, and what files are there, does not hang on it.
    let others = ["SMC1004", "SMC1008", "SMC1010", "SMC2004", "SMC2009", "SMC2011", "SMC2012"];
    for rule in RULES.iter().filter(|rule| !others.contains(&rule.id)) {
        assert_eq!(state(RULES, rule.id, &unread), State::Error, "{}", rule.id);
    }
    // Whoever looks may not read what the server may: nothing is known to be wrong.
    assert_eq!(state(RULES, "SMC2011", &unread), State::Error);
    let damaged = Facts { problems: vec![problem("CONFIG_SYNTAX", "the file")], ..unread };
    assert_eq!(state(RULES, "SMC2011", &damaged), State::Fail);
}

#[test]
fn a_secret_that_cannot_be_read_and_a_folder_that_cannot_be_listed_are_no_pass() {
    let unread = changed(|facts| {
        facts.problems = vec![problem("CONFIG_FILE_UNREADABLE", "spotify.client_secret")];
        facts.residue.unseen = vec![("/etc/spotify-mcp".into(), "permission denied".to_owned())];
    });
    for id in ["SMC2002", "SMC2005", "SMC2012"] {
        assert_eq!(state(RULES, id, &unread), State::Error, "{id}");
    }
    let both =
        Facts { residue: files::Residue { found: vec!["/d/core".into()], ..unread.residue }, ..sound() };
    assert_eq!(state(RULES, "SMC2012", &both), State::Fail, "what is seen counts");
}

#[test]
fn what_is_closed_to_this_user_is_neither_good_nor_bad() {
    let shut = |key: &str| Problem { is_closed: true, ..problem("CONFIG_FILE_UNREADABLE", key) };
    let closed = changed(|facts| {
        facts.problems = vec![shut("security.passphrase")];
        facts.derivations.clear();
        let text = |text: &str| text.to_owned();
        facts.master = Master::Refused {
            place: text("/k"),
            code: text("CONFIG_FILE_UNREADABLE"),
            why: text("permission denied"),
            fix: text("name another"),
            is_closed: true,
        };
    });
    for id in ["SMC1001", "SMC1002", "SMC1008", "SMC2011"] {
        assert_eq!(state(RULES, id, &closed), State::Error, "{id}");
    }
    // A file that is not there is not there for the server either.
    let away = changed(|facts| facts.problems = vec![problem("CONFIG_FILE_UNREADABLE", KEY)]);
    assert_eq!(state(RULES, "SMC2011", &away), State::Fail);
    // What keeps a server from starting does so in every environment.
    let missing = changed(|facts| facts.problems = vec![problem("CONFIG_MISSING", "spotify.client_id")]);
    for profile in Profile::ALL {
        let said = verdicts(RULES, "SMC2011", &missing, profile).remove(0);
        assert_eq!((said.state, said.severity), (State::Fail, Some(Severity::High)), "{profile:?}");
    }
}

#[test]
fn a_secret_that_a_variable_outranks_is_a_secret_still() {
    let facts = changed(|facts| {
        let old = secret("spotify.client_secret", "changeme");
        facts.secrets.push(Secret {
            in_the_clear: Some(("/c.toml".into(), Some(3))),
            outranked_by: Some("environment SPOTIFY_CLIENT_SECRET".into()),
            origin: "/c.toml:3".into(),
            ..old
        });
    });
    for (id, severity) in [("SMC2002", None), ("SMC2003", Some(Severity::Low)), ("SMC2005", None)] {
        let said = verdicts(RULES, id, &facts, Profile::Production);
        let found = said.iter().find(|one| one.subject == "spotify.client_secret in /c.toml:3");
        let found = found.unwrap_or_else(|| panic!("{id}: {said:#?}"));
        assert_eq!((found.state, found.severity), (State::Fail, severity), "{id}");
    }
    let said = verdicts(RULES, "SMC2003", &facts, Profile::Production);
    assert!(said[0].observed.contains("environment SPOTIFY_CLIENT_SECRET counts in its place"), "{said:#?}");
}

#[test]
fn a_derivation_that_cannot_be_seen_is_not_none() {
    let unseen = changed(|facts| {
        facts.derivations.clear();
        facts.kept_unseen = Some(Unseen::because("/d/master.kdf.json is damaged"));
    });
    assert_eq!(state(RULES, "SMC1008", &unseen), State::Error);
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
fn a_trivial_passphrase_fails_both_checks_that_judge_it_and_a_good_one_none() {
    for (text, expected) in [
        ("password123456789", State::Fail),
        ("password123456", State::Fail),
        ("passwordpasswordpassword", State::Fail),
        ("qwertyuiopasdf", State::Fail),
        ("P@ssw0rd-P@ssw0rd", State::Fail),
        ("aaaaaaaaaaaaaaaa", State::Fail),
        ("changeme changeme", State::Fail),
        ("vivid otter pressing lemon tiles", State::Pass),
    ] {
        let facts = changed(|facts| {
            let words = Concealed::of(text, &Dice::system());
            facts.master = Master::Passphrase { place: Place::OwnFile("/k".into()), words };
            facts.secrets = vec![secret("security.passphrase", text)];
        });
        let said = ["SMC1001", "SMC2005"].map(|id| state(RULES, id, &facts));
        assert_eq!(said, [expected, expected], "{text}");
    }
}

#[test]
fn a_foreign_upstream_is_named_by_its_own_key() {
    let foreign = changed(|facts| {
        facts.config.spotify.accounts_url = "https://evil.example".parse().unwrap();
        // As 'serve' says it.
        facts.problems.push(problem("FOREIGN_UPSTREAM", "spotify.accounts_url"));
    });
    let said = verdicts(RULES, "SMC2014", &foreign, Profile::Production);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!((&said[0].source, said[0].state), (&Source::key("spotify.accounts_url"), State::Fail));
    let plain = changed(|facts| {
        facts.config.spotify.api_url = "http://api.spotify.com/v1".parse().unwrap();
    });
    let said = verdicts(RULES, "SMC2014", &plain, Profile::Production);
    assert_eq!((said.len(), &said[0].source), (1, &Source::key("spotify.api_url")));
}

#[test]
fn what_to_set_is_said_as_the_configuration_takes_it() {
    let long = changed(|facts| {
        let day = std::time::Duration::from_secs(86_400);
        facts.config.auth.lifetimes.access_token = 2 * day;
        facts.config.auth.lifetimes.browser_session = 400 * day;
        facts.config.auth.lifetimes.code = day;
        facts.config.limits.mcp_session_idle = day;
        facts.config.security.login_timeout = day;
        facts.config.limits.calls_per_user_per_minute = 0;
    });
    let fixes = |id: &str| -> Vec<String> {
        verdicts(RULES, id, &long, Profile::Bank).into_iter().filter_map(|one| one.fix).collect()
    };
    let all = fixes("SMC3001").join("\n");
    for fix in [
        "set auth.lifetimes.access_token to 15m or less",
        "set auth.lifetimes.browser_session to 1d or less",
        "set limits.mcp_session_idle_seconds to 1800 or less",
        "set auth.lifetimes.code to 1m or less",
        "set security.login_timeout_minutes to ",
    ] {
        assert!(all.contains(fix), "{fix} is not in {all}");
    }
    assert!(!fixes("SMC3011").join("").contains("  "), "{:?}", fixes("SMC3011"));
    let wide = changed(|facts| facts.config.limits.mcp_body_bytes = u64::MAX);
    let fix = verdicts(RULES, "SMC3011", &wide, Profile::Bank).remove(0).fix.unwrap();
    let most = fix.strip_prefix("set limits.mcp_body_bytes to ").and_then(|rest| rest.split(' ').next());
    assert!(most.is_some_and(|most| most.parse::<u64>().is_ok()), "{fix}");
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
        (Role::Older, 0o644),
        (Role::Program, 0o775),
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
    let below = |mode, uid, gid| {
        let above = vec![Above { path: "/srv".into(), mode, uid, gid, acl: Ok(Vec::new()) }];
        with(Role::Secret, There { above, ..there(0o600) })
    };
    for (mode, fix) in [(0o757, "chmod o-w /srv"), (0o777, "chmod go-w /srv")] {
        assert_eq!(below(mode, 0, 0).fix.unwrap(), fix);
    }
    // Whoever owns a folder renames what is in it, sticky or not; so does a group that may write.
    for mode in [0o755, 0o1777] {
        let theirs = below(mode, 65_534, 0);
        assert_eq!((theirs.state, theirs.severity), (State::Fail, None));
        assert!(theirs.observed.contains("user 65534 may replace it: /srv"), "{}", theirs.observed);
    }
    let group = below(0o775, 0, 65_534);
    assert_eq!((group.state, group.severity), (State::Fail, Some(Severity::Medium)));
    assert!(group.observed.contains("group 65534"), "{}", group.observed);
    for (mode, uid, gid) in [(0o775, 1000, 1000), (0o1777, 0, 0), (0o1775, 0, 50), (0o755, 0, 50)] {
        assert_eq!(below(mode, uid, gid).state, State::Pass, "{mode:o} {uid} {gid}");
    }
    // A program is what its link leads to; it may be read.
    let linked = There { leads_to: Some("/etc/alternatives/x".into()), ..there(0o755) };
    assert_eq!(with(Role::Program, linked).state, State::Pass);
    assert_eq!(with(Role::Secret, There { in_shared_folder: true, ..there(0o600) }).state, State::Fail);
    let elsewhere = changed(|facts| {
        facts.files = vec![file(Role::Program, "/usr/local/bin/tell", there(0o755))];
        facts.files[0].found = Found::Nothing;
    });
    assert_eq!(state(RULES, "SMC2004", &elsewhere), State::NotApplicable);
    let gone = changed(|facts| facts.files[0].found = Found::Nothing);
    assert_eq!(state(RULES, "SMC2004", &gone), State::Error);
}

#[test]
fn who_owns_a_link_in_a_shared_folder_leads_it_elsewhere() {
    for (uid, in_shared_folder, expected) in [
        (1001, true, State::Fail),
        (1001, false, State::Pass),
        (1000, true, State::Pass),
        (0, true, State::Pass),
    ] {
        let links = vec![Link { path: "/tmp/l".into(), uid, in_shared_folder }];
        let facts = changed(|facts| {
            facts.files = vec![file(Role::Secret, "/tmp/l/k", There { links, ..there(0o600) })];
        });
        assert_eq!(state(RULES, "SMC2004", &facts), expected, "{uid} {in_shared_folder}");
    }
}

#[test]
fn whom_an_access_control_list_lets_in_counts_as_whom_the_mode_does() {
    let named = |who, bits| Ok(vec![Granted { who, bits }]);
    let (mallory, staff) = (Who::User(1001), Who::Group(50));
    let judged = |role, there| {
        let facts = changed(|facts| facts.files = vec![file(role, "/f", there)]);
        verdicts(RULES, "SMC2004", &facts, Profile::Production).remove(0)
    };
    let with = |role, acl| judged(role, There { acl, ..there(0o640) });
    let reader = with(Role::Secret, named(mallory, 4));
    assert_eq!((reader.state, reader.fix.as_deref()), (State::Fail, Some("setfacl -b /f")));
    assert!(reader.observed.contains("user 1001 in (r--)"), "{}", reader.observed);
    assert_eq!(with(Role::Data, named(staff, 4)).state, State::Fail);
    assert_eq!(with(Role::Program, named(mallory, 2)).state, State::Fail);
    // Who may have it anyway, and what everybody may.
    assert_eq!(with(Role::Secret, named(Who::User(1000), 6)).state, State::Pass);
    assert_eq!(with(Role::Configuration, named(mallory, 4)).state, State::Pass);
    let hidden = with(Role::Secret, Err(Unseen::because("it cannot be read")));
    assert_eq!(hidden.state, State::Error, "{}", hidden.observed);
    let below = |mode, acl| {
        let above = vec![Above { path: "/srv".into(), mode, uid: 0, gid: 0, acl }];
        judged(Role::Secret, There { above, ..there(0o600) })
    };
    assert_eq!(below(0o775, named(mallory, 2)).severity, None);
    assert!(below(0o775, named(mallory, 2)).observed.contains("user 1001 may replace it"));
    assert_eq!(below(0o775, named(staff, 2)).severity, Some(Severity::Medium));
    assert_eq!(below(0o775, named(mallory, 5)).state, State::Pass);
    assert_eq!(below(0o1775, named(mallory, 2)).state, State::Pass);
    assert_eq!(below(0o755, Err(Unseen::because("x"))).state, State::Error);
}

#[test]
fn old_files_are_told_together_where_they_are_in_order() {
    let old = |number: u32, mode| file(Role::Older, &format!("/t/audit-{number}.ndjson"), there(mode));
    let said = |files| verdicts(RULES, "SMC2004", &changed(|facts| facts.files = files), Profile::Production);
    let sound = said(vec![old(1, 0o600), old(2, 0o600), old(3, 0o600)]);
    assert_eq!((sound.len(), sound[0].state), (1, State::Pass));
    assert!(sound[0].observed.contains("backups 3 were"), "{}", sound[0].observed);
    let one = said(vec![old(1, 0o600), old(2, 0o644), old(3, 0o600)]);
    assert_eq!((one.len(), one[0].state, one[0].subject.as_str()), (2, State::Fail, "/t/audit-2.ndjson"));
    let mut unseen = old(1, 0o600);
    unseen.found = Found::Unseen("permission denied".into());
    assert_eq!(said(vec![unseen])[0].state, State::Error);
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

#[test]
fn hosts_that_the_way_out_never_leads_to_are_found_under_their_key() {
    let listed = |host: &str| {
        let facts = changed(|facts| facts.config.network.allowed_hosts = vec![host.to_owned()]);
        let found = verdicts(RULES, "SMC2011", &facts, Profile::Production);
        let about = found.iter().find(|one| one.subject.starts_with("network.allowed_hosts "));
        about.map(|one| (one.state, one.severity))
    };
    for host in ["169.254.169.254", "10.0.0.1:8443", "[fd00::1]", "127.0.0.1"] {
        assert_eq!(listed(host), Some((State::Fail, None)), "{host}");
    }
    for host in ["localhost", "metadata.google.internal", "nas.local:443", "db"] {
        assert_eq!(listed(host), Some((State::Fail, Some(Severity::Medium))), "{host}");
    }
    assert_eq!(listed("api.example.org:8443"), None);
}

#[test]
fn plain_http_beyond_this_machine_is_for_a_proxy_of_another_one_alone() {
    let judged = |host: &str, proxies: &[&str]| {
        let facts = changed(|facts| {
            facts.config.server.host = host.parse().unwrap();
            facts.config.server.trusted_proxies =
                proxies.iter().map(|range| range.parse().unwrap()).collect();
        });
        let found = verdicts(RULES, "SMC2013", &facts, Profile::Production);
        assert_eq!(found[0].state, State::Pass);
        found.iter().any(|one| one.subject == "server.host" && one.state == State::Fail)
    };
    for (host, proxies) in
        [("0.0.0.0", &["127.0.0.1"][..]), ("::", &[]), ("192.0.2.1", &["127.0.0.0/8", "::1"])]
    {
        assert!(judged(host, proxies), "{host} {proxies:?}");
    }
    for (host, proxies) in
        [("127.0.0.1", &["127.0.0.1"][..]), ("0.0.0.0", &["127.0.0.1", "10.0.0.0/8"]), ("::1", &[])]
    {
        assert!(!judged(host, proxies), "{host} {proxies:?}");
    }
}
