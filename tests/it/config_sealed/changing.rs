//! Changing and comparing sealed files: one value, what stays, what is never overwritten or shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{Desk, status, words};

#[test]
fn one_value_is_changed_and_every_other_keeps_its_bytes() {
    let desk = Desk::sealed();
    let before = desk.json("c.encrypted.json");
    let set = |args: &[&str], input: &str| {
        let args = [&["config", "set"], args, &["--config", "c.encrypted.json"]].concat();
        let output = desk.run_with(&args, &[], input);
        (status(&output), words(&output))
    };
    assert_eq!(set(&["spotify.client_secret"], "new ${sentinel}\n").0, 0);
    let after = desk.json("c.encrypted.json");
    assert_eq!(after["$sealed"]["rev"], 2);
    assert_eq!(after["$sealed"]["lineage"], before["$sealed"]["lineage"]);
    assert_ne!(after["spotify"]["client_secret"], before["spotify"]["client_secret"]);
    assert_eq!(after["spotify"]["apps"], before["spotify"]["apps"]);
    assert_eq!(after["storage"], before["storage"]);
    assert_eq!(desk.json("c.encrypted.json.bak"), before);
    // To the letter: the variable within a secret from standard input is none.
    assert_eq!(status(&desk.run(&["config", "show", "--config", "c.encrypted.json"])), 0);

    assert_eq!(set(&["spotify.client_secret"], "new ${sentinel}\n").0, 19);
    assert_eq!(set(&["server.port", "--value", "9100"], "").0, 0);
    assert_eq!(desk.json("c.encrypted.json")["server"]["port"], 9100);
    assert_eq!(set(&["spotify.apps.0.client_secret", "--value", "visible"], "").0, 2);
    assert_eq!(set(&["spotify.apps.0.client_secret", "--value", "${WORD}"], "").0, 0);
    assert_eq!(desk.json("c.encrypted.json")["spotify"]["apps"][0]["client_secret"], "${WORD}");
    assert_eq!(set(&["server.port", "--value", "70000"], "").0, 15);
    let (code, text) = set(&["server.prot", "--value", "1"], "");
    assert_eq!((code, text.contains("server.port")), (2, true));
    assert_eq!(set(&["spotify.apps.7.seats", "--value", "1"], "").0, 2);
    assert_eq!(set(&["server.port", "--unset"], "").0, 0);
    let unset = desk.run(&["config", "get", "server.port", "--config", "c.encrypted.json"]);
    assert_eq!((status(&unset), words(&unset).contains("CONFIG_KEY_UNSET")), (1, true));
    assert_eq!(desk.json("c.encrypted.json")["$sealed"]["rev"], 5);

    let lock = fs::File::create(desk.path("c.encrypted.json.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(set(&["server.port", "--value", "9200"], "").0, 18);
    drop(lock);
    assert_eq!(set(&["server.port", "--value", "9200"], "").0, 0);
    let left: Vec<_> = fs::read_dir(&desk.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
}

#[test]
fn differences_show_fingerprints_and_never_a_secret() {
    let desk = Desk::sealed();
    for (key, value) in [("spotify.client_secret", "sentinel-two"), ("server.port", "9100")] {
        let args = ["config", "set", key, "--config", "c.encrypted.json"];
        assert_eq!(status(&desk.run_with(&args, &[], value)), 0);
    }
    fs::rename(desk.path("c.encrypted.json"), desk.path("new.encrypted.json")).unwrap();
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml"])), 0);
    let output = desk.run(&["config", "diff", "c.encrypted.json", "new.encrypted.json"]);
    let text = words(&output);
    assert_eq!(status(&output), 1);
    assert!(!text.contains("sentinel"), "{text}");
    assert!(text.contains("- server.port = 9000\n+ server.port = 9100\n"), "{text}");
    assert!(text.contains("- spotify.client_secret = <secret ") && text.lines().count() == 4, "{text}");
    assert_eq!(status(&desk.run(&["config", "diff", "c.toml", "c.encrypted.json"])), 0);
    let json = desk.run(&["config", "diff", "c.toml", "new.encrypted.json", "--format", "json"]);
    let changes: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(changes["changes"].as_array().unwrap().len(), 2);

    // As git runs it: a copy under another name.
    fs::copy(desk.path("c.encrypted.json"), desk.path("x1y2z3_c.encrypted.json")).unwrap();
    let lines = desk.run(&["config", "diff", "--textconv", "x1y2z3_c.encrypted.json"]);
    assert_eq!(status(&lines), 0, "{}", words(&lines));
    assert!(words(&lines).contains("server.port = 9000\n") && !words(&lines).contains("sentinel"));
}

#[test]
fn nothing_is_overwritten_and_no_secret_lands_where_others_read() {
    let desk = Desk::sealed();
    let before = fs::read(desk.path("c.encrypted.json")).unwrap();
    let again = desk.run(&["config", "encrypt", "c.toml"]);
    assert_eq!((status(&again), words(&again).contains("FILE_EXISTS")), (2, true));
    assert_eq!(fs::read(desk.path("c.encrypted.json")).unwrap(), before);
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml", "--force"])), 0);
    assert_eq!(fs::read(desk.path("c.encrypted.json.bak")).unwrap(), before);
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml", "-o", "c.toml", "--force"])), 2);

    assert_eq!(status(&desk.run(&["config", "decrypt", "c.encrypted.json", "-o", "out.json"])), 0);
    assert_eq!(desk.mode("out.json"), 0o600);
    assert_eq!(status(&desk.run(&["config", "decrypt", "c.encrypted.json", "-o", "out.json"])), 2);
    for (mode, expected) in [(0o644, 17), (0o600, 0)] {
        for args in [
            &["config", "decrypt", "c.encrypted.json"][..],
            &["config", "get", "spotify.client_secret", "--config", "c.encrypted.json"],
        ] {
            let file = fs::File::create(desk.path("stdout")).unwrap();
            file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
            let output = desk.command(args, &[]).stdout(file).output().unwrap();
            assert_eq!(status(&output), expected, "{}", words(&output));
            let printed = fs::read_to_string(desk.path("stdout")).unwrap();
            assert_eq!(printed.contains("sentinel-client"), expected == 0);
        }
    }
}
