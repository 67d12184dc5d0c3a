//! Request parameters: form or query encoding, bounded, each at most once (RFC 6749 section 3.1).

/// Most parameters of a request.
const MOST: usize = 64;

/// Decoded parameters, with what was wrong about them.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    overflow: bool,
}

impl Params {
    /// Decodes `application/x-www-form-urlencoded`. The caller bounds the size.
    pub fn parse(encoded: &[u8]) -> Self {
        let mut decoded = url::form_urlencoded::parse(encoded);
        let pairs = decoded
            .by_ref()
            .take(MOST)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Self { pairs, overflow: decoded.next().is_some() }
    }

    /// The value of a parameter that stands once and is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next().filter(|value| !value.is_empty());
        if values.next().is_some() { None } else { first }
    }

    /// Whether any parameter stands twice, or there are too many. `resource` may be repeated (RFC 8707 section 2),
    /// but no client of ours has use for it, so it may not here either.
    pub fn repeated(&self) -> bool {
        let twice =
            |(at, (name, _)): (usize, &(String, String))| self.pairs[..at].iter().any(|(key, _)| key == name);
        self.overflow || self.pairs.iter().enumerate().any(twice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_has_no_value() {
        let params = Params::parse(b"a=1&b=2&b=3&c=&d=%20x%ff");
        assert_eq!(params.get("a"), Some("1"));
        assert_eq!(params.get("b"), None);
        assert_eq!(params.get("c"), None);
        assert_eq!(params.get("d"), Some(" x\u{fffd}"));
        assert!(params.repeated());
        assert!(!Params::parse(b"a=1&b=2").repeated());
        assert!(Params::parse("x=1&".repeat(65).replace("x=1", "").as_bytes()).get("x").is_none());
    }

    #[test]
    fn too_many_count_as_repeated() {
        let many: String = (0..65).map(|n| format!("p{n}=1&")).collect();
        assert!(Params::parse(many.as_bytes()).repeated());
    }
}
