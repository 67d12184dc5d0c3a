//! Whose credentials a compromise is about. Whoever is meant is looked up once, when the incident begins, and kept by our
//! ids alone: a person may be deleted before it is over, and an age such as `2h` would mean another instant in every run.

use serde_json::{Value, json};

use super::course::Course;
use super::playbooks::Playbook;
use crate::ambient::Timestamp;
use crate::app::administration::{Hands, Order};
use crate::cli::administer::{Desk, broken};
use crate::cli::output::Refused;
use crate::cli::revoke_sessions;
use crate::domain::selection::{Parts, Selection};
use crate::domain::{ClientId, UserId};

/// What is asked, as it is stored and as the report has it.
pub(super) async fn asked(desk: &Desk, playbook: &Playbook) -> Result<Value, Refused> {
    let Playbook::Authentication(of) = playbook else { return Ok(playbook.asked()) };
    let options = (of.user.as_deref(), of.client.as_deref(), of.issued_before.as_deref());
    let selection = revoke_sessions::selection(desk, options).await?;
    Ok(json!({
        "everybody": of.is_everybody(),
        "user": selection.user().map(UserId::as_str),
        "client": selection.client().map(ClientId::as_str),
        "issued_before": of.issued_before,
        "issued_before_at": selection.issued_before().map(Timestamp::rfc3339),
    }))
}

/// What that selects; `None` where it cannot be read.
pub(super) fn selection(asked: &Value) -> Option<Selection> {
    let narrowed = Selection::narrowed(Parts {
        user: part(&asked["user"], |text| text.parse().ok())?,
        client: part(&asked["client"], ClientId::parse)?,
        session: None,
        issued_before: part(&asked["issued_before_at"], Timestamp::parse_rfc3339)?,
    });
    match (asked["everybody"].as_bool()?, narrowed) {
        (true, None) => Some(Selection::everything()),
        (false, narrowed) => narrowed,
        (true, Some(_)) => None,
    }
}

/// A part that is absent, or can be read.
fn part<T>(value: &Value, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match value.as_str() {
        Some(text) => read(text).map(Some),
        None => value.is_null().then_some(None),
    }
}

/// Whether a playbook is asked for what an incident was begun for.
pub(super) async fn is_same(desk: &Desk, playbook: &Playbook, begun: &Value) -> Result<bool, Refused> {
    let Playbook::Authentication(of) = playbook else { return Ok(*begun == playbook.asked()) };
    let same = |given: &Option<String>, kept: &str| given.as_deref() == begun[kept].as_str();
    if begun["everybody"] != json!(of.is_everybody())
        || !same(&of.client, "client")
        || !same(&of.issued_before, "issued_before")
    {
        return Ok(false);
    }
    match (of.user.as_deref(), begun["user"].as_str()) {
        (None, None) => Ok(true),
        (Some(named), Some(known)) => is_person(desk, named, known).await,
        _ => Ok(false),
    }
}

async fn is_person(desk: &Desk, named: &str, known: &str) -> Result<bool, Refused> {
    if named == known {
        return Ok(true);
    }
    let called = desk.store.people_called(named).await.map_err(|failure| broken(&failure))?;
    if !called.is_empty() {
        return Ok(matches!(&called[..], [(one, true)] if one.as_str() == known));
    }
    // Where nobody has that name and the person is gone, the name went with them.
    let there = desk.store.people_called(known).await.map_err(|failure| broken(&failure))?;
    Ok(there.is_empty())
}

impl Course<'_> {
    /// What this incident ends, and why.
    pub(super) fn order(&self) -> Result<Order, Refused> {
        order(&self.facts.asked, self.facts.reason.clone())
    }
}

/// The same of what is stored.
pub(super) fn order(asked: &Value, reason: Option<String>) -> Result<Order, Refused> {
    let selection = selection(asked).ok_or_else(|| unreadable("the incident in progress"))?;
    Ok(of(selection, reason))
}

/// The order that ends a selection: API keys too, where they can be among it.
pub(super) fn of(selection: Selection, reason: Option<String>) -> Order {
    Order {
        api_keys: selection.reaches_keys_and_links(),
        selection,
        spotify_links: false,
        reason,
        operation: "incident authentication-compromise",
    }
}

/// What is stored of an incident is not what this program stores.
pub(super) fn unreadable(what: &str) -> Refused {
    Refused::incomplete(
        "INCIDENT_UNREADABLE",
        format!("what is stored of {what} cannot be read: another program wrote it"),
        "end it with 'incident abandon --reason TEXT', and begin anew",
    )
}

/// Who ends it.
pub(super) const fn hands(desk: &Desk) -> Hands<'_> {
    Hands { store: &desk.store, clock: &desk.clock, dice: &desk.dice }
}
