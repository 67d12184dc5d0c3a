//! Arguments of tools as types: what a schema promises, parsing enforces, because both come from one type.
//!
//! Unknown fields are refused by name. A null counts as absent, because models send it for what they leave out.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use super::{ToolError, misfit};
use crate::domain::linking::{ALL_ACCOUNTS, MOST_ACCOUNTS};
use crate::spotify::text::clean;
use crate::spotify::uri;

/// Longest part of an argument or field name that a refusal repeats.
const QUOTED: usize = 200;

/// Reads the arguments of a call.
pub(crate) fn parse<T: DeserializeOwned + JsonSchema>(
    mut arguments: Map<String, Value>,
) -> Result<T, ToolError> {
    arguments.retain(|_, value| !value.is_null());
    let arguments = Value::Object(arguments);
    serde_path_to_error::deserialize(&arguments).map_err(|error| {
        if let Some(told) = misfit::told(&Value::Object(schema_of::<T>()), &arguments) {
            return ToolError::invalid(told);
        }
        let at = error.path().to_string();
        let why = clean(&error.inner().to_string(), QUOTED);
        match at.as_str() {
            "." => ToolError::invalid(format!("The arguments are not valid: {why}.")),
            at => ToolError::invalid(format!("The argument '{}' is not valid: {why}.", clean(at, QUOTED))),
        }
    })
}

/// The input schema of a type: self-contained, without references and without null alternatives.
pub(crate) fn schema_of<T: JsonSchema>() -> Map<String, Value> {
    let mut schema = object(self_contained().into_generator().into_root_schema_for::<T>());
    schema.remove("title");
    schema.remove("description");
    let properties = schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = properties {
        properties.values_mut().for_each(drop_null);
    }
    schema
}

/// Without references, and without the formats that schemars gives Rust's numbers (`uint32`): no vocabulary has them,
/// and clients' validators warn of each.
pub(crate) fn self_contained() -> SchemaSettings {
    let without_format = RecursiveTransform(|schema: &mut Schema| {
        schema.remove("format");
    });
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.with_transform(without_format)
}

pub(crate) fn object(schema: Schema) -> Map<String, Value> {
    match Value::from(schema) {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// Also within lists and the objects in them.
fn drop_null(property: &mut Value) {
    let Value::Object(rules) = property else { return };
    if let Some(Value::Array(ways)) = rules.get_mut("anyOf") {
        ways.retain(|way| way["type"] != "null");
        if let [only] = ways.as_mut_slice()
            && let Value::Object(only) = only.take()
        {
            rules.remove("anyOf");
            rules.extend(only);
        }
        return;
    }
    if let Some(Value::Array(choices)) = rules.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    if let Some(Value::Array(kinds)) = rules.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            rules.insert("type".to_owned(), only);
        }
    }
    rules.get_mut("items").into_iter().for_each(drop_null);
    if let Some(Value::Object(properties)) = rules.get_mut("properties") {
        properties.values_mut().for_each(drop_null);
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// A default of ours, kept within the range.
    pub(crate) const fn of(value: u32) -> Self {
        let raised = if value < MIN { MIN } else { value };
        Self(if raised > MAX { MAX } else { raised })
    }

    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

/// A whole number, also one that is written as 5.0, which JSON Schema takes for one; `None` where it is none.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let number = Number::deserialize(from)?;
    let is_exact = |number: &f64| number.fract() == 0.0 && number.abs() < EXACT;
    Ok(number.as_i64().or_else(|| number.as_f64().filter(is_exact).map(|number| number as i64)))
}

/// Below this every whole number that is written as a fraction is exact: 2 to the power of 53.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        whole(from)?
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| (MIN..=MAX).contains(value))
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("it must be a whole number from {MIN} to {MAX}")))
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Count<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// Text of `MIN` to `MAX` characters, blank ends not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let text = text.trim();
        if (MIN..=MAX).contains(&text.chars().count()) {
            return Ok(Self(text.to_owned()));
        }
        Err(D::Error::custom(format!("it must have {MIN} to {MAX} characters")))
    }
}

impl<const MIN: usize, const MAX: usize> JsonSchema for Text<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": MIN, "maxLength": MAX})
    }
}

/// A list of `MIN` to `MAX` things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Few<T, const MIN: usize, const MAX: usize>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Deserialize<'de> for Few<T, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let list = Vec::<T>::deserialize(from)?;
        if (MIN..=MAX).contains(&list.len()) {
            return Ok(Self(list));
        }
        Err(D::Error::custom(format!("it must be a list of {MIN} to {MAX}, and it has {}", list.len())))
    }
}

impl<T: JsonSchema, const MIN: usize, const MAX: usize> JsonSchema for Few<T, MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Few".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({"type": "array", "items": items, "minItems": MIN, "maxItems": MAX})
    }
}

/// One of the words of `T`, as text alone: serde would take `{"word": null}` for it too, which no schema allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Value::String(word) = Value::deserialize(from)? else {
            return Err(D::Error::custom("it must be one of the words that are listed for it, as text"));
        };
        T::deserialize(StringDeserializer::new(word)).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// Where they lead is known to Spotify alone.
const SHORT: &str = "that is a short link; open it in a browser, and give the address that it leads to";

macro_rules! spotify_names {
    ($($(#[$doc:meta])* $name:ident($inner:ty), $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                let is_short = text.contains("spotify.link/");
                <$inner>::from_str(&text).map(Self).map_err(|why| match is_short {
                    true => D::Error::custom(SHORT),
                    false => D::Error::custom(why),
                })
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

spotify_names! {
    /// A playlist by id, URI or link.
    PlaylistName(uri::PlaylistId), {"type": "string", "minLength": 22, "maxLength": 2048};
    /// A track or episode by id, URI or link.
    ItemName(uri::ItemUri), {"type": "string", "minLength": 22, "maxLength": 2048};
    /// What can be played as a whole, by URI or link.
    ContextName(uri::ContextUri), {"type": "string", "minLength": 22, "maxLength": 2048};
    /// What can be looked up in the catalogue, by URI, link or track id.
    ThingName(uri::ThingUri), {"type": "string", "minLength": 22, "maxLength": 2048};
    /// What has something inside of it, by URI or link.
    ParentName(uri::ParentUri), {"type": "string", "minLength": 22, "maxLength": 2048};
    /// What can be saved or followed, by URI, link or track id.
    LibraryName(uri::LibraryUri), {"type": "string", "minLength": 22, "maxLength": 2048};
    /// An artist by id, URI or link.
    ArtistName(uri::ArtistId), {"type": "string", "minLength": 22, "maxLength": 2048};
    /// A country.
    Country(uri::Market), {"type": "string", "pattern": "^[A-Za-z]{2}$"};
}

/// Which linked account is meant.
pub(crate) type AccountName = Text<1, 256>;

/// Which linked accounts a tool about accounts is to tell of: one, several, or `all`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "it must be the name of an account, a list of 1 to 10 names, or \"all\"")]
pub(crate) enum WhichAccounts {
    /// This one, or all.
    One(AccountName),
    /// These.
    These(Few<AccountName, 1, MOST_ACCOUNTS>),
}

impl WhichAccounts {
    /// By name; `None`: all.
    pub(crate) fn names(&self) -> Option<&[AccountName]> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::These(names) => &names.0[..],
        };
        let is_all = |name: &AccountName| name.as_str().eq_ignore_ascii_case(ALL_ACCOUNTS);
        (!names.iter().any(is_all)).then_some(names)
    }
}

impl JsonSchema for WhichAccounts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WhichAccounts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, these) = (
            generator.subschema_for::<AccountName>(),
            generator.subschema_for::<Few<AccountName, 1, MOST_ACCOUNTS>>(),
        );
        json_schema!({"anyOf": [one, these]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only parsed")]
    struct Sample {
        /// What.
        query: Text<1, 5>,
        #[serde(default = "five")]
        limit: Count<1, 50>,
        playlist: Option<PlaylistName>,
        tracks: Option<Few<ItemName, 1, 2>>,
    }

    const fn five() -> Count<1, 50> {
        Count::of(5)
    }

    fn read(json: Value) -> Result<Sample, String> {
        let Value::Object(arguments) = json else { panic!("an object") };
        parse(arguments).map_err(|error: ToolError| error.message)
    }

    #[test]
    fn ranges_are_enforced_and_the_field_is_named() {
        let cases = [
            (serde_json::json!({"query": "x", "limit": 51}), "'limit'"),
            (serde_json::json!({"query": "x", "limit": 0}), "'limit'"),
            (serde_json::json!({"query": "x", "limit": "5"}), "'limit'"),
            (serde_json::json!({"query": "x", "limit": 1.5}), "'limit'"),
            (serde_json::json!({"query": "x", "limit": -1}), "'limit'"),
            (serde_json::json!({"query": "  "}), "'query'"),
            (serde_json::json!({"query": "abcdef"}), "'query'"),
            (serde_json::json!({"query": "x", "colour": 1}), "`colour`"),
            (serde_json::json!({}), "`query`"),
            (serde_json::json!({"query": "x", "playlist": "nope"}), "'playlist'"),
            (serde_json::json!({"query": "x", "tracks": []}), "'tracks'"),
            (serde_json::json!({"query": "x", "tracks": ["a".repeat(22), "?"]}), "'tracks[1]'"),
        ];
        for (json, named) in cases {
            let message = read(json.clone()).unwrap_err();
            assert!(message.contains(named), "{json}: {message}");
        }
    }

    #[test]
    fn null_is_absent_and_an_apostrophe_is_text() {
        let sample = read(serde_json::json!({"query": "it's", "limit": null, "playlist": null})).unwrap();
        assert_eq!((sample.query.as_str(), sample.limit.get()), ("it's", 5));
        assert_eq!(read(serde_json::json!({"query": "x", "limit": 7.0})).unwrap().limit.get(), 7);
    }

    #[test]
    fn schemas_say_what_is_enforced() {
        let schema = Value::Object(schema_of::<Sample>());
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["query"]));
        let limit = serde_json::json!({"type": "integer", "minimum": 1, "maximum": 50, "default": 5});
        assert_eq!(schema["properties"]["limit"], limit);
        assert_eq!(schema["properties"]["query"]["description"], "What.");
        assert!(!schema.to_string().contains("$ref") && !schema.to_string().contains("null"));
    }
}
