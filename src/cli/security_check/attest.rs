//! `security-check attest`: somebody says, in their own name and with what shows it, that a task was done.
//!
//! Stored with its event in one transaction. Never: a task that the policies do not name, or an earlier time.

use std::collections::BTreeSet;

use serde_json::json;

use super::inputs;
use crate::check::{Catalogue, Task};
use crate::cli::Global;
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused, paragraph};
use crate::domain::event::clean;
use crate::store::AttestationRow;

/// How long a name and what shows it may be.
const LONGEST: (usize, usize) = (100, 1_000);

/// Help below the options.
const AFTER: &str = "\
The tasks: 'spotify-mcp security-check --list'. What is attested is stored in the server's database and in the audit trail, \
and the checks of the group maintenance (SMC9...) see how long ago it was.

Examples:
  spotify-mcp security-check attest restore-test --by 'Ada Lovelace' \\
      --evidence 'ticket 4711: back-up of Monday, 12 minutes'";

/// What `attest` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// The task
    task: String,
    /// Who did it, or saw it done
    #[arg(long, value_name = "WHO")]
    by: String,
    /// What shows it: a ticket, a report, a place; never a secret
    #[arg(long, value_name = "TEXT")]
    evidence: String,
    /// Say what would be recorded, and record nothing
    #[arg(long)]
    dry_run: bool,
    /// Accepted, as every command that changes something does; nothing is asked
    #[arg(short, long)]
    yes: bool,
    /// The database of 'serve --sandbox' instead
    #[arg(long)]
    sandbox: bool,
}

/// Records it.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let catalogue = inputs::catalogue(None)?;
    let task = task(&catalogue, &args.task)?;
    let by_whom = said("--by", &args.by, LONGEST.0)?;
    let evidence = said("--evidence", &args.evidence, LONGEST.1)?;
    followed(&by_whom, &evidence)?;
    let place = Place { global, sandbox: args.sandbox };
    at_database(&place, async |desk| record(desk, task, (&by_whom, &evidence), args.dry_run).await)
}

fn task<'a>(catalogue: &'a Catalogue, named: &str) -> Result<&'a Task, Refused> {
    catalogue.tasks.iter().find(|task| task.id == named).ok_or_else(|| {
        let known: Vec<&str> = catalogue.tasks.iter().map(|task| task.id.as_str()).collect();
        let text = format!("there is no task {}", clean(named));
        Refused::usage("TASK_UNKNOWN", text, format!("these are known: {}", known.join(", ")))
    })
}

fn said(option: &str, text: &str, most: usize) -> Result<String, Refused> {
    let text = text.trim();
    if (1..=most).contains(&text.chars().count()) && !text.chars().any(crate::domain::event::is_deceptive) {
        return Ok(text.to_owned());
    }
    let why = format!("{option} is empty, longer than {most} characters, or holds invisible ones");
    Err(Refused::usage("ATTESTATION_INVALID", why, "write one line that says who, or what shows it"))
}

/// A name has two letters that differ; what shows it eight characters, four letters or digits among them that differ.
fn followed(by_whom: &str, evidence: &str) -> Result<(), Refused> {
    let different = |text: &str, counts: fn(char) -> bool| {
        text.to_lowercase().chars().filter(|letter| counts(*letter)).collect::<BTreeSet<_>>().len()
    };
    let (why, next) = if different(by_whom, char::is_alphabetic) < 2 {
        (
            "--by names nobody: a name has two different letters at least",
            "write who did it, or saw it done, so that somebody can ask them",
        )
    } else if evidence.chars().count() < 8 || different(evidence, char::is_alphanumeric) < 4 {
        (
            "--evidence is too short to be followed: eight characters at least, four letters or digits among them that differ",
            "write what an auditor can look up: a ticket's number, a report and its date, a place",
        )
    } else {
        return Ok(());
    };
    Err(Refused::usage("ATTESTATION_INVALID", why, next))
}

async fn record(
    desk: &Desk,
    task: &Task,
    (by_whom, evidence): (&str, &str),
    dry_run: bool,
) -> Result<Exit, Refused> {
    let id: String = desk.dice.name().iter().map(|byte| format!("{byte:02x}")).collect();
    let row = AttestationRow {
        id: format!("att_{id}"),
        task: task.id.clone(),
        by_whom: by_whom.to_owned(),
        evidence: evidence.to_owned(),
        at: desk.clock.now().millis(),
    };
    if !dry_run {
        desk.store.attest(&row, &[desk.stamp(row.event())]).await.map_err(|failure| broken(&failure))?;
    }
    let next = i64::from(task.every.days());
    let due = crate::ambient::Timestamp::from_millis(row.at + next * 86_400_000).rfc3339();
    let done = if dry_run { "would be attested" } else { "attested" };
    let mut text = paragraph("", &format!("{done}: {} ({}), by {by_whom}", task.title, task.id));
    text += &paragraph("  evidence  ", evidence);
    text += &format!("  due next  {due} ({})\n", task.every.name());
    let value = json!({
        "changed": !dry_run, "id": (!dry_run).then_some(&row.id), "task": task.id, "by": by_whom, "evidence": evidence,
        "at": crate::ambient::Timestamp::from_millis(row.at).rfc3339(), "due_next": due,
    });
    desk.output.result(&text, &value);
    Ok(Exit::Done)
}
