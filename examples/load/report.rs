//! Figures, and their printing. Of several turns the medians count: one bad second must not decide.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example for people and scripts to read")]

use std::time::Duration;

use super::Outcome;
use super::drive::Seen;

/// What one turn showed.
pub(super) struct Figures {
    calls: usize,
    per_second: f64,
    p50: f64,
    p95: f64,
    p99: f64,
    faults: u64,
    told: Vec<String>,
}

impl Figures {
    pub(super) fn of(mut seen: Seen) -> Self {
        seen.micros.sort_unstable();
        let at = |share: usize| {
            let last = seen.micros.len().saturating_sub(1);
            seen.micros.get(last * share / 100).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
        };
        let calls = seen.micros.len();
        Self {
            calls,
            per_second: calls as f64 / seen.elapsed.as_secs_f64(),
            p50: at(50),
            p95: at(95),
            p99: at(99),
            faults: seen.faults,
            told: seen.told,
        }
    }

    /// An error where a single answer was wrong: figures of a server that answers wrongly mean nothing.
    pub(super) fn verdict(&self) -> Outcome<()> {
        if self.faults > 0 {
            return Err(format!("{} faults, the first: {}", self.faults, self.told.join("\n  ")).into());
        }
        if self.calls == 0 { Err("no call was answered".into()) } else { Ok(()) }
    }

    fn line(&self) -> String {
        format!(
            "{:>8} calls {:>7.0}/s   p50 {:>6.2} ms   p95 {:>6.2} ms   p99 {:>6.2} ms   {} faults",
            self.calls, self.per_second, self.p50, self.p95, self.p99, self.faults
        )
    }
}

/// All turns of both.
#[derive(Default)]
pub(super) struct Compared {
    ours: Vec<Figures>,
    bare: Vec<Figures>,
}

impl Compared {
    pub(super) fn add(&mut self, ours: Figures, bare: Figures) {
        self.ours.push(ours);
        self.bare.push(bare);
    }
}

pub(super) fn setup(done: &str, users: usize, took: Duration) {
    eprintln!("{users} people {done} in {:.1} s", took.as_secs_f64());
}

pub(super) fn sessions(count: usize, took: Duration) {
    eprintln!("{count} sessions opened and used again in {:.1} s", took.as_secs_f64());
}

pub(super) fn problem(text: &str) {
    eprintln!("{text}");
}

pub(super) fn one(figures: &Figures) {
    println!("{}", figures.line());
}

pub(super) fn turn(ours: &Figures, bare: &Figures) {
    println!("server    {}\nyardstick {}", ours.line(), bare.line());
}

/// The medians, and what one turn's pairs say about how far to trust them.
pub(super) fn ratios(compared: &Compared) {
    println!(
        "median of {} turns            server   yardstick   ratio (lowest to highest of a pair)",
        compared.ours.len()
    );
    row("throughput, calls/s", compared, |figures| figures.per_second);
    row("p50, ms", compared, |figures| figures.p50);
    row("p95, ms", compared, |figures| figures.p95);
    row("p99, ms", compared, |figures| figures.p99);
}

fn row(what: &str, compared: &Compared, figure: fn(&Figures) -> f64) {
    let ours = median(compared.ours.iter().map(figure).collect());
    let bare = median(compared.bare.iter().map(figure).collect());
    let pairs = compared.ours.iter().zip(&compared.bare).map(|(ours, bare)| figure(ours) / figure(bare));
    let (low, high) =
        pairs.fold((f64::MAX, f64::MIN), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
    println!("{what:<26} {ours:>9.2} {bare:>11.2} {:>7.2} ({low:.2} to {high:.2})", ours / bare);
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    let middle = all.len() / 2;
    if all.len().is_multiple_of(2) { (all[middle - 1] + all[middle]) / 2.0 } else { all[middle] }
}
