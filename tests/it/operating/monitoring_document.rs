//! docs/monitoring.md is held to the server: every metric that it names is there, every metric that is there is named,
//! and its example is one that Prometheus takes.

use std::collections::BTreeSet;
use std::path::Path;

use super::metrics::{promtool, scrape, watched};
use crate::support::server::folder;

fn document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md")).unwrap()
}

/// The examples of this language, by the name in their first line.
fn example(name: &str) -> String {
    let text = document();
    let found = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    found.into_iter().find(|text| text.starts_with(&format!("# {name}\n"))).unwrap()
}

/// Words that look like our metrics.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("spotify_mcp_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_metric_is_named_and_every_name_is_a_metric() {
    let (server, port) = watched().await;
    let seen = scrape(&server, port).await;
    let there: BTreeSet<String> =
        seen.types.keys().filter(|name| name.starts_with("spotify_mcp_")).cloned().collect();
    let tables: String = document().lines().filter(|line| line.starts_with("| ")).collect();
    // Only where this server ends TLS.
    let mut said = named(&tables);
    assert!(said.remove("spotify_mcp_certificate_expiry_timestamp_seconds"));
    assert_eq!(said, there);
    let rules = example("spotify-mcp.rules.yml");
    for name in named(&rules) {
        let family = name.strip_suffix("_bucket").unwrap_or(&name);
        let known = there.contains(family) || family == "spotify_mcp_certificate_expiry_timestamp_seconds";
        assert!(known, "the rules ask for {name}, which is nowhere");
    }
    for line in rules.lines().filter_map(|line| line.split_once("event=\"")).map(|(_, rest)| rest) {
        let event = line.split('"').next().unwrap();
        assert!(seen.value("spotify_mcp_security_events_total", &[("event", event)]).is_some(), "{event}");
    }
}

#[test]
fn prometheus_takes_the_example() {
    let folder = folder();
    let rules = folder.join("spotify-mcp.rules.yml");
    std::fs::write(&rules, example("spotify-mcp.rules.yml")).unwrap();
    let config = folder.join("prometheus.yml");
    std::fs::write(&config, example("prometheus.yml")).unwrap();
    promtool(&["check", "rules", rules.to_str().unwrap()], "");
    promtool(&["check", "config", config.to_str().unwrap()], "");
    std::fs::remove_dir_all(folder).unwrap();
}
