//! Tool calls by tool and outcome, how long they took, and open streams. Never by whom, or with what.

use std::time::Duration;

use super::tools;
use crate::domain::event::Outcome;
use crate::telemetry::exposition::{Exposition, Kind};
use crate::telemetry::metrics::{Counter, Gauge, Histogram};

const OUTCOMES: [Outcome; 3] = [Outcome::Success, Outcome::Refused, Outcome::Failed];

struct Counts {
    outcomes: [Counter; OUTCOMES.len()],
    took: Histogram,
}

/// By the places of the tools; the last one is of what is no tool of ours.
static TOOLS: [Counts; tools::ALL.len() + 1] =
    [const { Counts { outcomes: [const { Counter::new() }; OUTCOMES.len()], took: Histogram::new() } };
        tools::ALL.len() + 1];

/// Streamed answers that are open.
pub(super) static STREAMS: Gauge = Gauge::new();

/// Counts a call. The name is one of our own tools': calls of unknown ones never come here.
pub(super) fn called(tool: &'static str, outcome: Outcome, took: Duration) {
    let place = tools::ALL.iter().position(|known| known.name == tool).unwrap_or(tools::ALL.len());
    let counts = &TOOLS[place];
    counts.outcomes[outcome as usize].count();
    counts.took.observe(took);
}

/// Writes what was counted.
pub(crate) fn expose(out: &mut Exposition) {
    let names = || tools::ALL.iter().map(|tool| tool.name).chain(["other"]);
    let mut calls = out.family(
        "spotify_mcp_tool_calls_total",
        Kind::Counter,
        "Tool calls by tool and outcome. A call that fails is an HTTP answer of status 200 all the same.",
    );
    for (tool, counts) in names().zip(&TOOLS) {
        for (outcome, count) in OUTCOMES.iter().zip(&counts.outcomes) {
            calls.sample(&[("tool", tool), ("outcome", outcome.name())], count.get());
        }
    }
    let mut took =
        out.family("spotify_mcp_tool_call_duration_seconds", Kind::Histogram, "How long tool calls took.");
    for (tool, counts) in names().zip(&TOOLS) {
        took.histogram(&[("tool", tool)], &counts.took);
    }
    out.one(("spotify_mcp_open_streams", Kind::Gauge), "Streamed answers that are open.", STREAMS.get());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_stand_at_their_own_places() {
        for (at, outcome) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
        }
    }
}
