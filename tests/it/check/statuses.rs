//! What a run comes to: its exit status, and why.

use super::{Here, policies, waivers};

const ONLY: [&str; 3] = ["compliance", "--only", "SMC7009"];

/// With these further words.
fn asked<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&ONLY[..], more].concat()
}

#[test]
fn waivers_hold_until_their_day_is_over_and_no_farther_than_allowed() {
    let here = Here::new();
    here.file("none.toml", "");
    here.file("expired.toml", &waivers("2020-01-01"));
    here.file("far.toml", &waivers("2999-01-01"));
    assert_eq!(here.status(&asked(&[])).0, 0);
    assert_eq!(here.status(&asked(&["--waivers", "none.toml"])).0, 0);
    assert_eq!(here.status(&asked(&["--waivers", "expired.toml"])).0, 4);
    let report = here.report(&asked(&["--waivers", "far.toml"]));
    assert_eq!((&report["summary"]["outcome"], &report["summary"]["stale"]), (&"stale".into(), &1.into()));
    let finding = &report["findings"][0];
    assert_eq!((&finding["state"], &finding["severity"]), (&"fail".into(), &"medium".into()));
    assert!(finding["observed"].as_str().unwrap().contains("at most 365 are allowed"), "{finding}");
    let bank = here.report(&asked(&["--waivers", "far.toml", "--profile", "bank"]));
    assert!(bank["findings"][0]["observed"].as_str().unwrap().contains("at most 90"), "{bank}");
}

#[test]
fn a_file_of_waivers_with_a_mistake_waives_nothing() {
    let here = Here::new();
    for (name, text, named) in [
        (
            "a.toml",
            "[[waiver]]\nid = \"SMC7009\"\nowner = \"ada\"\nreason = \"no end in sight\"\n",
            "expires",
        ),
        (
            "b.json",
            "{\"waiver\":[{\"id\":\"SMC0000\",\"owner\":\"a\",\"reason\":\"something\",\"expires\":\"2026-12-31\"}]}",
            "SMC0000",
        ),
        ("c.toml", "waiver = [", "TOML"),
        ("d.toml", "[[waivers]]\n", "waivers"),
    ] {
        here.file(name, text);
        let (status, said) = here.status(&asked(&["--waivers", name]));
        assert_eq!(status, 2, "{name}: {said}");
        assert!(said.contains("WAIVERS_INVALID") && said.contains(named), "{name}: {said}");
    }
    assert_eq!(here.status(&asked(&["--waivers", "missing.toml"])).0, 2);
}

#[test]
fn findings_are_one_and_a_baseline_leaves_what_is_new_or_worse() {
    let here = Here::new();
    here.file("expired.toml", &waivers("2020-01-01"));
    let high = policies(&here, "high").display().to_string();
    let of = |more: &[&'static str]| {
        let mut all: Vec<String> = asked(more).iter().map(|word| (*word).to_owned()).collect();
        all.extend(["--waivers", "expired.toml", "--policies"].map(str::to_owned));
        all.push(high.clone());
        all
    };
    let status = |words: Vec<String>| here.status(&words.iter().map(String::as_str).collect::<Vec<_>>()).0;
    assert_eq!(status(of(&[])), 1);
    assert_eq!(status(of(&["--fail-on", "critical"])), 0);
    assert_eq!(status(of(&["--output", "then.json"])), 1);
    assert_eq!(status(of(&["--baseline", "then.json"])), 0, "it was known");
    policies(&here, "critical");
    assert_eq!(status(of(&["--baseline", "then.json"])), 1, "it is worse");
    here.file("no.json", "{\"schema\":\"other\"}");
    assert_eq!(status(of(&["--baseline", "no.json"])), 2);
    let mut words = of(&["--baseline", "then.json"]);
    words.extend(["--format", "json"].map(str::to_owned));
    let output = here.check(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["drift"]["worse"].as_array().unwrap().len(), 1, "{report}");
    assert!(report["policies"]["origin"].as_str().unwrap().contains("1 of"), "{report}");
}

#[test]
fn what_is_asked_wrongly_is_two_and_says_what_to_do() {
    let here = Here::new();
    for (arguments, code) in [
        (&[] as &[&str], "USAGE"),
        (&["compliance", "--only", "SMC0000"], "CHECK_UNKNOWN"),
        (&["config", "--skip", "no-such-tag"], "CHECK_UNKNOWN"),
        (&["--explain", "SMC0000"], "CHECK_UNKNOWN"),
        (&["compliance", "--list"], "USAGE"),
        (&["compliance", "--profile", "nobody"], "USAGE"),
        (&["compliance", "--fail-on", "urgent"], "USAGE"),
        (&["compliance", "--format", "pdf"], "USAGE"),
        (&["compliance", "--format", "json", "--format", "sarif"], "USAGE"),
        (&["compliance", "--output", "report"], "USAGE"),
        (&["compliance", "--policies", "."], "POLICIES_INVALID"),
        (&["compliance", "--live", "https://a.example", "--offline"], "USAGE"),
        (&["attest", "sleep", "--by", "ada", "--evidence", "none"], "TASK_UNKNOWN"),
        (&["compliance", "--offline", "--only", "SMC3004"], "NOTHING_ASKED"),
        (&["compliance", "--only", "SMC3005"], "NOTHING_ASKED"),
    ] {
        let (status, said) = here.status(arguments);
        assert_eq!(status, 2, "{arguments:?}: {said}");
        assert!(said.contains(code) && said.contains("help: "), "{arguments:?}: {said}");
    }
}

#[test]
fn only_an_earlier_report_is_replaced() {
    let here = Here::new();
    let config = "[telemetry]\nlog_level = \"info\"\n";
    let outputs =
        ["r.json", "r.sarif", "r.oscal.json", "r.poam.json", "r.xml", "r.md", "r.txt", "made-before.json"];
    here.file("made-before.json", "");
    for _ in 0..2 {
        for output in outputs {
            let (status, said) =
                here.status(&["config", "--offline", "--only", "SMC2003", "--output", output]);
            assert_eq!(status, 0, "{output}: {said}");
        }
    }
    here.file("server.toml", config);
    here.file("key", "c2VjcmV0");
    for taken in ["server.toml", "key"] {
        let asked =
            ["config", "--offline", "--only", "SMC2003", "--config", "server.toml", "--format", "json"];
        let (status, said) = here.status(&[&asked[..], &["--output", taken]].concat());
        assert!(status == 2 && said.contains("OUTPUT_TAKEN"), "{taken}: {status} {said}");
    }
    assert_eq!(std::fs::read_to_string(here.0.join("server.toml")).unwrap(), config);
}

#[test]
fn an_argument_that_would_be_ignored_is_two() {
    let here = Here::new();
    here.file("there", "");
    for (arguments, code) in [
        (&["config", "--lockfile", "there"][..], "deps or compliance"),
        (&["config", "--advisory-db", "there"], "deps or compliance"),
        (&["config", "--sbom", "bill.json"], "deps or compliance"),
        (&["deps", "--live", "https://a.example"], "network or compliance"),
        (&["runtime", "--ca", "there"], "network or compliance"),
        (&["network", "--pid", "1"], "runtime or compliance"),
        (&["deps", "--offline", "--probe"], "config, network or compliance"),
        (&["deps", "--offline", "--release-manifest", "/nope"], "INPUT_MISSING"),
        (&["compliance", "--offline", "--advisory-db", "/nope"], "INPUT_MISSING"),
        (&["deps", "--offline", "--lockfile", "/nope"], "INPUT_MISSING"),
        (&["deps", "--offline", "--registry-index", "/nope"], "INPUT_MISSING"),
        (&["network", "--ca", "/nope"], "INPUT_MISSING"),
        (&["config", "--env-file", "/nope"], "INPUT_MISSING"),
        (&["deps", "--offline", "--env-file", "."], "INPUT_MISSING"),
        (&["runtime", "--system-root", "/nope"], "INPUT_MISSING"),
        (&["network", "--address", "bogus"], "no HOST:PORT"),
        (&["network", "--address", "bogus", "--offline"], "USAGE"),
        (&["network", "--live", "music.example.com"], "no http or https URL"),
        (&["network", "--live", "https://music.example.com/?t=hunter2"], "a query stands in --live"),
    ] {
        let (status, said) = here.status(arguments);
        assert!(
            status == 2 && said.contains(code) && said.contains("help: "),
            "{arguments:?}: {status} {said}"
        );
    }
    assert!(!here.0.join("bill.json").exists());
}

#[test]
fn a_password_in_an_address_is_refused_and_shown_nowhere() {
    let here = Here::new();
    for arguments in [
        &["network", "--live", "http://user:s3cretpw@127.0.0.1:8470/"][..],
        &["network", "--live=http://user:s3cretpw@[bad"],
        &["network", "--address", "user:s3cretpw@127.0.0.1:443"],
        &["deps", "--fetch-advisories=https://user:s3cretpw@mirror.example/db.tar.gz"],
    ] {
        let output = here.check(&[arguments, &["--format", "json", "--output", "r.sarif"]].concat());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("URL_WITH_CREDENTIALS") && !said.contains("s3cretpw"), "{arguments:?}: {said}");
        assert!(!here.0.join("r.sarif").exists());
    }
}

#[test]
fn policies_that_are_less_than_the_built_in_ones_are_refused() {
    let here = Here::new();
    for (name, text, named) in [
        ("checks/supply.toml", "", " is missing"),
        ("checks/suply.toml", "", "no file of this name"),
        ("profiles.toml", "[[profile]]\nid = \"bank\"\n", "profiles.toml"),
        ("tasks.toml", "[[task]]\nid = \"a\"\n", "tasks.toml"),
    ] {
        let folder = format!("p-{}", name.replace('/', "-"));
        here.file(&format!("{folder}/{name}"), text);
        let (status, said) = here.status(&asked(&["--policies", &folder]));
        assert_eq!(status, 2, "{name}: {said}");
        assert!(said.contains(named), "{name}: {said}");
    }
}

#[test]
fn other_commands_write_text_or_json_alone() {
    let here = Here::new();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_spotify-mcp"))
        .args(["config", "keygen", "--format", "sarif"])
        .current_dir(&here.0)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("not sarif") && output.stdout.is_empty(), "{said}");
}

#[test]
fn every_check_is_listed_and_explained() {
    let here = Here::new();
    let list = here.report(&["--list"]);
    let ids: Vec<&str> =
        list["checks"].as_array().unwrap().iter().map(|check| check["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"SMC7009"));
    assert_eq!(list["frameworks"].as_array().unwrap().len(), 10);
    assert!(list["tasks"].as_array().unwrap().iter().any(|task| task["id"] == "restore-test"));
    let explained = here.report(&["--explain", "smc7009"]);
    assert_eq!(explained["profiles"]["bank"]["parameters"]["most_days"], "90");
    let text = String::from_utf8(here.check(&["--explain", "WaiversSound"]).stdout).unwrap();
    for word in ["expected", "why", "fix", "verify", "OWASP Top 10 2025: A06", "A04:2021"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let page = String::from_utf8(here.check(&["--list"]).stdout).unwrap();
    for line in text.lines().chain(page.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn what_asks_nothing_is_refused_and_names_the_area_that_has_it() {
    let here = Here::new();
    for asked in [
        &["config", "--only", "SMC3004"][..],
        &["deps", "--only", "SMC1001"],
        &["runtime", "--only", "vulnerabilities"],
    ] {
        let (status, said) = here.status(asked);
        assert_eq!(status, 2, "{asked:?}: {said}");
        assert!(said.contains("CHECK_ELSEWHERE") && said.contains("security-check"), "{said}");
    }
    let (status, said) = here.status(&["compliance", "--only", "SMC1001", "--skip", "SMC1001"]);
    assert!(status == 2 && said.contains("NOTHING_ASKED"), "{status}: {said}");
}

#[test]
fn a_file_that_says_no_environment_or_cannot_be_read_is_not_judged_by_the_mildest() {
    let here = Here::new();
    here.file("lost.toml", "[server]\npublic_url = \"https://music.example.org\"\n");
    let lost = here.report(&["config", "--config", "lost.toml", "--offline"]);
    assert_eq!(lost["profile"], "production", "{lost:#}");
    let status = here.status(&["config", "--config", "lost.toml", "--offline", "--only", "SMC2011"]).0;
    assert_eq!(status, 1);
    let missing = ["config", "--config", "missing.toml", "--offline", "--only", "SMC2011"];
    let (status, report) = (here.status(&missing).0, here.report(&missing));
    assert_eq!((status, &report["profile"]), (3, &"production".into()), "{report:#}");
    let fix = report["findings"][0]["fix"].as_str().unwrap();
    assert!(!fix.is_empty(), "{report:#}");
}

#[test]
fn the_command_that_looks_again_looks_at_the_same_thing() {
    let here = Here::new();
    here.file("lost.toml", "[server]\npublic_url = \"https://music.example.org\"\n");
    let report = here.report(&["config", "--config", "lost.toml", "--profile", "bank", "--only", "SMC2011"]);
    let verify = report["findings"][0]["verify"].as_str().unwrap();
    assert_eq!(verify, "spotify-mcp security-check config --only SMC2011 --config lost.toml --profile bank");
}

#[test]
fn what_could_not_be_seen_is_not_mended_by_ending_everything() {
    let here = Here::new();
    here.file(
        "c.toml",
        "[security]\nenvironment = \"production\"\n[server]\npublic_url = \"https://music.example.org\"\n",
    );
    let report = here.report(&["config", "--config", "c.toml", "--offline"]);
    let errors = report["findings"].as_array().unwrap().iter().filter(|one| one["state"] == "error");
    let fixes: Vec<&str> = errors.map(|one| one["fix"].as_str().unwrap()).collect();
    assert!(fixes.len() > 10, "{report:#}");
    assert!(
        !fixes.iter().any(|fix| fix.contains("revoke-sessions") || fix.contains("incident")),
        "{fixes:#?}"
    );
}
