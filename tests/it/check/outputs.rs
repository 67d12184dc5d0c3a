//! Where reports go, in which form, and with which rights.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;

use super::Here;

const ONLY: [&str; 3] = ["compliance", "--only", "SMC7009"];

fn asked<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&ONLY[..], more].concat()
}

#[test]
fn one_run_writes_every_form_for_its_owner_alone() {
    let here = Here::new();
    let files = ["a.json", "b.sarif", "c.oscal.json", "d.xml", "e.md", "f.txt"];
    let outputs: Vec<&str> = files.iter().flat_map(|file| ["--output", file]).collect();
    let output = here.check(&asked(&outputs));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty(), "every report is in a file");
    for file in files {
        let mode = fs::metadata(here.0.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let json: Value = serde_json::from_str(&here.read("a.json")).unwrap();
    assert_eq!(json["schema"], "spotify-mcp/security-check/v1");
    let sarif: Value = serde_json::from_str(&here.read("b.sarif")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let oscal: Value = serde_json::from_str(&here.read("c.oscal.json")).unwrap();
    assert_eq!(oscal["assessment-results"]["metadata"]["oscal-version"], "1.2.1");
    assert!(here.read("d.xml").starts_with("<?xml") && here.read("e.md").starts_with("# Security report"));
    assert!(here.read("f.txt").contains("POSTURE SCORE"));
    // Again, over what is there.
    assert_eq!(here.status(&asked(&outputs)).0, 0);
    let names: Vec<_> = fs::read_dir(&here.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{names:?}");
}

#[test]
fn a_format_says_more_than_an_extension_and_one_is_left_for_the_terminal() {
    let here = Here::new();
    assert_eq!(here.status(&asked(&["--format", "sarif", "--output", "r.json"])).0, 0);
    assert!(here.read("r.json").contains("\"version\": \"2.1.0\""));
    let output = here.check(&asked(&["--format", "text", "--format", "junit", "--output", "r.xml"]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("POSTURE SCORE"));
    assert!(here.read("r.xml").starts_with("<?xml"));
}

#[test]
fn a_format_that_is_said_holds_for_standard_output_and_no_file_is_written_twice() {
    let here = Here::new();
    let output = here.check(&asked(&["--format", "json", "--output", "-", "--output", "r.json"]));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kept: Value = serde_json::from_str(&here.read("r.json")).unwrap();
    assert_eq!(shown, kept);
    let (status, said) = here.status(&asked(&["--output", "a.json", "--output", "./a.json"]));
    assert!(status == 2 && said.contains("two reports"), "{status} {said}");
    assert!(!here.0.join("a.json").exists());
}

#[test]
fn what_standard_output_does_not_take_is_three_and_a_reader_that_left_is_no_fault() {
    let here = Here::new();
    let into = |stdout: std::process::Stdio, words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_spotify-mcp"));
        let output = command.args(words).current_dir(&here.0).env_clear().stdout(stdout).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into();
    let check = ["security-check", "compliance", "--only", "SMC7009", "--offline"];
    for words in [&check[..], &["security-check", "--list"], &["config", "keygen"], &["--help"]] {
        let (status, said) = into(full(), words);
        assert!(status == 3 && said.contains("OUTPUT_UNWRITTEN"), "{words:?}: {status} {said}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (status, said) = into(writer.into(), &check);
    assert!(status == 0 && said.is_empty(), "{status} {said}");
}

#[test]
fn nothing_is_written_through_a_link_and_what_cannot_be_written_is_three() {
    let here = Here::new();
    here.file("elsewhere.json", "precious");
    symlink(here.0.join("elsewhere.json"), here.0.join("link.json")).unwrap();
    fs::create_dir(here.0.join("folder.json")).unwrap();
    for (path, why) in [
        ("link.json", "symbolic link"),
        ("folder.json", "no file"),
        ("nowhere/r.json", "no such file or folder"),
        ("/proc/r.json", "cannot be written"),
    ] {
        let (status, said) = here.status(&asked(&["--output", path, "--output", "other.json"]));
        assert_eq!(status, 3, "{path}: {said}");
        assert!(said.contains("REPORT_UNWRITTEN") && said.contains(why), "{path}: {said}");
        assert!(here.read("other.json").contains("security-check"), "the other report is written");
    }
    assert_eq!(here.read("elsewhere.json"), "precious");
}

#[test]
fn a_page_for_people_has_no_colour_where_it_is_no_terminal() {
    let here = Here::new();
    let text = String::from_utf8(here.check(&asked(&["-v"])).stdout).unwrap();
    assert!(!text.contains('\u{1b}') && text.contains("DOES NOT APPLY (1)"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
