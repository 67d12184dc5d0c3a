//! `spotify-mcp config show`: every effective value and where it comes from, secrets masked.

use serde_json::{Value, json};

use crate::cli::output::{Exit, Refused};
use crate::cli::{Global, configured};
use crate::config::Purpose;
use crate::config::show::Row;

/// `config show` takes only the global options.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Shows the values even where some are wrong, then names every problem and ends with status 2.

Examples:
  spotify-mcp config show --config server.toml
  spotify-mcp config show --format json")]
pub struct Args {}

/// Prints the table, then what is wrong.
pub fn run(_args: &Args, global: &Global) -> Result<Exit, Refused> {
    let output = global.output();
    let loaded = configured::load_any(global, Vec::new(), Purpose::Inspect)?;
    // Without the file that was asked for, the values of everything else would mislead.
    if loaded.unread().is_none() {
        let rows = loaded.rows();
        output.result(&table(&rows), &document(&rows));
    }
    configured::accept(loaded, &output)?;
    Ok(Exit::Done)
}

fn table(rows: &[Row]) -> String {
    let widest = |width: fn(&Row) -> usize| rows.iter().map(width).max().unwrap_or(0);
    let key = widest(|row| row.key.len());
    let value = widest(|row| shown(row).chars().count()).min(60);
    rows.iter().map(|row| format!("{:key$}  {:value$}  {}\n", row.key, shown(row), row.origin)).collect()
}

fn shown(row: &Row) -> &str {
    row.value.as_deref().unwrap_or("-")
}

fn document(rows: &[Row]) -> Value {
    let one =
        |row: &Row| json!({ "key": row.key, "value": row.value, "origin": row.origin, "secret": row.secret });
    json!({ "settings": rows.iter().map(one).collect::<Vec<_>>() })
}
