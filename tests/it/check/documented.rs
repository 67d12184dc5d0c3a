//! Every command of docs/security-check.md is one that works, and writes what it says.

use std::path::Path;
use std::process::Command;

use super::Here;
use super::configured::Desk;

fn document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security-check.md")).unwrap()
}

/// What stands in blocks that begin so.
fn blocks(kind: &str) -> Vec<String> {
    let text = document();
    let mut found = Vec::new();
    let mut open: Option<(String, Vec<&str>)> = None;
    for line in text.lines() {
        open = match (line.strip_prefix("```"), open) {
            (Some(kind), None) => Some((kind.to_owned(), Vec::new())),
            (Some(_), Some((of, lines))) => {
                found.push((of, lines.join("\n")));
                None
            }
            (None, Some((of, mut lines))) => {
                lines.push(line);
                Some((of, lines))
            }
            (None, None) => None,
        };
    }
    found.into_iter().filter(|(of, _)| of == kind).map(|(_, text)| text).collect()
}

/// The commands below `run:` and behind `entry:` in YAML; what is folded (`>`) in one line.
fn of_yaml(text: &str) -> Vec<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut commands = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let said = line.trim_start().trim_start_matches("- ");
        let Some(command) = said.strip_prefix("run:").or_else(|| said.strip_prefix("entry:")) else {
            continue;
        };
        let joint = match command.trim() {
            ">" => " ",
            "|" => "\n",
            one => {
                commands.push(one.to_owned());
                continue;
            }
        };
        let mut command = String::new();
        while let Some(more) = lines.next_if(|next| depth(next) > depth(line)) {
            command += joint;
            command += more.trim();
        }
        commands.push(command.trim().to_owned());
    }
    commands
}

/// Runs it as a shell does, the built program on its path.
fn shell(desk: &Desk, command: &str) -> (i32, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_spotify-mcp")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(&desk.path)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
        .env("HOME", &desk.path)
        .env("GITHUB_STEP_SUMMARY", desk.path.join("summary.md"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn every_command_of_the_document_is_understood_and_writes_what_it_names() {
    let desk = Desk::new();
    let blocks = blocks("");
    let commands: Vec<&str> = blocks
        .iter()
        .flat_map(|block| block.lines())
        .filter(|line| line.starts_with("spotify-mcp"))
        .collect();
    assert!(commands.len() >= 6, "the document has another form than this test reads: {commands:?}");
    for command in commands {
        let (status, said) = shell(&desk, command);
        // What an attestation is stored in, no server has made here.
        let may = if command.contains(" attest ") { &[3][..] } else { &[0, 1, 3, 4] };
        assert!(may.contains(&status), "{command}: {status} {said}");
        for file in command.split_whitespace().filter(|word| word.starts_with("report.")) {
            assert!(desk.path.join(file).metadata().unwrap().len() > 100, "{command}: {file}");
        }
    }
}

/// A repository as the examples think of it: what a server is configured by, without a key or anything of a server.
fn repository() -> Desk {
    let desk = Desk::new();
    std::fs::remove_file(desk.path.join("master.key")).unwrap();
    std::fs::remove_dir_all(desk.path.join("data")).unwrap();
    std::fs::remove_file(desk.path.join("server.toml")).unwrap();
    std::fs::create_dir(desk.path.join("deploy")).unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/server.toml");
    std::fs::copy(own, desk.path.join("deploy/server.toml")).unwrap();
    desk
}

#[test]
fn the_workflow_and_the_hook_pass_in_a_sound_repository_and_fail_in_another() {
    let all: Vec<String> = blocks("yaml").iter().flat_map(|block| of_yaml(block)).collect();
    let checks: Vec<&String> = all.iter().filter(|command| command.contains("security-check ")).collect();
    assert_eq!(checks.len(), 2, "a workflow and a hook: {all:#?}");
    let desk = repository();
    for command in &checks {
        let (status, said) = shell(&desk, command);
        assert_eq!(status, 0, "{command}: {said}");
    }
    let sarif = std::fs::read_to_string(desk.path.join("security-check.sarif")).unwrap();
    assert!(sarif.contains("2.1.0"));
    let summary = all.iter().find(|command| command.contains("GITHUB_STEP_SUMMARY")).unwrap();
    assert_eq!(shell(&desk, summary).0, 0);
    assert!(std::fs::read_to_string(desk.path.join("summary.md")).unwrap().contains("SMC2011"));
    // Somebody writes plain HTTP into it.
    let path = desk.path.join("deploy/server.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("https://music", "http://music");
    std::fs::write(&path, text).unwrap();
    for command in &checks {
        let (status, said) = shell(&desk, command);
        let report = std::fs::read_to_string(desk.path.join("security-check.md")).unwrap();
        // The workflow's command says it in its files alone.
        let named = said.contains("SMC2013") || (command.contains(".md") && report.contains("SMC2013"));
        assert!(status == 1 && named, "{command}: {status} {said}");
    }
}

#[test]
fn a_bill_of_materials_is_written_once_asked_and_lies_in_the_evidence_of_packages() {
    let here = Here::new();
    let asked = ["deps", "--offline", "--sbom", "bill.json", "--evidence-dir", "evidence", "--quiet"];
    let (_, said) = here.status(&asked);
    let bundle = std::fs::read_dir(here.0.join("evidence")).unwrap().next().unwrap().unwrap().path();
    let evidence: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(bundle.join("manifest.json")).unwrap()).unwrap();
    assert!(evidence["evidence"]["files"]["sbom.cdx.json"]["sha256"].is_string(), "{said} {evidence:#}");
    assert_eq!(std::fs::read_to_string(bundle.join("sbom.cdx.json")).unwrap(), here.read("bill.json"));
}
