//! The guard around each tool call, which was counted before: scope, deadline, cancellation, panics, trail, usage.
//!
//! The trail and the counts learn which tool was called and how it ended, never with what arguments.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use super::asking::{Asking, Question};
use super::caller::Caller;
use super::going::Going;
use super::measured;
use super::server::Inner;
use super::several::{self, Used};
use super::tools::{Answer, Arguments, Context, ToolError, ToolSpec};
use crate::domain::event::{Event, EventCode};
use crate::policy::{ToolClass, ToolPolicy};
use crate::telemetry::metrics::Figure;
use crate::vault::turns::Turn;

/// So much of a call's time is left to say that its turn did not come.
const SPARE: Duration = Duration::from_secs(5);

/// How guarded work ended.
pub(super) enum Ended<T> {
    /// By itself.
    Done(T),
    /// The deadline passed.
    TimedOut,
    /// Nobody waits for it any more.
    Cancelled,
    /// It panicked.
    Panicked,
}

/// What is answered where our own code broke.
pub(super) fn broken(what: &str) -> ErrorData {
    tracing::error!(what, "a handler panicked");
    ErrorData::internal_error("internal error", None)
}

/// A call that is made for a caller.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) caller: &'a Caller,
    pub(super) tool: &'static str,
    /// Where there is none, the call is refused.
    pub(super) policy: Option<&'a ToolPolicy>,
    /// Which linked accounts its work comes to use.
    pub(super) used: &'a Used,
    /// Whether it brings the reply to what the person was asked.
    pub(super) asked: bool,
}

/// What a tool answered, as the trail sees it.
pub(super) trait Outcome {
    /// The code of what went wrong in part.
    fn code(&self) -> Option<&'static str>;

    /// Whether the person has to be asked first, and nothing was done.
    fn asks(&self) -> bool {
        false
    }
}

/// What a tool says: its answer, or what its person is to be asked.
enum Said {
    Answer(Answer),
    Asks(Question),
}

impl Outcome for Said {
    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Answer(answer) => answer.code,
            Self::Asks(_) => None,
        }
    }

    fn asks(&self) -> bool {
        matches!(self, Self::Asks(_))
    }
}

/// What a call came to.
pub(super) enum Called {
    /// Its result.
    Done(CallToolResult),
    /// The person is to be asked; nothing was done.
    Asks(Question),
}

/// Calls a tool for a caller, whose person may be asked so.
pub(super) async fn call(
    server: &Inner,
    (caller, asking): (&Caller, &Asking),
    tool: &'static ToolSpec,
    arguments: Arguments,
    going: &Going,
) -> Result<Called, ErrorData> {
    let used = Used::default();
    let asked = asking.reply().is_some();
    let call = Call { caller, tool: tool.name, policy: server.policies.of(tool.name), used: &used, asked };
    let work = |deadline| {
        let context = Context { server, caller, deadline, used: &used, asking, going };
        async move {
            let turn = turn(call, server, deadline).await?;
            if let Some((Some(turn), _here)) = &turn {
                going.goes_by(turn.held());
            }
            let answered = several::run(context, tool, arguments).await;
            if let Some((Some(turn), _here)) = turn {
                turn.end().await;
            }
            let answered = answered.map(|answer| answer.remarking(&going.remarks()));
            asking.take().map_or_else(|| answered.map(Said::Answer), |question| Ok(Said::Asks(question)))
        }
    };
    Ok(match guarded(server, call, going, work).await? {
        Ok(Said::Asks(question)) => Called::Asks(question),
        Ok(Said::Answer(answer)) => Called::Done(result(server, Ok(answer))),
        Err(error) => Called::Done(result(server, Err(error))),
    })
}

/// Waits until no other change of the person is under way, here and on other servers; at once where the call changes
/// nothing that lasts.
async fn turn(
    call: Call<'_>,
    server: &Inner,
    deadline: Instant,
) -> Result<Option<(Option<Turn>, OwnedMutexGuard<()>)>, ToolError> {
    if call.policy.is_none_or(|policy| policy.class != ToolClass::Change) {
        return Ok(None);
    }
    let until = deadline.checked_sub(SPARE).unwrap_or(deadline);
    let user = &call.caller.user;
    let here = timeout_at(until, server.turns.of(user)).await.map_err(|_| ToolError::busy())?;
    let Some(changes) = server.upstream.changes() else { return Ok(Some((None, here))) };
    let turn = changes.turn(user, until).await.map_err(|failure| ToolError::internal(&failure))?;
    Ok(Some((Some(turn.ok_or_else(ToolError::busy)?), here)))
}

/// Does the work of a call, given its deadline, between all that stands around a call.
///
/// # Errors
/// Where the work panicked, nobody waits for it any more, or it could not be recorded: then nothing was done.
pub(super) async fn guarded<A: Outcome, W: Future<Output = Result<A, ToolError>>>(
    server: &Inner,
    call: Call<'_>,
    going: &Going,
    work: impl FnOnce(Instant) -> W,
) -> Result<Result<A, ToolError>, ErrorData> {
    let began = Instant::now();
    // What cannot be recorded is not done.
    if let Err(failure) = server.audit.can_tell_of(&call.caller.user).await {
        tracing::error!(
            cause = failure.chain(),
            tool = call.tool,
            "a call that cannot be recorded is refused"
        );
        return Err(ErrorData::internal_error("nothing can be done at the moment: try again", None));
    }
    let ended = match may_call(call) {
        Ok(()) => {
            let deadline = began + server.tool_deadline;
            going.through(work(deadline), deadline).await
        }
        Err(refused) => Ended::Done(Err(refused)),
    };
    let ended = match ended {
        Ended::TimedOut => Ended::Done(Err(ToolError::timeout())),
        other => other,
    };
    // A question is no call: that is counted and told when the reply comes.
    if let Ended::Done(Ok(answer)) = &ended
        && answer.asks()
    {
        return Ok(match ended {
            Ended::Done(outcome) => outcome,
            _ => Err(ToolError::timeout()),
        });
    }
    let failed = !matches!(&ended, Ended::Done(Ok(_)));
    server.usage.count(&call.caller.user, call.tool, failed, server.clock.now());
    let event = note(call, &ended, began);
    measured::called(call.tool, event.outcome(), began.elapsed());
    if event.status_text() == "INVALID_ARGUMENT" {
        Figure::ValidationError.count();
    }
    server.audit.note(event).await;
    match ended {
        Ended::Done(outcome) => Ok(outcome),
        Ended::Panicked => Err(broken(call.tool)),
        Ended::Cancelled | Ended::TimedOut => Err(ErrorData::internal_error("cancelled", None)),
    }
}

/// Whether the caller may make this call, or what to answer. The scope was checked before (403); this holds also
/// where it was not.
fn may_call(call: Call<'_>) -> Result<(), ToolError> {
    let allowed = call.policy.is_some_and(|policy| call.caller.scopes.allows(policy.scope));
    if !allowed {
        return Err(ToolError::new(
            "SCOPE_MISSING",
            "This client was not given the permission that this tool needs. Ask the person to connect the client again \
             and approve it.",
        ));
    }
    Ok(())
}

fn note<A: Outcome>(call: Call<'_>, ended: &Ended<Result<A, ToolError>>, began: Instant) -> Event {
    let Call { caller, tool, .. } = call;
    let event = Event::new(EventCode::ToolCalled)
        .by(&caller.user)
        .client(&caller.client)
        .from(caller.address)
        .request(&caller.request_id)
        .operation(format!("tools/call {tool}"))
        .detail("tool", tool)
        .detail("duration_ms", began.elapsed().as_millis().to_string());
    let event = if call.asked { event.detail("asked", "person") } else { event };
    let used = call.used.all();
    let event = match (used.as_slice(), &caller.link) {
        ([one], _) => event.link(one),
        ([], Some(primary)) => event.link(primary),
        ([], None) => event,
        (several, _) => (1..)
            .zip(several)
            .fold(event, |event, (n, link)| event.detail(&format!("link_{n}"), link.as_str())),
    };
    match ended {
        Ended::Done(Ok(answer)) => match answer.code() {
            None => event,
            Some(code) => event.failed().status(code),
        },
        Ended::Done(Err(error)) if is_refusal(error.code) => event.refused().status(error.code),
        Ended::Done(Err(error)) => event.failed().status(error.code),
        Ended::TimedOut => event.failed().status("UPSTREAM_TIMEOUT"),
        Ended::Cancelled => event.failed().status("cancelled"),
        Ended::Panicked => event.failed().status("panic"),
    }
}

fn is_refusal(code: &str) -> bool {
    matches!(
        code,
        "SCOPE_MISSING" | "RATE_LIMITED" | "INVALID_ARGUMENT" | "ACCOUNT_UNKNOWN" | "FORBIDDEN" | "DECLINED"
    )
}

/// An outcome as the protocol's result.
pub(super) fn result(server: &Inner, outcome: Result<Answer, ToolError>) -> CallToolResult {
    let mut result = match outcome {
        Ok(answer) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(answer.text)]);
            result.structured_content = Some(answer.structured);
            result
        }
        Err(error) => {
            let mut result = CallToolResult::error(vec![ContentBlock::text(error.told())]);
            result.structured_content = Some(json!({"error": error}));
            result
        }
    };
    result.meta = Some(server.stamp.clone());
    result
}
