//! Keys of sealed files: slots, passphrases, recovery keys, rekeying.

use serde_json::Value;

use super::{Desk, status, words};

#[test]
fn passphrase_and_recovery_key_open_it_too() {
    let desk = Desk::new();
    let phrase = desk.write("phrase", "correct horse battery\n");
    let args = ["config", "encrypt", "c.toml", "--passphrase-file", &phrase, "--kdf", "pbkdf2-sha256"];
    let sealed = desk.run(&[&args[..], &["--recovery-out", "recovery.key", "--format", "json"]].concat());
    assert_eq!(status(&sealed), 0, "{}", words(&sealed));
    let report: Value = serde_json::from_slice(&sealed.stdout).unwrap();
    let kinds: Vec<&str> =
        report["slots"].as_array().unwrap().iter().map(|slot| slot["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["master-key", "passphrase", "recovery"]);
    assert_eq!(desk.mode("recovery.key"), 0o600);
    let none = [("SPOTIFY_MCP_MASTER_KEY_FILE", "")];
    for flag in [&["--recovery-key-file", "recovery.key"], &["--passphrase-file", "phrase"]] {
        let args = [&["config", "decrypt", "c.encrypted.json"][..], flag].concat();
        let output = desk.run_with(&args, &none, "");
        assert_eq!(status(&output), 0, "{}", words(&output));
        let plain: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(plain["spotify"]["client_secret"], "sentinel-client");
    }
    let env = [none[0], ("SPOTIFY_MCP__SECURITY__PASSPHRASE", "correct horse battery")];
    assert_eq!(status(&desk.run_with(&["config", "show", "--config", "c.encrypted.json"], &env, "")), 0);
    let env = [none[0], ("SPOTIFY_MCP__SECURITY__PASSPHRASE", "another horse battery")];
    assert_eq!(status(&desk.run_with(&["config", "verify", "c.encrypted.json"], &env, "")), 10);
    // A recovery key is no master key.
    let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", "recovery.key")];
    assert_eq!(status(&desk.run_with(&["config", "verify", "c.encrypted.json"], &env, "")), 10);
}

#[test]
fn nothing_is_sealed_that_no_server_could_open() {
    let desk = Desk::new();
    let args = ["config", "encrypt", "c.toml", "--recovery-out", "recovery.key"];
    let none = [("SPOTIFY_MCP_MASTER_KEY_FILE", "")];
    let refused = desk.run_with(&args, &none, "");
    assert_eq!((status(&refused), words(&refused).contains("CONFIG_NO_KEY_SOURCE")), (16, true));
    assert!(!desk.path("c.encrypted.json").exists() && !desk.path("recovery.key").exists());
    // `config init` writes the key's place into the file: it is said what to do with it.
    desk.write("c.toml", "[security]\nmaster_key_file = \"master.key\"\n");
    let refused = desk.run_with(&args, &none, "");
    assert_eq!(status(&refused), 16, "{}", words(&refused));
    assert!(words(&refused).contains("SPOTIFY_MCP_MASTER_KEY_FILE=master.key"), "{}", words(&refused));
    let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", "master.key")];
    assert_eq!(status(&desk.run_with(&args, &env, "")), 0);
}

#[test]
fn rekeying_leaves_the_old_key_nothing_and_loses_no_slot_by_accident() {
    let desk = Desk::new();
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml", "--recovery-out", "recovery.key"])), 0);
    let before = desk.json("c.encrypted.json");
    let rekey = |args: &[&str]| desk.run(&[&["config", "rekey", "c.encrypted.json"], args].concat());
    let refused = rekey(&["--new-master-key-file", "new.key"]);
    assert_eq!(status(&refused), 10, "{}", words(&refused));
    assert!(words(&refused).contains("CONFIG_SLOT_WITHOUT_KEY"), "{}", words(&refused));
    assert_eq!(desk.json("c.encrypted.json"), before);

    let done = rekey(&["--new-master-key-file", "new.key", "--recovery-key-file", "recovery.key"]);
    assert_eq!(status(&done), 0, "{}", words(&done));
    assert_eq!(desk.mode("new.key"), 0o600);
    let after = desk.json("c.encrypted.json");
    assert_eq!(
        (after["$sealed"]["rev"].clone(), desk.json("c.encrypted.json.bak")),
        (2.into(), before.clone())
    );
    assert_ne!(after["storage"]["url"], before["storage"]["url"]);
    assert_eq!(status(&desk.run(&["config", "verify", "c.encrypted.json"])), 10);
    let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", "new.key")];
    assert_eq!(status(&desk.run_with(&["config", "verify", "c.encrypted.json"], &env, "")), 0);
    let recovery = ["config", "verify", "c.encrypted.json", "--recovery-key-file", "recovery.key"];
    assert_eq!(status(&desk.run(&recovery)), 0);

    let slot = after["$sealed"]["slots"][1]["id"].as_str().unwrap();
    let args = ["config", "rekey", "c.encrypted.json", "--drop-slot", slot];
    let dropped = desk.run_with(&args, &env, "");
    assert_eq!(status(&dropped), 0, "{}", words(&dropped));
    assert_eq!(status(&desk.run(&recovery)), 10);
    assert_eq!(desk.json("c.encrypted.json")["$sealed"]["slots"].as_array().unwrap().len(), 1);
}
