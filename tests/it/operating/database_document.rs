//! docs/database.md is the schema: every table and column is in it and no other, and its queries run on both engines.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::database::on_both;

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/database.md")).unwrap()
}

/// `table.column` of every row of every table's section.
fn documented(text: &str) -> BTreeSet<String> {
    let sections = text.split("\n### `").skip(1);
    let of = |section: &str| {
        let (table, rest) = section.split_once('`').unwrap();
        let rest = rest.split("\n## ").next().unwrap();
        let rows = rest.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        rows.map(|(column, _)| format!("{table}.{column}")).collect::<Vec<_>>()
    };
    sections.flat_map(of).collect()
}

#[tokio::test]
async fn every_table_and_column_is_described_and_no_other() {
    let documented = documented(&document());
    assert!(documented.len() > 150, "the document has another form than this test reads");
    on_both(async |db| {
        let columns = db.raw().await.columns().await;
        let there: BTreeSet<String> = columns
            .into_iter()
            .filter(|(table, ..)| !table.starts_with('_') && !table.starts_with("sqlite_"))
            .map(|(table, column, _)| format!("{table}.{column}"))
            .collect();
        let missing: Vec<_> = there.difference(&documented).collect();
        assert!(missing.is_empty(), "docs/database.md does not describe {missing:?}");
        let gone: Vec<_> = documented.difference(&there).collect();
        assert!(gone.is_empty(), "docs/database.md describes what is not there: {gone:?}");
    })
    .await;
}

#[tokio::test]
async fn every_sealed_column_is_called_sealed_and_every_query_runs() {
    let text = document();
    let queries: Vec<&str> =
        text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(queries.len() >= 10);
    on_both(async |db| {
        crate::store::fixtures::person(db, "ada").await;
        let raw = db.raw().await;
        let before = raw.dump().await;
        for query in &queries {
            assert!(query.starts_with("SELECT"), "{query}");
            let query = query.trim().strip_suffix(';').expect("one statement");
            assert!(!query.contains(';'), "{query}");
            raw.number(&format!("SELECT COUNT(*) FROM ({query}) AS answer")).await;
        }
        assert_eq!(raw.dump().await, before);
        // What is binary and neither a hash nor keyed is sealed.
        for (table, column, kind) in raw.columns().await {
            let binary = kind.eq_ignore_ascii_case("blob") || kind == "bytea";
            if binary && !table.starts_with('_') {
                let section = text.split(&format!("\n### `{table}`")).nth(1).unwrap();
                let row = section.lines().find(|line| line.starts_with(&format!("| `{column}` |"))).unwrap();
                let kinds = ["*sealed*", "*hash*", "*keyed*"];
                assert!(kinds.iter().any(|kind| row.contains(kind)), "{table}: {row}");
            }
        }
    })
    .await;
}
