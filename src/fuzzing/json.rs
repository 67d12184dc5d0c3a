//! JSON read a second, simpler way, and the strict reader of strangers' objects held against it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::domain::strict_json;

/// Most members and items that the strict reader takes.
const MOST: usize = 2_000;

/// A byte for the depth, then a text: taken is what serde_json reads as an object, and only where nothing stands
/// twice and it is neither deep nor large.
pub fn strict_json(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let deepest = usize::from(first % 16);
    let lenient = serde_json::from_slice::<Value>(text).ok();
    let fits =
        |json: &Value| json.is_object() && is_once(text) && depth(json) <= deepest && size(json) <= MOST;
    assert_eq!(strict_json::object(text, deepest).map(Value::Object), lenient.filter(fits));
}

/// How deeply lists and objects are nested.
pub(super) fn depth(json: &Value) -> usize {
    match json {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Members, items and lists, at all levels together.
fn size(json: &Value) -> usize {
    match json {
        Value::Array(items) => 1 + items.len() + items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => fields.len() + fields.values().map(size).sum::<usize>(),
        _ => 0,
    }
}

/// Whether a text is JSON in which no object has a key twice.
pub(super) fn is_once(text: &[u8]) -> bool {
    serde_json::from_slice::<Once>(text).is_ok()
}

/// JSON in which no object has a key twice.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, _)) = map.next_entry::<String, Self>()? {
            if !keys.insert(key) {
                return Err(serde::de::Error::custom("a key is there twice"));
            }
        }
        Ok(self)
    }
}
