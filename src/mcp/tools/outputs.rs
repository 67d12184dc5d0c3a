//! What tools say that they answer. Models read the list of tools, so it says what programs need and no more: which fields
//! there are, of which type, and which are always there.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::ToolError;
use super::arguments::{object, self_contained};

/// The output schema of a type: its fields, or an `error`. Some clients hold failed calls against the schema too.
pub(super) fn output_of<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = serialized::<T>();
    lean(&mut schema);
    let required = schema.remove("required").unwrap_or_else(|| json!([]));
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("error".to_owned(), Value::Object(serialized::<ToolError>()));
    }
    schema.insert("anyOf".to_owned(), json!([{"required": required}, {"required": ["error"]}]));
    schema
}

fn serialized<T: JsonSchema>() -> Map<String, Value> {
    let settings = self_contained().for_serialize();
    let mut schema = object(settings.into_generator().into_root_schema_for::<T>());
    schema.remove("title");
    schema
}

/// Without descriptions, which the names make up for; without a null for what is left out instead; and without the
/// least number where that is 0.
fn lean(rules: &mut Map<String, Value>) {
    rules.remove("description");
    if rules.get("minimum") == Some(&json!(0)) {
        rules.remove("minimum");
    }
    let required = rules.get("required").cloned().unwrap_or_else(|| json!([]));
    let is_required =
        |name: &str| required.as_array().is_some_and(|names| names.iter().any(|one| one == name));
    for (rule, part) in rules.iter_mut() {
        match (rule.as_str(), part) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    let Value::Object(property) = property else { continue };
                    lean(property);
                    // What serde may leave out is never null.
                    if !is_required(name) {
                        drop_null(property);
                    }
                }
            }
            ("items", Value::Object(items)) => lean(items),
            ("anyOf" | "oneOf", Value::Array(ways)) => {
                ways.iter_mut().filter_map(Value::as_object_mut).for_each(lean)
            }
            _ => {}
        }
    }
}

fn drop_null(property: &mut Map<String, Value>) {
    if let Some(Value::Array(choices)) = property.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    if let Some(Value::Array(kinds)) = property.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            property.insert("type".to_owned(), only);
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema is wanted")]
    struct Output {
        /// How many.
        count: u32,
        /// Where it stopped.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<u32>,
        /// Null where it is unknown.
        known: Option<bool>,
        rows: Vec<Row>,
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<ToolError>,
    }

    #[derive(Serialize, JsonSchema)]
    struct Row {
        /// Its name.
        name: String,
    }

    #[test]
    fn a_schema_says_what_is_there_and_what_may_be_left_out_and_no_more() {
        let expected = json!({
            "type": "object",
            "properties": {
                "count": {"type": "integer"},
                "next": {"type": "integer"},
                "known": {"type": ["boolean", "null"]},
                "rows": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
                },
                "failure": {"type": "object", "required": ["code", "message"]},
                "error": {"type": "object", "required": ["code", "message"]},
            },
            "anyOf": [{"required": ["count", "known", "rows"]}, {"required": ["error"]}],
        });
        assert_eq!(Value::Object(output_of::<Output>()), expected);
    }
}
