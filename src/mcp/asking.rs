//! Asking the person themselves, through a client that offers it ("elicitation"): before something is taken away, and
//! to show them a page of ours. What is asked is plain words and one box to tick; a secret is never asked for.
//!
//! A client of 2026-07-28 is answered that input is required, asks, and calls again with the reply; nothing is kept
//! here in between, so that any server takes the reply. A client of 2025 is asked while its call waits (see `streamed`).

use std::sync::{Mutex, PoisonError};

use rmcp::model::{ElicitationCapability, InputRequest, InputRequests, InputRequiredResult, InputResponses};
use serde_json::{Value, json};

use super::tools::ToolError;
use crate::domain::asking::{Offers, Reply};
use crate::failure::{During as _, Failure};

/// The one thing that is asked in a call.
const ONE: &str = "person";
/// The box to tick.
const BOX: &str = "agree";

/// What a client says that it can show.
pub(super) fn offers_of(capability: Option<&ElicitationCapability>) -> Offers {
    // One that names no mode means forms (2025-11-25, elicitation, "Capabilities").
    capability.map_or_else(Offers::default, |modes| Offers {
        form: modes.form.is_some() || modes.url.is_none(),
        page: modes.url.is_some(),
    })
}

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether they agree to this.
    Agree {
        /// What will be done, with the numbers.
        message: String,
        /// Binds the reply to what was asked: comes back with it.
        state: String,
    },
    /// To open a page of ours.
    Open {
        /// What for.
        message: String,
        /// The page.
        url: String,
        /// Of this question alone.
        id: String,
        /// Binds the reply to whoever was shown it: comes back with it.
        state: Option<String>,
    },
}

/// The reply in the protocol's result of a question; `None` where there is none.
pub(super) fn reply_of(result: &Value) -> Option<Reply> {
    match result["action"].as_str()? {
        "accept" => Some(Reply::Accepted { ticked: result["content"][BOX] == true }),
        "decline" => Some(Reply::Declined),
        "cancel" => Some(Reply::Closed),
        _ => None,
    }
}

/// What one run of a tool may ask, and what came back of what the run before it asked.
#[derive(Debug, Default)]
pub(super) struct Asking {
    offers: Offers,
    state: Option<String>,
    reply: Option<Reply>,
    question: Mutex<Option<Question>>,
}

impl Asking {
    /// Of a request of 2026-07-28, which brings everything itself.
    pub(super) fn by_rounds(
        offers: Offers,
        (state, replies): (Option<String>, Option<&InputResponses>),
    ) -> Self {
        let reply = replies.and_then(|replies| reply_of(replies.get(ONE)?));
        Self { offers, state, reply, question: Mutex::default() }
    }

    /// Of a client of 2025, before anything was asked.
    pub(super) fn within_the_call(offers: Offers) -> Self {
        Self { offers, ..Self::default() }
    }

    /// The same run again, with the reply to what it asked.
    pub(super) fn replied(question: &Question, reply: Reply) -> Self {
        Self { state: question.state(), reply: Some(reply), ..Self::default() }
    }

    /// What the client can show.
    pub(super) const fn offers(&self) -> Offers {
        self.offers
    }

    /// What came back with the reply.
    pub(super) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The reply.
    pub(super) const fn reply(&self) -> Option<Reply> {
        self.reply
    }

    /// Asks; the tool ends with this, and runs again with the reply.
    pub(super) fn ask(&self, question: Question) -> ToolError {
        *self.question.lock().unwrap_or_else(PoisonError::into_inner) = Some(question);
        ToolError::declined("Nothing was changed: the person has not replied yet.")
    }

    /// What is to be asked.
    pub(super) fn take(&self) -> Option<Question> {
        self.question.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Question {
    /// As the protocol asks it.
    pub(super) fn request(&self) -> Value {
        let params = match self {
            Self::Agree { message, .. } => json!({
                "mode": "form",
                "message": message,
                "requestedSchema": {
                    "type": "object",
                    "properties": {BOX: {"type": "boolean", "title": "Yes, do it", "default": false}},
                    "required": [BOX],
                },
            }),
            Self::Open { message, url, id, .. } => {
                json!({"mode": "url", "message": message, "url": url, "elicitationId": id})
            }
        };
        json!({"method": "elicitation/create", "params": params})
    }

    /// As the answer that input is required (2026-07-28, multi round-trip requests).
    pub(super) fn required(&self) -> Result<InputRequiredResult, Failure> {
        let request: InputRequest = serde_json::from_value(self.request()).during("asking a person")?;
        let requests = InputRequests::from([(ONE.to_owned(), request)]);
        Ok(InputRequiredResult::new(Some(requests), self.state()))
    }

    fn state(&self) -> Option<String> {
        match self {
            Self::Agree { state, .. } => Some(state.clone()),
            Self::Open { state, .. } => state.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_offers_is_read_as_each_revision_says_it() {
        let offers = |modes: Value| {
            let modes: Option<ElicitationCapability> = serde_json::from_value(modes).unwrap();
            let Offers { form, page } = offers_of(modes.as_ref());
            (form, page)
        };
        assert_eq!(offers(Value::Null), (false, false));
        assert_eq!(offers(json!({})), (true, false));
        assert_eq!(offers(json!({"form": {}, "url": {}})), (true, true));
        assert_eq!(offers(json!({"url": {}})), (false, true));
    }

    #[test]
    fn only_a_ticked_box_agrees_and_what_is_no_reply_is_none() {
        let read = |result: Value| reply_of(&result);
        let ticked = json!({"action": "accept", "content": {"agree": true}});
        assert_eq!(read(ticked), Some(Reply::Accepted { ticked: true }));
        for not in [json!({}), json!({"agree": false}), json!({"agree": "true"}), Value::Null] {
            let reply = read(json!({"action": "accept", "content": not}));
            assert_eq!(reply, Some(Reply::Accepted { ticked: false }));
        }
        assert_eq!(read(json!({"action": "decline"})), Some(Reply::Declined));
        assert_eq!(read(json!({"action": "cancel"})), Some(Reply::Closed));
        for none in [json!({"action": "yes"}), json!({}), Value::Null, json!([])] {
            assert_eq!(read(none), None);
        }
    }

    #[test]
    fn a_question_fits_the_protocol() {
        let agree = Question::Agree { message: "Remove 3?".to_owned(), state: "s".to_owned() };
        let result = serde_json::to_value(agree.required().unwrap()).unwrap();
        assert_eq!((&result["resultType"], &result["requestState"]), (&json!("input_required"), &json!("s")));
        let asked = &result["inputRequests"]["person"]["params"];
        assert_eq!((&asked["mode"], &asked["message"]), (&json!("form"), &json!("Remove 3?")));
        assert_eq!(asked["requestedSchema"]["required"], json!(["agree"]));
        let url = "https://h/account/link?page=p".to_owned();
        let (message, id) = ("Open it".to_owned(), "p".to_owned());
        let open = Question::Open { message, url: url.clone(), id, state: None };
        let result = serde_json::to_value(open.required().unwrap()).unwrap();
        assert_eq!(result["inputRequests"]["person"]["params"]["url"], url);
        assert!(result.get("requestState").is_none());
    }
}
