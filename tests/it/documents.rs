//! What SECURITY.md and docs/sandbox.md claim can be found: every test that they name exists where they say, and the
//! table of security headers is the code's; README.md explains every code.

use std::fs;
use std::path::Path;

use spotify_mcp::web::headers::{Class, of};

#[test]
fn every_test_that_the_threat_model_names_exists() {
    assert!(tests_named_in("SECURITY.md") > 40, "its tables have another form than this test reads");
}

#[test]
fn every_test_that_the_table_of_the_sandbox_names_exists() {
    assert!(tests_named_in("docs/sandbox.md") > 40, "its tables have another form than this test reads");
}

/// How many tests the tables of a document name; all of them are there.
fn tests_named_in(document: &str) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(document)).unwrap();
    let (mut named, mut wrong) = (0, Vec::new());
    for row in text.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`")) {
        // Within a row: a file in code marks, then the tests in it.
        let mut source = String::new();
        for code in row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2) {
            if code.ends_with(".rs") {
                source =
                    fs::read_to_string(root.join(code)).unwrap_or_else(|error| panic!("{code}: {error}"));
            } else {
                named += 1;
                if !source.contains(&format!("fn {code}(")) {
                    wrong.push(code.to_owned());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{document} names tests that are not there: {wrong:#?}");
    named
}

#[test]
fn the_table_of_security_headers_is_the_codes() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md")).unwrap();
    for class in Class::ALL {
        let fields: Vec<String> = of(class).map(|(name, value)| format!("`{name}: {value}`")).collect();
        let row = format!("| {} | {} |", class.answers(), fields.join("<br>"));
        assert!(text.lines().any(|line| line == row), "SECURITY.md needs this row:\n{row}");
    }
    let rows = text.lines().filter(|line| line.contains("`x-content-type-options: nosniff`")).count();
    assert_eq!(rows, Class::ALL.len(), "SECURITY.md has rows of classes that are gone");
}

#[test]
fn the_readme_explains_every_code_of_commands_and_starts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let table =
        readme.split("## Troubleshooting by code").nth(1).unwrap().split("## Develop").next().unwrap();
    let explained: Vec<_> = table.split('`').skip(1).step_by(2).collect();
    let variables = fs::read_to_string(root.join("src/config/table.rs")).unwrap();
    let others = [
        "CREDENTIALS_DIRECTORY",
        "DIE_AT",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "NO_COLOR",
        "SUDO_USER",
        "CARGO_PKG_VERSION",
        "CARGO_MANIFEST_DIR",
    ];
    let mut said = Vec::new();
    for place in ["src/cli", "src/config", "policies"] {
        codes(&root.join(place), &mut said);
    }
    said.retain(|code| !variables.contains(&format!("\"{code}\"")) && !others.contains(&code.as_str()));
    said.retain(|code| {
        !code.starts_with("SPOTIFY_MCP") && code.starts_with(|c: char| c.is_ascii_uppercase())
    });
    assert!(said.len() > 50, "codes have another form than this test reads");
    let is_explained = |code: &String| {
        explained.iter().any(|known| {
            known == code || known.strip_suffix("...").is_some_and(|start| code.starts_with(start))
        })
    };
    said.retain(|code| !is_explained(code));
    assert!(said.is_empty(), "README.md does not explain {said:?}");
}

/// Quoted words in capitals with an underscore, outside of tests.
fn codes(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes(&path, into);
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let is_code = |word: &&str| {
                word.contains('_') && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            };
            into.extend(text.split('"').filter(is_code).map(str::to_owned));
        }
    }
}
