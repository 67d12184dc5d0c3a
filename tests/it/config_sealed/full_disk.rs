//! A disk without room under every command that writes a sealed file: the file stays as it was, and nothing is left beside.

use std::fs;
use std::process::Stdio;

use super::{Desk, status, words};

/// Runs a command that may write files of so many KiB at most, as on a full disk.
fn run_within(desk: &Desk, kib: u32, args: &[&str], env: &[(&str, &str)]) -> (i32, String) {
    let mut shell = desk.command(&[], env);
    let binary = shell.get_program().to_owned();
    let environment: Vec<_> =
        shell.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    shell = std::process::Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    shell.env_clear().envs(environment).env("PATH", "/usr/bin:/bin").current_dir(desk.path("."));
    shell.arg("-c").arg(script).arg(binary).args(args).stdin(Stdio::null());
    let output = shell.output().unwrap();
    (status(&output), words(&output))
}

fn names(desk: &Desk) -> Vec<String> {
    let entries = fs::read_dir(desk.path(".")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn without_room_every_command_leaves_the_sealed_file_as_it_was() {
    let desk = Desk::sealed();
    desk.write("editor", "#!/bin/sh\nsed -i 's/9000/9100/' \"$1\"\n");
    fs::set_permissions(desk.path("editor"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let editor = desk.path("editor").display().to_string();
    let before = fs::read(desk.path("c.encrypted.json")).unwrap();
    let plain = fs::read(desk.path("c.toml")).unwrap();
    let there = names(&desk);
    let file = "c.encrypted.json";
    for args in [
        &["config", "set", "server.port", "--value", "9100", "--config", file][..],
        &["config", "rekey", file],
        &["config", "rekey", file, "--new-master-key-file", "master.key"],
        &["config", "edit", file, "--yes"],
        &["config", "slot", "add", file, "--new-master-key-file", "master.key"],
        &["config", "encrypt", "c.toml", "-o", "other.encrypted.json"],
        &["config", "encrypt", "c.toml", "-o", file, "--force"],
    ] {
        // What is in the clear is smaller than 1 KiB, what is sealed larger.
        let (code, text) = run_within(&desk, 1, args, &[("EDITOR", &editor)]);
        assert_eq!(code, 3, "{args:?}: {text}");
        assert!(text.contains("FILE_UNWRITABLE") && !text.contains("sentinel"), "{args:?}: {text}");
        assert!(!args.contains(&"edit") || text.contains("EDIT_NOT_KEPT"), "{text}");
        assert_eq!(fs::read(desk.path(file)).unwrap(), before, "{args:?}");
        assert_eq!(fs::read(desk.path("c.toml")).unwrap(), plain, "{args:?}");
        assert_eq!(names(&desk), there, "{args:?}");
    }
    // A key that has no room is not half there either, and no slot names it.
    for args in [
        &["config", "slot", "add", file, "--recovery-out", "recovery.key"][..],
        &["config", "rekey", file, "--new-master-key-file", "fresh.key"],
        &["config", "keygen", "-o", "fresh.key"],
        &["config", "decrypt", file, "-o", "plain.json"],
    ] {
        let (code, text) = run_within(&desk, 0, args, &[]);
        assert!(matches!(code, 2 | 3), "{args:?}: {text}");
        assert_eq!(fs::read(desk.path(file)).unwrap(), before, "{args:?}");
        assert_eq!(names(&desk), there, "{args:?}");
    }
    let (code, text) = run_within(&desk, 64, &["config", "verify", file], &[]);
    assert_eq!(code, 0, "{text}");
}
