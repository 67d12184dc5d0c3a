//! `config slot add` and `config slot remove`: who may open a file from now on.

use std::fs;

use super::{Desk, status, words};

#[test]
fn a_slot_is_added_without_touching_a_value_and_removed_with_the_file_key() {
    let desk = Desk::sealed();
    let before = desk.json("c.encrypted.json");
    let slot = |args: &[&str]| {
        let output = desk.run(&[&["config", "slot"], args].concat());
        (status(&output), words(&output))
    };
    let phrase = desk.write("phrase", "correct horse battery");
    let passphrase = ["--new-passphrase-file", &phrase, "--kdf", "pbkdf2-sha256"];
    for (args, rev) in [
        (&["--recovery-out", "recovery.key"][..], 2),
        (&passphrase, 3),
        (&["--new-master-key-file", "second.key"], 4),
    ] {
        let (code, text) = slot(&[&["add", "c.encrypted.json"], args].concat());
        assert_eq!(code, 0, "{text}");
        assert_eq!(desk.json("c.encrypted.json")["$sealed"]["rev"], rev);
    }
    let added = desk.json("c.encrypted.json");
    for section in ["spotify", "storage", "auth"] {
        assert_eq!(added[section], before[section], "{section} keeps its bytes");
    }
    assert_eq!((desk.mode("recovery.key"), desk.mode("second.key")), (0o600, 0o600));
    let opens = |file: &str, flags: &[&str], key: &str| {
        let args = [&["config", "verify", file], flags].concat();
        status(&desk.run_with(&args, &[("SPOTIFY_MCP_MASTER_KEY_FILE", key)], ""))
    };
    let all = |file: &str| {
        [
            opens(file, &[], "master.key"),
            opens(file, &["--recovery-key-file", "recovery.key"], ""),
            opens(file, &["--passphrase-file", "phrase"], ""),
            opens(file, &[], "second.key"),
        ]
    };
    assert_eq!(all("c.encrypted.json"), [0; 4]);

    let slots = added["$sealed"]["slots"].as_array().unwrap();
    let id = |at: usize| slots[at]["id"].as_str().unwrap().to_owned();
    // Each slot that stays needs its key, or has to go too.
    let (code, text) = slot(&["remove", "c.encrypted.json", &id(1)]);
    assert_eq!((code, text.contains("CONFIG_SLOT_WITHOUT_KEY")), (10, true), "{text}");
    assert!(text.contains("name it as well") && !text.contains("--drop-slot"), "{text}");
    let (code, text) = slot(&["remove", "c.encrypted.json", "0123456789abcdef"]);
    assert_eq!((code, text.contains("CONFIG_SLOT_UNKNOWN")), (2, true), "{text}");
    let everything = [id(0), id(1), id(2), id(3)];
    let everything: Vec<&str> = everything.iter().map(String::as_str).collect();
    let (code, text) = slot(&[&["remove", "c.encrypted.json"], &everything[..]].concat());
    assert_eq!((code, text.contains("CONFIG_SLOT_LAST")), (2, true), "{text}");
    assert_eq!(desk.json("c.encrypted.json"), added);

    let (code, text) = slot(&["remove", "c.encrypted.json", &id(1), &id(3), "--passphrase-file", "phrase"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(all("c.encrypted.json"), [0, 10, 0, 10]);
    assert_eq!(all("c.encrypted.json.bak"), [0; 4], "what it was still opens with what was removed");
    let removed = desk.json("c.encrypted.json");
    assert_ne!(removed["storage"]["url"], added["storage"]["url"], "under a fresh file key");
    assert_eq!(removed["$sealed"]["slots"].as_array().unwrap().len(), 2);
}

#[test]
fn slots_are_few_and_a_key_is_written_only_with_its_slot() {
    let desk = Desk::sealed();
    let add = |flags: &[&str]| {
        let output = desk.run(&[&["config", "slot", "add", "c.encrypted.json"], flags].concat());
        (status(&output), words(&output))
    };
    for at in 0..7 {
        assert_eq!(add(&["--recovery-out", &format!("recovery-{at}.key")]).0, 0);
    }
    let before = fs::read(desk.path("c.encrypted.json")).unwrap();
    let (code, text) = add(&["--recovery-out", "one-too-many.key"]);
    assert_eq!((code, text.contains("CONFIG_SLOTS_FULL")), (2, true), "{text}");
    assert!(!desk.path("one-too-many.key").exists());
    assert_eq!(add(&["--recovery-out", "recovery-0.key"]).0, 2);
    assert_eq!(add(&[]).0, 2, "no key is named");
    let short = desk.write("short", "thirteen char");
    let (code, text) = add(&["--new-passphrase-file", &short]);
    assert_ne!(code, 0, "{text}");
    assert_eq!(fs::read(desk.path("c.encrypted.json")).unwrap(), before);
}
