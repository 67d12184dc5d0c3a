//! Every form of one report that has a finding of every weight, with names that try to break out of it.

use serde_json::{Value, json};

use super::structure;
use super::*;
use crate::check::baseline::{Baseline, SCHEMA};
use crate::check::coverage::coverage;
use crate::check::finding::State;
use crate::check::outcome::weigh;
use crate::check::proving::{NOW, catalogue_of, finding};
use crate::check::waiver::{Bounds, Waivers, parse};

const CHECKS: &[(&str, &str)] = &[
    ("SMC1001", "owasp_top10_2025 = [\"A04\"]\nowasp_asvs_5 = [\"11.5.1\"]\ncwe = [\"CWE-321\"]"),
    ("SMC1002", "spotify_policy = [\"Terms A.5.c\"]"),
    ("SMC1003", "nist_csf_2 = [\"PR.DS-01\"]"),
    ("SMC1004", "iso_27001_2022 = [\"A.8.24\"]"),
    ("SMC1005", "soc2_2017 = [\"CC6.1\"]"),
    ("SMC1006", "owasp_top10_2025 = [\"A01\"]"),
    ("SMC1007", "owasp_mcp_2025 = [\"MCP01\"]"),
    ("SMC1008", "k8s_restricted = [\"runAsNonRoot\"]"),
    ("SMC1009", "nsa_mcp = [\"N1\"]"),
];

/// What somebody who can name things would write.
const HOSTILE: &str = "]]>\"'<script>&amp; | `x` \u{1b}[31m \u{202e}# [a](javascript:b)";

fn waivers(catalogue: &Catalogue) -> Waivers {
    let of = |id: &str, expires: &str| json!({ "id": id, "owner": "ada <a|b>", "reason": "replaced next month & gone", "expires": expires });
    let list = json!({ "waiver": [of("SMC1004", "2026-12-31"), of("SMC1005", "2026-11-01")] });
    parse(list.as_object().unwrap(), catalogue).unwrap()
}

fn baseline() -> Baseline {
    let then = json!({ "schema": SCHEMA, "generated_at": "2026-11-01T00:00:00.000Z", "asked": "compliance",
        "findings": [
            { "id": "SMC1006", "subject": "", "state": "fail", "severity": "high" },
            { "id": "SMC1007", "subject": "", "state": "fail", "severity": "low" },
        ] });
    Baseline::parse(&then.to_string()).unwrap()
}

fn findings(catalogue: &Catalogue) -> Vec<crate::check::Finding> {
    let mut all: Vec<_> = [
        ("SMC1001", State::Fail, Severity::Critical),
        ("SMC1002", State::Fail, Severity::Low),
        ("SMC1003", State::Error, Severity::High),
        ("SMC1004", State::Fail, Severity::High),
        ("SMC1005", State::Fail, Severity::High),
        ("SMC1006", State::Fail, Severity::High),
        ("SMC1007", State::Pass, Severity::High),
        ("SMC1008", State::NotApplicable, Severity::High),
        ("SMC1009", State::Manual, Severity::Medium),
    ]
    .map(|(id, state, severity)| finding(id, state, severity))
    .into();
    for finding in &mut all {
        finding.controls = catalogue.check(&finding.id).unwrap().controls.clone();
    }
    all[0].subject = HOSTILE.to_owned();
    all[0].observed = HOSTILE.to_owned();
    all[0].fix = HOSTILE.to_owned();
    all[1].place.file = Some("/etc/spotify mcp/ü.toml".to_owned());
    all[2].place = crate::check::engine::Place {
        text: "database, keys.kek".into(),
        kind: "database",
        file: None,
        line: None,
    };
    all
}

fn with_report<T>(look: impl FnOnce(&Report<'_>) -> T) -> T {
    let catalogue = catalogue_of(CHECKS);
    let findings = findings(&catalogue);
    let waivers = waivers(&catalogue);
    let baseline = baseline();
    let bounds = Bounds { most_days: 180, wants_fingerprint: false };
    let left_out = vec![LeftOut::new(
        &catalogue.checks[0],
        catalogue.checks[0].severity,
        "--offline: it needs the network",
    )];
    look(&Report {
        asked: "compliance",
        environment: Environment::Production,
        profile: Profile::Production,
        at: NOW,
        fail_on: Severity::High,
        file: Some("/work/here/deploy/c.toml".to_owned()),
        folder: Some("/work/here".to_owned()),
        executable: Some("/usr/bin/spotify-mcp".to_owned()),
        program: Some("ab".repeat(32)),
        score: catalogue.scale.score(&findings),
        coverage: Some(coverage(&catalogue, Profile::Production, &findings)),
        drift: Some(baseline.drift(&findings)),
        judged: weigh(findings, (&waivers, bounds), Some(&baseline), (Severity::High, NOW)),
        catalogue: &catalogue,
        left_out,
    })
}

fn written(form: Form) -> String {
    with_report(|report| report.write(form, Look::default()))
}

#[test]
fn the_same_run_gives_the_same_bytes_in_every_form() {
    for form in Form::ALL {
        assert_eq!(written(form), written(form), "{}", form.name());
        assert!(!written(form).contains('\u{1b}'), "{} holds an escape", form.name());
    }
}

#[test]
fn sarif_is_what_code_scanning_takes() {
    let document = structure::sarif(&written(Form::Sarif));
    let run = &document["runs"][0];
    let results = run["results"].as_array().unwrap();
    let ids: Vec<&str> = results.iter().map(|result| result["ruleId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["SMC1001", "SMC1002", "SMC1004", "SMC1005", "SMC1006"], "failures alone");
    let of = |id: &str| results.iter().find(|result| result["ruleId"] == id).unwrap();
    assert!(of("SMC1004")["suppressions"][0]["justification"].as_str().unwrap().contains("2026-12-31"));
    assert_eq!(of("SMC1005")["suppressions"], Value::Null, "an expired waiver suppresses nothing");
    assert_eq!(of("SMC1006")["baselineState"], "unchanged");
    assert_eq!(of("SMC1001")["level"], "error");
    let uri = |id: &str| of(id)["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone();
    assert_eq!(uri("SMC1001"), "c.toml");
    assert_eq!(uri("SMC1002"), "file:///etc/spotify%20mcp/%C3%BC.toml");
    let notices = run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
    assert_eq!(notices.len(), 2, "what was not assessed, and what is to be attested: {notices:?}");
    let names: Vec<&str> =
        run["taxonomies"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"CWE") && names.contains(&"owasp_asvs_5"), "{names:?}");
}

#[test]
fn a_finding_without_a_file_is_shown_at_the_configuration() {
    let catalogue = catalogue_of(CHECKS);
    let mut one = finding("SMC1001", State::Fail, Severity::High);
    one.place = crate::check::engine::Place {
        text: "this program".into(),
        kind: "program",
        file: None,
        line: Some(9),
    };
    let document = with_report(|report| {
        let judged = weigh(vec![one], (&Waivers::default(), Bounds::NONE), None, (Severity::High, NOW));
        let report = Report {
            judged,
            catalogue: &catalogue,
            file: report.file.clone(),
            folder: report.folder.clone(),
            executable: None,
            program: None,
            left_out: Vec::new(),
            drift: None,
            coverage: None,
            score: report.score.clone(),
            ..*report
        };
        structure::sarif(&report.write(Form::Sarif, Look::default()))
    });
    let place = &document["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "deploy/c.toml");
    assert_eq!(place["region"]["startLine"], 1);
}

/// A report of one finding that saw this.
fn of_observed(observed: &str, form: Form) -> String {
    let one = crate::check::Finding {
        observed: observed.to_owned(),
        ..finding("SMC1001", State::Fail, Severity::High)
    };
    of_findings(vec![one], form)
}

fn of_findings(all: Vec<crate::check::Finding>, form: Form) -> String {
    with_report(|report| {
        let judged = weigh(all, (&Waivers::default(), Bounds::NONE), None, (Severity::High, NOW));
        let report = Report {
            judged,
            file: report.file.clone(),
            folder: report.folder.clone(),
            executable: None,
            program: None,
            left_out: Vec::new(),
            drift: None,
            coverage: None,
            score: report.score.clone(),
            ..*report
        };
        report.write(form, Look::default())
    })
}

/// Where SARIF shows a finding of this place.
fn place_in_sarif(at: Option<&str>, file: Option<&str>, folder: &str, executable: Option<&str>) -> Value {
    let catalogue = catalogue_of(CHECKS);
    let mut one = finding("SMC1001", State::Fail, Severity::High);
    one.place.file = at.map(str::to_owned);
    let text = with_report(|report| {
        let report = Report {
            judged: weigh(vec![one], (&Waivers::default(), Bounds::NONE), None, (Severity::High, NOW)),
            catalogue: &catalogue,
            file: file.map(str::to_owned),
            folder: Some(folder.to_owned()),
            executable: executable.map(str::to_owned),
            program: None,
            left_out: Vec::new(),
            drift: None,
            coverage: None,
            score: report.score.clone(),
            ..*report
        };
        report.write(Form::Sarif, Look::default())
    });
    let document: Value = serde_json::from_str(&text).unwrap();
    let location = &document["runs"][0]["results"][0]["locations"][0];
    assert!(location["logicalLocations"][0]["fullyQualifiedName"].is_string());
    location["physicalLocation"]["artifactLocation"]["uri"].clone()
}

#[test]
fn sarif_shows_a_file_that_is_there_or_none() {
    let program = Some("/usr/bin/spotify-mcp");
    assert_eq!(place_in_sarif(Some("/srv/etc/m.toml"), None, "/", program), "file:///srv/etc/m.toml");
    assert_eq!(
        place_in_sarif(Some("/work/here/m.toml"), None, "/work/he", program),
        "file:///work/here/m.toml"
    );
    assert_eq!(place_in_sarif(Some("/work/here/a/m.toml"), None, "/work/here", program), "a/m.toml");
    assert_eq!(place_in_sarif(None, Some("./m.toml"), "/work/here", program), "m.toml");
    assert_eq!(place_in_sarif(None, None, "/work/here", program), "file:///usr/bin/spotify-mcp");
    assert_eq!(place_in_sarif(None, None, "/work/here", None), Value::Null);
}

#[test]
fn a_page_is_as_wide_as_the_terminal_within_reason() {
    let longest = |columns: usize| {
        let page = with_report(|report| report.write(Form::Text, Look::default().on(columns)));
        let is_breakable = |line: &&str| line.split_whitespace().all(|word| word.chars().count() < 30);
        page.lines().filter(is_breakable).map(|line| line.chars().count()).max().unwrap()
    };
    for (columns, most) in [(40, 60), (72, 72), (200, 100)] {
        let longest = longest(columns);
        assert!(longest <= most && longest > most - 10, "{columns}: {longest}");
    }
}

#[test]
fn what_passed_is_counted_by_check_as_the_score_does() {
    let catalogue = catalogue_of(CHECKS);
    let of = |id: &str, subject: &str, state| {
        let mut one = finding(id, state, Severity::High);
        one.subject = subject.to_owned();
        one
    };
    let findings = vec![
        of("SMC1001", "a", State::Pass),
        of("SMC1001", "b", State::Pass),
        of("SMC1001", "c", State::NotApplicable),
        of("SMC1002", "a", State::Pass),
        of("SMC1002", "b", State::Fail),
        of("SMC1003", "", State::NotApplicable),
    ];
    let score = catalogue.scale.score(&findings);
    assert_eq!((score.passed, score.counted), (1, 2));
    let written = |form, verbose| {
        with_report(|report| {
            let report = Report {
                judged: weigh(
                    findings.clone(),
                    (&Waivers::default(), Bounds::NONE),
                    None,
                    (Severity::High, NOW),
                ),
                catalogue: &catalogue,
                file: None,
                folder: None,
                executable: None,
                program: None,
                left_out: Vec::new(),
                drift: None,
                coverage: None,
                score: score.clone(),
                ..*report
            };
            report.write(form, Look { verbose, ..Look::default() })
        })
    };
    for page in [written(Form::Text, false), written(Form::Text, true)] {
        for said in ["PASSED (1)", "DOES NOT APPLY (1)", "1 of 2 checks pass"] {
            assert!(page.contains(said), "{said} is not in\n{page}");
        }
    }
    assert!(written(Form::Text, true).contains("HOLDS OF CHECKS THAT DO NOT PASS"));
    let page = written(Form::Markdown, false);
    assert!(page.contains("## Passed (1)") && page.contains("## Does not apply (1)"), "{page}");
}

#[test]
fn a_failure_says_its_fingerprint_in_every_form_for_people() {
    let print = "0".repeat(28) + "1002";
    for form in [Form::Text, Form::Markdown, Form::Json] {
        assert!(written(form).contains(&print), "{}", form.name());
    }
    assert!(written(Form::Text).contains(&format!("  fingerprint  {print}")));
}

#[test]
fn oscal_invents_no_finding() {
    let document = structure::oscal(&written(Form::Oscal));
    let result = &document["assessment-results"]["results"][0];
    assert_eq!(result["observations"].as_array().unwrap().len(), 9, "every finding is an observation");
    let findings = result["findings"].as_array().unwrap();
    let state = |target: &str| {
        let found = findings.iter().find(|one| one["target"]["target-id"] == format!("{target}_obj"));
        found.map(|one| one["target"]["status"]["state"].as_str().unwrap().to_owned())
    };
    assert_eq!(state("owasp_mcp_2025_MCP01").as_deref(), Some("satisfied"));
    assert_eq!(state("owasp_top10_2025_A04").as_deref(), Some("not-satisfied"));
    assert_eq!(state("spotify_policy_Terms_A.5.c").as_deref(), Some("not-satisfied"));
    assert_eq!(state("nist_csf_2_PR.DS-01"), None, "nothing was seen of it");
    assert_eq!(state("k8s_restricted_runAsNonRoot"), None, "it does not apply");
    let risks = result["risks"].as_array().unwrap();
    let accepted: Vec<_> = risks.iter().filter(|risk| risk["status"] == "deviation-approved").collect();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0]["deadline"], "2027-01-01T00:00:00.000Z");
}

#[test]
fn junit_fails_where_the_build_fails() {
    let text = written(Form::Junit);
    let cases = structure::junit(&text);
    assert_eq!(cases.len(), 9);
    assert!(text.contains("tests=\"9\" failures=\"2\" errors=\"1\" skipped=\"2\""), "{text}");
    assert!(text.contains("waived by ada &lt;a|b&gt; until 2026-12-31"), "{text}");
}

/// That the database is too old is a failure; what cannot be told by it is an error.
#[test]
fn junit_tells_what_failed_from_what_could_not_be_told() {
    let stale = |id: &str, state| crate::check::Finding {
        tags: vec![crate::check::catalogue::STALE_INPUT.to_owned()],
        stands_on_stale: true,
        ..finding(id, state, Severity::High)
    };
    let all = vec![stale("SMC1001", State::Fail), stale("SMC1002", State::Error)];
    let text = of_findings(all, Form::Junit);
    assert!(text.contains("failures=\"1\" errors=\"1\""), "{text}");
    let of = |id: &str| text.split("<testcase").find(|case| case.contains(id)).unwrap().to_owned();
    assert!(of("SMC1001").contains("<failure") && of("SMC1002").contains("<error"), "{text}");
}

#[test]
fn nothing_hides_or_turns_round_what_governance_tools_read() {
    let hidden = "a\u{202e}b\u{200b}c\u{e0041}";
    let mut one = crate::check::Finding {
        title: hidden.to_owned(),
        name: hidden.to_owned(),
        subject: hidden.to_owned(),
        expected: hidden.to_owned(),
        why: hidden.to_owned(),
        verify: hidden.to_owned(),
        ..finding("SMC1001", State::Fail, Severity::High)
    };
    one.place.text = hidden.to_owned();
    for form in [Form::Oscal, Form::Poam, Form::Junit] {
        let text = of_findings(vec![one.clone()], form);
        let seen = text.chars().find(|c| *c != '\n' && crate::domain::event::is_deceptive(*c));
        assert_eq!(seen, None, "{}", form.name());
    }
}

#[test]
fn json_says_everything_and_is_a_baseline() {
    let text = written(Form::Json);
    let document: Value = serde_json::from_str(&text).unwrap();
    for member in ["schema", "environment", "generated_at", "summary", "findings"] {
        assert!(!document[member].is_null(), "{member}");
    }
    for member in
        ["id", "title", "severity", "state", "expected", "observed", "source", "why", "fix", "controls"]
    {
        assert!(
            document["findings"].as_array().unwrap().iter().all(|one| !one[member].is_null()),
            "{member}"
        );
    }
    let summary = &document["summary"];
    assert_eq!((&summary["outcome"], &summary["exit_status"]), (&json!("findings"), &json!(1)));
    assert_eq!(summary["findings_by_severity"]["critical"], 1);
    assert_eq!((&summary["waived"], &summary["waivers_expired"]), (&json!(1), &json!(1)));
    let coverage = document["frameworks"]["coverage"].as_array().unwrap();
    for framework in coverage {
        let count = |name: &str| framework[name].as_array().unwrap().len();
        let all = count("evidenced") + count("partly") + count("failing") + count("not_assessable");
        let known = catalogue_of(CHECKS).framework(framework["id"].as_str().unwrap()).unwrap().controls.len();
        assert_eq!(all, known, "{}: every control is one of the four", framework["id"]);
    }
    let baseline = Baseline::parse(&text).unwrap();
    with_report(|report| {
        let findings: Vec<_> = report.judged.iter().map(|one| one.finding.clone()).collect();
        let drift = baseline.drift(&findings);
        // What was waived then has to be waived again.
        assert_eq!(drift.new, ["SMC1004"]);
        assert!(drift.worse.is_empty() && drift.mended.is_empty(), "{drift:?}");
    });
}

#[test]
fn text_fits_eighty_columns_and_says_what_to_do() {
    for verbose in [false, true] {
        let page = with_report(|report| report.write(Form::Text, Look { verbose, ..Look::default() }));
        for line in page.lines() {
            let unbroken = line.split_whitespace().any(|word| word.chars().count() > 60);
            assert!(line.chars().count() <= 80 || unbroken, "{line}");
        }
        for heading in [
            "FINDINGS (1)",
            "WAIVED ONCE, AND THE WAIVER HAS EXPIRED (1)",
            "COULD NOT BE ASSESSED (1)",
            "BELOW THE THRESHOLD (1)",
            "AS IN THE BASELINE (1)",
            "FOR PEOPLE TO SEE AND ATTEST (1)",
            "WAIVED (1)",
            "PASSED (1)",
            "DOES NOT APPLY (1)",
            "NOT ASKED (1)",
            "SINCE THE BASELINE OF 2026-11-01",
            "FRAMEWORKS",
            "POSTURE SCORE: ",
            "Exit status 1: 1 finding at or above high",
        ] {
            assert!(page.contains(heading), "{heading} is not in\n{page}");
        }
        assert_eq!(page.contains("\n  mapped to  "), verbose);
    }
}

#[test]
fn colours_are_beside_words_that_say_the_same() {
    let plain = with_report(|report| report.write(Form::Text, Look::default()));
    let painted = with_report(|report| report.write(Form::Text, Look { colour: true, ..Look::default() }));
    let mut stripped = String::new();
    for (at, piece) in painted.split("\u{1b}[").enumerate() {
        stripped += if at == 0 { piece } else { piece.split_once('m').unwrap().1 };
    }
    assert_eq!(stripped, plain);
}

#[test]
fn markdown_holds_no_markup_of_what_was_observed() {
    let page = written(Form::Markdown);
    assert!(!page.contains("<script>") && !page.contains("[a](javascript"), "{page}");
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("\\|", "").matches('|').count();
        assert!([3, 4, 5, 6].contains(&cells), "{line}");
    }
    let hostile = "9 [click](https://evil.example/2) \\\\ @torvalds www.evil.example";
    let page = of_observed(hostile, Form::Markdown);
    for markup in ["(https://", "@torvalds", "www.evil", "[click]"] {
        assert!(!page.contains(markup), "{markup}: {page}");
    }
    let results = structure::sarif(&of_observed(hostile, Form::Sarif));
    let message = results["runs"][0]["results"][0]["message"]["text"].as_str().unwrap();
    assert!(message.contains("9 \\[click\\](https://evil.example/2) \\\\\\\\"), "{message}");
    let page = written(Form::Markdown);
    assert!(page.contains("## Findings (1)") && page.contains("## Waived (1)") && page.contains("MCP01"));
}

#[test]
fn forms_are_told_by_extension() {
    for (name, form) in [
        ("r.json", Form::Json),
        ("r.sarif.json", Form::Sarif),
        ("r.SARIF", Form::Sarif),
        ("r.oscal.json", Form::Oscal),
        ("r.xml", Form::Junit),
        ("r.md", Form::Markdown),
        ("r.txt", Form::Text),
    ] {
        assert_eq!(Form::of_file(name), Some(form), "{name}");
        assert_eq!(Form::named(form.name()), Some(form));
    }
    assert_eq!(Form::of_file("report"), None);
}

#[test]
fn a_plan_of_action_has_an_item_for_every_failure_and_the_day_of_every_waiver() {
    let document: Value = serde_json::from_str(&written(Form::Poam)).unwrap();
    let plan = &document["plan-of-action-and-milestones"];
    let items = plan["poam-items"].as_array().unwrap();
    let begins = |item: &Value, id: &str| item["title"].as_str().unwrap().starts_with(id);
    for id in ["SMC1001", "SMC1002", "SMC1004", "SMC1005", "SMC1006"] {
        assert_eq!(items.iter().filter(|item| begins(item, id)).count(), 1, "{id}");
    }
    assert_eq!(items.len(), 5, "failures alone");
    let said = |id: &str| items.iter().find(|item| begins(item, id)).unwrap()["description"].to_string();
    assert!(said("SMC1004").contains("Accepted by ada") && said("SMC1004").contains("2026-12-31"));
    assert!(said("SMC1005").contains("Was accepted"), "{}", said("SMC1005"));
    let of = |list: &str| -> Vec<Value> {
        plan[list].as_array().unwrap().iter().map(|one| one["uuid"].clone()).collect()
    };
    let (observations, risks) = (of("observations"), of("risks"));
    for item in items {
        assert!(observations.contains(&item["related-observations"][0]["observation-uuid"]), "{item:#}");
        assert!(risks.contains(&item["related-risks"][0]["risk-uuid"]), "{item:#}");
    }
    let deadline =
        plan["risks"].as_array().unwrap().iter().filter(|risk| risk["deadline"].is_string()).count();
    assert_eq!((deadline, plan["metadata"]["oscal-version"].as_str()), (1, Some("1.2.1")));
}

#[test]
fn errors_of_one_cause_are_told_once_with_every_check_that_waits_for_it() {
    let of = |id: &str, severity, observed: &str| crate::check::Finding {
        observed: observed.to_owned(),
        fix: "start the server once".to_owned(),
        verify: format!("spotify-mcp security-check config --only {id}"),
        ..finding(id, State::Error, severity)
    };
    let all = vec![
        of("SMC1001", Severity::High, "there is no database"),
        of("SMC1002", Severity::Critical, "there is no database"),
        of("SMC1003", Severity::High, "the key is away"),
        of("SMC1004", Severity::Low, "there is no database"),
    ];
    for form in [Form::Text, Form::Markdown] {
        let page = of_findings(all.clone(), form);
        let flat = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(flat.matches("there is no database").count(), 1, "{page}");
        for words in [
            "3 checks cannot be assessed, for one reason",
            "SMC1001 (high), SMC1002 (critical), SMC1004 (low)",
            "--only SMC1001,SMC1002,SMC1004",
            "the key is away",
        ] {
            assert!(flat.contains(words), "{words}: {page}");
        }
        assert!(flat.to_lowercase().contains("could not be assessed (4)"), "{page}");
    }
}
