//! An incident that another run takes up: the person is gone, the machine is another one, what is stored was changed by
//! somebody, or nobody wants it any more.

use std::fs;

use serde_json::{Value, json};

use super::killed::dies;
use super::{evidence, reported, said, steps};
use crate::front_door::api_keys::{command, refusal, result};
use crate::front_door::rotation::listens;
use crate::support::database::Place;
use crate::support::server::Setup;

#[tokio::test]
async fn a_playbook_for_a_person_who_is_deleted_meanwhile_comes_to_its_end_without_their_name() {
    let mut server = Setup::on(Place::sqlite()).people(2).start().await;
    let (_gone, stays) = (server.listener("user0001").await, server.listener("user0002").await);
    let asked = ["authentication-compromise", "--user", "user0001", "--yes"];
    dies(&mut server, &asked, "preserve").await;
    result(&server, &["users", "delete", "user0001", "--yes"]).await;
    // Nobody has this name any more: neither it nor another says who is meant.
    let other = ["incident", "authentication-compromise", "--user", "user0002", "--yes"];
    assert_eq!(refusal(&server, &other).await, (2, "INCIDENT_ASKED_OTHERWISE".to_owned()));

    let report = reported(&server, &asked, 0).await;
    assert_eq!((&report["complete"], &report["taken_up_again"]), (&json!(true), &json!(1)));
    assert!(report["asked"]["user"].as_str().unwrap().starts_with("u_"), "{report}");
    listens(&stays).await;

    let raw = server.place.raw().await;
    for facts in raw.texts("SELECT facts FROM incidents").await {
        assert!(!facts.contains("user0001"), "{facts}");
    }
    let written = fs::read_dir(server.data_dir().join("evidence")).unwrap();
    let written: Vec<_> = written.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert_eq!(written.len(), 2);
    assert!(written.iter().all(|text| !text.contains("user0001")), "{written:?}");
}

#[tokio::test]
async fn what_somebody_stored_is_not_believed_and_not_printed_as_it_is() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    let _listener = server.listener("user0001").await;
    let asked = ["authentication-compromise", "--all", "--yes"];
    dies(&mut server, &asked, "preserve").await;
    let raw = server.place.raw().await;
    let mut facts: Value = serde_json::from_str(&raw.texts("SELECT facts FROM incidents").await[0]).unwrap();
    let forged = |step: &str| {
        let evidence =
            json!({ "issued_before": "1970-01-01T00:00:00Z", "revoked_from": "1970-01-01T00:00:00Z" });
        json!({ "step": step, "outcome": "done", "ended_at": 1, "evidence": evidence, "said": ["nothing is good"] })
    };
    facts["steps"].as_array_mut().unwrap().extend([forged("revoke"), forged("prove")]);
    facts["steps"][0]["said"] = json!(["\u{1b}[31mred\u{202e}\n# Heading"]);
    let facts = facts.to_string().replace('\'', "''");
    raw.run(&format!("UPDATE incidents SET facts = '{facts}'")).await;

    let done = command(&server, &["incident", "authentication-compromise", "--all", "--yes"]).await;
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(
        said(&done).contains("[31mred") && !said(&done).contains(['\u{1b}', '\u{202e}']),
        "{}",
        said(&done)
    );
    assert_eq!(raw.number("SELECT COUNT(*) FROM grants WHERE revoked_at IS NULL").await, 0);
    let report = reported(&server, &["report"], 0).await;
    assert_eq!(evidence(&report, "revoke")["ended_by_this_run"]["grants"], 1);
    assert_ne!(evidence(&report, "prove")["issued_before"], "1970-01-01T00:00:00Z");
    let page = server.data_dir().join("evidence").join(report["incident_id"].as_str().unwrap());
    let page = fs::read_to_string(page.with_extension("md")).unwrap();
    assert!(!page.contains(['\u{1b}', '\u{202e}']) && !page.contains("\n# Heading"), "{page}");
}

#[tokio::test]
async fn one_machine_at_a_time_works_on_it() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    let asked = ["authentication-compromise", "--all", "--yes"];
    dies(&mut server, &asked, "revoke").await;
    // Another machine has the database, and a data directory of its own.
    let here = server.environment["DATA_DIR"].clone();
    let there = server.data.join("there");
    server.environment.insert("DATA_DIR".to_owned(), there.display().to_string());
    let again = ["incident", "authentication-compromise", "--all", "--yes"];
    assert_eq!(refusal(&server, &again).await, (3, "INCIDENT_ELSEWHERE".to_owned()));
    let left = ["incident", "abandon", "--reason", "it takes too long", "--yes"];
    assert_eq!(refusal(&server, &left).await, (3, "INCIDENT_ELSEWHERE".to_owned()));
    let raw = server.place.raw().await;
    raw.run("UPDATE incidents SET runner_until = 0").await;
    dies(&mut server, &asked, "prove").await;
    // The first one is not alone any more.
    server.environment.insert("DATA_DIR".to_owned(), here);
    assert_eq!(refusal(&server, &again).await, (3, "INCIDENT_ELSEWHERE".to_owned()));
    raw.run("UPDATE incidents SET runner_until = 0").await;
    let report = reported(&server, &asked, 0).await;
    assert_eq!((&report["complete"], &report["taken_up_again"]), (&json!(true), &json!(2)));
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents WHERE fence = 3").await, 1);
}

#[tokio::test]
async fn an_incident_that_is_abandoned_blocks_nothing_and_is_never_complete() {
    let mut server = Setup::on(Place::sqlite()).people(1).start().await;
    let abandon = ["abandon", "--reason", "begun by mistake", "--yes"];
    assert_eq!(
        result(&server, &["incident", "abandon", "--reason", "none", "--yes"]).await["changed"],
        false
    );
    assert_eq!(refusal(&server, &["incident", "abandon", "--yes"]).await.0, 2);
    let asked = ["authentication-compromise", "--all", "--yes"];
    dies(&mut server, &asked, "preserve").await;
    let unsaid = ["incident", "abandon", "--reason", "begun by mistake"];
    assert_eq!(refusal(&server, &unsaid).await, (2, "CONFIRMATION_NEEDED".to_owned()));
    let report = reported(&server, &abandon, 0).await;
    assert_eq!((&report["state"], &report["complete"]), (&json!("abandoned"), &json!(false)));
    assert_eq!(steps(&report), [("preserve", "done"), ("abandon", "done")]);
    assert!(report.to_string().contains("begun by mistake"), "{report}");
    assert_eq!(command(&server, &["incident", "list"]).await.status.code(), Some(0));

    // What nobody can read any more is abandoned as well.
    dies(&mut server, &asked, "preserve").await;
    let raw = server.place.raw().await;
    raw.run("UPDATE incidents SET facts = '{' WHERE unfinished = 1").await;
    let again = ["incident", "authentication-compromise", "--all", "--yes"];
    assert_eq!(refusal(&server, &again).await, (3, "INCIDENT_UNREADABLE".to_owned()));
    let report = reported(&server, &abandon, 0).await;
    assert!(report.to_string().contains("COULD NOT BE READ"), "{report}");
    reported(&server, &asked, 0).await;
    assert_eq!(raw.number("SELECT COUNT(*) FROM incidents").await, 3);
}
