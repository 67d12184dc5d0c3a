//! What the audit trail costs on this machine: records per second and processor time per record, notes (tool calls) and
//! awaited records apart, and how long a start takes on a full segment. `scripts/bench-audit` runs it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program speaks to people and may stop"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use spotify_mcp::ambient::{Clock, Dice};
use spotify_mcp::audit::{Audit, People, Settings, Signer};
use spotify_mcp::crypto::Key;
use spotify_mcp::crypto::keys::{KeyId, SealingKey};
use spotify_mcp::domain::event::{Event, EventCode};
use spotify_mcp::domain::ids::{ClientId, RequestId};
use spotify_mcp::domain::{LinkId, UserId};

/// People who call in turn.
const PEOPLE: u64 = 1_000;

fn main() {
    let count = std::env::args().nth(1).map_or(200_000, |count| count.parse().unwrap());
    let dir = std::env::temp_dir().join(format!("spotify-mcp-audit-cost-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(&dir, count));
    fs::remove_dir_all(&dir).unwrap();
}

async fn measure(dir: &Path, count: u64) {
    let audit = open(dir);
    // Everybody's key once, as a server that has run for a while.
    for person in 0..PEOPLE {
        audit.note(call(person)).await;
    }
    audit.record(Event::new(EventCode::SysStartup)).await.unwrap();

    let (began, busy) = (Instant::now(), processor_time());
    for n in 0..count {
        audit.note(call(n % PEOPLE)).await;
    }
    // Comes after all of them, and is durable.
    audit.record(Event::new(EventCode::SysStartup)).await.unwrap();
    let (took, busy) = (began.elapsed(), processor_time() - busy);
    say("notes (a tool call each)", count, took, Some(busy));

    let alone = count / 100;
    let began = Instant::now();
    for _ in 0..alone {
        audit.record(Event::new(EventCode::SessionCreated)).await.unwrap();
    }
    say("records awaited, one at a time", alone, began.elapsed(), None);

    let (together, each) = (64, count / 640);
    let began = Instant::now();
    let callers: Vec<_> = (0..together).map(|_| tokio::spawn(several(audit.clone(), each))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    say("records awaited, 64 at once", together * each, began.elapsed(), None);
    audit.close().await;
    drop(audit);

    let newest =
        fs::read_dir(dir).unwrap().filter_map(|entry| entry.unwrap().metadata().ok()).map(|it| it.len());
    let (newest, total) = newest.fold((0, 0), |(most, total), len| (len.max(most), total + len));
    let began = Instant::now();
    let audit = open(dir);
    println!(
        "{:<34} {:>9.1} ms   (largest segment {} MiB, {} bytes a record)",
        "a start",
        began.elapsed().as_secs_f64() * 1000.0,
        newest >> 20,
        total / (count + alone + together * each),
    );
    audit.close().await;
}

async fn several(audit: Audit, count: u64) {
    for _ in 0..count {
        audit.record(Event::new(EventCode::SessionCreated)).await.unwrap();
    }
}

fn open(dir: &Path) -> Audit {
    let (clock, dice) = (Clock::system(), Dice::system());
    let key = SealingKey::new(KeyId::new([1; 16]), Key::new([1; 32]));
    let signer = Signer::new(&key, Vec::new()).unwrap();
    Audit::open(Settings::new(dir, signer, People::of_nobody((&clock, &dice))), clock, dice).unwrap()
}

/// What a tool call records.
fn call(person: u64) -> Event {
    let id = u128::from(person).to_be_bytes();
    Event::new(EventCode::ToolCalled)
        .by(&UserId::mint(id))
        .client(&ClientId::parse("c_00000000000000000000000000000001").unwrap())
        .link(&LinkId::mint(id))
        .from("203.0.113.9".parse().unwrap())
        .request(&RequestId::mint(id))
        .operation("tools/call get_current_track")
        .detail("tool", "get_current_track")
        .detail("duration_ms", "12")
}

fn say(what: &str, count: u64, took: Duration, busy: Option<Duration>) {
    let rate = count as f64 / took.as_secs_f64();
    let busy = busy
        .map(|busy| format!("   {:.2} us of processor time each", busy.as_secs_f64() * 1e6 / count as f64));
    println!("{what:<34} {rate:>9.0} /s{}", busy.unwrap_or_default());
}

/// What this process has used, all threads: `utime` and `stime` of /proc/self/stat, in hundredths of a second.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = text
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .skip(11)
        .take(2)
        .flat_map(str::parse)
        .collect();
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}
