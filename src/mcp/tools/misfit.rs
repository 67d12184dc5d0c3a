//! Where arguments do not fit their schema, in plain words for whoever wrote them: what is wanted there, and what is.
//!
//! Knows as much of JSON Schema as our own schemas use. What it cannot tell, the type that was parsed tells itself.

use serde_json::{Map, Value};

use crate::spotify::text::clean;

/// Longest part of a name or text that is repeated.
const QUOTED: usize = 60;
/// From here on the length of a text is a mere bound, and not worth saying.
const LONG: u64 = 1_000;

/// What is wrong with arguments of this schema: the first that is found.
pub(super) fn told(schema: &Value, arguments: &Value) -> Option<String> {
    let (at, why) = look(schema, arguments, "")?;
    Some(match at.as_str() {
        "" => format!("The arguments are not valid: {why}."),
        at => format!("The argument '{at}' is not valid: {why}."),
    })
}

/// A place, and what is wrong there.
type Misfit = (String, String);

fn look(schema: &Value, value: &Value, at: &str) -> Option<Misfit> {
    let wrong =
        || Some((at.to_owned(), format!("it must be {}, and it is {}", wanted(schema), found(value))));
    if let Some(ways) = schema["anyOf"].as_array() {
        let fits = ways.iter().any(|way| look(way, value, at).is_none());
        return if fits { None } else { wrong() };
    }
    match (schema["type"].as_str()?, value) {
        ("object", Value::Object(fields)) => within(schema, fields, at),
        ("array", Value::Array(list)) => {
            let mut parts = list.iter().enumerate();
            match fits_in(schema, list.len()) {
                true => parts.find_map(|(n, part)| look(&schema["items"], part, &format!("{at}[{n}]"))),
                false => wrong(),
            }
        }
        ("string", Value::String(text)) => match schema["enum"].as_array() {
            Some(words) if !words.iter().any(|word| word == text) => wrong(),
            _ => None,
        },
        ("integer", Value::Number(number)) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => {
            None
        }
        ("boolean", Value::Bool(_)) => None,
        _ => wrong(),
    }
}

fn within(schema: &Value, fields: &Map<String, Value>, at: &str) -> Option<Misfit> {
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    let names = || known.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    if let Some(name) = fields.keys().find(|name| !known.contains_key(*name)) {
        let name = clean(name, QUOTED);
        let why = match known.is_empty() {
            true => format!("there is no `{name}`; none are taken"),
            false => format!("there is no `{name}`; there are {}", names()),
        };
        return Some((at.to_owned(), why));
    }
    let needed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(name) = needed.into_iter().find(|name| !has(name)) {
        let why =
            format!("`{name}` is missing, which must be {}", known.get(name).map(wanted).unwrap_or_default());
        return Some((at.to_owned(), why));
    }
    let inner = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let mut given = fields.iter().filter(|(_, value)| !value.is_null());
    given.find_map(|(name, value)| look(known.get(name)?, value, &inner(name)))
}

fn fits_in(schema: &Value, length: usize) -> bool {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let (least, most) = (schema["minItems"].as_u64(), schema["maxItems"].as_u64());
    least.is_none_or(|least| length >= least) && most.is_none_or(|most| length <= most)
}

/// What a schema asks for, in words.
fn wanted(schema: &Value) -> String {
    if let Some(ways) = schema["anyOf"].as_array() {
        return ways.iter().map(wanted).collect::<Vec<_>>().join(", or ");
    }
    let between = |least: &str, most: &str| match (schema[least].as_u64(), schema[most].as_u64()) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (_, Some(most)) => format!("at most {most}"),
        _ => "any number of".to_owned(),
    };
    match schema["type"].as_str() {
        Some("integer") => format!("a whole number from {}", between("minimum", "maximum")),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => {
            format!("a list of {}, each of it {}", between("minItems", "maxItems"), wanted(&schema["items"]))
        }
        Some("object") => {
            let names = schema["properties"].as_object().into_iter().flat_map(Map::keys);
            let names = names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            format!("an object with {names}")
        }
        _ => match (schema["enum"].as_array(), schema["maxLength"].as_u64()) {
            (Some(words), _) => {
                let words: Vec<_> = words.iter().map(Value::to_string).collect();
                format!("one of {}", words.join(", "))
            }
            (None, Some(most)) if most < LONG => {
                format!("a text of {} characters", between("minLength", "maxLength"))
            }
            _ => "a text".to_owned(),
        },
    }
}

/// What a value is, in words.
fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text \"{}\"", clean(text, QUOTED)),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "required": ["items"], "additionalProperties": false, "properties": {
            "items": {"type": "array", "minItems": 1, "maxItems": 50, "items": {
                "type": "object", "required": ["title"], "properties": {
                    "title": {"type": "string", "minLength": 1, "maxLength": 200},
                    "artist": {"type": "string"}}}},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50},
            "kind": {"type": "string", "enum": ["track", "album"]},
            "public": {"type": "boolean"},
            "account": {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 256},
                {"type": "array", "minItems": 1, "maxItems": 10, "items": {"type": "string"}}]}}})
    }

    #[test]
    fn a_mistake_is_told_with_what_is_wanted_in_its_place() {
        let items = json!([{"title": "x"}]);
        for (arguments, said) in [
            (
                json!({}),
                "The arguments are not valid: `items` is missing, which must be a list of 1 to 50, each of it \
                         an object with `artist`, `title`.",
            ),
            (
                json!({"items": ["Don't Stop"]}),
                "The argument 'items[0]' is not valid: it must be an object with \
                                                `artist`, `title`, and it is the text \"Don't Stop\".",
            ),
            (
                json!({"items": [{"name": "x"}]}),
                "The argument 'items[0]' is not valid: there is no `name`; there are \
                                                 `artist`, `title`.",
            ),
            (
                json!({"items": [{"title": 1}]}),
                "The argument 'items[0].title' is not valid: it must be a text of 1 to \
                                                200 characters, and it is the number 1.",
            ),
            (
                json!({"items": items, "limit": "5"}),
                "The argument 'limit' is not valid: it must be a whole number from \
                                                     1 to 50, and it is the text \"5\".",
            ),
            (
                json!({"items": items, "kind": "song"}),
                "The argument 'kind' is not valid: it must be one of \"track\", \
                                                       \"album\", and it is the text \"song\".",
            ),
            (
                json!({"items": items, "public": "yes"}),
                "The argument 'public' is not valid: it must be true or false, \
                                                        and it is the text \"yes\".",
            ),
            (
                json!({"items": items, "account": 1}),
                "The argument 'account' is not valid: it must be a text of 1 to \
                                                     256 characters, or a list of 1 to 10, each of it a text, and it is \
                                                     the number 1.",
            ),
            (
                json!({"items": []}),
                "The argument 'items' is not valid: it must be a list of 1 to 50, each of it an \
                                    object with `artist`, `title`, and it is a list of 0.",
            ),
        ] {
            assert_eq!(told(&schema(), &arguments).as_deref(), Some(said));
        }
    }

    #[test]
    fn what_fits_is_left_to_the_types() {
        for fits in [
            json!({"items": [{"title": "x", "artist": null}], "limit": 5.0, "account": ["a"]}),
            json!({"items": [{"title": "x"}], "limit": 99, "account": null}),
        ] {
            assert_eq!(told(&schema(), &fits), None, "{fits}");
        }
        let odd = told(&schema(), &json!({"a\u{202e}b": 1})).unwrap();
        assert!(!odd.contains('\u{202e}'), "{odd}");
    }
}
