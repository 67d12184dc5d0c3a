//! What is remembered of an incident beside its state: for the next run, and for the report.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything but what the row itself says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    /// In the operator's words.
    pub(super) reason: Option<String>,
    /// What was asked for, so that another run does not silently do something else.
    pub(super) asked: Value,
    /// Who began it.
    pub(super) by: String,
    /// The program that began it: its SHA-256.
    pub(super) binary: String,
    /// Its version.
    pub(super) version: String,
    /// How often it was taken up again.
    pub(super) interrupted: u32,
    pub(super) steps: Vec<Done>,
    /// Everybody who exists only to be tried: person and client.
    pub(super) canaries: Vec<(String, String)>,
    /// The ids of its events in the audit trail.
    pub(super) events: Vec<String>,
    /// Whether its report was written after it was over.
    pub(super) reported: bool,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It was begun.
    #[default]
    Begun,
    /// Done, and proven where it says so.
    Done,
    /// Done, and what it found needs eyes.
    Findings,
    /// What only people can do.
    ByHand,
    /// Could not be done here, and why.
    NotDone,
}

impl Outcome {
    /// In words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Findings => "done, look at what it found",
            Self::ByHand => "by hand",
            Self::NotDone => "NOT DONE",
        }
    }
}

/// One step, as far as it came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    /// Its name.
    pub(super) step: String,
    pub(super) outcome: Outcome,
    /// Who took it.
    pub(super) by: String,
    /// Milliseconds.
    pub(super) began_at: i64,
    /// Milliseconds.
    pub(super) ended_at: Option<i64>,
    /// What was there before it, noted before it was taken: a second run would find less.
    pub(super) before: Value,
    /// One line each.
    pub(super) said: Vec<String>,
    /// What shows it.
    pub(super) evidence: Value,
}

impl Facts {
    /// As they are stored; nothing is known where that cannot be read.
    pub(super) fn parse(text: &str) -> Self {
        Self::read(text).unwrap_or_default()
    }

    /// As they are stored; `None` where that cannot be read.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// To be stored.
    pub(super) fn text(&self) -> String {
        // Strings, numbers and values that were parsed cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A step that was begun.
    pub(super) fn step(&self, name: &str) -> Option<&Done> {
        self.steps.iter().find(|done| done.step == name)
    }

    /// The same, to be added to.
    pub(super) fn step_mut(&mut self, name: &str) -> &mut Done {
        let known = self.steps.iter().position(|done| done.step == name);
        let at = known.unwrap_or_else(|| {
            self.steps.push(Done { step: name.to_owned(), ..Done::default() });
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    /// Whether something is left to do, or to look at.
    pub(super) fn is_complete(&self) -> bool {
        self.steps.iter().all(|done| !matches!(done.outcome, Outcome::NotDone | Outcome::Begun))
    }
}
