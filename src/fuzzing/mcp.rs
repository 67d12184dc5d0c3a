//! The protocol's parsers: the outline of a message, and the arguments of every tool.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::is_deceptive;
use super::json::depth;
use crate::domain::QuestionId;
use crate::mcp::message::{self, Malformed};
use crate::mcp::{prompts, tools};

const DEEPEST: usize = 64;

/// A JSON-RPC message: what is taken is valid, shallow and says the same to serde_json; what is refused is refused for a
/// reason that serde_json sees too.
pub fn message(data: &[u8]) {
    match message::read(data) {
        Ok(message) => {
            serde_json::from_slice::<IgnoredAny>(data).expect("a message that is JSON");
            // Numbers and escapes that a lazy reader passes over; the library refuses them.
            let Ok(json) = serde_json::from_slice::<Value>(data) else { return };
            assert!(is_message(&json), "{json}");
            assert_eq!(message.method.as_deref(), json["method"].as_str());
            assert_eq!(message.name.as_deref(), json["params"]["name"].as_str());
        }
        Err(refused) => hold_refusal(data, &refused),
    }
    // Written again, nothing stands twice, and the readings still have to agree.
    if let Ok(json) = serde_json::from_slice::<Value>(data) {
        let again = serde_json::to_vec(&json).unwrap();
        assert!(message::read(&again).is_err() || is_message(&json), "{json}");
    }
}

fn hold_refusal(data: &[u8], refused: &Malformed) {
    let body = refused.body();
    assert!(body.len() < 2048);
    let said: Value = serde_json::from_slice(&body).unwrap();
    let code = said["error"]["code"].as_i64().unwrap();
    assert!((-32768..=-32000).contains(&code));
    if code == i64::from(Malformed::PARSE) {
        assert!(serde_json::from_slice::<Value>(data).is_err());
    }
    if let (Some(echoed), Ok(json)) = (said.get("id"), serde_json::from_slice::<Value>(data)) {
        assert_eq!(json.get("id"), Some(echoed));
    }
}

/// The rules of mcp.md for a message, on a tree.
fn is_message(json: &Value) -> bool {
    let Some(fields) = json.as_object() else { return false };
    let id_fits = match fields.get("id") {
        None => true,
        Some(Value::String(id)) => id.len() <= 256,
        Some(id) => id.is_i64(),
    };
    let is_there = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    let is_reply =
        fields.get("id").and_then(Value::as_str).is_some_and(|id| id.parse::<QuestionId>().is_ok());
    let says_something = match fields.get("method") {
        None => is_reply && (is_there("result") || is_there("error")),
        Some(method) => method.is_string() && !is_there("result") && !is_there("error"),
    };
    let params_fit = match fields.get("params") {
        None => true,
        Some(Value::Object(params)) => params.get("name").is_none_or(Value::is_string),
        Some(_) => false,
    };
    id_fits && says_something && params_fit && depth(json) <= DEEPEST && json["jsonrpc"] == "2.0"
}

/// A byte that names a tool, then its arguments: parsing takes what the schema promises, and says briefly what is
/// wrong.
pub fn arguments(data: &[u8]) {
    let Some((tool, json)) = data.split_first() else { return };
    let Ok(mut arguments) = serde_json::from_slice::<Map<String, Value>>(json) else { return };
    let schemas = tools::input_schemas();
    let (name, schema) = &schemas[usize::from(*tool) % schemas.len()];
    let read = tools::read_arguments(name, arguments.clone());
    arguments.retain(|_, value| !value.is_null());
    let properties = schema["properties"].as_object().unwrap();
    let known = arguments.keys().all(|field| properties.contains_key(field));
    let complete = schema
        .get("required")
        .and_then(Value::as_array)
        .is_none_or(|required| required.iter().all(|field| arguments.contains_key(field.as_str().unwrap())));
    let fits =
        |(field, value): (&String, &Value)| properties.get(field).is_none_or(|schema| admits(schema, value));
    let admitted = known && complete && arguments.iter().all(fits);
    match read {
        Ok(()) => assert!(admitted, "{name} takes what its schema refuses: {arguments:?}"),
        Err(error) => {
            let holds_names = arguments.keys().any(|field| properties.get(field).is_some_and(holds_names));
            assert!(!admitted || holds_names, "{name} refuses what its schema admits: {arguments:?}");
            let said = &error.message;
            assert!(said.chars().count() < 600 && !said.chars().any(is_deceptive), "{said:?}");
        }
    }
}

/// Names of Spotify's things have a form that their schema leaves to their description.
fn holds_names(schema: &Value) -> bool {
    schema["minLength"] == 22 || schema.get("items").is_some_and(holds_names)
}

/// What is used of JSON Schema here, blank ends not counted, and whole numbers written as such.
fn admits(schema: &Value, value: &Value) -> bool {
    let within = |size: usize, least: &str, most: &str| {
        let bound = |name: &str, otherwise: usize| {
            schema.get(name).map_or(otherwise, |bound| usize::try_from(bound.as_u64().unwrap()).unwrap())
        };
        (bound(least, 0)..=bound(most, usize::MAX)).contains(&size)
    };
    if let Some(ways) = schema.get("anyOf") {
        return ways.as_array().unwrap().iter().any(|way| admits(way, value));
    }
    match (schema["type"].as_str().unwrap(), value) {
        ("boolean", Value::Bool(_)) => true,
        ("integer", Value::Number(number)) => number
            .as_u64()
            .is_some_and(|number| within(usize::try_from(number).unwrap(), "minimum", "maximum")),
        ("string", Value::String(text)) if schema.get("enum").is_some() => {
            schema["enum"].as_array().unwrap().iter().any(|choice| choice == text)
        }
        ("string", Value::String(text)) => match schema
            .get("pattern")
            .map(|pattern| pattern.as_str().unwrap())
        {
            Some("^[A-Za-z]{2}$") => text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()),
            Some("^[A-Za-z0-9]{12}$") => {
                text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }
            Some(other) => panic!("a pattern that this reader does not know: {other}"),
            None => within(text.trim().chars().count(), "minLength", "maxLength"),
        },
        ("array", Value::Array(items)) => {
            within(items.len(), "minItems", "maxItems")
                && items.iter().all(|item| admits(&schema["items"], item))
        }
        ("object", Value::Object(fields)) => {
            // Here too a null counts as absent.
            let given = || fields.iter().filter(|(_, value)| !value.is_null());
            let properties = schema["properties"].as_object().unwrap();
            let required = schema["required"].as_array().into_iter().flatten();
            fields.keys().all(|field| properties.contains_key(field))
                && required.into_iter().all(|name| given().any(|(field, _)| name == field))
                && given().all(|(field, value)| admits(&properties[field], value))
        }
        _ => false,
    }
}

/// The name of a prompt, a newline, its arguments: what a person's theme becomes is bounded, clean, and still theirs.
pub fn prompt(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (name, arguments) = text.split_once('\n').unwrap_or((&text, ""));
    let arguments: Option<Map<String, Value>> = serde_json::from_str(arguments).ok();
    let said = match prompts::get(name, arguments.as_ref(), |_| true) {
        Ok(prompt) => {
            let said = serde_json::to_value(&prompt.messages).unwrap();
            let said = said[0]["content"]["text"].as_str().unwrap().to_owned();
            let (first, rest) = said.split_once("\n\n").unwrap();
            let (amount, theme) = first
                .strip_prefix("Build a Spotify playlist of ")
                .and_then(|first| first.split_once(" for this theme: "))
                .unwrap();
            let (length, tracks) = amount.split_once(' ').unwrap();
            let length: u8 = length.parse().unwrap();
            assert!((1..=100).contains(&length));
            assert_eq!(tracks, if length == 1 { "track" } else { "tracks" });
            assert!((1..=500).contains(&theme.chars().count()));
            assert!(rest.starts_with("1. ") && !rest.contains("\n\n"), "{said}");
            first.to_owned()
        }
        Err(error) => error.message.into_owned(),
    };
    assert!(said.chars().count() < 700 && !said.chars().any(is_deceptive), "{said:?}");
}
