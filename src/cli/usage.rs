//! `spotify-mcp usage`: calls added up by person, tool or day; and the Spotify apps that they go through.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::Global;
use super::administer::{Place, at_database, broken};
use super::apps;
use super::output::{Exit, Output, Refused};
use super::paging::{Page, day};
use super::table::{SHORTEST_NAME, cut, room, width};
use crate::ambient::{Clock, Timestamp};
use crate::domain::api_key;
use crate::domain::event::clean;
use crate::store::{Usage, UsageFilter, UsageKey};

/// What `usage` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Counts calls of tools and how many of them failed, by UTC day; a server writes its counts down every few seconds. A \
person who is deleted takes their counts with them. Names are what Spotify says.

With --apps, the Spotify apps instead: how many accounts are linked through each, of how many places, which daily \
quotas of Spotify's have run out until when, and which app Spotify told to wait ('everything'); who made how many \
requests in the last 24 hours, of which share, as servers wrote it down within the last minute; and how large a quota is \
thought to be. Where Spotify named a time that cannot be right, --reopen has it asked \
again at once, for all apps of that developer account, on every server within seconds; where it was right, Spotify says \
so again. --reopen also forgets how large quotas were thought to be.

Examples:
  spotify-mcp usage
  spotify-mcp usage --by day,tool --since 2026-11-01 --format json
  spotify-mcp usage --since 7d
  spotify-mcp usage --user ada --by tool
  spotify-mcp usage --apps
  spotify-mcp usage --apps --reopen 'House app'")]
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
    /// From this UTC day on: 2026-11-21, or an age such as 7d
    #[arg(long, value_name = "DAY", value_parser = a_day)]
    since: Option<String>,
    /// Until the end of this UTC day: the same
    #[arg(long, value_name = "DAY", value_parser = a_day)]
    until: Option<String>,
    #[command(flatten)]
    page: Page,
    /// The Spotify apps instead: places taken, quotas that have run out
    #[arg(long, conflicts_with_all = ["by", "user", "tool", "since", "until", "limit", "offset"])]
    apps: bool,
    /// Ask Spotify again for what has run out: the app's name, its client id, or how --apps calls it
    #[arg(long, value_name = "APP", requires = "apps")]
    reopen: Option<String>,
    /// Say what would be asked again, and change nothing
    #[arg(long, requires = "reopen")]
    dry_run: bool,
    /// Accepted as by every command that changes something; nothing is asked here
    #[arg(short, long, requires = "reopen")]
    yes: bool,
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
        if let Some(named) = &args.reopen {
            apps::reopen(desk, named, args.dry_run).await?;
            return Ok(Exit::Done);
        }
        if args.apps {
            apps::print(desk).await?;
            return Ok(Exit::Done);
        }
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
        let name = by.contains(&UsageKey::User).then(|| ("display_name".to_owned(), json!(row.name)));
        let counts = [("calls".to_owned(), json!(row.calls)), ("errors".to_owned(), json!(row.errors))];
        Value::Object(keys.chain(name).chain(counts).collect::<Map<_, _>>())
    };
    output.result(&table(rows, by), &Value::Array(rows.iter().map(one).collect()));
}

/// As wide as what is in it: the number of columns is the caller's. A name stands last, where there is room for it.
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
    let mut lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    let widest = |at: usize| lines.iter().map(|line| width(&line[at])).max().unwrap_or(0);
    let widths: Vec<_> = (0..by.len() + 2).map(widest).collect();
    let left = room().saturating_sub(widths.iter().map(|width| width + 2).sum());
    if by.contains(&UsageKey::User) && left >= SHORTEST_NAME {
        let name =
            |row: &Usage| row.name.as_deref().map_or_else(|| "-".to_owned(), |name| cut(&clean(name), left));
        let names = std::iter::once("NAME".to_owned()).chain(rows.iter().map(name));
        lines.iter_mut().zip(names).for_each(|(line, name)| line.push(name));
    }
    let text = |line: &Vec<String>| {
        let padded = |(at, cell): (usize, &String)| {
            let to = widths.get(at).copied().unwrap_or_default();
            format!("{cell}{:1$}", "", to.saturating_sub(width(cell)))
        };
        let cells: Vec<_> = line.iter().enumerate().map(padded).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    lines.iter().map(text).collect()
}

/// A UTC day: as it is written, or the one that was so long ago.
fn a_day(text: &str) -> Result<String, &'static str> {
    let is_one = text.len() == 10 && Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).is_some();
    if is_one {
        return Ok(text.to_owned());
    }
    match api_key::life(text) {
        Ok(Some(age)) => Ok(day(Clock::system().now().minus(age))),
        _ => Err("write a UTC day, for example 2026-11-21, or an age such as 7d"),
    }
}
