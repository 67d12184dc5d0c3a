//! Reading a JSON-RPC message just far enough to refuse what is malformed and to know which scope it needs.
//!
//! One pass without copies; the library reads it again in full. Never decides by anything but the body: the
//! protocol's headers are checked against it later.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::shape;
use super::unique::{MetaOutline, Seen, Text, Unique};
use crate::domain::QuestionId;

/// Longest id that is text, in bytes: it comes back in every answer.
const LONGEST_ID: usize = 256;

/// The methods of the protocol that we answer.
pub(super) const METHODS: [&str; 11] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
];

/// What is known of a message.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// Of a request or notification.
    pub(crate) method: Option<Cow<'a, str>>,
    /// `params.name`: the tool or prompt.
    pub(crate) name: Option<Cow<'a, str>>,
    /// `params.requestId`: the request that a notification cancels.
    pub(super) cancels: Option<Value>,
    /// The revision that `params._meta` names.
    pub(super) version: Option<Cow<'a, str>>,
    /// `None` for notifications.
    pub(super) id: Option<Value>,
    /// Which question of ours this replies to, and how: such a message has no method.
    pub(super) reply: Option<(QuestionId, Value)>,
}

/// Why a body is no message: what is answered with HTTP 400.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Malformed {
    code: i32,
    message: &'static str,
    /// The request's id, where it could be read.
    #[serde(skip)]
    id: Option<Value>,
}

impl Malformed {
    pub(crate) const PARSE: i32 = -32700;
    pub(super) const INVALID_REQUEST: i32 = -32600;
    pub(super) const INVALID_PARAMS: i32 = -32602;
    pub(super) const INTERNAL: i32 = -32603;
    pub(super) const HEADER_MISMATCH: i32 = -32020;

    pub(super) const fn new(code: i32, message: &'static str) -> Self {
        Self { code, message, id: None }
    }

    /// An answer of which nobody asked.
    pub(super) const fn unasked() -> Self {
        Self::new(Self::INVALID_REQUEST, "nothing was asked of you: no answer is taken")
    }

    /// As the answer to the request with this id.
    pub(super) fn to(self, id: Option<Value>) -> Self {
        Self { id, ..self }
    }

    /// The JSON-RPC error. Without an id where none could be read: the protocol knows no null id.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = json!({"jsonrpc": "2.0", "error": self});
        if let Some(id) = &self.id {
            body["id"] = id.clone();
        }
        body.to_string().into_bytes()
    }
}

/// A message's outline. A field that comes twice is an error: two readers could see two different messages.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Params<'a>,
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// Reads a body.
pub(crate) fn read(body: &[u8]) -> Result<Message<'_>, Malformed> {
    if let Some(fault) = shape::fault(body) {
        return Err(Malformed::new(Malformed::INVALID_REQUEST, fault));
    }
    // Serde would also fill the outline from an array, field by field.
    let first = body.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    if first != Some(&b'{') {
        return Err(no_object(body, first));
    }
    // The text as a whole, so that not each of its strings is looked at anew.
    let text = std::str::from_utf8(body).map_err(|_| Malformed::new(Malformed::PARSE, "not JSON"))?;
    let outline: Outline<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let refuse = |message, id| Err(Malformed { id, ..Malformed::new(Malformed::INVALID_REQUEST, message) });
    let id = match outline.id {
        None => None,
        Some(Value::String(id)) if id.len() > LONGEST_ID => return refuse("the id is too long", None),
        Some(id) if id.is_i64() || id.is_string() => Some(id),
        Some(Value::Null) => return refuse("the id must not be null", None),
        Some(_) => return refuse("the id must be a string or a whole number", None),
    };
    if outline.jsonrpc.as_deref() != Some("2.0") {
        return refuse("jsonrpc must be \"2.0\"", id);
    }
    match (outline.method.is_some(), outline.result.is_some() || outline.error.is_some()) {
        (true, false) => {}
        (true, true) => return refuse("a message asks or answers, not both", id),
        (false, true) => {
            let question = id.as_ref().and_then(|id| id.as_str()?.parse().ok()).ok_or(Malformed::unasked())?;
            // An error is no reply.
            let reply = Some((question, outline.result.unwrap_or_default()));
            return Ok(Message { method: None, name: None, cancels: None, version: None, id, reply });
        }
        (false, false) => return refuse("there is no method", id),
    }
    match outline.params {
        Params::Unfit => {
            Err(Malformed { id, ..Malformed::new(Malformed::INVALID_PARAMS, "params do not fit") })
        }
        Params::Read(Picked { name, cancels, version }) => {
            Ok(Message { method: outline.method, name, cancels, version, id, reply: None })
        }
    }
}

fn no_object(body: &[u8], first: Option<&u8>) -> Malformed {
    match (serde_json::from_slice::<IgnoredAny>(body), first) {
        // Batches ended with 2025-06-18.
        (Ok(_), Some(b'[')) => {
            Malformed::new(Malformed::INVALID_REQUEST, "batches are not supported: send one message")
        }
        (Ok(_), _) => Malformed::new(Malformed::INVALID_REQUEST, "not a JSON-RPC message"),
        (Err(error), _) => unreadable(&error),
    }
}

fn unreadable(error: &serde_json::Error) -> Malformed {
    match error.classify() {
        serde_json::error::Category::Data => {
            Malformed::new(Malformed::INVALID_REQUEST, "not a JSON-RPC message")
        }
        _ => Malformed::new(Malformed::PARSE, "not JSON"),
    }
}

/// A field that is there, null included.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Of the parameters what decides here. Whatever comes twice in any object is an error, as in the outline.
enum Params<'a> {
    Read(Picked<'a>),
    /// Not an object, or a name that is no text.
    Unfit,
}

#[derive(Default)]
struct Picked<'a> {
    name: Option<Cow<'a, str>>,
    cancels: Option<Value>,
    version: Option<Cow<'a, str>>,
}

impl Default for Params<'_> {
    fn default() -> Self {
        Self::Read(Picked::default())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ParamsVisitor)
    }
}

struct ParamsVisitor;

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Params<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params<'de>, A::Error> {
        let (mut picked, mut seen) = (Picked::default(), Seen::default());
        while let Some(Text(key)) = map.next_key()? {
            match key.as_ref() {
                "name" => picked.name = Some(map.next_value::<Text<'de>>()?.0),
                "requestId" => picked.cancels = Some(map.next_value()?),
                "_meta" => picked.version = map.next_value::<MetaOutline<'de>>()?.0,
                _ => map.next_value::<Unique>().map(drop)?,
            }
            seen.add(key)?;
        }
        Ok(Params::Read(picked))
    }

    fn visit_unit<E>(self) -> Result<Params<'de>, E> {
        Ok(Params::Unfit)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Params<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Params::Unfit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::{DEEPEST, MOST_VALUES};
    use super::*;
    use proptest::prelude::*;

    fn code(body: &str) -> i32 {
        read(body.as_bytes()).unwrap_err().code
    }

    #[test]
    fn a_call_is_known_by_its_method_and_tool() {
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"name":"x"},"name":"p\u006cay"}}"#;
        let message = read(body).unwrap();
        assert_eq!(message.method.as_deref(), Some("tools/call"));
        assert_eq!(message.name.as_deref(), Some("play"));
    }

    #[test]
    fn the_revision_and_what_is_cancelled_are_known() {
        let body = br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","x":{"y":[1,2,{"z":null}]}}}}"#;
        let message = read(body).unwrap();
        assert_eq!((message.cancels, message.id), (Some(json!(7)), None));
        assert_eq!(message.version.as_deref(), Some("2026-07-28"));
    }

    #[test]
    fn an_answer_is_one_only_to_a_question_of_ours() {
        let id = format!("qn_{}", "0".repeat(32));
        let body = format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"action":"decline"}}}}"#);
        let message = read(body.as_bytes()).unwrap();
        assert_eq!(message.method, None);
        assert_eq!(message.reply, Some((id.parse().unwrap(), json!({"action": "decline"}))));
        let body = format!(r#"{{"jsonrpc":"2.0","id":"{id}","error":{{"code":-32601,"message":"x"}}}}"#);
        assert_eq!(read(body.as_bytes()).unwrap().reply.unwrap().1, Value::Null);
        for id in ["1", r#""1""#, r#""qn_""#, r#""pl_00000000000000000000000000000000""#] {
            assert_eq!(
                code(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)),
                Malformed::INVALID_REQUEST
            );
        }
    }

    #[test]
    fn what_is_malformed_gets_its_code() {
        for body in
            ["", "{", "nonsense", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x", "\u{feff}{}"]
        {
            assert_eq!(code(body), Malformed::PARSE, "{body}");
        }
        for body in [
            "[]",
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            "5",
            "null",
            "{}",
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{},"arguments":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"a":[{"b":1,"\u0062":2}]}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"a":1,"a":1}}}"#,
        ] {
            assert_eq!(code(body), Malformed::INVALID_REQUEST, "{body}");
        }
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["play"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}"#,
        ] {
            assert_eq!(code(body), Malformed::INVALID_PARAMS, "{body}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_strings_are_not_nesting() {
        let nested = |n: usize| {
            let (open, close) = ("[".repeat(n), "]".repeat(n));
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{open}{close}}}}}"#)
        };
        assert!(read(nested(DEEPEST - 2).as_bytes()).is_ok());
        assert_eq!(code(&nested(DEEPEST - 1)), Malformed::INVALID_REQUEST);
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":"\"{}"}}}}"#, "[".repeat(200));
        assert!(read(text.as_bytes()).is_ok());
    }

    #[test]
    fn values_are_counted_at_all_levels_and_commas_in_strings_are_none() {
        let message =
            |inner: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{{inner}}}}}"#);
        let list = |n: usize| message(&format!("\"a\":[{}0]", "0,".repeat(n)));
        assert!(read(list(MOST_VALUES - 10).as_bytes()).is_ok());
        let objects = message(&format!("\"_meta\":{{\"a\":[{}0]}}", "{\"b\":0},".repeat(MOST_VALUES / 2)));
        for many in [list(MOST_VALUES), objects, message(&format!("\"requestId\":[{}0]", "0,".repeat(9_999)))]
        {
            let refused = read(many.as_bytes()).unwrap_err();
            assert_eq!(refused.message, "the message holds too many values");
        }
        assert!(read(message(&format!("\"a\":\"{}\"", "[{,".repeat(9_999))).as_bytes()).is_ok());
    }

    #[test]
    fn an_array_is_a_batch_even_where_its_elements_would_fit_the_fields() {
        for body in [r#"["2.0",1,"tools/call",{"name":"play"}]"#, "\r\n\t [\"2.0\",1,\"ping\",{},null,null]"]
        {
            let refused = read(body.as_bytes()).unwrap_err();
            assert_eq!(refused.code, Malformed::INVALID_REQUEST, "{body}");
            assert!(refused.message.starts_with("batches"), "{body}");
        }
        assert_eq!(code(r#"["2.0",1,"ping""#), Malformed::PARSE);
    }

    #[test]
    fn a_long_id_is_refused_and_not_echoed() {
        let message = |length: usize| {
            format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"unknown"}}"#, "i".repeat(length))
        };
        assert!(read(message(LONGEST_ID).as_bytes()).is_ok());
        let refused = read(message(LONGEST_ID + 1).as_bytes()).unwrap_err();
        assert_eq!(refused.code, Malformed::INVALID_REQUEST);
        assert!(refused.body().len() < LONGEST_ID);
    }

    #[test]
    fn the_id_is_echoed_where_it_could_be_read() {
        let body = read(br#"{"jsonrpc":"1.0","id":"a","method":"ping"}"#).unwrap_err().body();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["id"], "a");
        let body = read(b"nonsense").unwrap_err().body();
        assert!(serde_json::from_slice::<Value>(&body).unwrap().get("id").is_none());
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body: Vec<u8>) {
            let _ = read(&body);
        }

        #[test]
        fn no_text_of_brackets_makes_it_panic(body in "[\\[\\]{}\":,a1\\\\]{0,200}") {
            let _ = read(body.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn depth_counts_whatever_the_brackets_are(kinds in prop::collection::vec(any::<bool>(), 0..80)) {
            let open: String = kinds.iter().map(|list| if *list { "[" } else { "{\"a\":" }).collect();
            let close: String = kinds.iter().rev().map(|list| if *list { "]" } else { "}" }).collect();
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{open}1{close}}}}}"#);
            prop_assert_eq!(read(body.as_bytes()).is_ok(), kinds.len() + 2 <= DEEPEST);
        }
    }
}
