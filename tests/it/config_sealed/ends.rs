//! When a secret ends: said with `config set`, shown, warned of, and in the end a failure.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use spotify_mcp::ambient::{Clock, Dice};
use spotify_mcp::config::sealed::{Opener, Sealed};
use spotify_mcp::crypto::Key;
use spotify_mcp::crypto::keys::RootKey;

use super::{Desk, status, words};

#[test]
fn the_end_of_a_secret_is_sealed_shown_warned_of_and_forgotten_with_it() {
    let desk = Desk::sealed();
    let set = |args: &[&str], input: &str| {
        let args = [&["config", "set"], args, &["--config", "c.encrypted.json"]].concat();
        let output = desk.run_with(&args, &[], input);
        (status(&output), words(&output))
    };
    let secret = "spotify.client_secret";
    assert_eq!(set(&[secret, "--expires", "90d", "--keep-value"], "").0, 0);
    assert_eq!(desk.json("c.encrypted.json")["$sealed"]["expires"].as_object().unwrap().len(), 1);
    let verified = desk.run(&["config", "verify", "c.encrypted.json"]);
    assert_eq!((status(&verified), words(&verified).contains("EXPIRE")), (0, false), "{}", words(&verified));
    let shown = desk.run(&["config", "status", "c.encrypted.json", "--format", "json"]);
    let report: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((status(&shown), &report["ends"][0]["key"]), (0, &secret.into()));
    // The command may run within the second in which it was said.
    assert!([89, 90].contains(&report["ends"][0]["days_left"].as_i64().unwrap()), "{report}");
    assert_eq!(report["ends"][0]["over"], false);

    // Under the MAC, like everything.
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    let year =
        desk.json("c.encrypted.json")["$sealed"]["expires"]["/spotify/client_secret"].as_str().unwrap()[..4]
            .to_owned();
    desk.write("later.json", &text.replacen(&format!("\"{year}-"), "\"2999-", 1));
    assert_eq!(status(&desk.run(&["config", "verify", "later.json"])), 11);

    assert_eq!(set(&[secret, "--expires", "10d", "--keep-value"], "").0, 0);
    let near = desk.run(&["config", "verify", "c.encrypted.json"]);
    assert_eq!(
        (status(&near), words(&near).contains("CONFIG_SECRET_EXPIRES")),
        (0, true),
        "{}",
        words(&near)
    );
    // Another change leaves it, another value forgets it, and it can be said with the value.
    assert_eq!(set(&["server.port", "--value", "9100"], "").0, 0);
    assert!(desk.json("c.encrypted.json")["$sealed"]["expires"].is_object());
    assert_eq!(set(&[secret], "sentinel-two").0, 0);
    assert!(desk.json("c.encrypted.json")["$sealed"].get("expires").is_none());
    assert_eq!(set(&[secret, "--expires", "2999-12-31"], "sentinel-two").0, 0);
    let end = desk.json("c.encrypted.json")["$sealed"]["expires"]["/spotify/client_secret"].clone();
    assert_eq!(end, "2999-12-31T00:00:00.000Z");
    assert_eq!(set(&[secret, "--expires", "2999-12-31", "--keep-value"], "").0, 19);
    assert_eq!(set(&[secret, "--expires", "never", "--keep-value"], "").0, 0);
    assert!(desk.json("c.encrypted.json")["$sealed"].get("expires").is_none());

    for (args, expected) in [
        (&["server.port", "--expires", "90d", "--keep-value"][..], 2),
        (&[secret, "--expires", "2020-01-01", "--keep-value"], 2),
        (&[secret, "--expires", "soon", "--keep-value"], 2),
        (&["storage.url", "--keep-value"], 2),
        (&["security.passphrase", "--expires", "90d", "--keep-value"], 1),
    ] {
        assert_eq!(set(args, "").0, expected, "{args:?}");
    }
}

#[test]
fn a_secret_that_has_ended_is_a_failure() {
    let desk = Desk::sealed();
    let text = fs::read_to_string(desk.path("c.encrypted.json")).unwrap();
    let key = STANDARD.decode(fs::read_to_string(desk.path("master.key")).unwrap().trim()).unwrap();
    let root = RootKey::new(Key::new(key.try_into().unwrap()));
    let opened = Sealed::parse(&text).unwrap().open(&Opener::Master(&root)).unwrap();
    let ends = [("/storage/url".to_owned(), "2020-01-31T00:00:00.000Z".to_owned())].into();
    let ended = opened.reseal_until(&opened.plain, ends, Clock::system().now(), &Dice::system());
    desk.write("c.encrypted.json", &ended);
    for verb in ["verify", "status"] {
        let output = desk.run(&["config", verb, "c.encrypted.json"]);
        assert_eq!(status(&output), 1, "{}", words(&output));
        assert!(
            words(&output).contains("storage.url") && words(&output).contains("ended 2020-01-31"),
            "{}",
            words(&output)
        );
    }
    // What opened it before still does: a server is not stopped by a date.
    assert_eq!(status(&desk.run(&["config", "show", "--config", "c.encrypted.json"])), 0);
}
