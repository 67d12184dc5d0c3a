//! `spotify-mcp audit tail`: the newest records, and those that follow as they are written.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::filter::{Filter, Record, Wanted};
use super::place::{Trail, Which, unread};
use super::table;
use crate::audit::reader::{self, Segment};
use crate::audit::survey;
use crate::cli::administer::Place;
use crate::cli::output::{Exit, Format, Output, Refused};

/// What `audit tail` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  spotify-mcp audit tail -n 50
  spotify-mcp audit tail -f --severity medium
  spotify-mcp audit tail -f --format json | jq .metadata.event_code")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    wanted: Wanted,
    /// How many records
    #[arg(short = 'n', long = "lines", value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    lines: u32,
    /// Go on with what is written from now on, until it is interrupted
    #[arg(short, long)]
    follow: bool,
}

/// How often a followed trail is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Where reading goes on.
struct At {
    number: u32,
    offset: u64,
}

/// Prints the newest records, and follows.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let filter = args.wanted.filter(place)?;
    let output = place.global.output();
    let trail = args.which.trail(place)?;
    let (lines, mut at) = newest(&trail, args, &filter)?;
    if output.format() == Format::Text && !output.line(table::HEAD) {
        return Ok(Exit::Done);
    }
    if !lines.iter().all(|line| print(line, &output)) || !args.follow {
        return Ok(Exit::Done);
    }
    while somebody_reads(LOOK_EVERY) && go_on(&trail, &mut at, &filter, &output)? {}
    Ok(Exit::Done)
}

/// Waits for so long; false at once where nobody reads any more. A file, where somebody may always read, says nothing.
fn somebody_reads(wait: Duration) -> bool {
    let stdout = std::io::stdout();
    let mut gone = [PollFd::new(&stdout, PollFlags::empty())];
    let began = Instant::now();
    let wait = Timespec::try_from(wait).ok();
    let is_gone = poll(&mut gone, wait.as_ref()).is_ok_and(|count| count > 0);
    if !is_gone {
        // Where the wait was cut short.
        std::thread::sleep(LOOK_EVERY.saturating_sub(began.elapsed()));
    }
    !is_gone
}

/// The newest lines that are wanted, from the last segment backwards, and where the trail ends.
fn newest(trail: &Trail, args: &Args, filter: &Filter) -> Result<(VecDeque<Vec<u8>>, At), Refused> {
    let segments = trail.segments()?;
    let most = usize::try_from(args.lines).unwrap_or(usize::MAX);
    let mut found: VecDeque<Vec<u8>> = VecDeque::new();
    let mut at = None;
    for segment in segments.iter().rev() {
        let mut here = VecDeque::new();
        let room = most - found.len();
        let end = reader::read(&segment.path, 0, |offset, lines| {
            for (_, line) in reader::lines(offset, lines) {
                if Record::parse(line).is_some_and(|record| filter.takes(&record)) {
                    here.push_back(line.to_vec());
                }
                here.drain(..here.len().saturating_sub(room));
            }
            ControlFlow::Continue(())
        })
        .map_err(|error| unread(&segment.path, &error))?;
        at.get_or_insert(At { number: segment.number, offset: end.bytes });
        here.append(&mut found);
        found = here;
        if found.len() >= most {
            break;
        }
    }
    Ok((found, at.unwrap_or(At { number: 1, offset: 0 })))
}

/// Prints what was written since; false where nobody reads any more.
fn go_on(trail: &Trail, at: &mut At, filter: &Filter, output: &Output) -> Result<bool, Refused> {
    let segments = survey::segments(&trail.dir).map_err(|error| unread(&trail.dir, &error))?;
    let mut listened = true;
    let from = at.number;
    for segment in segments.iter().filter(|segment| segment.number >= from) {
        let start = if segment.number == at.number { at.offset } else { 0 };
        let end = match follow(segment, start, filter, output, &mut listened) {
            Ok(end) => end,
            // Retention took it away since the folder was looked at.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unread(&segment.path, &error)),
        };
        *at = At { number: segment.number, offset: end };
    }
    Ok(listened)
}

fn follow(
    segment: &Segment,
    start: u64,
    filter: &Filter,
    output: &Output,
    listened: &mut bool,
) -> std::io::Result<u64> {
    let end = reader::read(&segment.path, start, |offset, lines| {
        for (_, line) in reader::lines(offset, lines) {
            if Record::parse(line).is_some_and(|record| filter.takes(&record)) {
                *listened &= print(line, output);
            }
        }
        if *listened { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(end.bytes)
}

/// Prints a record; false where nobody reads any more.
fn print(line: &[u8], output: &Output) -> bool {
    match (output.format(), Record::parse(line)) {
        (Format::Text, Some(record)) => output.line(&table::row(&record)),
        (Format::Text, None) => true,
        (Format::Json, _) => output.line(&format!("{}\n", String::from_utf8_lossy(line))),
    }
}
