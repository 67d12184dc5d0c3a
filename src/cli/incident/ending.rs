//! Ending the credentials that are concerned, and proving it. Every run ends them itself, and proves what it ended: never
//! what the database says that an earlier run did.

use serde_json::{Value, json};

use super::course::{Course, HEARD, Taken};
use super::facts::Outcome;
use super::playbooks::{Playbook, Step};
use super::selected::{hands, of, order};
use crate::ambient::Timestamp;
use crate::app::administration::Order;
use crate::cli::administer::{Desk, broken};
use crate::cli::output::Refused;
use crate::cli::rotate_keys::{Proof, Tried, remove_tried};
use crate::cli::{revoke_sessions, serve_start};
use crate::domain::selection::{Parts, Selection};

/// How often something is ended again that was on its way in the instant of the revocation.
const LATE: u32 = 2;

/// What is noted before credentials are ended: a second run would find less.
pub(super) async fn before(course: &Course<'_>) -> Result<Value, Refused> {
    let counts = hands(course.desk).count(&course.order()?).await.map_err(|failure| broken(&failure))?;
    Ok(json!({ "counts": revoke_sessions::kinds(&counts), "at": course.desk.clock.now().rfc3339() }))
}

/// What would be ended, in words.
pub(super) async fn counted(desk: &Desk, asked: &Value) -> Result<Value, Refused> {
    let counts = hands(desk).count(&order(asked, None)?).await.map_err(|failure| broken(&failure))?;
    Ok(json!(revoke_sessions::in_one_line(&counts)))
}

/// Ends it.
pub(super) async fn revoke(course: &mut Course<'_>) -> Result<Taken, Refused> {
    if !matches!(course.playbook, Playbook::Authentication(_)) {
        return Ok(super::steps::nothing());
    }
    let order = course.order()?;
    // Credentials are dated to the second: what was issued in this one, and after the revocation, is new.
    let from = Timestamp::from_secs(course.desk.clock.now().secs());
    course.revoked_from = Some(from);
    let ended = hands(course.desk).revoke(&order).await.map_err(|failure| broken(&failure))?;
    let known = course.facts.step(Step::Revoke.name()).cloned().unwrap_or_default();
    let earlier = earlier(&known.evidence);
    let event = ended.as_ref().map(|(event, _)| event.as_str().to_owned());
    let counts = ended.as_ref().map(|(_, counts)| revoke_sessions::kinds(counts));
    let said = match &ended {
        None => "this person is not there any more: nothing of theirs is left".to_owned(),
        Some((_, counts)) if !counts.is_nothing() => {
            format!("ended {}, on every server within a second", revoke_sessions::in_one_line(counts))
        }
        Some(_) if earlier.is_empty() => "there was nothing to end".to_owned(),
        Some(_) => "an earlier run ended it; this one found nothing left".to_owned(),
    };
    Ok(Taken::done(
        said,
        json!({
            "found_before": known.before["counts"], "ended_by_this_run": counts, "ended_by_earlier_runs": earlier,
            "event": event, "revoked_from": from.rfc3339(),
        }),
    ))
}

/// What runs before this one ended, where it was anything.
fn earlier(evidence: &Value) -> Vec<Value> {
    let mut all = evidence["ended_by_earlier_runs"].as_array().cloned().unwrap_or_default();
    let last = &evidence["ended_by_this_run"];
    if last.as_object().is_some_and(|counts| counts.values().any(|count| *count != json!(0))) {
        all.push(last.clone());
    }
    all
}

/// Counts what is left of it, and tries what only serves to be tried.
pub(super) async fn prove(course: &mut Course<'_>) -> Result<Taken, Refused> {
    if !matches!(course.playbook, Playbook::Authentication(_)) {
        return Ok(super::steps::nothing());
    }
    tokio::time::sleep(HEARD).await;
    let order = until_revoked(course)?;
    let hands = hands(course.desk);
    let mut left = hands.count(&order).await.map_err(|failure| broken(&failure))?;
    let (everybody, mut late) = (course.order()?.selection.is_everything(), 0);
    while !left.is_nothing() && late < LATE {
        late += 1;
        hands.revoke(&order).await.map_err(|failure| broken(&failure))?;
        tokio::time::sleep(HEARD).await;
        left = hands.count(&order).await.map_err(|failure| broken(&failure))?;
    }
    let good = left.is_nothing();
    let mut said = vec![match good {
        true => "nothing of what was selected is good any more".to_owned(),
        false => format!("STILL GOOD: {}", revoke_sessions::in_one_line(&left)),
    }];
    if late > 0 {
        said.push("what was on its way in the instant of the revocation was ended after it".to_owned());
    }
    let mut evidence = json!({
        "left": revoke_sessions::kinds(&left), "ended_again": late,
        "issued_before": order.selection.issued_before().map(Timestamp::rfc3339),
    });
    let mut wrong = !good;
    if everybody {
        let proof = tried(course).await?;
        wrong |= proof.is_wrong;
        said.push(proof.said);
        evidence["probes"] = proof.evidence;
    }
    Ok(Taken { outcome: if wrong { Outcome::NotDone } else { Outcome::Done }, said, evidence })
}

/// The same selection, as far as it was issued before this run ended it: whoever logs in meanwhile holds something new.
fn until_revoked(course: &Course<'_>) -> Result<Order, Refused> {
    let order = course.order()?;
    let now = Timestamp::from_secs(course.desk.clock.now().secs());
    let from = course.revoked_from.unwrap_or(now);
    let asked = &order.selection;
    let narrowed = Selection::narrowed(Parts {
        user: asked.user().cloned(),
        client: asked.client().cloned(),
        session: None,
        issued_before: Some(asked.issued_before().map_or(from, |at| at.min(from))),
    });
    Ok(of(narrowed.unwrap_or(order.selection), order.reason))
}

/// Credentials issued for this alone are ended as all were, and tried.
async fn tried(course: &mut Course<'_>) -> Result<Proof, Refused> {
    let desk = course.desk;
    let Some((root, _)) = serve_start::present_root(&desk.config)? else {
        let said = "no master key is at hand: nothing was tried".to_owned();
        return Ok(Proof { is_wrong: false, said, evidence: Value::Null });
    };
    let canaries = Tried::mint(desk);
    course.facts.canaries.extend(canaries.names());
    course.note(&[]).await?;
    let proof = canaries.run(desk, root).await?;
    remove_tried(desk, &course.facts.canaries).await?;
    course.facts.canaries.clear();
    Ok(proof)
}
