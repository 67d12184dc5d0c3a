//! Asking the person before something is taken away, where their client can: once, in plain words, with the numbers.
//! Where it cannot, the plan that they were shown before stands alone.
//!
//! A reply counts only for what was asked: for the same person, account, tool, arguments and words, once, for some
//! minutes. It is a plan of its own, so that any server takes it, and it ends with the account.

use super::super::asking::Question;
use super::super::upstream::Session;
use super::{Context, ToolError};
use crate::domain::asking::Reply;
use crate::domain::{LinkId, PlanId};
use crate::failure::Failure;
use crate::spotify::text::clean;
use crate::store::PlanUse;
use crate::vault::changes::Planned;

/// Longest foreign name in a question: what is cut off cannot say anything.
const LONGEST: usize = 40;

/// A name from Spotify, as a question may hold it: between quotation marks that it cannot close, so that it is never taken
/// for our own words.
pub(super) fn quoted(name: &str) -> String {
    let is_mark = |c: char| matches!(c, '"' | '`' | '«' | '»' | '‹' | '›' | '〝'..='〟' | '＂' | '“'..='‟' | '″' | '‴' | '‶' | '‷');
    format!("\"{}\"", clean(&name.replace(is_mark, "'"), LONGEST))
}

/// Whether this run brings the reply to a question of an earlier one.
pub(super) fn was_asked(context: Context<'_>) -> bool {
    context.asking.state().is_some()
}

/// Whether the person is to be asked, or was.
pub(super) fn is_due(context: Context<'_>) -> bool {
    was_asked(context) || context.asking.offers().form
}

/// Goes on where the person agrees, or cannot be asked.
///
/// # Errors
/// Where they have to be asked first, or did not agree: then nothing may be done.
pub(super) async fn agreed(
    context: Context<'_>,
    link: &LinkId,
    planned: Planned<'_>,
    message: String,
) -> Result<(), ToolError> {
    let (asking, of) = (context.asking, (&context.caller.user, link));
    let state = asking.state();
    if !is_due(context) {
        return Ok(());
    }
    let Some(changes) = context.server.upstream.changes() else {
        // Nothing can be bound to a reply, and so nobody is asked.
        return state.map_or(Ok(()), |_| Err(ToolError::internal(&Failure::new("there is no journal"))));
    };
    let (asked, shown) = (format!("agreed: {}", planned.asked), format!("{}\n{message}", planned.state));
    let planned = Planned { asked: &asked, state: &shown, ..planned };
    let (state, reply) = match (state, asking.reply()) {
        (Some(state), Some(reply)) => (state, reply),
        // It came back without a reply: the same question stands.
        (Some(state), None) => {
            return Err(asking.ask(Question::Agree { message, state: state.to_owned() }));
        }
        (None, _) => {
            let id = changes.plan(of, planned).await.map_err(|failure| ToolError::internal(&failure))?;
            return Err(asking.ask(Question::Agree { message, state: id.as_str().to_owned() }));
        }
    };
    let Ok(id) = state.parse::<PlanId>() else { return Err(why_not(PlanUse::Unknown)) };
    let taken = changes.apply(&id, of, planned).await;
    match taken.map_err(|failure| ToolError::internal(&failure))? {
        PlanUse::Taken => {}
        other => return Err(why_not(other)),
    }
    match reply {
        Reply::Accepted { ticked: true } => Ok(()),
        Reply::Accepted { ticked: false } | Reply::Declined => Err(ToolError::declined(
            "Nothing was changed: the person was asked and said no. Do not try again unless they ask for it.",
        )),
        Reply::Closed => Err(ToolError::declined(
            "Nothing was changed: the person was asked and closed the question, or did not reply in time. Ask them what they want.",
        )),
    }
}

/// By what the person calls the account that is used.
pub(super) async fn account(context: Context<'_>, session: &Session<'_>) -> Result<String, ToolError> {
    let links = context.links().await?;
    let link = links.iter().find(|link| link.id == session.link);
    link.map(|link| context.name_of(link)).ok_or_else(|| ToolError::no_account(&context.server.reconnect_url))
}

fn why_not(used: PlanUse) -> ToolError {
    let why = match used {
        PlanUse::OtherArguments => "the person was asked about something else",
        PlanUse::OtherState => "what the person was asked about has changed since",
        PlanUse::Used => "the reply was used before",
        PlanUse::Expired => "the person was asked too long ago",
        PlanUse::Unknown | PlanUse::Taken => "nobody was asked so",
    };
    ToolError::invalid(format!("Nothing was changed: {why}. Call again, so that they are asked anew."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_does_not_end_its_quotation() {
        for mark in ['"', '`', '«', '»', '“', '”', '„', '‟', '‹', '›', '＂', '〝', '〞', '〟', '″', '‶']
        {
            let said = quoted(&format!(
                "Trash{mark} of nobody? Nothing goes.\n\u{202e}Tick to go on, {}",
                "x".repeat(90)
            ));
            assert!(said.starts_with("\"Trash' of nobody? Nothing goes. Tick"), "{said}");
            assert_eq!((said.matches('"').count(), said.chars().count()), (2, LONGEST + 2), "{said}");
        }
        assert_eq!(quoted("It's mine"), "\"It's mine\"");
    }
}
