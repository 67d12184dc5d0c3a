//! Plans: a destructive change is shown first, and applied only as it was shown, once, by whoever was shown it.

use super::super::super::upstream::Session;
use super::super::{Context, ToolError};
use crate::domain::PlanId;
use crate::failure::Failure;
use crate::store::PlanUse;
use crate::vault::changes::{PLAN_LIVES, Planned};

/// Seconds for which a plan can be applied.
pub(in crate::mcp::tools) const SECONDS: u64 = PLAN_LIVES.as_secs();

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

/// Uses a plan up, or says why not.
pub(in crate::mcp::tools) async fn take(
    context: Context<'_>,
    session: &Session<'_>,
    (id, planned): (Option<&str>, Planned<'_>),
) -> Result<(), ToolError> {
    let Some(id) = id else {
        return Err(refused(
            "a plan is needed",
            "Call with dry_run true, show the person what it says, then call again with",
        ));
    };
    let Ok(id) = id.parse::<PlanId>() else { return Err(why_not(PlanUse::Unknown)) };
    let Some(changes) = context.server.upstream.changes() else {
        return Err(ToolError::internal(&Failure::new("there is no journal")));
    };
    let taken = changes.apply(&id, (&context.caller.user, &session.link), planned).await;
    match taken.map_err(|failure| ToolError::internal(&failure))? {
        PlanUse::Taken => Ok(()),
        other => Err(why_not(other)),
    }
}

fn why_not(used: PlanUse) -> ToolError {
    const AGAIN: &str = "Call with dry_run true again, show the person what it says now, and apply";
    match used {
        PlanUse::OtherArguments => refused(
            "the plan was made for another account, playlist or other arguments",
            "Repeat the arguments of the call that made it, with dry_run false and",
        ),
        PlanUse::OtherState => refused("the playlist has changed since the plan was made", AGAIN),
        PlanUse::Used => {
            refused("the plan was used before: it was applied, or the person was asked and said no", AGAIN)
        }
        PlanUse::Expired => refused("the plan has expired", AGAIN),
        PlanUse::Unknown | PlanUse::Taken => refused("there is no such plan, or it is long over", AGAIN),
    }
}

fn refused(why: &str, next: &str) -> ToolError {
    ToolError::invalid(format!("Nothing was changed: {why}. {next} its plan_id."))
}
