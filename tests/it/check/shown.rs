//! `security-check self-test`: every check seen passing and failing, by policies that may be one's own.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Here;

#[test]
fn every_check_of_the_list_is_shown_both_ways() {
    let here = Here::new();
    let tried = here.report(&["self-test"]);
    let list = here.report(&["--list"]);
    let ids = |of: &Value| -> Vec<String> {
        let all = of["checks"].as_array().unwrap().iter();
        let mut ids: Vec<String> = all.map(|check| check["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids.dedup();
        ids
    };
    assert_eq!(ids(&tried), ids(&list));
    for check in tried["checks"].as_array().unwrap() {
        assert_eq!(check["shown"], true, "{check:#}");
        let states = |of: &str| -> Vec<Value> {
            check[of].as_array().unwrap().iter().map(|verdict| verdict["state"].clone()).collect()
        };
        assert!(states("sound").iter().all(|state| state == "pass"), "{check:#}");
        assert!(states("changed").contains(&"fail".into()), "{check:#}");
        assert!(!check["mutation"].as_str().unwrap().is_empty(), "{check:#}");
    }
    // What files show is shown on files, by the very look that a server's get.
    let on = |proof: &str| -> Vec<&str> {
        let all = tried["checks"].as_array().unwrap().iter().filter(|check| check["proof"] == proof);
        all.map(|check| check["id"].as_str().unwrap()).collect()
    };
    let files = [
        "SMC1001", "SMC1002", "SMC1003", "SMC1005", "SMC1006", "SMC1007", "SMC1009", "SMC2001", "SMC2002",
        "SMC2003", "SMC2004", "SMC2005", "SMC2006", "SMC2007", "SMC2008", "SMC2010", "SMC2011", "SMC2012",
        "SMC2013", "SMC2014", "SMC2015", "SMC2017", "SMC3001", "SMC3002", "SMC3003", "SMC3008", "SMC3011",
        "SMC3012", "SMC3013", "SMC5001", "SMC5005", "SMC5007", "SMC6001", "SMC6003", "SMC9001", "SMC9002",
        "SMC9003", "SMC9004", "SMC9005", "SMC9006", "SMC9007", "SMC9008", "SMC9010",
    ];
    assert_eq!(on("files"), files, "{tried:#}");
    assert_eq!(on("listeners"), ["SMC4001", "SMC4002", "SMC4003", "SMC4017"], "{tried:#}");
    assert_eq!(tried["shown"], tried["checks"].as_array().unwrap().len());
    let (status, _) = here.status(&["self-test"]);
    assert_eq!(status, 0);
}

#[test]
fn without_a_folder_made_up_facts_show_every_check() {
    let here = Here::new();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_spotify-mcp"))
        .args(["security-check", "self-test", "--format", "json"])
        .env_clear()
        .env("TMPDIR", here.0.join("nowhere"))
        .output()
        .unwrap();
    let tried: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{tried:#}");
    for check in tried["checks"].as_array().unwrap() {
        if check["proof"] == "listeners" {
            continue;
        }
        assert_eq!(check["proof"], "facts");
        assert!(check["on_facts_because"].as_str().unwrap().contains("TMPDIR"), "{check:#}");
    }
}

#[test]
fn the_table_fits_a_terminal_and_says_what_was_wrong() {
    let here = Here::new();
    for more in [&["self-test"][..], &["self-test", "-v"]] {
        let page = String::from_utf8(here.check(more).stdout).unwrap();
        assert!(page.contains("SMC1001") && page.contains("the master key is too short"), "{page}");
        for line in page.lines() {
            // A word that is longer than a line stays whole.
            let is_one_word = line.split_whitespace().count() == 1;
            assert!((line.chars().count() <= 80 || is_one_word) && !line.contains('\u{1b}'), "{line}");
        }
    }
    let one = String::from_utf8(here.check(&["self-test", "--only", "SMC1001", "-v"]).stdout).unwrap();
    assert!(one.contains("1 of 1 rule seen") && one.contains("fails with"), "{one}");
}

#[test]
fn a_policy_without_teeth_is_named_and_is_one() {
    let here = Here::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/checks/audit.toml");
    let text = fs::read_to_string(source).unwrap();
    let wide = text.replacen("most_seconds = 10", "most_seconds = 1000000", 1);
    assert_ne!(wide, text);
    here.file("ours/checks/audit.toml", &wide);
    let output = here.check(&["self-test", "--policies", "ours"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{page}");
    assert!(page.contains("SMC6004  NOT SHOWN  where something is wrong it does not fail"), "{page}");
}

#[test]
fn what_is_asked_wrongly_is_two() {
    let here = Here::new();
    for (arguments, code) in [
        (&["self-test", "--only", "SMC0000"][..], "CHECK_UNKNOWN"),
        (&["self-test", "--profile", "nobody"], "USAGE"),
        (&["self-test", "--policies", "nowhere"], "POLICIES_INVALID"),
    ] {
        let (status, said) = here.status(arguments);
        assert!(status == 2 && said.contains(code), "{arguments:?}: {status} {said}");
    }
}
