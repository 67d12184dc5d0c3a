//! As much of JSON Schema 2020-12 as our schemas use: enough to hold answers against them.

use serde_json::Value;

/// Every way in which a value breaks a schema, each with its place.
pub fn breaks(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(rules) = schema else {
        assert_eq!(schema, &Value::Bool(true), "a schema at {at}");
        return;
    };
    for (rule, expected) in rules {
        let fits = match rule.as_str() {
            "type" => kinds(expected).iter().any(|kind| is(kind, value)),
            "enum" => expected.as_array().unwrap().contains(value),
            "const" => expected == value,
            "minimum" => value.as_i64().is_none_or(|number| number >= expected.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= expected.as_i64().unwrap()),
            "required" => value.as_object().is_none_or(|object| {
                expected.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
            }),
            "anyOf" | "oneOf" => {
                expected.as_array().unwrap().iter().any(|schema| breaks(schema, value).is_empty())
            }
            "properties" => {
                for (name, schema) in expected.as_object().unwrap() {
                    if let Some(part) = value.get(name) {
                        check(schema, part, &format!("{at}/{name}"), found);
                    }
                }
                true
            }
            "items" => {
                for (n, part) in value.as_array().into_iter().flatten().enumerate() {
                    check(expected, part, &format!("{at}/{n}"), found);
                }
                true
            }
            "format" | "description" | "title" | "default" => true,
            other => panic!("the schema uses {other}, which this test does not know"),
        };
        if !fits {
            found.push(format!("{at}: {rule} {expected} does not hold for {value}"));
        }
    }
    // An answer must not carry what its schema does not name.
    if let (Some(Value::Object(named)), Value::Object(object)) = (rules.get("properties"), value) {
        let unnamed = object.keys().filter(|name| !named.contains_key(*name));
        found.extend(unnamed.map(|name| format!("{at}/{name} is not in the schema")));
    }
}

fn kinds(expected: &Value) -> Vec<&str> {
    match expected {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap()],
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no such type: {other}"),
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}, "s": {"type": "string", "enum": ["a"]}},
        "anyOf": [{"required": ["n"]}, {"required": ["s"]}],
    });
    assert!(breaks(&schema, &serde_json::json!({"n": 1})).is_empty());
    for wrong in [
        serde_json::json!({}),
        serde_json::json!([]),
        serde_json::json!({"n": 0}),
        serde_json::json!({"s": "b"}),
        serde_json::json!({"n": 1, "more": 2}),
    ] {
        assert!(!breaks(&schema, &wrong).is_empty(), "{wrong}");
    }
}
