//! Every tool refuses what its input schema rules out, and names it: driven by the schemas themselves, so that a new
//! tool is held to its own. Nothing is asked of Spotify.

use std::time::Duration;

use serde_json::{Map, Value, json};
use spotify_mcp::app::CallLimits;

use super::rig::Rig;
use crate::fake::{Answer, Seen};

#[tokio::test]
async fn every_violation_of_every_schema_is_refused_by_name() {
    // Far more calls than a person may make in a minute.
    let limits = CallLimits { per_minute: 100_000, ..CallLimits::default() };
    let quiet = |_: usize, seen: &Seen| -> Answer { panic!("Spotify was asked for {}", seen.target) };
    let rig = Rig::with(limits, Duration::from_secs(5), quiet).await;
    let tools = rig.modern("tools/list", json!({})).await.result()["tools"].clone();
    let mut tried = 0;
    for tool in tools.as_array().unwrap() {
        let (name, schema) = (tool["name"].as_str().unwrap(), &tool["inputSchema"]);
        assert_eq!(schema["additionalProperties"], false, "{name} takes anything");
        let fitting = fitting(schema);
        for (argument, arguments) in violations(schema, &fitting) {
            let result = rig.call(name, Value::Object(arguments.clone())).await;
            let error = &result["structuredContent"]["error"];
            assert_eq!(error["code"], "INVALID_ARGUMENT", "{name} {arguments:?}: {result}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(&argument), "{name}: {message} does not name {argument}");
            tried += 1;
        }
    }
    assert!(tried > 40, "only {tried} violations were tried");
}

/// Arguments that hold: of every required property the least.
fn fitting(schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let one = |name: &Value| {
        let name = name.as_str().unwrap();
        (name.to_owned(), sample(&schema["properties"][name]))
    };
    required.iter().map(one).collect()
}

/// A value that a schema allows.
fn sample(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("integer") => schema["minimum"].clone(),
        Some("boolean") => json!(true),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0).max(1);
            (0..least).map(|_| sample(&schema["items"])).collect()
        }
        Some("string") => match schema["enum"].as_array() {
            Some(choices) => choices[0].clone(),
            // Ids of Spotify have 22 characters; other texts are free.
            None => json!("a".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(2)).unwrap())),
        },
        Some("object") => Value::Object(fitting(schema)),
        other => panic!("no sample for {other:?}: {schema}"),
    }
}

/// What breaks a schema: the argument at fault, and all arguments.
fn violations(schema: &Value, fitting: &Map<String, Value>) -> Vec<(String, Map<String, Value>)> {
    let mut found = Vec::new();
    let with = |name: &str, value: Value| {
        let mut arguments = fitting.clone();
        arguments.insert(name.to_owned(), value);
        (name.to_owned(), arguments)
    };
    found.push(with("surplus", json!(1)));
    for name in fitting.keys() {
        let mut without = fitting.clone();
        without.remove(name);
        found.push((name.clone(), without));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.extend(wrong(property).into_iter().map(|value| with(name, value)));
    }
    found
}

/// Values that a schema rules out.
fn wrong(schema: &Value) -> Vec<Value> {
    let mut values = vec![json!({"a": 1})];
    let number = |name: &str| schema[name].as_i64();
    let long = |name: &str| schema[name].as_u64().and_then(|length| usize::try_from(length).ok());
    if schema.get("anyOf").is_some() {
        // One name or several.
        values.extend([json!(1), json!(true), json!([]), json!([1]), json!(vec!["a"; 11])]);
        values.extend([json!("a".repeat(257)), json!(["a".repeat(257)])]);
        return values;
    }
    match schema["type"].as_str() {
        Some("integer") => {
            values.extend([json!("1"), json!(1.5), json!(true), json!([1])]);
            values.extend(number("minimum").map(|least| json!(least - 1)));
            values.extend(number("maximum").map(|most| json!(most + 1)));
        }
        Some("string") => {
            values.extend([json!(1), json!(true), json!(["x"])]);
            values.extend(long("maxLength").map(|most| json!("a".repeat(most + 1))));
            values.extend(
                long("minLength").filter(|least| *least > 0).map(|least| json!("a".repeat(least - 1))),
            );
            if schema.get("enum").is_some() || schema.get("pattern").is_some() {
                values.push(json!("no such choice"));
            }
            // As serde would write a word that has no more to it.
            if let Some(word) = schema["enum"][0].as_str() {
                values.push(json!({ word: null }));
            }
        }
        Some("boolean") => values.extend([json!(1), json!("true")]),
        Some("array") => {
            values.push(json!("x"));
            let item = sample(&schema["items"]);
            values.extend(long("maxItems").map(|most| json!(vec![item.clone(); most + 1])));
            values.extend(long("minItems").filter(|least| *least > 0).map(|_| json!([])));
            values.extend(wrong(&schema["items"]).into_iter().map(|value| json!([value])));
        }
        Some("object") => {
            assert_eq!(schema["additionalProperties"], false, "{schema} takes anything");
            let broken = violations(schema, &fitting(schema));
            values.extend(broken.into_iter().map(|(_, inner)| Value::Object(inner)));
        }
        other => panic!("a property of type {other:?} is not covered: {schema}"),
    }
    values
}
