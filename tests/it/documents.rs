//! What SECURITY.md claims can be found: every test that it names exists where it says, and its table of security
//! headers is the code's.

use std::fs;
use std::path::Path;

use spotify_mcp::web::headers::{Class, of};

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
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
    assert!(named > 40, "the tables of SECURITY.md have another form than this test reads");
    assert!(wrong.is_empty(), "SECURITY.md names tests that are not there: {wrong:#?}");
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
