//! A sealed file where configurations are loaded: `serve`, `config show`, keys from outside it, older revisions.

use std::fs;

use serde_json::Value;

use super::{Desk, PLAIN, status, words};

#[test]
fn a_sealed_file_loads_everywhere_and_shows_no_secret() {
    let desk = Desk::sealed();
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    assert!(!text.contains("sentinel"), "{text}");
    assert!(text.contains("\"public_url\": \"http://127.0.0.1:9000\"") && text.contains("\"client_secret\""));
    assert_eq!(desk.mode("c.encrypted.json"), 0o600);
    assert_eq!(fs::read_to_string(desk.path("c.toml")).unwrap(), PLAIN, "the plain file is untouched");

    let shown = desk.run(&["config", "show", "--config", "c.encrypted.json", "--format", "json"]);
    assert_eq!(status(&shown), 0, "{}", words(&shown));
    assert!(!words(&shown).contains("sentinel"), "{}", words(&shown));
    let settings: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let row = |key: &str| {
        settings["settings"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone()
    };
    assert_eq!(
        (
            &row("server.port")["value"],
            row("server.port")["origin"].as_str().unwrap().ends_with("(sealed file)")
        ),
        (&"9000".into(), true)
    );
    assert_eq!(row("spotify.client_secret")["value"], "********");
    assert!(
        row("spotify.apps")["value"].as_str().unwrap().contains("(development, seats 5) secret ********")
    );

    // What it means is what its plain form means: a variable within a secret is replaced after opening.
    let url = desk.run(&["config", "get", "storage.url", "--config", "c.encrypted.json"]);
    let url = String::from_utf8_lossy(&url.stdout);
    assert_eq!(url.trim(), "postgres://music:sentinel-${WORD}@127.0.0.1:1/music");
    let unset = desk.run_with(&["config", "show", "--config", "c.encrypted.json"], &[("WORD", "")], "");
    assert!(words(&unset).contains("CONFIG_VARIABLE_UNSET"), "{}", words(&unset));
}

#[test]
fn serve_takes_a_sealed_file_and_refuses_every_broken_one_with_status_2() {
    let desk = Desk::sealed();
    // Its database cannot be reached: it came that far with the sealed URL.
    let serve = |env: &[(&str, &str)]| {
        desk.run_with(&["serve", "--config", "c.encrypted.json", "--format", "json"], env, "")
    };
    let started = serve(&[]);
    assert_eq!(status(&started), 3, "{}", words(&started));
    assert!(!words(&started).contains("sentinel"), "{}", words(&started));

    let other = desk.key("other.key");
    for (env, code) in [
        (&[("SPOTIFY_MCP_MASTER_KEY_FILE", other.as_str())][..], "CONFIG_WRONG_KEY"),
        (&[("SPOTIFY_MCP_MASTER_KEY_FILE", "")][..], "CONFIG_NO_KEY_SOURCE"),
        (
            &[("SPOTIFY_MCP_MASTER_KEY_FILE", ""), ("SPOTIFY_MCP_MASTER_KEY", "short")][..],
            "CONFIG_NO_KEY_SOURCE",
        ),
    ] {
        let output = serve(env);
        assert_eq!(status(&output), 2, "{}", words(&output));
        assert!(words(&output).contains(code), "{code}: {}", words(&output));
    }
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    for (damaged, code) in [
        (text.replace(": 9000", ": 9001"), "CONFIG_TAMPERED"),
        (text.replace("  \"server\"", "   \"server\""), "CONFIG_TAMPERED"),
        (text.replace("configuration/v1", "configuration/v2"), "CONFIG_VERSION_UNKNOWN"),
        ("{\"server\": {\"port\": 9000}}".to_owned(), "CONFIG_TAMPERED"),
    ] {
        desk.write("c.encrypted.json", &damaged);
        let output = serve(&[]);
        assert_eq!(status(&output), 2, "{}", words(&output));
        assert!(words(&output).contains(code), "{code}: {}", words(&output));
        assert!(words(&output).contains("\"fix\""), "{}", words(&output));
    }
}

#[test]
fn every_source_outside_the_file_opens_it_and_nothing_within_does() {
    let desk = Desk::sealed();
    let key = fs::read_to_string(desk.path("master.key")).unwrap().trim().to_owned();
    let none = ("SPOTIFY_MCP_MASTER_KEY_FILE", "");
    let show = |env: &[(&str, &str)]| {
        let mut env = env.to_vec();
        env.push(none);
        desk.run_with(&["config", "show", "--config", "c.encrypted.json"], &env, "")
    };
    assert_eq!(status(&show(&[("SPOTIFY_MCP_MASTER_KEY", &key)])), 0);
    assert_eq!(status(&show(&[("SPOTIFY_MCP__SECURITY__MASTER_KEY_COMMAND", "cat master.key")])), 0);
    fs::create_dir(desk.path("credentials")).unwrap();
    fs::copy(desk.path("master.key"), desk.path("credentials/master-key")).unwrap();
    assert_eq!(status(&show(&[("CREDENTIALS_DIRECTORY", "credentials")])), 0);
    fs::create_dir(desk.path("data")).unwrap();
    fs::copy(desk.path("master.key"), desk.path("data/master.key")).unwrap();
    assert_eq!(status(&show(&[])), 0, "{}", words(&show(&[])));

    // A file that names its own data directory does not thereby bring its own key.
    let inside = format!("[storage]\ndata_dir = \"{}\"\n", desk.path("data").display());
    desk.write("inside.toml", &inside);
    assert_eq!(status(&desk.run(&["config", "encrypt", "inside.toml"])), 0);
    let args = ["config", "show", "--config", "inside.encrypted.json"];
    let shown = desk.run_with(&args, &[none, ("DATA_DIR", "")], "");
    assert_eq!(status(&shown), 2);
    assert!(words(&shown).contains("CONFIG_NO_KEY_SOURCE"), "{}", words(&shown));
}

#[test]
fn an_older_revision_is_refused_unless_somebody_says_why() {
    let desk = Desk::new();
    let port = crate::support::server::free_port();
    let plain = format!(
        "[spotify]\nclient_id = \"0123456789abcdef0123456789abcdef\"\nclient_secret = \"sentinel\"\n[server]\nport = {port}\n"
    );
    desk.write("r.toml", &plain);
    assert_eq!(status(&desk.run(&["config", "encrypt", "r.toml"])), 0);
    let first = fs::read_to_string(desk.path("r.encrypted.json")).unwrap();
    let args = ["config", "set", "cache.enabled", "--value", "false", "--config", "r.encrypted.json"];
    assert_eq!(status(&desk.run(&args)), 0);
    desk.serves(port, &[]);

    desk.write("r.encrypted.json", &first);
    let refused = desk.run(&["serve", "--config", "r.encrypted.json", "--format", "json"]);
    assert_eq!(status(&refused), 2, "{}", words(&refused));
    assert!(words(&refused).contains("CONFIG_ROLLED_BACK"), "{}", words(&refused));
    assert!(words(&refused).contains("revision 1 is older than revision 2"), "{}", words(&refused));
    let refused = desk.run(&["serve", "--config", "r.encrypted.json", "--allow-rollback", ""]);
    assert_eq!(status(&refused), 2);
    desk.serves(port, &["--allow-rollback", "the cache was needed"]);
    desk.serves(port, &[]);

    let trail = fs::read_to_string(desk.path("data/audit/audit-1.ndjson")).unwrap();
    for part in ["\"config_refused\"", "\"config_rolled_back\"", "the cache was needed", "config_digest"] {
        assert!(trail.contains(part), "{part}: {trail}");
    }
}

#[test]
fn a_configuration_in_older_words_loads_unchanged_plain_and_sealed() {
    let desk = Desk::new();
    let plain = r#"{
        "spotify": {"client_id": "${SPOTIFY_ID}", "client_secret": "${SPOTIFY_SECRET}",
            "redirect_uri": "http://127.0.0.1:8888/callback"},
        "server": {"host": "127.0.0.1", "port": 8888, "log_level": "INFO"},
        "api": {"timeout": 30, "rate_limit": 100},
        "cache": {"enabled": true, "db_path": "cache.db"}
    }"#;
    desk.write("older.json", plain);
    let sealed = desk.run(&["config", "encrypt", "older.json"]);
    assert_eq!(status(&sealed), 0, "{}", words(&sealed));
    let env = [("SPOTIFY_ID", "0123456789abcdef0123456789abcdef"), ("SPOTIFY_SECRET", "sentinel")];
    let values = |file: &str| {
        let output = desk.run_with(&["config", "show", "--config", file, "--format", "json"], &env, "");
        assert_eq!(status(&output), 0, "{}", words(&output));
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = shown["settings"].as_array().unwrap().iter();
        rows.map(|row| (row["key"].clone(), row["value"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(values("older.json"), values("older.encrypted.json"));
    assert!(values("older.json").contains(&("server.port".into(), "8888".into())));
    assert!(values("older.json").contains(&("telemetry.log_level".into(), "info".into())));
}
