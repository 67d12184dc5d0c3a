//! Plans: a destructive change is shown first, and applied only as it was shown, once, by whoever was shown it.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::super::upstream::Session;
use super::super::{Context, ToolError};
use crate::domain::PlanId;
use crate::failure::Failure;
use crate::store::PlanUse;
use crate::vault::changes::{PLAN_LIVES, Planned};

/// Seconds for which a plan can be applied.
pub(in crate::mcp::tools) const SECONDS: u64 = PLAN_LIVES.as_secs();

/// A plan that was only shown.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp::tools) struct Shown {
    /// Nothing was changed: to do it, the same arguments and this.
    pub(in crate::mcp::tools) plan_id: String,
    /// How long the plan lives.
    expires_in_seconds: u64,
}

impl Shown {
    pub(in crate::mcp::tools) const fn of(plan_id: String) -> Self {
        Self { plan_id, expires_in_seconds: SECONDS }
    }
}

/// Keeps a plan; `None` where there is no journal.
pub(in crate::mcp::tools) async fn keep(
    context: Context<'_>,
    session: &Session<'_>,
    planned: Planned<'_>,
) -> Result<Option<String>, ToolError> {
    let Some(changes) = context.server.upstream.changes() else { return Ok(None) };
    let id = changes.plan((&context.caller.user, &session.link), planned).await;
    id.map(|id| Some(id.as_str().to_owned())).map_err(|failure| ToolError::internal(&failure))
}

/// What becomes of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mcp::tools) enum Use {
    /// It is used up.
    Take,
    /// It stays as it is: the person is asked first.
    LookAt,
}

/// Uses a plan up (or only looks whether it could be), or says why not.
pub(in crate::mcp::tools) async fn take(
    context: Context<'_>,
    session: &Session<'_>,
    (id, planned): (Option<&str>, Planned<'_>),
    how: Use,
) -> Result<(), ToolError> {
    let Some(id) = id else {
        return Err(refused(
            "a plan is needed",
            "Call with dry_run true, show the person what it says, then call again with",
        ));
    };
    let Ok(id) = id.parse::<PlanId>() else { return Err(why_not(planned.tool, PlanUse::Unknown)) };
    let Some(changes) = context.server.upstream.changes() else {
        return Err(ToolError::internal(&Failure::new("there is no journal")));
    };
    let of = (&context.caller.user, &session.link);
    let taken = match how {
        Use::Take => changes.apply(&id, of, planned).await,
        Use::LookAt => changes.look_at(&id, of, planned).await,
    };
    match taken.map_err(|failure| ToolError::internal(&failure))? {
        PlanUse::Taken => Ok(()),
        other => Err(why_not(planned.tool, other)),
    }
}

fn why_not(tool: &str, used: PlanUse) -> ToolError {
    let has_dry_run = matches!(tool, "deduplicate_playlist" | "remove_tracks_from_playlist");
    let (again, repeat) = match has_dry_run {
        true => (
            "Call with dry_run true again, show the person what it says now, and apply",
            "Repeat the arguments of the call that made it, with dry_run false and",
        ),
        false => (
            "Call again without plan_id, show the person what it says now, and then call with",
            "Repeat the arguments of the call that made it, with",
        ),
    };
    match used {
        PlanUse::OtherArguments => {
            refused("the plan was made for another account, playlist or other arguments", repeat)
        }
        PlanUse::OtherState => refused("the playlist has changed since the plan was made", again),
        PlanUse::Used => {
            refused("the plan was used before: it was applied, or the person was asked and said no", again)
        }
        PlanUse::Expired => refused("the plan has expired", again),
        PlanUse::Unknown | PlanUse::Taken => refused("there is no such plan, or it is long over", again),
    }
}

fn refused(why: &str, next: &str) -> ToolError {
    ToolError::invalid(format!("Nothing was changed: {why}. {next} its plan_id."))
}
