//! How many calls the person made: by day and tool, never what was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::{Count, Text, parse, schema_of};
use super::{Answer, Arguments, Context, Hints, ToolError, ToolSpec, output_of};
use crate::spotify::text::clean;
use crate::store::{UsageFilter, UsageKey};

/// Longest stretch of time that is told of, in days.
const LONGEST: u32 = 90;
/// Most rows of one answer.
const MOST: u32 = 200;
/// Most offset: no person has more rows.
const LAST: u32 = 100_000;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "get_usage",
    title: "Get the usage",
    description: "Tells how many tool calls the person made through this server, per day (UTC) and tool, newest first, and how \
                  many of them failed. It counts calls only; it knows nothing of what was asked or listened to.",
    hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// How many days back, today included.
    #[serde(default = "week")]
    days: Count<1, LONGEST>,
    /// Only calls of this tool.
    tool: Option<Text<1, 100>>,
    /// How many rows to return at most.
    #[serde(default = "some")]
    limit: Count<1, MOST>,
    /// How many rows to skip; take next_offset of the previous answer.
    #[serde(default = "start")]
    offset: Count<0, LAST>,
}

const fn week() -> Count<1, LONGEST> {
    Count::of(7)
}

const fn some() -> Count<1, MOST> {
    Count::of(50)
}

const fn start() -> Count<0, LAST> {
    Count::of(0)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The first day counted, YYYY-MM-DD.
    since: String,
    /// The counts, newest day first.
    usage: Vec<Row>,
    /// Calls on all of these days.
    calls: i64,
    /// Of these, failed ones.
    errors: i64,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Row {
    /// YYYY-MM-DD, UTC.
    day: String,
    tool: String,
    calls: i64,
    /// Of these, failed ones.
    errors: i64,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let back = Duration::from_secs(u64::from(input.days.get() - 1) * 86_400);
    let mut since = context.server.clock.now().minus(back).rfc3339();
    since.truncate("YYYY-MM-DD".len());
    let mut rows = counted(context, &input, &since).await?;
    // One of an earlier version may have been counted.
    if let Some(tool) = input.tool.as_ref().filter(|tool| context.server.policies.of(tool.as_str()).is_none())
        && rows.is_empty()
    {
        return Err(ToolError::invalid(format!("There is no tool called {}.", clean(tool.as_str(), 100))));
    }
    let (calls, errors) = (rows.iter().map(|row| row.calls).sum(), rows.iter().map(|row| row.errors).sum());
    let (from, most) = (input.offset.get() as usize, input.limit.get() as usize);
    let more = rows.len() > from + most;
    rows = rows.into_iter().skip(from).take(most).collect();
    let next_offset = more.then(|| input.offset.get() + input.limit.get());
    let output = Output { since, usage: rows, calls, errors, next_offset };
    Answer::own(output.told(), &output)
}

/// Newest day first. What is stored, and what this server has counted since it last stored its counts.
async fn counted(context: Context<'_>, input: &Input, since: &str) -> Result<Vec<Row>, ToolError> {
    let tool = input.tool.as_ref().map(|tool| tool.as_str().to_owned());
    let filter = UsageFilter {
        user: Some(context.caller.user.clone()),
        tool: tool.clone(),
        since: Some(since.to_owned()),
        ..UsageFilter::by(&[UsageKey::Day, UsageKey::Tool])
    };
    let stored = context.server.book.usage(&filter).await.map_err(|failure| ToolError::internal(&failure))?;
    let mut sums: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    for usage in stored {
        if let [day, tool] = usage.keys.as_slice() {
            sums.insert((day.clone(), tool.clone()), (usage.calls, usage.errors));
        }
    }
    for row in context.server.usage.of(&context.caller.user) {
        if *row.day >= *since && tool.as_ref().is_none_or(|tool| *tool == row.tool) {
            let sum = sums.entry((row.day, row.tool)).or_default();
            *sum = (sum.0 + row.calls, sum.1 + row.errors);
        }
    }
    let mut rows: Vec<_> =
        sums.into_iter().map(|((day, tool), (calls, errors))| Row { day, tool, calls, errors }).collect();
    rows.sort_by(|a, b| b.day.cmp(&a.day).then_with(|| a.tool.cmp(&b.tool)));
    Ok(rows)
}

impl Output {
    fn told(&self) -> String {
        let mut text = format!("{} calls since {}, {} failed.", self.calls, self.since, self.errors);
        for row in &self.usage {
            let failed = if row.errors > 0 { format!(", {} failed", row.errors) } else { String::new() };
            text.push_str(&format!("\n- {} {}: {}{failed}", row.day, row.tool, row.calls));
        }
        if let Some(next) = self.next_offset {
            text.push_str(&format!("\nMore: offset {next}."));
        }
        text
    }
}
