//! Reading JSON while refusing objects in which a key comes twice: two readers could see two different objects.
//!
//! Nothing is kept but the keys of the objects that are open, so that memory stays within the body's size.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// From how many keys on a set is worth its making.
const FEW: usize = 16;

/// The keys of one object so far.
#[derive(Default)]
pub(super) struct Seen<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    /// # Errors
    /// Where the key was there already.
    pub(super) fn add<E: Error>(&mut self, key: Cow<'a, str>) -> Result<(), E> {
        let known = self.few.contains(&key);
        if known || (self.few.len() == FEW && !self.many.insert(key.clone())) {
            return Err(E::custom("a key comes twice"));
        }
        if self.few.len() < FEW {
            self.few.push(key);
        }
        Ok(())
    }
}

/// Text, borrowed where it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Any value in which no object has a key twice; thrown away.
pub(super) struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = Seen::default();
        while let Some(Text(key)) = map.next_key()? {
            seen.add(key)?;
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }
}

/// Of a message's `_meta` the revision that it names, where that is text.
pub(super) struct MetaOutline<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for MetaOutline<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MetaVisitor)
    }
}

struct MetaVisitor;

impl<'de> Visitor<'de> for MetaVisitor {
    type Value = MetaOutline<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MetaOutline<'de>, A::Error> {
        let (mut version, mut seen) = (None, Seen::default());
        while let Some(Text(key)) = map.next_key()? {
            if key == VERSION {
                version = map.next_value::<MaybeText<'de>>()?.0;
            } else {
                map.next_value::<Unique>()?;
            }
            seen.add(key)?;
        }
        Ok(MetaOutline(version))
    }

    fn visit_unit<E>(self) -> Result<MetaOutline<'de>, E> {
        Ok(MetaOutline(None))
    }
}

/// Text, or something else that the protocol refuses later.
struct MaybeText<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for MaybeText<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(from)? {
            serde_json::Value::String(text) => Some(Cow::Owned(text)),
            _ => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_comes_twice_is_found_at_any_depth_and_number() {
        let read = |text: &str| serde_json::from_str::<Unique>(text).is_ok();
        assert!(read(r#"{"a":[{"b":1},{"b":2}],"c":{"a":null,"b":[true,1.5,-1,"x"]}}"#));
        assert!(!read(r#"{"a":[{"b":1,"b":2}]}"#));
        assert!(!read(r#"{"a":1,"\u0061":2}"#));
        let many = |last: &str| {
            let keys: Vec<_> = (0..40).map(|n| format!("\"k{n}\":{n}")).collect();
            format!("{{{},\"{last}\":1}}", keys.join(","))
        };
        assert!(read(&many("other")));
        for last in ["k0", "k15", "k16", "k39"] {
            assert!(!read(&many(last)), "{last}");
        }
    }
}
