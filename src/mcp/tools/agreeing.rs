//! Asking the person before something is taken away, where their client can: once, in plain words, with the numbers.
//! Where it cannot, the plan that they were shown before stands alone: no tool takes anything away at its first call.
//!
//! A reply counts only for what was asked: for the same person, account, tool, arguments and words, once, for some
//! minutes. It is a plan of its own, so that any server takes it, and it ends with the account.

use super::super::asking::Question;
use super::super::upstream::Session;
use super::changing::planned::{self, Shown, Use};
use super::things::ThingItem;
use super::{Context, ToolError};
use crate::domain::asking::Reply;
use crate::domain::{LinkId, PlanId};
use crate::failure::Failure;
use crate::spotify::text::clean;
use crate::spotify::uri::ThingUri;
use crate::store::PlanUse;
use crate::vault::changes::Planned;

/// What a page is bound to beside its person.
const SHOWN: &str = "a page was shown";

/// So many of the things that go are named where the person is asked.
const NAMED: usize = 5;

/// Longest foreign name in a question: what is cut off cannot say anything.
const LONGEST: usize = 40;

/// A name from Spotify, as a question may hold it: between quotation marks that it cannot close, so that it is never taken
/// for our own words.
pub(super) fn quoted(name: &str) -> String {
    // Unicode's quotation marks (Quotation_Mark) and primes, and what looks like them; no brackets.
    let is_mark = |c: char| {
        matches!(c,
            '"' | '`' | '«' | '»' | '‹' | '›' | '“'..='‟' | '″' | '‴' | '‶' | '‷' | '⁗' | '〃' | '〝'..='〟' | '＂'
            | '\u{2ba}' | '\u{2dd}' | '\u{2ee}' | '\u{2f6}' | '\u{5f3}' | '\u{5f4}' | '\u{275b}'..='\u{2760}'
            | '\u{2e42}' | '\u{1f676}'..='\u{1f678}')
    };
    format!("\"{}\"", clean(&name.replace(is_mark, "'"), LONGEST))
}

/// Whether this run brings the reply to a question of an earlier one.
pub(super) fn was_asked(context: Context<'_>) -> bool {
    context.asking.state().is_some()
}

/// Whether the person replied, and this is what came of a reply that was no yes.
pub(super) fn is_no(context: Context<'_>, error: &ToolError) -> bool {
    context.asking.reply().is_some() && error.code == "DECLINED"
}

/// Whether the person is to be asked, or was.
pub(super) fn is_due(context: Context<'_>) -> bool {
    was_asked(context) || context.asking.offers().form
}

/// Leave to take something away with a tool that has no plan of its own: the person's yes, where their client can ask;
/// else the plan that they were shown. A plan and what it says, where it has to be shown first.
///
/// # Errors
/// As [`agreed`] and [`planned::take`]: then nothing may be done.
pub(super) async fn leave(
    context: Context<'_>,
    session: &Session<'_>,
    planned: Planned<'_>,
    (plan_id, question): (Option<&str>, impl Future<Output = Result<String, ToolError>>),
) -> Result<Option<(Shown, String)>, ToolError> {
    if is_due(context) {
        return agreed(context, &session.link, planned, question.await?).await.map(|()| None);
    }
    if plan_id.is_some() {
        return planned::take(context, session, (plan_id, planned), Use::Take).await.map(|()| None);
    }
    let question = question.await?;
    let Some(id) = planned::keep(context, session, planned).await? else { return Ok(None) };
    let text = format!(
        "Plan, nothing changed yet. Ask the person: {question} Where they agree: the same arguments with plan_id {id}, \
         within {} minutes.",
        planned::SECONDS / 60
    );
    Ok(Some((Shown::of(id), text)))
}

/// Binds the reply to showing a page to whoever was shown it; `None` where there is nothing to bind it to.
pub(super) async fn bound(context: Context<'_>, tool: &'static str) -> Result<Option<String>, ToolError> {
    let (Some(changes), Some(link)) = (context.server.upstream.changes(), &context.caller.link) else {
        return Ok(None);
    };
    let planned = Planned { tool, asked: SHOWN, state: "" };
    let id = changes.plan((&context.caller.user, link), planned).await;
    id.map(|id| Some(id.as_str().to_owned())).map_err(|failure| ToolError::internal(&failure))
}

/// The reply to a page that this person was shown; `None` where they were not, or it was replied before.
pub(super) async fn of_the_page(
    context: Context<'_>,
    tool: &'static str,
) -> Result<Option<Reply>, ToolError> {
    let id = context.asking.state().and_then(|state| state.parse::<PlanId>().ok());
    let (Some(id), Some(changes), Some(link)) = (id, context.server.upstream.changes(), &context.caller.link)
    else {
        return Ok(None);
    };
    let Some(reply) = context.asking.reply() else { return Ok(None) };
    let planned = Planned { tool, asked: SHOWN, state: "" };
    let taken = changes.apply(&id, (&context.caller.user, link), planned).await;
    let taken = taken.map_err(|failure| ToolError::internal(&failure))?;
    Ok((taken == PlanUse::Taken).then_some(reply))
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
        Reply::Accepted { ticked: false } => Err(ToolError::declined(
            "Nothing was changed: the person was asked and went on without ticking the box, which is no yes. Do not try again \
             unless they ask for it.",
        )),
        Reply::Declined => Err(ToolError::declined(
            "Nothing was changed: the person was asked and said no. Do not try again unless they ask for it.",
        )),
        Reply::Closed => Err(ToolError::declined(
            "Nothing was changed: the person was asked and closed the question, or did not reply in time. Ask them what they want.",
        )),
    }
}

/// The first of these things by their names, as far as Spotify tells them, for a question: `: "A", "B", ...`.
pub(super) async fn names(session: &Session<'_>, uris: &[String]) -> String {
    let (api, mut names) = (session.api, Vec::new());
    let known = uris.iter().filter_map(|uri| uri.parse::<ThingUri>().ok());
    for uri in known.take(NAMED) {
        let uri = &uri;
        // Where one is not told, the others are not waited for.
        let Ok(thing) = session.attempt(|token| async move { api.thing(&token, uri).await }).await else {
            break;
        };
        names.extend(ThingItem::of(uri.kind(), &thing).map(|item| quoted(&item.name)));
    }
    let more = if uris.len() > names.len() { ", ..." } else { "" };
    if names.is_empty() { String::new() } else { format!(": {}{more}", names.join(", ")) }
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
        for mark in [
            '"',
            '`',
            '«',
            '»',
            '“',
            '”',
            '„',
            '‟',
            '‹',
            '›',
            '＂',
            '〝',
            '〞',
            '〟',
            '″',
            '‶',
            '\u{275d}',
            '\u{275e}',
            '\u{5f4}',
            '\u{2ba}',
            '\u{2ee}',
            '〃',
            '\u{1f676}',
            '\u{1f677}',
        ] {
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
