//! JSON from strangers, read strictly: one object, no member twice at any level, bounded depth and number of members.
//! Duplicates are where two readers of one text see two things (RFC 8259 section 4). Never echoes what it refused.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Most members and items of one text, at all levels together.
const MOST: usize = 2_000;

/// Reads one object, nested at most `depth` levels deep (1: no nesting). `None` where the text is anything else; the
/// caller bounds its size.
pub fn object(text: &[u8], depth: usize) -> Option<Map<String, Value>> {
    let mut left = MOST;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth, left: &mut left }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

struct Strict<'a> {
    depth: usize,
    left: &'a mut usize,
}

impl Strict<'_> {
    fn inner<E: Error>(&mut self) -> Result<Strict<'_>, E> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| E::custom("too many members"))?;
        Ok(Strict { depth: self.depth, left: self.left })
    }

    fn descend<E: Error>(&mut self) -> Result<(), E> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON without a member twice")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.descend()?;
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner()?)? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        self.descend()?;
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self.inner()?)?;
            if read.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_object_of_bounded_depth_and_nothing_else() {
        let read = |text: &str| object(text.as_bytes(), 3);
        let value = read(r#" {"a": [1, -2, 0.5, true, null, "x"], "b": {"c": {}}} "#).unwrap();
        assert_eq!(Value::Object(value)["a"][5], "x");
        for text in
            ["", "[]", "1", "null", "{", "{}{}", "{} x", r#"{"a":[[[]]]}"#, "\u{feff}{}", r#"{"a":1,}"#]
        {
            assert!(read(text).is_none(), "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(object(deep.as_bytes(), usize::MAX).is_none());
    }

    #[test]
    fn a_member_stands_once_at_every_level() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert!(object(text.as_bytes(), 8).is_none(), "{text}");
        }
        assert!(object(br#"{"a":{"b":1},"c":{"b":1}}"#, 8).is_some());
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let many = |count: usize| format!("{{\"a\":[{}]}}", vec!["0"; count].join(","));
        assert!(object(many(1_900).as_bytes(), 8).is_some());
        assert!(object(many(2_100).as_bytes(), 8).is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_what_the_lenient_reader_reads(text in r#"[\[\]{}:,"a-c0-9\\ ]{0,40}"#) {
            if let Some(read) = object(text.as_bytes(), 8) {
                prop_assert_eq!(Value::Object(read), serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
