//! Two people change one sealed file, git merges it, and one of them vouches for what came out.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Desk, status, words};

#[test]
fn what_git_merged_is_refused_until_somebody_has_looked_at_it() {
    let Some(desk) = Desk::branched() else { return };
    desk.merge();
    let refused = desk.run(&["config", "verify", "m.encrypted.json"]);
    assert_eq!(status(&refused), 11, "{}", words(&refused));
    let accept = |flags: &[&str]| {
        let args = [&["config", "encrypt", "m.encrypted.json", "--accept-merge"], flags].concat();
        let output = desk.run(&args);
        (status(&output), words(&output))
    };
    let (code, text) = accept(&[]);
    assert_eq!((code, text.contains("CONFIRMATION_NEEDED")), (2, true), "{text}");

    let merged = fs::read(desk.path("m.encrypted.json")).unwrap();
    let against = ["--yes", "--against", "ours.encrypted.json", "--against", "theirs.encrypted.json"];
    let (code, text) = accept(&against);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("Against ours.encrypted.json (revision 2):\n- spotify.client_secret = <secret "),
        "{text}"
    );
    assert!(
        text.contains(
            "Against theirs.encrypted.json (revision 3):\n- server.port = 9000\n+ server.port = 9100\n"
        ),
        "{text}"
    );
    assert!(!text.contains("sentinel"), "{text}");
    let after = desk.json("m.encrypted.json");
    assert_eq!((&after["$sealed"]["rev"], &after["server"]["port"]), (&4.into(), &9100.into()));
    assert_eq!(
        after["spotify"]["client_secret"],
        desk.json("theirs.encrypted.json")["spotify"]["client_secret"]
    );
    assert_eq!(fs::read(desk.path("m.encrypted.json.bak")).unwrap(), merged);
    let verified = desk.run(&["config", "verify", "m.encrypted.json"]);
    assert_eq!(status(&verified), 0, "{}", words(&verified));
    let secret = desk.run(&["config", "get", "spotify.client_secret", "--config", "m.encrypted.json"]);
    assert!(words(&secret).starts_with("sentinel-theirs\n"), "{}", words(&secret));
    assert_eq!(accept(&["--yes"]).0, 19);
}

#[test]
fn vouching_has_its_bounds() {
    let Some(desk) = Desk::branched() else { return };
    let accept = |tree: &Value| {
        desk.write("m.encrypted.json", &format!("{tree:#}\n"));
        let output = desk.run(&["config", "encrypt", "m.encrypted.json", "--accept-merge", "--yes"]);
        assert!(!words(&output).contains("sentinel"), "{}", words(&output));
        (status(&output), words(&output))
    };
    let ours = desk.json("ours.encrypted.json");
    let changed = |pointer: &str, value: Value| {
        let mut tree = ours.clone();
        *tree.pointer_mut(pointer).unwrap() = value;
        tree
    };
    // Plain values are what a person looks at; without a revision to compare with, all of them.
    let (code, text) = accept(&changed("/server/port", json!(9999)));
    assert_eq!((code, text.contains("  server.port = 9999\n")), (0, true), "{text}");
    assert!(text.contains("  $sealed.slots."), "{text}");
    fs::remove_file(desk.path("m.encrypted.json.bak")).unwrap();

    assert_eq!(accept(&changed("/storage/url", json!("in the clear"))).0, 15);
    assert_eq!(accept(&changed("/server/port", json!(99_999))).0, 15);
    assert_eq!(accept(&changed("/storage/url", ours["spotify"]["client_secret"].clone())).0, 11);
    assert_eq!(accept(&changed("/$sealed/slots/0/key_id", json!("0".repeat(32)))).0, 10);
    // The other side was rekeyed: its values are under another key.
    assert_eq!(status(&desk.run(&["config", "rekey", "theirs.encrypted.json"])), 0);
    let theirs = desk.json("theirs.encrypted.json");
    assert_eq!(accept(&changed("/storage/url", theirs["storage"]["url"].clone())).0, 11);

    // A conflict that is not about the header's bookkeeping is a person's.
    let text = fs::read_to_string(desk.path("ours.encrypted.json")).unwrap();
    let line = "    \"port\": 9100,\n";
    assert!(text.contains(line), "{text}");
    let conflict = format!("<<<<<<< ours\n{line}=======\n    \"port\": 9200,\n>>>>>>> theirs\n");
    desk.write("m.encrypted.json", &text.replace(line, &conflict));
    let args = ["config", "encrypt", "m.encrypted.json", "--accept-merge", "--yes"];
    let output = desk.run(&args);
    assert_eq!((status(&output), words(&output).contains("CONFIG_SYNTAX")), (2, true), "{}", words(&output));
    desk.write("m.encrypted.json", &text.replace(line, &format!("{line}{line}")));
    assert_eq!(status(&desk.run(&args)), 2, "a name that is there twice");

    // What it is compared with has to be an authentic revision of the same file.
    desk.write("m.encrypted.json", &text.replace("9100", "9101"));
    assert_eq!(status(&desk.run(&["config", "encrypt", "c.toml", "-o", "x.encrypted.json"])), 0);
    let foreign = desk.run(&[&args[..], &["--against", "x.encrypted.json"]].concat());
    assert_eq!(status(&foreign), 11, "{}", words(&foreign));
}

impl Desk {
    /// One file in three revisions: base, ours with another port, theirs with another secret (and one change more).
    fn branched() -> Option<Self> {
        if !Path::new("/usr/bin/git").exists() && !Path::new("/usr/local/bin/git").exists() {
            eprintln!("skipped: git is not here");
            return None;
        }
        let desk = Self::sealed();
        let copy = |from: &str, to: &str| fs::copy(desk.path(from), desk.path(to)).unwrap();
        copy("c.encrypted.json", "ours.encrypted.json");
        copy("c.encrypted.json", "theirs.encrypted.json");
        for (file, key, value) in [
            ("ours.encrypted.json", "server.port", "9100"),
            ("theirs.encrypted.json", "spotify.client_secret", "sentinel-between"),
            ("theirs.encrypted.json", "spotify.client_secret", "sentinel-theirs"),
        ] {
            let output = desk.run_with(&["config", "set", key, "--config", file], &[], value);
            assert_eq!(status(&output), 0, "{}", words(&output));
        }
        Some(desk)
    }

    /// As `git merge` does it: into `m.encrypted.json`, conflicts marked.
    fn merge(&self) {
        let files = ["ours.encrypted.json", "c.encrypted.json", "theirs.encrypted.json"];
        let git =
            ["/usr/bin/git", "/usr/local/bin/git"].into_iter().find(|git| Path::new(git).exists()).unwrap();
        let mut command = Command::new(git);
        let merged = command.args(["merge-file", "-p"]).args(files).current_dir(&self.0).output().unwrap();
        assert_eq!(
            merged.status.code(),
            Some(1),
            "the header's bookkeeping is one conflict: {}",
            words(&merged)
        );
        self.write("m.encrypted.json", &String::from_utf8(merged.stdout).unwrap());
    }
}
