//! Reading JSON of which nothing is certain: a null, a number as text or an unknown word never costs the page.
//!
//! Values of a wrong type become `None`; null rows of lists are passed over. Text that becomes an address, an id or
//! a code is kept only where it is visible ASCII.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Foreign;

/// Longest id, URI, URL or code taken from upstream, in bytes.
const LONGEST_WORD: usize = 2048;

/// A scalar that may be anything.
enum Scalar {
    Text(String),
    Int(u64),
    Bool(bool),
    Other,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("anything")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Int(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(u64::try_from(value).map_or(Scalar::Other, Scalar::Int))
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked and the fraction is meant to go"
    )]
    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        // 2^53: beyond it a float no longer names one integer.
        let whole = (0.0..=9_007_199_254_740_992.0).contains(&value);
        Ok(if whole { Scalar::Int(value as u64) } else { Scalar::Other })
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// A number that is not negative, also as text or with a fraction.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(match from.deserialize_any(ScalarVisitor)? {
        Scalar::Int(value) => Some(value),
        Scalar::Text(text) => text.trim().parse().ok(),
        Scalar::Bool(_) | Scalar::Other => None,
    })
}

/// A truth value, also as text.
pub(super) fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match from.deserialize_any(ScalarVisitor)? {
        Scalar::Bool(value) => Some(value),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Int(_) | Scalar::Other => None,
    })
}

/// An id, a URI, a URL, a date or a code word: visible ASCII, bounded; also a number.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match from.deserialize_any(ScalarVisitor)? {
        Scalar::Text(text) => {
            let fits = (1..=LONGEST_WORD).contains(&text.len());
            // Without a branch for each byte: pages hold thousands of such words.
            let graphic = text.bytes().fold(true, |so_far, byte| so_far & byte.is_ascii_graphic());
            (fits && graphic).then_some(text)
        }
        Scalar::Int(value) => Some(value.to_string()),
        Scalar::Bool(_) | Scalar::Other => None,
    })
}

/// Text that strangers wrote.
pub(super) fn foreign<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Foreign>, D::Error> {
    Ok(match from.deserialize_any(ScalarVisitor)? {
        Scalar::Text(text) => Some(Foreign::from(text)),
        Scalar::Int(value) => Some(Foreign::from(value.to_string())),
        Scalar::Bool(_) | Scalar::Other => None,
    })
}

/// An object; anything else is `None`.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    from.deserialize_any(ObjectVisitor(PhantomData))
}

/// The objects of a list, null and other rows passed over, a missing list empty.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(from.deserialize_any(RowsVisitor(PhantomData))?.into_iter().flatten().collect())
}

/// The same with a place kept for every row, so that they can be counted.
pub(super) fn rows<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<Option<T>>, D::Error> {
    from.deserialize_any(RowsVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Some)
    }
}

/// One row of a list, null or odd rows allowed.
struct Row<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        object(from).map(Row)
    }
}

struct RowsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for RowsVisitor<T> {
    type Value = Vec<Option<T>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
        while let Some(Row(row)) = seq.next_element()? {
            rows.push(row);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Sample {
        #[serde(deserialize_with = "number")]
        count: Option<u64>,
        #[serde(deserialize_with = "truth")]
        on: Option<bool>,
        #[serde(deserialize_with = "word")]
        id: Option<String>,
        #[serde(deserialize_with = "object")]
        inner: Option<Box<Sample>>,
        #[serde(deserialize_with = "list")]
        rows: Vec<Sample>,
    }

    fn read(json: &str) -> Sample {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn odd_values_cost_only_themselves() {
        for odd in ["null", "[1,{}]", "{\"a\":[]}", "-1", "\"x y\"", "1e300"] {
            let sample = read(&format!(r#"{{"count":{odd},"on":{odd},"id":{odd},"new":{odd}}}"#));
            assert_eq!((sample.count, sample.on, sample.id), (None, None, None), "{odd}");
        }
    }

    #[test]
    fn numbers_come_as_text_and_with_fractions() {
        assert_eq!(read(r#"{"count":"17"}"#).count, Some(17));
        assert_eq!(read(r#"{"count":17.9}"#).count, Some(17));
        assert_eq!(
            read(r#"{"on":"true","id":31}"#),
            Sample { on: Some(true), id: Some("31".into()), ..Sample::default() }
        );
    }

    #[test]
    fn null_and_odd_rows_are_passed_over() {
        let sample = read(r#"{"rows":[null,{"count":1},"x",[2],{"count":2}],"inner":"none"}"#);
        let counts: Vec<_> = sample.rows.iter().map(|row| row.count).collect();
        assert_eq!(counts, [Some(1), Some(2)]);
        assert_eq!(sample.inner, None);
        assert_eq!(read(r#"{"rows":null}"#).rows, []);
    }
}
