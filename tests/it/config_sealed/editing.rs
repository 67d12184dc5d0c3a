//! `config edit` with editors that are small scripts: where they edit, what becomes of it, and what is left when they
//! are stopped.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Desk, status, words};

/// What sees to it that the contents are not on a disk where this machine has memory for it.
const IN_MEMORY: &str =
    "stat -f -c %T \"$1\" >DESK/kind; stat -c %a . >DESK/modes; stat -c %a \"$1\" >>DESK/modes
env >DESK/environment; echo \"$1\" >DESK/place\n";

#[test]
fn what_the_editor_makes_of_it_is_shown_redacted_and_saved() {
    let desk = Desk::sealed();
    let before = desk.json("c.encrypted.json");
    let key = fs::read_to_string(desk.path("master.key")).unwrap();
    let script = format!("{IN_MEMORY}sed -i 's/: 9000/: 9100/; s/sentinel-client/sentinel-new/' \"$1\"");
    let env = [("SPOTIFY_MCP_MASTER_KEY_FILE", ""), ("SPOTIFY_MCP_MASTER_KEY", key.trim())];
    let output = edit(&desk, &script, &["--yes"], &env);
    assert_eq!(status(&output), 0, "{}", words(&output));
    let told = words(&output);
    assert!(told.contains("- server.port = 9000\n+ server.port = 9100\n"), "{told}");
    assert!(told.contains("- spotify.client_secret = <secret ") && !told.contains("sentinel"), "{told}");
    assert!(told.contains("EDITOR_UNKNOWN"), "{told}");

    let after = desk.json("c.encrypted.json");
    assert_eq!((&after["$sealed"]["rev"], &after["server"]["port"]), (&2.into(), &9100.into()));
    assert_eq!(after["storage"], before["storage"], "what did not change keeps its bytes");
    assert_eq!(desk.json("c.encrypted.json.bak"), before);
    let secret = desk.run(&["config", "get", "spotify.client_secret", "--config", "c.encrypted.json"]);
    assert!(words(&secret).starts_with("sentinel-new\n"), "{}", words(&secret));

    let seen = |name: &str| fs::read_to_string(desk.path(name)).unwrap();
    if fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() == 1) {
        assert_eq!(seen("kind").trim(), "tmpfs");
    }
    assert_eq!(seen("modes"), "700\n600\n");
    assert!(!seen("environment").contains(key.trim()), "an editor has no business with the key");
    let place = PathBuf::from(seen("place").trim());
    assert!(!place.exists() && !place.parent().unwrap().exists());
}

#[test]
fn what_is_no_change_or_no_configuration_changes_nothing() {
    let desk = Desk::sealed();
    let before = fs::read(desk.path("c.encrypted.json")).unwrap();
    for (script, expected, code) in [
        (":", 19, "CONFIG_UNCHANGED"),
        ("echo >>\"$1\"", 19, "CONFIG_UNCHANGED"),
        ("sed -i 's/9000/90000/' \"$1\"", 15, "CONFIG_SCHEMA"),
        ("sed -i 's/\"port\"/\"prot\"/' \"$1\"", 15, "server.port"),
        ("echo '{' >\"$1\"", 15, "CONFIG_SYNTAX"),
        ("echo '{\"$sealed\": {}}' >\"$1\"", 15, "CONFIG_SCHEMA"),
        ("rm \"$1\"", 3, "EDITOR_FAILED"),
        ("rm \"$1\"; ln -s /etc/passwd \"$1\"", 3, "EDITOR_FAILED"),
        ("sed -i 's/9000/9100/' \"$1\"; exit 1", 3, "EDITOR_FAILED"),
    ] {
        let output = edit(&desk, script, &["--yes"], &[]);
        assert_eq!(status(&output), expected, "{script}: {}", words(&output));
        assert!(words(&output).contains(code), "{script}: {}", words(&output));
        assert!(!words(&output).contains("sentinel"), "{}", words(&output));
    }
    let shown = edit(&desk, "sed -i 's/9000/9100/' \"$1\"", &["--dry-run"], &[]);
    assert_eq!(status(&shown), 0);
    assert!(words(&shown).contains("+ server.port = 9100"), "{}", words(&shown));
    // Without somebody to ask, nothing is even opened.
    let unasked = edit(&desk, "touch DESK/ran", &[], &[]);
    assert_eq!(status(&unasked), 2);
    assert!(words(&unasked).contains("CONFIRMATION_NEEDED") && !desk.path("ran").exists());
    let none =
        desk.run_with(&["config", "edit", "c.encrypted.json", "--yes"], &[("EDITOR", "/no/editor")], "");
    assert_eq!(status(&none), 3, "{}", words(&none));
    assert_eq!(fs::read(desk.path("c.encrypted.json")).unwrap(), before);
    assert!(!desk.path("c.encrypted.json.bak").exists() && !desk.path("c.encrypted.json.lock").exists());
}

#[test]
fn one_edits_at_a_time_and_nothing_that_was_typed_is_lost() {
    let desk = Desk::sealed();
    let script =
        "sed -i 's/9000/9100/' \"$1\"; touch DESK/editing; while [ -e DESK/editing ]; do sleep 0.05; done";
    let mut first = start(&desk, script);
    for args in [
        &["config", "edit", "c.encrypted.json", "--yes"][..],
        &["config", "set", "cache.enabled", "--value", "false", "--config", "c.encrypted.json"],
        &["config", "rekey", "c.encrypted.json"],
    ] {
        let output = desk.run_with(args, &[("EDITOR", "/bin/false")], "");
        assert_eq!(
            (status(&output), words(&output).contains("CONFIG_LOCKED")),
            (18, true),
            "{}",
            words(&output)
        );
    }
    // Something that asks nobody, as a checkout does.
    let sealed = desk.run(&["config", "encrypt", "c.toml", "-o", "other.encrypted.json"]);
    assert_eq!(status(&sealed), 0);
    fs::rename(desk.path("other.encrypted.json"), desk.path("c.encrypted.json")).unwrap();
    let other = fs::read(desk.path("c.encrypted.json")).unwrap();
    fs::remove_file(desk.path("editing")).unwrap();
    assert_eq!(first.wait().unwrap().code(), Some(18));
    assert_eq!(fs::read(desk.path("c.encrypted.json")).unwrap(), other);
    let kept = fs::read_to_string(desk.path("c.encrypted.json.edited")).unwrap();
    assert!(kept.contains("9100") && !kept.contains("sentinel"), "{kept}");
    let verified = desk.run(&["config", "verify", "c.encrypted.json.edited"]);
    assert_eq!(status(&verified), 0, "{}", words(&verified));
}

#[test]
fn a_signal_leaves_nothing_in_the_clear() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let desk = Desk::sealed();
        let before = fs::read(desk.path("c.encrypted.json")).unwrap();
        let script = "echo \"$1\" >DESK/place; echo $$ >DESK/pid; touch DESK/editing; exec sleep 60";
        let mut editing = start(&desk, script);
        let place = PathBuf::from(fs::read_to_string(desk.path("place")).unwrap().trim());
        assert!(fs::read_to_string(&place).unwrap().contains("sentinel-client"));
        kill_process(pid(editing.id()), signal).unwrap();
        assert_eq!(editing.wait().unwrap().code(), Some(3), "{signal:?}");
        assert!(!place.exists() && !place.parent().unwrap().exists(), "{signal:?}");
        let editor = fs::read_to_string(desk.path("pid")).unwrap();
        assert!(!Path::new("/proc").join(editor.trim()).exists(), "the editor is gone too");
        assert_eq!(fs::read(desk.path("c.encrypted.json")).unwrap(), before);
        assert!(!desk.path("c.encrypted.json.lock").exists());
    }
    // What even SIGKILL leaves goes with the next edit.
    let desk = Desk::sealed();
    let mut killed = start(&desk, "echo \"$1\" >DESK/place; touch DESK/editing; exec sleep 2");
    let place = PathBuf::from(fs::read_to_string(desk.path("place")).unwrap().trim());
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(status(&edit(&desk, ":", &["--yes"], &[])), 19);
    assert!(!place.exists());
}

/// `script` of util-linux lends a terminal.
#[test]
fn at_a_terminal_an_invalid_text_is_edited_again_and_the_change_confirmed() {
    if !Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: /usr/bin/script is not here");
        return;
    }
    let desk = Desk::sealed();
    let invalid_first = "if [ -e DESK/once ]; then sed -i 's/90000/9100/' \"$1\"
        else touch DESK/once; sed -i 's/9000/90000/' \"$1\"; fi";
    let editor = editor(&desk, invalid_first);
    let answered = |answers: &str| {
        let program = env!("CARGO_BIN_EXE_spotify-mcp");
        let line = format!("{program} config edit c.encrypted.json --allow-disk");
        let mut command = Command::new("/usr/bin/script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(&desk.0).env_clear().env("EDITOR", &editor);
        command.env("HOME", &desk.0).env("DATA_DIR", desk.path("data")).env("PATH", "/usr/bin:/bin");
        command.env("SPOTIFY_MCP_MASTER_KEY_FILE", "master.key").env("SHELL", "/bin/sh");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), answers.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (status(&output), words(&output))
    };
    let (code, told) = answered("y\nn\n");
    assert_eq!(code, 2, "{told}");
    assert!(
        told.contains("Edit again?") && told.contains("NOT_CONFIRMED") && !told.contains("sentinel"),
        "{told}"
    );
    assert_eq!(desk.json("c.encrypted.json")["$sealed"]["rev"], 1);
    fs::remove_file(desk.path("once")).unwrap();
    let (code, told) = answered("y\ny\n");
    assert_eq!(code, 0, "{told}");
    assert_eq!(desk.json("c.encrypted.json")["server"]["port"], 9100);
}

/// A script as `EDITOR`; `DESK` in it is the desk's folder, `$1` the file to edit.
fn editor(desk: &Desk, script: &str) -> String {
    let name = format!("editor-{}.sh", fs::read_dir(&desk.0).unwrap().count());
    fs::write(desk.path(&name), script.replace("DESK", desk.0.to_str().unwrap())).unwrap();
    fs::set_permissions(desk.path(&name), fs::Permissions::from_mode(0o700)).unwrap();
    format!("/bin/sh {}", desk.path(&name).display())
}

fn edit(desk: &Desk, script: &str, flags: &[&str], env: &[(&str, &str)]) -> std::process::Output {
    let editor = editor(desk, script);
    let args = [&["config", "edit", "c.encrypted.json", "--allow-disk"], flags].concat();
    desk.run_with(&args, &[env, &[("EDITOR", editor.as_str())]].concat(), "")
}

/// Starts an edit whose script says when it edits, by making `editing`.
fn start(desk: &Desk, script: &str) -> Child {
    let editor = editor(desk, script);
    let args = ["config", "edit", "c.encrypted.json", "--yes", "--allow-disk"];
    let mut command = desk.command(&args, &[("EDITOR", editor.as_str())]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    while !desk.path("editing").exists() {
        assert!(Instant::now() < patience, "the editor did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}
