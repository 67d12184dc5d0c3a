//! What is known beside a file, in the database of the servers that use it: the newest revision, and who did what.

use std::fs;

use serde_json::Value;

use super::{Desk, status, words};

#[test]
fn what_is_done_with_a_file_is_in_the_servers_trail() {
    let (desk, port) = Desk::with_server();
    let phrase = desk.write("phrase", "correct horse battery");
    let file = "r.encrypted.json";
    let script = "sed -i 's/\"enabled\": false/\"enabled\": true/' \"$1\"";
    fs::write(desk.path("edit.sh"), script).unwrap();
    let editor = format!("/bin/sh {}", desk.path("edit.sh").display());
    for (args, input) in [
        (&["set", "spotify.client_secret", "--config", file][..], "sentinel-two"),
        (&["get", "spotify.client_secret", "--config", file], ""),
        (&["get", "server.port", "--config", file], ""),
        (&["decrypt", file], ""),
        (&["edit", file, "--yes", "--allow-disk"], ""),
        (&["slot", "add", file, "--new-passphrase-file", &phrase, "--kdf", "pbkdf2-sha256"], ""),
        (&["rekey", file, "--passphrase-file", &phrase], ""),
        (&["exec", file, "--only", "spotify.client_secret", "--", "/bin/true"], ""),
    ] {
        let output = desk.run_with(&[&["config"], args].concat(), &[("EDITOR", &editor)], input);
        assert_eq!(status(&output), 0, "{args:?}: {}", words(&output));
        assert!(!words(&output).contains("not on record"), "{args:?}: {}", words(&output));
    }
    let merged =
        fs::read_to_string(desk.path(file)).unwrap().replace("\"enabled\": true", "\"enabled\": false");
    desk.write(file, &merged);
    let accepted = desk.run(&["config", "encrypt", file, "--accept-merge", "--yes"]);
    assert_eq!(status(&accepted), 0, "{}", words(&accepted));

    desk.serves(port, &[]);
    let trail = fs::read_to_string(desk.path("data/audit/audit-1.ndjson")).unwrap();
    for (code, verb) in [
        ("config_changed", "config set"),
        ("config_decrypted", "config get"),
        ("config_decrypted", "config decrypt"),
        ("config_changed", "config edit"),
        ("config_rekeyed", "config slot add"),
        ("config_rekeyed", "config rekey"),
        ("config_passed_on", "config exec"),
        ("config_merge_accepted", "config encrypt --accept-merge"),
    ] {
        let is_it =
            |line: &&str| line.contains(&format!("\"{code}\"")) && line.contains(&format!("\"{verb}\""));
        let found = trail.lines().filter(is_it).count();
        assert_eq!(found, 1, "{code} by {verb}: {trail}");
    }
    assert!(trail.contains("cache.enabled") && trail.contains("r.encrypted.json"), "{trail}");
    assert!(!trail.contains("sentinel"), "{trail}");
}

#[test]
fn an_older_revision_is_refused_by_every_command_that_can_know() {
    let (desk, port) = Desk::with_server();
    let file = "r.encrypted.json";
    let newest = fs::read_to_string(desk.path(file)).unwrap();
    let report = |expected: i32| {
        let output = desk.run(&["config", "status", file, "--format", "json"]);
        assert_eq!(status(&output), expected, "{}", words(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["servers"].clone()
    };
    let servers = report(0);
    assert_eq!((&servers["is_this_file"], &servers["used"]["rev"]), (&true.into(), &2.into()), "{servers}");
    desk.write(file, &fs::read_to_string(desk.path("first.json")).unwrap());
    let servers = report(12);
    assert_eq!(
        (&servers["is_this_file"], &servers["rolled_back"]),
        (&false.into(), &true.into()),
        "{servers}"
    );
    for args in [
        &["verify", file][..],
        &["decrypt", file],
        &["get", "server.port", "--config", file],
        &["set", "server.port", "--value", "9200", "--config", file],
        &["edit", file, "--yes", "--allow-disk"],
        &["rekey", file],
        &["slot", "add", file, "--recovery-out", "recovery.key"],
        &["exec", file, "--only", "server.port", "--", "/bin/true"],
    ] {
        let output = desk.run(&[&["config"], args].concat());
        assert_eq!(
            (status(&output), words(&output).contains("CONFIG_ROLLED_BACK")),
            (12, true),
            "{}",
            words(&output)
        );
    }
    assert!(!desk.path("recovery.key").exists());
    // Somebody says why: to look at it, or to go on from it with a revision that is newer than all.
    let reason = ["--allow-rollback", "what was it before"];
    assert_eq!(status(&desk.run(&[&["config", "decrypt", file], &reason[..]].concat())), 0);
    let set = ["config", "set", "api.timeout", "--value", "9", "--config", file];
    assert_eq!(status(&desk.run(&[&set[..], &reason].concat())), 0);
    assert_eq!(desk.json(file)["$sealed"]["rev"], 3);
    desk.serves(port, &[]);
    let trail = fs::read_to_string(desk.path("data/audit/audit-1.ndjson")).unwrap();
    assert!(trail.contains("what was it before"), "{trail}");

    // Elsewhere nobody can know: that is said, and the file alone is judged.
    desk.write(file, &newest);
    let env = [("DATA_DIR", "elsewhere")];
    let output = desk.run_with(&["config", "decrypt", file], &env, "");
    assert_eq!((status(&output), words(&output).contains("not on record")), (0, true), "{}", words(&output));
    let output = desk.run_with(&["config", "status", file, "--format", "json"], &env, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((status(&output), &report["servers"]["known"]), (0, &false.into()));
}

impl Desk {
    /// A sealed `r.encrypted.json` in its second revision, with which a server has run; the first is `first.json`.
    fn with_server() -> (Self, u16) {
        let desk = Self::new();
        let port = crate::support::server::free_port();
        let plain = format!(
            "[spotify]\nclient_id = \"0123456789abcdef0123456789abcdef\"\nclient_secret = \"sentinel\"\n[server]\nport = {port}\n"
        );
        desk.write("r.toml", &plain);
        assert_eq!(status(&desk.run(&["config", "encrypt", "r.toml"])), 0);
        fs::copy(desk.path("r.encrypted.json"), desk.path("first.json")).unwrap();
        let args = ["config", "set", "cache.enabled", "--value", "false", "--config", "r.encrypted.json"];
        assert_eq!(status(&desk.run(&args)), 0);
        desk.serves(port, &[]);
        (desk, port)
    }
}
