//! `config exec`: which values a program gets, how, and nothing else.

use std::process::{Command, Output, Stdio};

use super::{Desk, status, words};

const ONLY: &str = "spotify.client_secret,server.port";

#[test]
fn a_program_gets_what_is_named_by_descriptor_and_nothing_else() {
    let desk = Desk::sealed();
    let run = |command: &[&str]| {
        let args = [&["config", "exec", "c.encrypted.json", "--only", ONLY, "--"], command].concat();
        desk.run(&args)
    };
    let environment = run(&["/usr/bin/env"]);
    assert_eq!(status(&environment), 0, "{}", words(&environment));
    let text = String::from_utf8(environment.stdout.clone()).unwrap();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    let port = ["SPOTIFY_MCP__SERVER__PORT_FD", "SPOTIFY_MCP__SERVER__PORT_FILE"];
    let secret = ["SPOTIFY_MCP__SPOTIFY__CLIENT_SECRET_FD", "SPOTIFY_MCP__SPOTIFY__CLIENT_SECRET_FILE"];
    assert_eq!(names, [port, secret].concat(), "the desk has no PATH");
    assert!(!words(&environment).contains("sentinel"), "{}", words(&environment));

    let by_number = run(&["/bin/sh", "-c", "eval \"cat <&$SPOTIFY_MCP__SPOTIFY__CLIENT_SECRET_FD\""]);
    assert_eq!(String::from_utf8_lossy(&by_number.stdout), "sentinel-client");
    let by_name =
        run(&["/bin/sh", "-c", "cat $SPOTIFY_MCP__SERVER__PORT_FILE $SPOTIFY_MCP__SERVER__PORT_FILE"]);
    assert_eq!(String::from_utf8_lossy(&by_name.stdout), "90009000");
    let counted = |output: &Output| String::from_utf8_lossy(&output.stdout).trim().parse::<usize>().unwrap();
    let count = "set -- /proc/$$/fd/*; echo $#";
    let usual = Command::new("/bin/sh").args(["-c", count]).stdin(Stdio::piped()).output().unwrap();
    assert_eq!(counted(&run(&["/bin/sh", "-c", count])), counted(&usual) + 2, "two values and nothing else");
    let written = run(&["/bin/sh", "-c", "echo x >$SPOTIFY_MCP__SERVER__PORT_FILE"]);
    assert_ne!(status(&written), 0, "what is passed is not changed");

    assert_eq!(status(&run(&["/bin/sh", "-c", "exit 42"])), 42, "the program's end is the command's");
    let absent = run(&["/no/such/program"]);
    assert_eq!((status(&absent), words(&absent).contains("EXEC_FAILED")), (3, true), "{}", words(&absent));
}

#[test]
fn values_stand_in_the_environment_only_where_that_was_said() {
    let desk = Desk::sealed();
    let run = |args: &[&str]| desk.run(&[&["config", "exec", "c.encrypted.json"], args].concat());
    let output =
        run(&["--only", "storage.url,spotify.apps", "--env", "--pass", "HOME", "--", "/usr/bin/env"]);
    let text = words(&output);
    assert_eq!(status(&output), 0, "{text}");
    // As a server would have it: the variable is replaced.
    assert!(
        text.contains("SPOTIFY_MCP__STORAGE__URL=postgres://music:sentinel-word@127.0.0.1:1/music\n"),
        "{text}"
    );
    assert!(text.contains("SPOTIFY_MCP__SPOTIFY__APPS=[{") && text.contains("sentinel-app"), "{text}");
    assert!(
        text.contains("HOME=") && !text.contains("MASTER_KEY") && !text.contains("sentinel-client"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_given_is_refused_before_the_program_starts() {
    let desk = Desk::sealed();
    let run = |only: &str, env: &[(&str, &str)]| {
        let args = ["config", "exec", "c.encrypted.json", "--only", only, "--", "/bin/sh", "-c", "touch ran"];
        let output = desk.run_with(&args, env, "");
        (status(&output), words(&output))
    };
    let other = desk.key("other.key");
    for (only, env, expected, code) in [
        ("spotify.clientid", &[][..], 2, "CONFIG_UNKNOWN_KEY"),
        ("cache.enabled", &[], 2, "CONFIG_KEY_UNSET"),
        ("storage.url", &[("WORD", "")], 2, "CONFIG_VARIABLE_UNSET"),
        ("server.port", &[("SPOTIFY_MCP_MASTER_KEY_FILE", other.as_str())], 10, "CONFIG_WRONG_KEY"),
        ("server.port", &[("SPOTIFY_MCP_MASTER_KEY_FILE", "")], 16, "CONFIG_NO_KEY_SOURCE"),
    ] {
        let (found, text) = run(only, env);
        assert_eq!((found, text.contains(code)), (expected, true), "{only}: {text}");
    }
    assert_eq!(status(&desk.run(&["config", "exec", "c.encrypted.json", "--", "/bin/true"])), 2);
    assert!(!desk.path("ran").exists());
}
