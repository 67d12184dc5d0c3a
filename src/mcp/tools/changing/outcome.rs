//! How a change ended, in the words that all changing tools answer with.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::ToolError;
use crate::domain::change::Progress;

/// How certain a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::mcp::tools) enum Status {
    // Without descriptions: the list of tools says this often. Seen in place by reading again.
    Verified,
    // Confirmed by Spotify.
    Accepted,
    // Only a first part was done.
    Partial,
    // A confirmation was lost, and reading again did not settle it.
    Ambiguous,
}

/// How a change ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::mcp::tools) struct Outcome {
    /// How certain the change is.
    pub(in crate::mcp::tools) status: Status,
    /// For undo_change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::mcp::tools) change_id: Option<String>,
    /// The playlist's new state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::mcp::tools) snapshot_id: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::mcp::tools) failure: Option<ToolError>,
}

impl Outcome {
    /// It was so already, or is seen to be so now.
    pub(in crate::mcp::tools) const fn verified() -> Self {
        Self { status: Status::Verified, change_id: None, snapshot_id: None, failure: None }
    }

    /// The end of a sentence about it.
    pub(in crate::mcp::tools) fn told(&self) -> String {
        let state = self.state_told();
        match &self.change_id {
            Some(id) => format!("{state} To undo it: undo_change with change_id {id}."),
            None => state,
        }
    }

    /// The same without a word about undoing.
    pub(in crate::mcp::tools) fn state_told(&self) -> String {
        let why = self.failure.as_ref().map(|failure| format!(" {}", failure.told())).unwrap_or_default();
        match self.status {
            Status::Verified => " Seen in place.".to_owned(),
            Status::Accepted => " Spotify confirmed it; it was not read again.".to_owned(),
            Status::Partial => format!(" Only a part of it was done.{why}"),
            Status::Ambiguous => {
                format!(
                    " It is not certain whether it was done.{why} Look at the playlist before doing anything else."
                )
            }
        }
    }

    /// For the trail.
    pub(in crate::mcp::tools) fn code(&self) -> Option<&'static str> {
        self.failure.as_ref().map(|failure| failure.code)
    }
}

impl From<Status> for Progress {
    fn from(status: Status) -> Self {
        match status {
            Status::Verified => Self::Verified,
            Status::Accepted => Self::Accepted,
            Status::Partial => Self::Partial,
            Status::Ambiguous => Self::Ambiguous,
        }
    }
}

/// Spotify confirmed, and what is read says otherwise.
pub(in crate::mcp::tools) fn contradicted() -> ToolError {
    ToolError::new(
        "AMBIGUOUS_WRITE",
        "Spotify confirmed the change, but what is read afterwards is something else: it was not applied yet, or somebody \
         changed the playlist at the same time.",
    )
}
