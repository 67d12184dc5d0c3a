//! `spotify-mcp usage`: calls added up by person, tool or day.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::Global;
use super::administer::{Place, at_database, broken};
use super::output::{Exit, Output, Refused};
use super::paging::{Page, cut};
use crate::ambient::Timestamp;
use crate::domain::event::clean;
use crate::store::{Usage, UsageFilter, UsageKey};

/// What `usage` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Counts calls of tools and how many of them failed, by UTC day; a server writes its counts down every few seconds. A \
person who is deleted takes their counts with them.

Examples:
  spotify-mcp usage
  spotify-mcp usage --by day,tool --since 2026-11-01 --format json
  spotify-mcp usage --user ada --by tool")]
pub struct Args {
    /// What to add up by: user, tool, day, or several with commas between
    #[arg(
        long,
        value_name = "KEYS",
        value_delimiter = ',',
        default_value = "user",
        hide_possible_values = true
    )]
    by: Vec<Key>,
    /// Only this person's calls: our id (u_...), a Spotify user id or account id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only calls of this tool
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// From this UTC day on: 2026-11-21
    #[arg(long, value_name = "DAY", value_parser = a_day)]
    since: Option<String>,
    /// Until the end of this UTC day
    #[arg(long, value_name = "DAY", value_parser = a_day)]
    until: Option<String>,
    #[command(flatten)]
    page: Page,
    /// The database of 'serve --sandbox' instead
    #[arg(long)]
    sandbox: bool,
}

/// What calls are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Key {
    User,
    Tool,
    Day,
}

impl Key {
    const fn stored(self) -> UsageKey {
        match self {
            Self::User => UsageKey::User,
            Self::Tool => UsageKey::Tool,
            Self::Day => UsageKey::Day,
        }
    }
}

/// Prints the sums.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let mut by: Vec<UsageKey> = Vec::new();
    for key in args.by.iter().map(|key| key.stored()) {
        if !by.contains(&key) {
            by.push(key);
        }
    }
    at_database(&Place { global, sandbox: args.sandbox }, async |desk| {
        let filter = UsageFilter {
            user: match &args.user {
                Some(named) => Some(desk.person(named).await?),
                None => None,
            },
            tool: args.tool.clone(),
            since: args.since.clone(),
            until: args.until.clone(),
            limit: args.page.fetch(),
            offset: args.page.offset,
            by: by.clone(),
        };
        let rows = desk.store.usage(&filter).await.map_err(|failure| broken(&failure))?;
        print(&args.page.cut(rows, &desk.output), &by, &desk.output);
        Ok(Exit::Done)
    })
}

fn print(rows: &[Usage], by: &[UsageKey], output: &Output) {
    let one = |row: &Usage| {
        let keys = by.iter().zip(&row.keys).map(|(key, value)| (key.name().to_owned(), json!(value)));
        let counts = [("calls".to_owned(), json!(row.calls)), ("errors".to_owned(), json!(row.errors))];
        Value::Object(keys.chain(counts).collect::<Map<_, _>>())
    };
    output.result(&table(rows, by), &Value::Array(rows.iter().map(one).collect()));
}

/// As wide as what is in it: the number of columns is the caller's.
fn table(rows: &[Usage], by: &[UsageKey]) -> String {
    if rows.is_empty() {
        return "No calls.\n".to_owned();
    }
    let head = by.iter().map(|key| key.name().trim_end_matches("_id").to_uppercase());
    let head: Vec<String> = head.chain(["CALLS".to_owned(), "FAILED".to_owned()]).collect();
    let line = |row: &Usage| -> Vec<String> {
        let keys = row.keys.iter().map(|value| cut(&clean(value), 34));
        keys.chain([row.calls.to_string(), row.errors.to_string()]).collect()
    };
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..by.len() + 2).map(width).collect();
    let text = |line: &Vec<String>| {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    lines.iter().map(text).collect()
}

fn a_day(text: &str) -> Result<String, &'static str> {
    let is_one = text.len() == 10 && Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).is_some();
    if is_one { Ok(text.to_owned()) } else { Err("write a UTC day, for example 2026-11-21") }
}
