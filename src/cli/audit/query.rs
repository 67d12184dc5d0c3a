//! `spotify-mcp audit query`: the records that meet some conditions, a page at a time.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::filter::{Filter, Record, Wanted};
use super::people;
use super::place::{Which, unread};
use super::table;
use crate::audit::reader::{self, Segment};
use crate::cli::administer::Place;
use crate::cli::output::{Exit, Format, Refused};

/// What `audit query` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Oldest first. Each record's line says when and what; what follows below it who (by), through which client (via), in what,
of what, and why, where it says so. Ids must be whole. With --format json, each record is one line, exactly as it stands in the trail. People stand in it by
pseudonyms and addresses sealed; --personal opens them as far as the people are still there. Says nothing of whether the
records are genuine: 'audit verify' does.

Examples:
  spotify-mcp audit query --from 24h --severity medium
  spotify-mcp audit query --code authn_login_fail --from 2026-11-01 --limit 20
  spotify-mcp audit query --client c_0123456789abcdef0123456789abcdef --newest
  spotify-mcp audit query --after 4711 --format json")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    wanted: Wanted,
    /// At most so many records
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Only records behind this number: the next page
    #[arg(long, value_name = "SEQ", default_value = "0", hide_default_value = true)]
    after: u64,
    /// Only records before this number: the page before
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
    /// The newest records that meet the conditions, instead of the oldest
    #[arg(long)]
    newest: bool,
    /// Also who people are and where requests came from: takes the master key, and is recorded
    #[arg(long)]
    personal: bool,
}

/// What was found: lines of the trail, and whether there are more.
#[derive(Default)]
struct Page {
    lines: VecDeque<Vec<u8>>,
    more: bool,
}

/// Prints one page.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let filter = args.wanted.filter(place)?;
    let trail = args.which.trail(place)?;
    let mut page = Page::default();
    for segment in trail.segments()? {
        search(&segment, args, &filter, &mut page).map_err(|error| unread(&segment.path, &error))?;
        if page.more && !args.newest {
            break;
        }
    }
    print(args, place, &page)?;
    Ok(Exit::Done)
}

fn search(segment: &Segment, args: &Args, filter: &Filter, page: &mut Page) -> std::io::Result<()> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    reader::read(&segment.path, 0, |offset, lines| {
        for (_, line) in reader::lines(offset, lines) {
            let Some(record) = Record::parse(line) else { continue };
            let seq = record.metadata.sequence;
            let in_range = seq > args.after && args.before.is_none_or(|before| seq < before);
            if !in_range || !filter.takes(&record) {
                continue;
            }
            if page.lines.len() == limit {
                page.more = true;
                if !args.newest {
                    return ControlFlow::Break(());
                }
                page.lines.pop_front();
            }
            page.lines.push_back(line.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

fn print(args: &Args, place: &Place<'_>, page: &Page) -> Result<(), Refused> {
    let output = place.global.output();
    let records: Vec<Record<'_>> = page.lines.iter().filter_map(|line| Record::parse(line)).collect();
    let opened = if args.personal { Some(people::open(&records, place)?) } else { None };
    let both = page.lines.iter().zip(&records);
    let text: String = match (output.format(), &opened) {
        (Format::Json, None) => {
            page.lines.iter().map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
        }
        (Format::Json, Some(opened)) => both.map(|(line, record)| opened.line(line, record)).collect(),
        (Format::Text, _) if records.is_empty() => "No records.\n".to_owned(),
        (Format::Text, opened) => {
            let personal = |record| opened.as_ref().map_or_else(String::new, |opened| opened.row(record));
            let rows = records.iter().map(|record| table::row(record) + &personal(record));
            std::iter::once(table::HEAD.to_owned()).chain(rows).collect()
        }
    };
    output.raw(&text);
    let edge = if args.newest { records.first() } else { records.last() };
    if let Some(edge) = edge.filter(|_| page.more) {
        let flag = if args.newest { "--newest --before" } else { "--after" };
        output.note(&format!("There are more: {flag} {}", edge.metadata.sequence));
    }
    Ok(())
}
