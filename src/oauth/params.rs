//! Request parameters: form or query encoding, read strictly and bounded, each at most once (RFC 6749 section 3.1).

/// Most parameters of a request.
const MOST: usize = 64;

/// Decoded parameters, with what was wrong about them.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    overflow: bool,
    malformed: bool,
}

impl Params {
    /// Decodes `application/x-www-form-urlencoded`. The caller bounds the size.
    pub fn parse(encoded: &[u8]) -> Self {
        let mut read = Self::default();
        for part in encoded.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            if read.pairs.len() == MOST {
                read.overflow = true;
                break;
            }
            let at = part.iter().position(|byte| *byte == b'=');
            let (name, value) = at.map_or((part, &[][..]), |at| (&part[..at], &part[at + 1..]));
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => read.pairs.push((name, value)),
                _ => read.malformed = true,
            }
        }
        read
    }

    /// The value of a parameter that stands once and is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next().filter(|value| !value.is_empty());
        if values.next().is_some() { None } else { first }
    }

    /// How often a parameter stands, empty or not.
    pub fn count(&self, name: &str) -> usize {
        self.pairs.iter().filter(|(key, _)| key == name).count()
    }

    /// What is wrong with the parameters as such: one stands twice, they are too many, an encoding is broken. Several
    /// `resource` are allowed (RFC 8707 section 2) and for their readers to judge, see [`Params::count`].
    pub fn fault(&self) -> Option<&'static str> {
        let twice = |(at, (name, _)): (usize, &(String, String))| {
            name != "resource" && self.pairs[..at].iter().any(|(key, _)| key == name)
        };
        if self.malformed {
            Some("A parameter is not encoded as a form")
        } else if self.overflow {
            Some("There are too many parameters")
        } else if self.pairs.iter().enumerate().any(twice) {
            Some("A parameter is repeated")
        } else {
            None
        }
    }
}

/// One name or value of a form; `None` where a percent sign is not followed by two hexadecimal digits, or what comes
/// out is not UTF-8.
pub fn decoded(encoded: &[u8]) -> Option<String> {
    let mut plain = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit =
                    |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(bytes.next()?)? * 16 + digit(bytes.next()?)?
            }
            byte => *byte,
        });
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_repeated_parameter_has_no_value() {
        let params = Params::parse(b"a=1&b=2&b=3&c=&d=%20x%C3%A9&&e&f=x=y");
        assert_eq!(params.get("a"), Some("1"));
        assert_eq!(params.get("b"), None);
        assert_eq!(params.get("c"), None);
        assert_eq!(params.get("d"), Some(" xé"));
        assert_eq!((params.get("e"), params.count("e")), (None, 1));
        assert_eq!(params.get("f"), Some("x=y"));
        assert_eq!(params.fault(), Some("A parameter is repeated"));
        assert_eq!(Params::parse(b"a=1&b=2&resource=x&resource=y").fault(), None);
        assert_eq!(Params::parse(b"").fault(), None);
    }

    #[test]
    fn a_broken_encoding_is_a_fault() {
        for bad in ["a=%", "a=%1", "a=%zz", "%=1", "a=%ff", "a=%C3", "a=1&b=%u0041"] {
            assert_eq!(
                Params::parse(bad.as_bytes()).fault(),
                Some("A parameter is not encoded as a form"),
                "{bad}"
            );
        }
        assert!(Params::parse(b"a=\xff").fault().is_some());
    }

    #[test]
    fn too_many_are_a_fault() {
        let many = |count| (0..count).map(|n| format!("p{n}=1&")).collect::<String>();
        assert_eq!(Params::parse(many(64).as_bytes()).fault(), None);
        assert_eq!(Params::parse(many(65).as_bytes()).fault(), Some("There are too many parameters"));
    }

    proptest! {
        #[test]
        fn what_a_form_encoder_writes_is_read_back(value in "\\PC{0,40}") {
            let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            prop_assert_eq!(decoded(encoded.as_bytes()), Some(value));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back_and_a_repetition_never_has_a_value(
            value in "\\PC{1,40}", other in "\\PC{0,40}", filling in 0_usize..70
        ) {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("state", &value);
            for n in 0..filling {
                form.append_pair(&format!("x{n}"), "1");
            }
            let once = form.finish();
            let params = Params::parse(once.as_bytes());
            prop_assert_eq!(params.get("state"), Some(value.as_str()));
            prop_assert_eq!(params.fault().is_some(), filling + 1 > MOST);
            let mut form = url::form_urlencoded::Serializer::new(once);
            let twice = form.append_pair("state", &other).finish();
            prop_assert!(Params::parse(twice.as_bytes()).fault().is_some());
            prop_assert!(filling + 2 > MOST || Params::parse(twice.as_bytes()).get("state").is_none());
        }
    }
}
