//! Talks in rounds (2026-07-28, MRTR): a tool or prompt that asks the client before it answers.
//!
//! A client is asked only what it said it can answer; what it answers is checked, and asked again where it does not
//! fit.

use std::collections::BTreeMap;

use rmcp::ErrorData;
use rmcp::model::{ClientCapabilities, InputRequests, InputRequiredResult, InputResponses};
use serde::Deserialize;
use serde_json::Value;

use crate::sealed::Seal;

/// A talk: what is asked in each round, and what is said in the end.
#[derive(Deserialize)]
pub struct Talk {
    rounds: Vec<BTreeMap<String, Value>>,
    /// Whether it holds state at the client.
    sealed: bool,
    done: String,
}

/// What the client said this time, and who it is.
pub struct Turn<'a> {
    pub subject: &'a str,
    pub user: &'a str,
    pub can: ClientCapabilities,
    pub state: Option<&'a str>,
    pub answers: Option<InputResponses>,
}

/// What to say next.
pub enum Next {
    Ask(InputRequiredResult),
    Done(String),
}

impl Talk {
    /// Goes on from the client's turn.
    ///
    /// # Errors
    /// Where the state is not ours, and where the client can answer nothing of what would be asked.
    pub fn next(&self, seal: &Seal, turn: Turn<'_>) -> Result<Next, ErrorData> {
        let round = match turn.state {
            None => 0,
            Some(state) => {
                let place = seal.open(state, turn.user, turn.subject);
                place.ok_or_else(|| ErrorData::invalid_params("the requestState is not valid", None))?.round
            }
        };
        let asked = self.askable(round, &turn.can)?;
        let given = turn.answers.as_ref().filter(|_| turn.state.is_some() == self.sealed);
        let answered = given.filter(|given| {
            asked.iter().all(|(key, asked)| given.get(key).is_some_and(|given| fits(asked, given)))
        });
        match answered {
            None => self.ask(seal, &turn, round, asked),
            Some(_) if round + 1 < self.rounds.len() => {
                self.ask(seal, &turn, round + 1, self.askable(round + 1, &turn.can)?)
            }
            Some(given) => {
                let given = serde_json::to_string(given).unwrap_or_default();
                Ok(Next::Done(format!("{}: {given}", self.done)))
            }
        }
    }

    fn askable(&self, round: usize, can: &ClientCapabilities) -> Result<BTreeMap<String, Value>, ErrorData> {
        let questions = self.rounds.get(round).cloned().unwrap_or_default();
        let askable: BTreeMap<_, _> =
            questions.into_iter().filter(|(_, question)| is_askable(question, can)).collect();
        if askable.is_empty() {
            let needed = ClientCapabilities::builder().enable_elicitation().build();
            return Err(ErrorData::missing_required_client_capability(needed));
        }
        Ok(askable)
    }

    fn ask(
        &self,
        seal: &Seal,
        turn: &Turn<'_>,
        round: usize,
        asked: BTreeMap<String, Value>,
    ) -> Result<Next, ErrorData> {
        let asked = serde_json::to_value(asked).and_then(serde_json::from_value::<InputRequests>);
        let asked = asked.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let state = self.sealed.then(|| seal.seal(turn.user, turn.subject, round));
        Ok(Next::Ask(InputRequiredResult::new(Some(asked), state)))
    }
}

fn is_askable(question: &Value, can: &ClientCapabilities) -> bool {
    match question["method"].as_str() {
        Some("elicitation/create") => can.elicitation.is_some(),
        Some("sampling/createMessage") => can.sampling.is_some(),
        Some("roots/list") => can.roots.is_some(),
        _ => false,
    }
}

/// Whether an answer has the shape of its question.
fn fits(question: &Value, answer: &Value) -> bool {
    let schema = &question["params"]["requestedSchema"];
    match question["method"].as_str() {
        Some("elicitation/create") => {
            let has = |field: &Value| {
                let (name, content) = (field.as_str().unwrap_or_default(), &answer["content"]);
                match schema["properties"][name]["type"].as_str() {
                    Some("boolean") => content[name].is_boolean(),
                    _ => content[name].is_string(),
                }
            };
            let required = schema["required"].as_array();
            answer["action"] == "accept" && required.is_some_and(|fields| fields.iter().all(has))
        }
        Some("sampling/createMessage") => answer["content"].is_object() || answer["content"].is_array(),
        Some("roots/list") => answer["roots"].is_array(),
        _ => false,
    }
}
